-- What executions share: budgets, and the trees of executions that started each other by their ends.

CREATE TABLE budgets (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: what still counts for one that is gone is dropped
    name        TEXT    NOT NULL UNIQUE,
    scope       TEXT    NOT NULL CHECK (scope IN ('host', 'workflow')),
    workflow_id TEXT,             -- of scope workflow: this one; NULL where each workflow has it for itself
    period      TEXT    NOT NULL CHECK (period IN ('hour', 'day', 'month')),
    limits      TEXT    NOT NULL, -- JSON object, in the engine's units
    created_at  INTEGER NOT NULL,
    set_at      INTEGER NOT NULL,
    set_by      TEXT    NOT NULL
) STRICT;

-- What was spent for good, in each period. Added to in the transaction of the events that it follows from.
CREATE TABLE budget_spent (
    budget_id     INTEGER NOT NULL,
    period_start  INTEGER NOT NULL,
    subject       TEXT    NOT NULL, -- the workflow; '' where all share the budget
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    tool_calls    INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    PRIMARY KEY (budget_id, period_start, subject)
) STRICT, WITHOUT ROWID;

-- What executions were promised and have not settled. A host that was killed finds it here, and counts it until the
-- execution is loaded and says what became of it.
CREATE TABLE budget_reserved (
    budget_id     INTEGER NOT NULL,
    subject       TEXT    NOT NULL,
    execution_id  TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    tool_calls    INTEGER NOT NULL,
    cost_microusd INTEGER NOT NULL,
    PRIMARY KEY (budget_id, subject, execution_id)
) STRICT, WITHOUT ROWID;

-- Every execution that led to another one by its end, whatever stands between them.
CREATE TABLE execution_ancestors (
    ancestor_id  TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    PRIMARY KEY (ancestor_id, execution_id)
) STRICT, WITHOUT ROWID;
