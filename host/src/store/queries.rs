//! The text of every statement, in one place: a test shows the plan of each.

/// Columns of [`ExecutionRow`](super::ExecutionRow), in the order in which they are read.
macro_rules! execution_columns {
    () => {
        "id, workflow_id, workflow_name, workflow_version, status, trigger_source, current_step_id, usage, started_at, \
         completed_at, failure, paused, wake_at, idle, last_seq"
    };
}
macro_rules! step_columns {
    () => {
        "call, ordinal, step_id, path, scope, kind, status, attempt, started_at, completed_at, end_seq"
    };
}
macro_rules! approval_columns {
    () => {
        "execution_id, call, workflow_id, workflow_name, step_id, path, status, request, requested_at, due, closed_at, \
         decision"
    };
}
macro_rules! workflow_columns {
    () => {
        "id, name, description, active, version, created_at, updated_at"
    };
}
macro_rules! version_columns {
    () => {
        "v.workflow_id, w.name, v.version, v.digest, v.definition, v.created_at"
    };
}
macro_rules! plugin_columns {
    () => {
        "name, version, digest, descriptor, size_bytes, imports, enabled, installed_at, installed_by"
    };
}

macro_rules! insert_executions {
    () => {
        "INSERT INTO executions (id, workflow_id, workflow_name, workflow_version, trigger_source, started_at, status, \
         current_step_id, usage, wake_at, idle, completed_at, failure, paused, last_seq) \
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, \
         value->>9, value->>10, value->>11, value->>12, value->>13, value->>14 FROM json_each(?);"
    };
}
macro_rules! insert_events {
    () => {
        "INSERT INTO events (execution_id, seq, data) \
         SELECT value->>0, value->>1, CAST(substr(?, value->>2, value->>3) AS TEXT) FROM json_each(?);"
    };
}
macro_rules! insert_steps {
    () => {
        "INSERT INTO step_executions (execution_id, call, ordinal, step_id, path, scope, kind, status, attempt, \
         started_at, completed_at, end_seq) \
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, \
         value->>9, value->>10, value->>11 FROM json_each(?);"
    };
}

/// A batch that only starts executions (and perhaps ends them): the common case, and the cheapest. One text, because
/// every text is a round trip to the connection's thread.
pub(super) const WRITE_STARTS: &str =
    concat!("BEGIN IMMEDIATE;", insert_executions!(), insert_events!(), insert_steps!(), "COMMIT;");

/// Any batch. The numbers of an execution's events must go on from what is stored: else `last_seq` becomes NULL, and the
/// transaction fails.
pub(super) const WRITE_ALL: &str = concat!(
    "BEGIN IMMEDIATE;",
    insert_executions!(),
    "UPDATE executions SET status = j.value->>3, current_step_id = j.value->>4, usage = j.value->>5, \
     wake_at = j.value->>6, idle = j.value->>7, completed_at = j.value->>8, failure = j.value->>9, \
     paused = j.value->>10, \
     last_seq = CASE WHEN last_seq = j.value->>1 - 1 THEN j.value->>2 END \
     FROM json_each(?) AS j WHERE executions.id = j.value->>0;",
    insert_events!(),
    insert_steps!(),
    "UPDATE step_executions SET status = coalesce(j.value->>2, status), attempt = coalesce(j.value->>3, attempt), \
     completed_at = coalesce(j.value->>4, completed_at), end_seq = coalesce(j.value->>5, end_seq) \
     FROM json_each(?) AS j \
     WHERE step_executions.execution_id = j.value->>0 AND step_executions.call = j.value->>1 AND ordinal = 0;",
    "INSERT INTO approvals (execution_id, call, workflow_id, workflow_name, step_id, path, status, request, \
     requested_at, due, closed_at, decision) \
     SELECT j.value->>0, j.value->>1, e.workflow_id, e.workflow_name, j.value->>2, j.value->>3, j.value->>4, \
     j.value->>5, j.value->>6, j.value->>7, j.value->>8, j.value->>9 \
     FROM json_each(?) AS j JOIN executions AS e ON e.id = j.value->>0;",
    "UPDATE approvals SET status = j.value->>2, closed_at = j.value->>3, decision = j.value->>4 \
     FROM json_each(?) AS j \
     WHERE approvals.execution_id = j.value->>0 AND approvals.call = j.value->>1 AND status = 'pending';",
    "COMMIT;"
);

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SQLITE_VERSION: &str = "SELECT sqlite_version()";
pub(super) const SYNCHRONOUS: &str = "PRAGMA synchronous";

