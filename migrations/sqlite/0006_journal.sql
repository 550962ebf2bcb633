-- What running calls of plugins asked the host to do, and what came of it. The row is there before the effect begins, and
-- has its answer before the plugin gets it: a call that is made again after a stop is answered from here.

CREATE TABLE journal (
    execution_id   TEXT    NOT NULL,
    call           INTEGER NOT NULL,
    generation     INTEGER NOT NULL, -- how many attempts of the call had failed: each begins anew
    effect         TEXT    NOT NULL, -- which one: 3, and 3/1 for the first of what the third asked for
    kind           TEXT    NOT NULL CHECK (kind IN ('model', 'tool', 'http', 'kv', 'stream', 'budget', 'tools')),
    name           TEXT    NOT NULL, -- the model, the tool, the method and host, the operation and key
    request_hash   TEXT    NOT NULL, -- SHA-256 of what was asked for, in hex
    request        TEXT,             -- JSON; NULL where it is long: then it is among the documents
    request_digest TEXT,
    answer         TEXT,             -- JSON, a failure where it failed; as `request`
    answer_digest  TEXT,
    outcome        TEXT,             -- ok, or the code of the failure; NULL while it is under way
    details        TEXT,             -- JSON: of a model request the tokens, the price, the attempts; of a tool what was decided
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    PRIMARY KEY (execution_id, call, generation, effect)
) STRICT;

-- Long documents of the journal, each once.
CREATE TABLE journal_documents (
    digest   TEXT NOT NULL PRIMARY KEY, -- SHA-256 in hex
    document TEXT NOT NULL
) STRICT;
