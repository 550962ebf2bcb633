-- Who may ask. Secrets are stored as hashes only: of tokens and sessions, which are random and long, SHA-256; of passwords,
-- which people choose, argon2id.

CREATE TABLE tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    name_folded  TEXT    NOT NULL, -- as of users: what people take for the same name is the same
    hash         TEXT    NOT NULL UNIQUE, -- SHA-256 in hex
    roles        TEXT    NOT NULL, -- JSON array
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER -- written now and then, not at each use
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX tokens_by_name ON tokens (name_folded) WHERE revoked_at IS NULL;

CREATE TABLE users (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    name_folded  TEXT    NOT NULL UNIQUE,
    password     TEXT    NOT NULL, -- argon2id with its parameters and salt
    roles        TEXT    NOT NULL, -- JSON array
    disabled     INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash         TEXT    NOT NULL PRIMARY KEY, -- SHA-256 in hex of the cookie's value
    user_id      TEXT    NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL, -- written now and then, not at each use
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
