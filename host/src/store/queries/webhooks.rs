//! Statements about what comes in at webhooks, and about secrets.

/// Columns of [`DeliveryRow`](crate::store::DeliveryRow) but the last three, in the order in which they are read.
macro_rules! delivery_columns {
    () => {
        "id, trigger_id, delivery_key, verdict, reason, execution_id, resent_from, headers, query, octet_length(body)"
    };
}

statements! {
INSERT_DELIVERIES = insert_deliveries!();
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
DELETE_SECRET = "DELETE FROM secrets WHERE name = ? AND id = ?";
}
