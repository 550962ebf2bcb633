-- Ids are version 7 UUIDs as text: they sort by the time they were made, so the newest rows lie at the right edge of
-- every tree, and lists by age need no index of their own. Times are microseconds since the Unix epoch.

CREATE TABLE workflows (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    name_folded  TEXT    NOT NULL, -- trimmed, lower case: names that people take for the same are the same
    search_text  TEXT    NOT NULL, -- name and description in lower case
    description  TEXT,
    active       INTEGER NOT NULL CHECK (active IN (0, 1)),
    version      INTEGER NOT NULL, -- the newest
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX workflows_by_name ON workflows (name_folded) WHERE deleted_at IS NULL;

-- Never changed. A table with rowids, because definitions are larger than what fits into the leaf of a key's tree.
CREATE TABLE workflow_versions (
    workflow_id  TEXT    NOT NULL REFERENCES workflows (id),
    version      INTEGER NOT NULL,
    digest       TEXT    NOT NULL, -- SHA-256 of the definition's text
    definition   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, version)
) STRICT;

CREATE TABLE plugins (
    name         TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    digest       TEXT    NOT NULL UNIQUE, -- SHA-256 of the component, which lies in plugins/<digest>.wasm
    descriptor   TEXT    NOT NULL,
    size_bytes   INTEGER NOT NULL,
    imports      TEXT    NOT NULL, -- JSON array
    enabled      INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    installed_at INTEGER NOT NULL,
    installed_by TEXT    NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

-- How each execution stands. Everything here follows from its log. It does not refer to `workflows`: the log holds what
-- the execution is pinned to, and looking the workflow up at every start would cost time for nothing.
CREATE TABLE executions (
    id               TEXT    NOT NULL PRIMARY KEY,
    workflow_id      TEXT    NOT NULL,
    workflow_name    TEXT    NOT NULL,
    workflow_version INTEGER NOT NULL,
    trigger_source   TEXT    NOT NULL,
    started_by       TEXT,             -- who asked, where somebody did
    started_at       INTEGER NOT NULL,
    status           TEXT    NOT NULL,
    current_step_id  TEXT,
    usage            TEXT    NOT NULL, -- JSON object
    wake_at          INTEGER,
    idle             INTEGER NOT NULL,
    completed_at     INTEGER,
    failure          TEXT, -- JSON object
    paused           TEXT, -- JSON object
    last_seq         INTEGER NOT NULL -- set to NULL, and so refused, by an append that does not go on from it
) STRICT, WITHOUT ROWID;

CREATE INDEX executions_by_workflow ON executions (workflow_id, id);
-- What has not ended, for recovery, and what ended badly, for people. Most executions complete and cost nothing here.
CREATE INDEX executions_by_status ON executions (status, id) WHERE status <> 'completed';

-- The truth. One row for what was appended at once: `data` is an array of [at, event], `seq` the number of the first. A
-- table with rowids: a chunk of 1 to 4 KB then needs no overflow page.
CREATE TABLE events (
    execution_id TEXT    NOT NULL REFERENCES executions (id),
    seq          INTEGER NOT NULL,
    data         TEXT    NOT NULL,
    PRIMARY KEY (execution_id, seq)
) STRICT;

-- One row for each visit of a step, and for each step that was never reached. Documents, failures and log lines are not
-- copied: they are read from the events `call` and `end_seq`.
CREATE TABLE step_executions (
    execution_id TEXT    NOT NULL,
    call         INTEGER NOT NULL, -- the event that started the visit, or that says what was never reached
    ordinal      INTEGER NOT NULL, -- 0 for a visit, from 1 for what one event says was never reached
    step_id      TEXT    NOT NULL,
    path         TEXT    NOT NULL,
    scope        INTEGER NOT NULL, -- 0 is the root
    kind         TEXT,             -- NULL for what was never reached
    status       TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    started_at   INTEGER,
    completed_at INTEGER,
    end_seq      INTEGER,          -- the event that ended the visit
    PRIMARY KEY (execution_id, call, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
    execution_id  TEXT    NOT NULL,
    call          INTEGER NOT NULL,
    workflow_id   TEXT    NOT NULL,
    workflow_name TEXT    NOT NULL,
    step_id       TEXT    NOT NULL,
    path          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    request       TEXT    NOT NULL,
    request_digest TEXT   NOT NULL, -- SHA-256 of `request`
    approvers     TEXT    NOT NULL, -- JSON object: who may decide now
    requester     TEXT,             -- who started the execution
    requested_at  INTEGER NOT NULL,
    due           INTEGER,
    closed_at     INTEGER,
    decision      TEXT, -- JSON object
    visit         INTEGER NOT NULL, -- the visit of the step that waits for the answer: `call` itself for a human step
    PRIMARY KEY (execution_id, call)
) STRICT;

CREATE INDEX approvals_open_of_visit ON approvals (execution_id, visit) WHERE status = 'pending';
CREATE INDEX approvals_pending ON approvals (requested_at, execution_id, call) WHERE status = 'pending';
CREATE INDEX approvals_pending_by_workflow ON approvals (workflow_id, requested_at, execution_id, call)
    WHERE status = 'pending';