pub(super) const EVENTS_FROM: &str = "SELECT seq, data FROM events WHERE execution_id = ?1 \
     AND seq >= coalesce((SELECT max(seq) FROM events WHERE execution_id = ?1 AND seq <= ?2), 0) ORDER BY seq";
pub(super) const EVENTS_CHUNK: &str =
    "SELECT seq, data FROM events WHERE execution_id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1";

pub(super) const EXECUTION: &str = concat!("SELECT ", execution_columns!(), " FROM executions WHERE id = ?");
macro_rules! list_executions {
    ($and:literal) => {
        concat!(
            "SELECT ",
            execution_columns!(),
            " FROM executions WHERE id < ?1 AND id >= ?2 AND started_at >= ?3 AND started_at < ?4 ",
            $and,
            " ORDER BY id DESC LIMIT ?5"
        )
    };
}
pub(super) const EXECUTIONS: &str = list_executions!("");
pub(super) const EXECUTIONS_COMPLETED: &str = list_executions!("AND status = 'completed'");
pub(super) const EXECUTIONS_BY_STATUS: &str = list_executions!("AND status = ?6 AND status <> 'completed'");
pub(super) const EXECUTIONS_BY_WORKFLOW: &str = list_executions!("AND workflow_id = ?6");
pub(super) const EXECUTIONS_BY_WORKFLOW_AND_STATUS: &str = list_executions!("AND workflow_id = ?6 AND status = ?7");
pub(super) const UNFINISHED: &str = "SELECT id, idle, wake_at FROM executions \
     WHERE status IN ('pending', 'running', 'awaiting_human') AND status <> 'completed'";
pub(super) const UNFINISHED_COUNT: &str = "SELECT count(*) FROM executions \
     WHERE status IN ('pending', 'running', 'awaiting_human') AND status <> 'completed'";
pub(super) const NEXT_WAKES: &str =
    "SELECT id, wake_at FROM executions WHERE idle = 1 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT ?";

pub(super) const STEPS: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM step_executions WHERE execution_id = ? AND (call, ordinal) > (?, ?) ORDER BY call, ordinal LIMIT ?"
);
pub(super) const STEP_BY_PATH: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM step_executions WHERE execution_id = ? AND path = ? ORDER BY call DESC, ordinal DESC LIMIT 1"
);
pub(super) const STEPS_OF_ROOT: &str = "SELECT step_id, end_seq FROM step_executions \
     WHERE execution_id = ? AND scope = 0 AND end_seq IS NOT NULL AND ordinal = 0 AND status IN ('completed', 'failed')";

pub(super) const APPROVAL: &str =
    concat!("SELECT ", approval_columns!(), " FROM approvals WHERE execution_id = ? AND call = ?");
pub(super) const APPROVALS_OF: &str = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals WHERE execution_id = ? AND call > ? ORDER BY call LIMIT ?"
);
pub(super) const APPROVALS_PENDING: &str = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals WHERE status = 'pending' AND (requested_at, execution_id, call) < (?1, ?2, ?3) \
     ORDER BY requested_at DESC, execution_id DESC, call DESC LIMIT ?4"
);
pub(super) const APPROVALS_PENDING_BY_WORKFLOW: &str = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals WHERE status = 'pending' AND (requested_at, execution_id, call) < (?1, ?2, ?3) \
     AND workflow_id = ?5 ORDER BY requested_at DESC, execution_id DESC, call DESC LIMIT ?4"
);

