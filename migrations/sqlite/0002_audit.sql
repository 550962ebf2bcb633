-- Who did what. Each row holds the hash of its content and of the row before, so nothing can be changed or taken out of
-- the middle without notice; `weir audit verify` checks it.

CREATE TABLE audit (
    seq     INTEGER NOT NULL PRIMARY KEY, -- from 1, without gaps
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL, -- `user:alice`, `token:ci`, `trigger:…`, `anonymous`
    act     TEXT    NOT NULL, -- `workflow.create`, `session.create`, …
    object  TEXT,             -- what it was done to
    outcome TEXT    NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    details TEXT,             -- JSON object
    hash    TEXT    NOT NULL  -- SHA-256 of the hash before and of the columns above, in hex
) STRICT;

CREATE INDEX audit_by_actor ON audit (actor, seq);
CREATE INDEX audit_by_act ON audit (act, seq);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- Starts that a client named by an Idempotency-Key: a copy is answered with the execution of the first.
CREATE TABLE idempotency_keys (
    principal      TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    request_digest TEXT    NOT NULL, -- SHA-256 of what was asked
    execution_id   TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);
