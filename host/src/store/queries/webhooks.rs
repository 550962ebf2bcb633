//! Statements about what comes in at webhooks, and about secrets.

/// Columns of [`DeliveryRow`](crate::store::DeliveryRow) but the last three, in the order in which they are read.
macro_rules! delivery_columns {
    () => {
        "id, trigger_id, delivery_key, verdict, reason, execution_id, resent_from, headers, query, octet_length(body)"
    };
}

/// Columns of [`UserSecretRow`](crate::store::UserSecretRow), in the order in which they are read.
macro_rules! user_secret_columns {
    () => {
        "name, secret_id, hosts, created_at, set_by, rotated_at"
    };
}

statements! {
DELIVERY = concat!("SELECT ", delivery_columns!(), ", body, received_at FROM deliveries WHERE id = ?");
/// Ids sort with the time.
DELIVERIES = concat!(
    "SELECT ",
    delivery_columns!(),
    ", NULL, received_at FROM deliveries WHERE trigger_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
);
OLDEST_DELIVERY = "SELECT (SELECT received_at FROM deliveries WHERE id > '' ORDER BY id LIMIT 1)";
FORGET_DELIVERIES = "DELETE FROM deliveries WHERE id IN (SELECT id FROM \
     (SELECT id, received_at FROM deliveries WHERE id > '' ORDER BY id LIMIT ?2) WHERE received_at < ?1)";
FORGET_REFUSED = "DELETE FROM deliveries WHERE id IN \
     (SELECT id FROM deliveries WHERE trigger_id = ?1 AND verdict = 'refused' ORDER BY id DESC LIMIT -1 OFFSET ?2)";

SECRETS = "SELECT id, name, sealed, created_at, created_by FROM secrets WHERE name = ? ORDER BY created_at, id";
INSERT_SECRET = "INSERT INTO secrets (id, name, sealed, created_at, created_by) SELECT ?1, ?2, ?3, ?4, ?5 \
     WHERE (SELECT count(*) FROM secrets WHERE name = ?2) < ?6";
ALL_SECRETS = "SELECT id, name, sealed, created_at, created_by FROM secrets ORDER BY name, id";
DELETE_VALUE = "DELETE FROM secrets WHERE id = ?";
/// Only what is there as it was read.
RESEAL_SECRET = "UPDATE secrets SET sealed = ?1 WHERE id = ?2 AND sealed = ?3";
USER_SECRETS = concat!("SELECT ", user_secret_columns!(), " FROM user_secrets ORDER BY name");
VALUE_OF_USER_SECRET = "SELECT secret_id FROM user_secrets WHERE name = ?";
PUT_USER_SECRET = concat!(
    "INSERT INTO user_secrets (name, secret_id, hosts, created_at, set_by) SELECT ?1, ?2, ?3, ?4, ?5 \
     WHERE EXISTS (SELECT 1 FROM user_secrets WHERE name = ?1) OR (SELECT count(*) FROM user_secrets) < ?6 \
     ON CONFLICT (name) DO UPDATE SET secret_id = excluded.secret_id, hosts = excluded.hosts, \
     set_by = excluded.set_by, rotated_at = ?4 RETURNING ",
    user_secret_columns!()
);
DELETE_USER_SECRET = "DELETE FROM user_secrets WHERE name = ? RETURNING secret_id";
DELETE_SECRET = "DELETE FROM secrets WHERE name = ? AND id = ?";
}
