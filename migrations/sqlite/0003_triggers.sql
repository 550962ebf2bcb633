-- What starts executions by itself. A trigger belongs to the version of the workflow that defined it; publishing a version
-- replaces the workflow's triggers in one transaction. What is the same trigger in both keeps its id, its counts, its
-- secrets and whether it is enabled.

CREATE TABLE triggers (
    id           TEXT    NOT NULL PRIMARY KEY,
    workflow_id  TEXT    NOT NULL REFERENCES workflows (id),
    version      INTEGER NOT NULL, -- of the workflow, whose definition has it
    key          TEXT    NOT NULL, -- names the trigger in its workflow across versions: its author's id, or type and number
    type         TEXT    NOT NULL, -- manual, cron, webhook, event, agent_completion
    config       TEXT    NOT NULL, -- JSON object, as written, without secrets
    path         TEXT,             -- of a webhook
    enabled      INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    written      INTEGER NOT NULL CHECK (written IN (0, 1)), -- `enabled` as its author wrote it last
    cursor_at    INTEGER,          -- of a schedule: every instant up to here has its occurrence
    next_at      INTEGER,          -- of a schedule that runs: the first instant after that; else NULL
    last_at      INTEGER,          -- when it last started something
    fired        INTEGER NOT NULL DEFAULT 0,
    skipped      INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT;

CREATE UNIQUE INDEX triggers_by_key ON triggers (workflow_id, key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX triggers_by_path ON triggers (path) WHERE deleted_at IS NULL AND path IS NOT NULL;
CREATE INDEX triggers_by_type ON triggers (type, id) WHERE deleted_at IS NULL;
-- What the scheduler sleeps on: one look finds the next instant, however many triggers there are.
CREATE INDEX triggers_due ON triggers (next_at) WHERE next_at IS NOT NULL;

-- One row for each time that a trigger had reason to start something. The row and the execution that it started are
-- written in one transaction, so no occurrence starts two.
CREATE TABLE occurrences (
    trigger_id    TEXT    NOT NULL,
    key           TEXT    NOT NULL, -- what makes it one: the instant (RFC 3339), the delivery's id, the event's id
    scheduled_for INTEGER,          -- of a schedule
    until_at      INTEGER,          -- of a row that stands for several that were skipped: the last of them
    count         INTEGER NOT NULL DEFAULT 1,
    status        TEXT    NOT NULL CHECK (status IN ('fired', 'skipped', 'failed', 'queued')),
    reason        TEXT,             -- why it was skipped or failed: a word, then details
    execution_id  TEXT,
    at            INTEGER NOT NULL,
    PRIMARY KEY (trigger_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX occurrences_by_age ON occurrences (trigger_id, at, key);
CREATE INDEX occurrences_queued ON occurrences (trigger_id) WHERE status = 'queued';

CREATE TRIGGER occurrences_are_counted AFTER INSERT ON occurrences
BEGIN
    UPDATE triggers SET
        fired = fired + (NEW.status = 'fired') * NEW.count,
        skipped = skipped + (NEW.status = 'skipped') * NEW.count,
        failed = failed + (NEW.status = 'failed') * NEW.count,
        last_at = CASE WHEN NEW.status = 'fired' THEN max(coalesce(last_at, 0), NEW.at) ELSE last_at END
    WHERE id = NEW.trigger_id;
END;
CREATE TRIGGER changed_occurrences_are_counted AFTER UPDATE OF status ON occurrences
WHEN OLD.status IN ('queued', 'failed') AND NEW.status <> OLD.status
BEGIN
    UPDATE triggers SET
        fired = fired + (NEW.status = 'fired') * NEW.count,
        skipped = skipped + (NEW.status = 'skipped') * NEW.count,
        failed = failed + (NEW.status = 'failed') * NEW.count,
        last_at = CASE WHEN NEW.status = 'fired' THEN max(coalesce(last_at, 0), NEW.at) ELSE last_at END
    WHERE id = NEW.trigger_id;
END;

-- What came in at a webhook, whatever became of it.
CREATE TABLE deliveries (
    id           TEXT    NOT NULL PRIMARY KEY,
    trigger_id   TEXT    NOT NULL,
    delivery_key TEXT,             -- the sender's id of it; copies have the same
    verdict      TEXT    NOT NULL, -- started, duplicate, filtered, refused, failed
    reason       TEXT,
    execution_id TEXT,
    resent_from  TEXT,             -- the delivery that this one repeats
    headers      TEXT    NOT NULL, -- JSON object, without credentials
    query        TEXT,
    body         TEXT,             -- NULL where it was refused, and of a copy
    received_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX deliveries_by_trigger ON deliveries (trigger_id, id);
CREATE INDEX deliveries_refused ON deliveries (trigger_id, id) WHERE verdict = 'refused';
CREATE INDEX deliveries_by_age ON deliveries (received_at);

-- Secrets, sealed with the key of the data directory. A name may have several values at once, for rotation.
CREATE TABLE secrets (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL, -- `trigger/<id>` for a webhook's
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL
) STRICT;

CREATE INDEX secrets_by_name ON secrets (name, created_at);

-- Events as CloudEvents 1.0: what came in, and what the host itself says where a trigger waits for it.
CREATE TABLE bus_events (
    seq          INTEGER NOT NULL PRIMARY KEY,
    source       TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    subject      TEXT,
    time         TEXT,
    event        TEXT    NOT NULL, -- the whole event, in the JSON format
    lineage      TEXT,             -- JSON: the chain of executions that led here, for the host's own
    received_at  INTEGER NOT NULL,
    dispatched_at INTEGER          -- when every trigger that waits for it had its occurrence
) STRICT;

CREATE UNIQUE INDEX bus_events_by_id ON bus_events (source, id);
CREATE INDEX bus_events_by_type ON bus_events (type, seq);
CREATE INDEX bus_events_by_source ON bus_events (source, seq);
CREATE INDEX bus_events_to_dispatch ON bus_events (seq) WHERE dispatched_at IS NULL;
