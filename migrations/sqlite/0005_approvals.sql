-- What people answered, one row a person. Follows from the log, like the questions themselves.
CREATE TABLE decisions (
    execution_id   TEXT    NOT NULL,
    call           INTEGER NOT NULL,
    person         TEXT    NOT NULL, -- the user's name; a link is the person that it was made for
    decides        INTEGER NOT NULL CHECK (decides IN (0, 1)), -- 0 where it takes more people
    request_digest TEXT    NOT NULL, -- SHA-256 of what was shown
    decision       TEXT    NOT NULL, -- JSON object
    at             INTEGER NOT NULL,
    PRIMARY KEY (execution_id, call, person)
) STRICT, WITHOUT ROWID;

-- The first decision counts, and there is no second.
CREATE UNIQUE INDEX decisions_that_decide ON decisions (execution_id, call) WHERE decides = 1;

CREATE INDEX approvals_overdue ON approvals (due, execution_id, call)
    WHERE status IN ('pending', 'lapsed') AND due IS NOT NULL;

-- What people are told about questions: written together with the question, sent afterwards. Notices of the channel `ui`
-- are only kept here.
CREATE TABLE notices (
    execution_id TEXT    NOT NULL,
    call         INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL, -- from 0, in the order in which they were asked for
    channel      TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('requested', 'reminder')),
    status       TEXT    NOT NULL CHECK (status IN ('pending', 'sent', 'dead', 'withdrawn')),
    attempts     INTEGER NOT NULL,
    next_at      INTEGER,          -- of a pending one: when it is tried
    last_error   TEXT,
    created_at   INTEGER NOT NULL,
    sent_at      INTEGER,
    PRIMARY KEY (execution_id, call, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX notices_by_status ON notices (status, execution_id, call, ordinal);
CREATE INDEX notices_to_send ON notices (next_at, execution_id, call, ordinal) WHERE status = 'pending';

-- Links with which somebody can decide one question once. The token is not stored, only its hash.
CREATE TABLE approval_links (
    hash           BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the token
    execution_id   TEXT    NOT NULL,
    call           INTEGER NOT NULL,
    request_digest TEXT    NOT NULL,
    option_id      TEXT,             -- the only option that it may choose
    name           TEXT    NOT NULL, -- of the person who has it
    owner          TEXT    NOT NULL, -- in whose right it decides: an actor, or `channel:…`, `guest:…`
    made_by        TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    used_at        INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX approval_links_by_question ON approval_links (execution_id, call);
CREATE INDEX approval_links_by_age ON approval_links (expires_at);
