//! Statements about what executions share: budgets, and trees.

/// The quantities that budgets limit.
macro_rules! amounts {
    () => {
        "requests, input_tokens, output_tokens, tool_calls, cost_microusd"
    };
}

statements! {
/// What a batch's executions draw: what was spent for good, what they hold, who holds nothing more; and whom they follow.
/// What a budget is owed that is gone is dropped.
WRITE_DRAWN = concat!("INSERT INTO budget_spent (budget_id, period_start, subject, ", amounts!(), ") \
     SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6, j.value->>7 \
     FROM json_each(?) AS j WHERE EXISTS (SELECT 1 FROM budgets AS b WHERE b.id = j.value->>0) \
     ON CONFLICT (budget_id, period_start, subject) DO UPDATE SET requests = requests + excluded.requests, \
     input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, \
     tool_calls = tool_calls + excluded.tool_calls, cost_microusd = cost_microusd + excluded.cost_microusd;\
     INSERT INTO budget_reserved (budget_id, subject, execution_id, ", amounts!(), ") \
     SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6, j.value->>7 \
     FROM json_each(?) AS j WHERE EXISTS (SELECT 1 FROM budgets AS b WHERE b.id = j.value->>0) \
     ON CONFLICT (budget_id, subject, execution_id) DO UPDATE SET requests = excluded.requests, \
     input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, tool_calls = excluded.tool_calls, \
     cost_microusd = excluded.cost_microusd;\
     DELETE FROM budget_reserved WHERE (budget_id, subject, execution_id) IN \
     (SELECT j.value->>0, j.value->>1, j.value->>2 FROM json_each(?) AS j);\
     INSERT INTO execution_ancestors (ancestor_id, execution_id) SELECT j.value->>0, j.value->>1 FROM json_each(?) AS j \
     WHERE true ON CONFLICT (ancestor_id, execution_id) DO NOTHING;");
BUDGETS = "SELECT id, name, scope, workflow_id, period, limits, created_at, set_at, set_by FROM budgets ORDER BY name";
BUDGET = "SELECT id, name, scope, workflow_id, period, limits, created_at, set_at, set_by FROM budgets WHERE name = ?";
COUNT_BUDGETS = "SELECT count(*) FROM budgets";
INSERT_BUDGET = "INSERT INTO budgets (name, scope, workflow_id, period, limits, created_at, set_at, set_by) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)";
UPDATE_BUDGET = "UPDATE budgets SET limits = ?2, set_at = ?3, set_by = ?4 WHERE id = ?1";
DELETE_BUDGET = "DELETE FROM budgets WHERE id = ?1";
DELETE_SPENT = "DELETE FROM budget_spent WHERE budget_id = ?1";
DELETE_RESERVED = "DELETE FROM budget_reserved WHERE budget_id = ?1";
SPENT = concat!("SELECT subject, ", amounts!(), " FROM budget_spent WHERE budget_id = ? AND period_start = ?");
RESERVED = concat!("SELECT subject, execution_id, ", amounts!(), " FROM budget_reserved WHERE budget_id = ?");
FORGET_SPENT = "DELETE FROM budget_spent WHERE period_start < ? AND budget_id IN (SELECT id FROM budgets)";
/// The executions that one led to, itself counted, and what they have spent and were promised.
TREE = "SELECT x.id, x.usage FROM executions AS x WHERE x.id = ?1 UNION ALL \
     SELECT x.id, x.usage FROM execution_ancestors AS a JOIN executions AS x ON x.id = a.execution_id \
     WHERE a.ancestor_id = ?1";
HAS_DESCENDANTS = "SELECT EXISTS (SELECT 1 FROM execution_ancestors WHERE ancestor_id = ?)";
}
