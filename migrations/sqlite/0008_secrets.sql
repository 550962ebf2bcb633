-- Secrets that people gave for plugins and models. The value lies sealed in `secrets`, under the name `secret/<name>`.

CREATE TABLE user_secrets (
    name       TEXT    NOT NULL PRIMARY KEY,
    secret_id  TEXT    NOT NULL UNIQUE REFERENCES secrets (id),
    hosts      TEXT    NOT NULL, -- JSON array: where it may be sent
    created_at INTEGER NOT NULL,
    set_by     TEXT    NOT NULL, -- who set it last
    rotated_at INTEGER           -- when its value was replaced last
) STRICT, WITHOUT ROWID;