pub(super) const WORKFLOW_BY_ID: &str =
    concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE id = ? AND deleted_at IS NULL");
pub(super) const WORKFLOW_BY_NAME: &str =
    concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE name_folded = ? AND deleted_at IS NULL");
macro_rules! list_workflows {
    ($key:literal, $operator:literal, $order:literal) => {
        concat!(
            "SELECT ",
            workflow_columns!(),
            " FROM workflows WHERE deleted_at IS NULL AND (?1 IS NULL OR active = ?1) \
             AND (?2 IS NULL OR instr(search_text, ?2) > 0) AND (?3 IS NULL OR ",
            $key,
            $operator,
            "(SELECT ",
            $key,
            " FROM workflows WHERE id = ?3)) ORDER BY ",
            $order,
            " LIMIT ?4"
        )
    };
}
pub(super) const WORKFLOWS_BY_NAME: &str = list_workflows!("name_folded", " > ", "name_folded");
pub(super) const WORKFLOWS_NEWEST: &str = list_workflows!("id", " < ", "id DESC");
pub(super) const WORKFLOW_VERSION: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id WHERE v.workflow_id = ? AND v.version <= ? \
     ORDER BY v.version DESC LIMIT 1"
);
pub(super) const WORKFLOW_VERSIONS: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id WHERE v.workflow_id = ? AND v.version < ? \
     ORDER BY v.version DESC LIMIT ?"
);
pub(super) const INSERT_WORKFLOW: &str = "INSERT INTO workflows (id, name, name_folded, search_text, description, \
     active, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const UPDATE_WORKFLOW: &str = "UPDATE workflows SET name = ?, name_folded = ?, search_text = ?, \
     description = ?, active = ?, version = ?, updated_at = ? WHERE id = ?";
pub(super) const DELETE_WORKFLOW: &str = "UPDATE workflows SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL";
pub(super) const INSERT_VERSION: &str =
    "INSERT INTO workflow_versions (workflow_id, version, digest, definition, created_at) VALUES (?, ?, ?, ?, ?)";

pub(super) const PLUGINS: &str =
    concat!("SELECT ", plugin_columns!(), " FROM plugins ORDER BY name, installed_at DESC");
pub(super) const PLUGINS_OF_NAME: &str = concat!("SELECT ", plugin_columns!(), " FROM plugins WHERE name = ?");
pub(super) const PLUGIN: &str = concat!("SELECT ", plugin_columns!(), " FROM plugins WHERE name = ? AND version = ?");
pub(super) const PLUGIN_BY_DIGEST: &str = concat!("SELECT ", plugin_columns!(), " FROM plugins WHERE digest = ?");
pub(super) const PLUGIN_DIGESTS: &str = "SELECT digest FROM plugins";
pub(super) const INSERT_PLUGIN: &str = "INSERT INTO plugins (name, version, digest, descriptor, size_bytes, imports, \
     enabled, installed_at, installed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
pub(super) const ENABLE_PLUGIN: &str = "UPDATE plugins SET enabled = ? WHERE name = ? AND version = ?";
pub(super) const DELETE_PLUGIN: &str = "DELETE FROM plugins WHERE name = ? AND version = ?";
/// An execution names the digests that it is pinned to in its first event. Deleting is rare, so this reads the first
/// chunk of everything unfinished instead of keeping an index that every start would have to pay for.
pub(super) const PLUGIN_USERS: &str = "SELECT count(*) FROM (SELECT 1 FROM executions AS x \
     JOIN events AS e ON e.execution_id = x.id AND e.seq = 1 \
     WHERE x.status IN ('pending', 'running', 'awaiting_human') AND x.status <> 'completed' \
     AND instr(e.data, ?) > 0 LIMIT 1000)";
