//! Statements about triggers and their occurrences.

/// Columns of [`TriggerRow`](crate::store::TriggerRow), in the order in which they are read.
macro_rules! trigger_columns {
    () => {
        "t.id, t.workflow_id, w.name, w.active, t.version, t.key, t.type, t.config, t.path, t.enabled, t.written, \
         t.cursor_at, t.next_at, t.last_at, t.fired, t.skipped, t.failed, t.created_at"
    };
}
macro_rules! from_triggers {
    () => {
        " FROM triggers AS t JOIN workflows AS w ON w.id = t.workflow_id WHERE t.deleted_at IS NULL "
    };
}
macro_rules! select_triggers {
    ($rest:literal) => {
        concat!("SELECT ", trigger_columns!(), from_triggers!(), $rest)
    };
}
macro_rules! occurrence_columns {
    () => {
        "trigger_id, key, scheduled_for, until_at, count, status, reason, execution_id, at"
    };
}

statements! {
TRIGGER = select_triggers!("AND t.id = ?");
TRIGGER_BY_PATH = select_triggers!("AND t.path = ?");
TRIGGERS = select_triggers!("AND t.id > ?1 ORDER BY t.id LIMIT ?2");
TRIGGERS_BY_TYPE = select_triggers!("AND t.id > ?1 AND t.type = ?3 ORDER BY t.id LIMIT ?2");
TRIGGERS_BY_WORKFLOW = select_triggers!(
    "AND t.id > ?1 AND t.workflow_id = ?3 AND (?4 IS NULL OR t.type = ?4) ORDER BY t.id LIMIT ?2"
);
TRIGGERS_OF_WORKFLOW = select_triggers!("AND t.workflow_id = ? ORDER BY t.id");
TRIGGERS_DUE = select_triggers!("AND t.next_at IS NOT NULL AND t.next_at <= ? ORDER BY t.next_at LIMIT ?");
NEXT_DUE = "SELECT min(next_at) FROM triggers WHERE next_at IS NOT NULL";

INSERT_TRIGGER = "INSERT INTO triggers (id, workflow_id, version, key, type, config, path, enabled, written, cursor_at, \
     next_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
UPDATE_TRIGGER = "UPDATE triggers SET version = ?, config = ?, path = ?, enabled = ?, written = ?, cursor_at = ?, \
     next_at = ? WHERE id = ?";
CLEAR_PATHS = "UPDATE triggers SET path = NULL WHERE workflow_id = ? AND deleted_at IS NULL";
DELETE_TRIGGER = "UPDATE triggers SET deleted_at = ?1, next_at = NULL WHERE id = ?2";
/// A schedule goes on from now, not from where it was switched off.
ENABLE_TRIGGER = "UPDATE triggers SET enabled = 1, \
     cursor_at = CASE WHEN type = 'cron' THEN max(coalesce(cursor_at, 0), ?1) END, \
     next_at = CASE WHEN (SELECT active FROM workflows AS w WHERE w.id = triggers.workflow_id) THEN ?2 END \
     WHERE id = ?3 AND enabled = 0 AND deleted_at IS NULL";
DISABLE_TRIGGER = "UPDATE triggers SET enabled = 0, next_at = NULL WHERE id = ? AND enabled = 1 AND deleted_at IS NULL";

/// An occurrence that is there already stays as it is, unless it is queued.
WRITE_OCCURRENCES = concat!(insert_occurrences!(), "status = excluded.status, reason = excluded.reason, at = excluded.at \
     WHERE occurrences.status = 'queued' AND excluded.status <> 'queued'");
MOVE_TRIGGERS = move_triggers!();
OCCURRENCE = concat!("SELECT ", occurrence_columns!(), " FROM occurrences WHERE trigger_id = ? AND key = ?");
OCCURRENCES = concat!(
    "SELECT ",
    occurrence_columns!(),
    " FROM occurrences WHERE trigger_id = ?1 AND (at, key) < (?2, ?3) ORDER BY at DESC, key DESC LIMIT ?4"
);
OCCURRENCE_QUEUED = concat!(
    "SELECT ",
    occurrence_columns!(),
    " FROM occurrences WHERE trigger_id = ? AND status = 'queued' ORDER BY at, key LIMIT 1"
);
TRIGGERS_QUEUED = "SELECT DISTINCT trigger_id FROM occurrences WHERE status = 'queued'";
SKIP_QUEUED = "UPDATE occurrences SET status = 'skipped', reason = ?, at = ? WHERE trigger_id = ? AND status = 'queued'";
/// Also those of triggers that are gone. The order of a cross join is kept: an index finds the old ones of each trigger.
FORGET_OCCURRENCES = "DELETE FROM occurrences WHERE (trigger_id, key) IN (SELECT o.trigger_id, o.key FROM triggers AS t \
     CROSS JOIN occurrences AS o ON o.trigger_id = t.id AND o.at < ? WHERE o.status <> 'queued' LIMIT ?)";

/// The trigger of each execution that has not ended and that a schedule started; it is named in the first event.
UNFINISHED_OF_SCHEDULES = "SELECT x.id, json_extract(e.data, '$[0][1].execution_started.trigger.id') \
     FROM executions AS x JOIN events AS e ON e.execution_id = x.id AND e.seq = 1 \
     WHERE x.status IN ('pending', 'running', 'awaiting_human') AND x.status <> 'completed' \
     AND x.trigger_source = 'cron'";
}
