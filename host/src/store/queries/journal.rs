//! Statements about the journal: what running calls asked the host to do.

macro_rules! journal_columns {
    () => {
        "j.rowid, j.call, j.generation, j.effect, j.kind, j.name, j.request_hash, coalesce(j.request, r.document), \
         coalesce(j.answer, a.document), j.outcome, j.details, j.started_at, j.ended_at"
    };
}
macro_rules! journal_tables {
    () => {
        " FROM journal AS j LEFT JOIN journal_documents AS r ON r.digest = j.request_digest \
         LEFT JOIN journal_documents AS a ON a.digest = j.answer_digest WHERE j.execution_id = ?1 AND j.call = ?2 "
    };
}

statements! {
/// What the effects of a batch's calls change, in bulk: documents, effects that begin, and effects that are over. One that
/// begins again was lost sight of; the time of a tool, or of an agent that was called, goes on.
WRITE_JOURNAL = "INSERT INTO journal_documents (digest, document) SELECT j.value->>0, j.value->>1 FROM json_each(?) AS j \
     WHERE true ON CONFLICT (digest) DO NOTHING;\
     INSERT INTO journal (execution_id, call, generation, effect, kind, name, request_hash, request, request_digest, \
     started_at) SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6, \
     j.value->>7, j.value->>8, j.value->>9 FROM json_each(?) AS j \
     WHERE true ON CONFLICT (execution_id, call, generation, effect) \
     DO UPDATE SET started_at = iif(journal.kind = 'tool', journal.started_at, excluded.started_at);\
     UPDATE journal SET answer = j.value->>4, answer_digest = j.value->>5, outcome = j.value->>6, details = j.value->>7, \
     ended_at = j.value->>8 FROM json_each(?) AS j WHERE journal.execution_id = j.value->>0 \
     AND journal.call = j.value->>1 AND journal.generation = j.value->>2 AND journal.effect = j.value->>3;";
/// What models were asked for by the calls of a range, by call and model. Requests whose answer was lost are not in it.
MODEL_USAGE = "SELECT call, name, coalesce(details->>'$.provider', '') AS provider, coalesce(details->>'$.model', '') AS model, \
     sum(coalesce(details->>'$.requests', 0)), sum(coalesce(details->>'$.input_tokens', 0)), \
     sum(coalesce(details->>'$.output_tokens', 0)), sum(coalesce(details->>'$.cost_microusd', 0)), \
     sum(iif(details->>'$.cost_microusd' IS NULL, coalesce(details->>'$.requests', 0), 0)) FROM journal \
     WHERE execution_id = ?1 AND call BETWEEN ?2 AND ?3 AND kind = 'model' AND details IS NOT NULL \
     GROUP BY call, name, provider, model ORDER BY call, name, provider, model LIMIT ?4";
VISIT_AT_PATH = "SELECT call FROM step_executions WHERE execution_id = ?1 AND ordinal = 0 AND path = ?2 LIMIT 1";
VISIT_OF_STEP = "SELECT call FROM step_executions WHERE execution_id = ?1 AND ordinal = 0 AND step_id = ?2 \
     ORDER BY call LIMIT 1 OFFSET ?3";
LAST_VISIT_OF_STEP = "SELECT call FROM step_executions WHERE execution_id = ?1 AND ordinal = 0 AND step_id = ?2 \
     ORDER BY call DESC LIMIT 1";
VISIT = "SELECT call FROM step_executions WHERE execution_id = ?1 AND ordinal = 0 AND call = ?2";
EFFECT = concat!("SELECT ", journal_columns!(), journal_tables!(), "AND j.generation = ?3 AND j.effect = ?4");
/// Looks at the budget and at the list of tools are for whoever runs again, and not for people.
EFFECTS = concat!(
    "SELECT ",
    journal_columns!(),
    journal_tables!(),
    "AND j.rowid > ?3 AND j.kind NOT IN ('budget', 'tools') ORDER BY j.rowid LIMIT ?4"
);
}
