//! The text of every statement, in one place: a test shows the plan of each.

/// Makes a constant of each statement, and a list of all for the test.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* pub(in crate::store) const $name: &str = $text;)*
        #[cfg(test)]
        pub(in crate::store) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

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
        "execution_id, call, workflow_id, workflow_name, step_id, path, status, request, request_digest, approvers, \
         requester, requested_at, due, closed_at, decision"
    };
}
/// Whether the person ?5 with the roles ?6 may decide a question; all may where ?5 is NULL, and where ?6 is NULL it does
/// not matter whom the question names.
macro_rules! may_decide {
    () => {
        "(?5 IS NULL OR ((approvers->>'requester_may_decide' = 1 OR requester IS NULL OR requester <> ?5) \
         AND NOT EXISTS (SELECT 1 FROM decisions AS d WHERE d.execution_id = approvals.execution_id \
         AND d.call = approvals.call AND d.person = ?5) \
         AND (?6 IS NULL OR (approvers->>'$.roles[0]' IS NULL AND approvers->>'$.users[0]' IS NULL) \
         OR EXISTS (SELECT 1 FROM json_each(approvers, '$.users') AS u WHERE u.value = ?5) \
         OR EXISTS (SELECT 1 FROM json_each(approvers, '$.roles') AS r \
         WHERE r.value IN (SELECT m.value FROM json_each(?6) AS m)))))"
    };
}
macro_rules! list_pending {
    ($and:literal) => {
        concat!(
            "SELECT ",
            approval_columns!(),
            " FROM approvals WHERE status = 'pending' AND (requested_at, execution_id, call) < (?1, ?2, ?3) ",
            $and,
            " AND ",
            may_decide!(),
            " ORDER BY requested_at DESC, execution_id DESC, call DESC LIMIT ?4"
        )
    };
}
macro_rules! notice_columns {
    () => {
        "execution_id, call, ordinal, channel, kind, status, attempts, next_at, last_error, created_at, sent_at"
    };
}
macro_rules! list_notices {
    ($and:literal) => {
        concat!(
            "SELECT ",
            notice_columns!(),
            " FROM notices WHERE (execution_id, call, ordinal) < (?1, ?2, ?3) ",
            $and,
            " ORDER BY execution_id DESC, call DESC, ordinal DESC LIMIT ?4"
        )
    };
}
macro_rules! workflow_columns {
    () => {
        "id, name, description, active, version, created_at, updated_at, owner_id, owner"
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

macro_rules! audit_columns {
    () => {
        "seq, at, actor, act, object, outcome, details, hash"
    };
}

macro_rules! token_columns {
    () => {
        "id, name, roles, created_at, created_by, expires_at, revoked_at, last_used_at"
    };
}
macro_rules! user_columns {
    () => {
        "id, name, password, roles, disabled, created_at, created_by"
    };
}

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
macro_rules! list_workflows {
    ($key:literal, $operator:literal, $order:literal) => {
        concat!(
            "SELECT ",
            workflow_columns!(),
            " FROM workflows WHERE deleted_at IS NULL AND (?1 IS NULL OR active = ?1) \
             AND (?5 IS NULL OR owner_id = ?5) AND (?2 IS NULL OR instr(search_text, ?2) > 0) AND (?3 IS NULL OR ",
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

macro_rules! insert_audit {
    () => {
        "INSERT INTO audit (seq, at, actor, act, object, outcome, details, hash) \
         SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6, j.value->>7 \
         FROM json_each(?) AS j"
    };
}
macro_rules! list_audit {
    ($and:literal) => {
        concat!("SELECT ", audit_columns!(), " FROM audit WHERE seq < ?1 ", $and, " ORDER BY seq DESC LIMIT ?2")
    };
}

/// Writes occurrences; what happens to one that is there already comes behind it.
macro_rules! insert_occurrences {
    () => {
        "INSERT INTO occurrences (trigger_id, key, scheduled_for, until_at, count, status, reason, execution_id, at) \
         SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6, \
         j.value->>7, j.value->>8 FROM json_each(?) AS j WHERE true ON CONFLICT (trigger_id, key) DO UPDATE SET "
    };
}
/// Moves schedules on, unless they were changed or switched off since they were read.
macro_rules! move_triggers {
    () => {
        "UPDATE triggers SET cursor_at = j.value->>2, next_at = j.value->>3 FROM json_each(?) AS j \
         WHERE triggers.id = j.value->>0 AND triggers.cursor_at IS j.value->>1 AND triggers.next_at IS NOT NULL \
         AND triggers.deleted_at IS NULL"
    };
}

/// Writes deliveries.
/// Writes events to the bus; one that is there already stays as it is.
macro_rules! insert_bus_events {
    () => {
        "INSERT INTO bus_events (source, id, type, subject, time, event, lineage, received_at) \
         SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6, \
         j.value->>7 FROM json_each(?) AS j WHERE true ON CONFLICT (source, id) DO NOTHING"
    };
}

pub(super) mod budgets;
pub(super) mod bus;
pub(super) mod grants;
pub(super) mod journal;
pub(super) mod kv;
pub(super) mod triggers;
pub(super) mod webhooks;

/// A bulk insertion: where to, and the columns.
pub(super) struct Insertion {
    table: &'static str,
    columns: &'static str,
    width: usize,
    /// What becomes of a row that is there already.
    conflict: &'static str,
}

pub(super) const INSERT_EXECUTIONS: Insertion = Insertion {
    table: "executions",
    columns: "id, workflow_id, workflow_name, workflow_version, trigger_source, started_at, status, current_step_id, \
              usage, wake_at, idle, completed_at, failure, paused, last_seq, started_by",
    width: 16,
    conflict: "",
};
pub(super) const INSERT_EVENTS: Insertion =
    Insertion { table: "events", columns: "execution_id, seq, data", width: 3, conflict: "" };
pub(super) const INSERT_STEPS: Insertion = Insertion {
    table: "step_executions",
    columns: "execution_id, call, ordinal, step_id, path, scope, kind, status, attempt, started_at, completed_at, \
              end_seq",
    width: 12,
    conflict: "",
};
/// An occurrence that is there already, and neither queued nor failed, gets no status: so the transaction fails.
pub(super) const INSERT_OCCURRENCES: Insertion = Insertion {
    table: "occurrences",
    columns: "trigger_id, key, scheduled_for, until_at, count, status, reason, execution_id, at",
    width: 9,
    conflict: "ON CONFLICT (trigger_id, key) DO UPDATE SET execution_id = excluded.execution_id, at = excluded.at, \
               status = CASE WHEN occurrences.status IN ('queued', 'failed') THEN excluded.status END",
};
pub(super) const INSERT_DELIVERIES: Insertion = Insertion {
    table: "deliveries",
    columns: "id, trigger_id, delivery_key, verdict, reason, execution_id, resent_from, headers, query, body, received_at",
    width: 11,
    conflict: "",
};

impl Insertion {
    /// How many values a row has.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The statement for so many rows; nothing for none. A row whose first value is NULL is left out, so that a few
    /// sizes serve all.
    pub(super) fn text(&self, rows: usize) -> String {
        if rows == 0 {
            return String::new();
        }
        let Self { table, columns, width, conflict } = self;
        let row = format!("(?{})", ",?".repeat(width - 1));
        let more = format!(",{row}").repeat(rows - 1);
        format!(
            "INSERT INTO {table} ({columns}) SELECT * FROM (VALUES {row}{more}) WHERE column1 IS NOT NULL {conflict};"
        )
    }
}

statements! {
/// What the appends of a batch change, in bulk. The numbers of an execution's events must go on from what is stored:
/// else `last_seq` becomes NULL, and the transaction fails.
WRITE_CHANGES = "UPDATE executions SET status = j.value->>3, current_step_id = j.value->>4, usage = j.value->>5, \
     wake_at = j.value->>6, idle = j.value->>7, completed_at = j.value->>8, failure = j.value->>9, \
     paused = j.value->>10, last_seq = CASE WHEN last_seq = j.value->>1 - 1 THEN j.value->>2 END \
     FROM json_each(?) AS j WHERE executions.id = j.value->>0;\
     UPDATE step_executions SET status = coalesce(j.value->>2, status), attempt = coalesce(j.value->>3, attempt), \
     completed_at = coalesce(j.value->>4, completed_at), end_seq = coalesce(j.value->>5, end_seq) \
     FROM json_each(?) AS j \
     WHERE step_executions.execution_id = j.value->>0 AND step_executions.call = j.value->>1 AND ordinal = 0;";

/// What the appends of a batch change about questions, in bulk. A step whose agent waited for leave goes on when nobody is
/// asked any more.
WRITE_QUESTIONS = "INSERT INTO approvals (execution_id, call, workflow_id, workflow_name, requester, step_id, path, \
     status, request, request_digest, approvers, requested_at, due, closed_at, decision, visit) \
     SELECT j.value->>0, j.value->>1, e.workflow_id, e.workflow_name, \
     CASE WHEN e.started_by GLOB 'user:*' THEN substr(e.started_by, 6) ELSE e.started_by END, j.value->>2, j.value->>3, \
     j.value->>4, j.value->>5, j.value->>6, j.value->>7, j.value->>'$[8][0]', j.value->>'$[8][1]', \
     j.value->>'$[8][2]', j.value->>9, j.value->>10 \
     FROM json_each(?) AS j JOIN executions AS e ON e.id = j.value->>0;\
     UPDATE approvals SET status = j.value->>2, closed_at = j.value->>3, decision = j.value->>4 \
     FROM json_each(?) AS j \
     WHERE approvals.execution_id = j.value->>0 AND approvals.call = j.value->>1 AND status = 'pending';\
     UPDATE step_executions SET status = 'running' FROM json_each(?) AS j \
     JOIN approvals AS a ON a.execution_id = j.value->>0 AND a.call = j.value->>1 AND a.visit <> a.call \
     WHERE step_executions.execution_id = a.execution_id AND step_executions.call = a.visit AND ordinal = 0 \
     AND step_executions.status = 'awaiting_human' AND NOT EXISTS (SELECT 1 FROM approvals AS p \
     WHERE p.execution_id = a.execution_id AND p.visit = a.visit AND p.status = 'pending');\
     UPDATE approvals SET approvers = j.value->>2 FROM json_each(?) AS j \
     WHERE approvals.execution_id = j.value->>0 AND approvals.call = j.value->>1;\
     INSERT INTO decisions (execution_id, call, person, decides, request_digest, decision, at) \
     SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, j.value->>6 \
     FROM json_each(?) AS j;\
     INSERT INTO notices (execution_id, call, ordinal, channel, kind, status, attempts, next_at, created_at, sent_at) \
     SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4, j.value->>5, 0, j.value->>6, j.value->>7, \
     j.value->>8 FROM json_each(?) AS j;";

/// What goes with the appends of a batch, in bulk.
WRITE_AUDIT = concat!(insert_audit!(), ";");
WRITE_IDEMPOTENCY_KEYS = "INSERT INTO idempotency_keys (principal, key, request_digest, execution_id, at) \
     SELECT j.value->>0, j.value->>1, j.value->>2, j.value->>3, j.value->>4 FROM json_each(?) AS j;";
WRITE_MOVED = concat!(move_triggers!(), ";");
WRITE_LINKS_USED = "UPDATE approval_links SET used_at = j.value->>1 FROM json_each(?) AS j \
     WHERE approval_links.hash = unhex(j.value->>0) AND used_at IS NULL;";
WRITE_BUS_EVENTS = concat!(insert_bus_events!(), ";");

BEGIN = "BEGIN IMMEDIATE";
COMMIT = "COMMIT";
ROLLBACK = "ROLLBACK";
SQLITE_VERSION = "SELECT sqlite_version()";
SYNCHRONOUS = "PRAGMA synchronous";

EVENTS_FROM = "SELECT seq, data FROM events WHERE execution_id = ?1 \
     AND seq >= coalesce((SELECT max(seq) FROM events WHERE execution_id = ?1 AND seq <= ?2), 0) ORDER BY seq";
EVENTS_CHUNK = "SELECT seq, data FROM events WHERE execution_id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1";

EXECUTION = concat!("SELECT ", execution_columns!(), " FROM executions WHERE id = ?");
EXECUTIONS = list_executions!("");
EXECUTIONS_COMPLETED = list_executions!("AND status = 'completed'");
EXECUTIONS_BY_STATUS = list_executions!("AND status = ?6 AND status <> 'completed'");
EXECUTIONS_BY_WORKFLOW = list_executions!("AND workflow_id = ?6");
EXECUTIONS_BY_WORKFLOW_COMPLETED = list_executions!("AND workflow_id = ?6 AND status = 'completed'");
/// The index of the workflow would lead through all that completed.
EXECUTIONS_BY_WORKFLOW_AND_STATUS = list_executions!("AND +workflow_id = ?6 AND status = ?7 AND status <> 'completed'");
UNFINISHED = "SELECT id, idle, wake_at FROM executions \
     WHERE status IN ('pending', 'running', 'awaiting_human') AND status <> 'completed'";

STEPS = concat!(
    "SELECT ",
    step_columns!(),
    " FROM step_executions WHERE execution_id = ? AND (call, ordinal) > (?, ?) ORDER BY call, ordinal LIMIT ?"
);
STEPS_OF_ROOT = "SELECT step_id, end_seq FROM step_executions \
     WHERE execution_id = ? AND scope = 0 AND end_seq IS NOT NULL AND ordinal = 0 AND status IN ('completed', 'failed')";

APPROVAL = concat!("SELECT ", approval_columns!(), " FROM approvals WHERE execution_id = ? AND call = ?");
APPROVALS_OF = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals WHERE execution_id = ? AND call > ? ORDER BY call LIMIT ?"
);
APPROVALS_PENDING = list_pending!("");
APPROVALS_PENDING_BY_WORKFLOW = list_pending!("AND workflow_id = ?7");
APPROVALS_OVERDUE = concat!(
    "SELECT ",
    approval_columns!(),
    " FROM approvals WHERE status IN ('pending', 'lapsed') AND due IS NOT NULL AND due <= ?8 \
     AND (due, execution_id, call) < (?1, ?2, ?3) AND (?7 IS NULL OR workflow_id = ?7) AND ",
    may_decide!(),
    " ORDER BY due DESC, execution_id DESC, call DESC LIMIT ?4"
);
DECISIONS_OF = "SELECT decision FROM decisions WHERE execution_id = ? AND call = ? ORDER BY decides, at, person";

NOTICES = list_notices!("");
NOTICES_BY_STATUS = list_notices!("AND status = ?5");
NOTICES_DUE = concat!(
    "SELECT ",
    notice_columns!(),
    " FROM notices INDEXED BY notices_to_send WHERE status = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?"
);
NEXT_NOTICE = "SELECT next_at FROM notices INDEXED BY notices_to_send WHERE status = 'pending' \
     AND next_at IS NOT NULL ORDER BY next_at LIMIT 1";
UPDATE_NOTICE = "UPDATE notices SET status = ?, attempts = ?, next_at = ?, last_error = ?, sent_at = ? \
     WHERE execution_id = ? AND call = ? AND ordinal = ? AND status = 'pending'";
RETRY_NOTICE = "UPDATE notices SET status = 'pending', attempts = 0, next_at = ? \
     WHERE execution_id = ? AND call = ? AND ordinal = ? AND status = 'dead'";
/// Nothing where the question is not open.
NOTICE_COUNT = "SELECT (SELECT count(*) FROM notices AS n WHERE n.execution_id = a.execution_id AND n.call = a.call) \
     FROM approvals AS a WHERE a.execution_id = ? AND a.call = ? AND a.status = 'pending'";
INSERT_REMINDER = "INSERT INTO notices (execution_id, call, ordinal, channel, kind, status, attempts, next_at, \
     created_at, sent_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?)";

LINK = "SELECT hash, execution_id, call, request_digest, option_id, name, owner, made_by, created_at, expires_at, \
     used_at, revoked_at FROM approval_links WHERE hash = ?";
LINKS = "SELECT hash, execution_id, call, request_digest, option_id, name, owner, made_by, created_at, expires_at, \
     used_at, revoked_at FROM approval_links WHERE execution_id = ? AND call = ?";
REVOKE_LINK = "UPDATE approval_links SET revoked_at = ? WHERE hash = ? AND revoked_at IS NULL";
INSERT_LINK = "INSERT INTO approval_links (hash, execution_id, call, request_digest, option_id, name, owner, made_by, \
     created_at, expires_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 \
     WHERE (SELECT count(*) FROM approval_links WHERE execution_id = ?2 AND call = ?3) < ?11";
FORGET_LINKS = "DELETE FROM approval_links WHERE expires_at < ?";

AUDIT_HEAD = "SELECT seq, hash FROM audit WHERE seq = (SELECT max(seq) FROM audit)";
AUDIT_AFTER = concat!("SELECT ", audit_columns!(), " FROM audit WHERE seq > ? ORDER BY seq LIMIT ?");
AUDIT = list_audit!("");
AUDIT_BY_ACTOR = list_audit!("AND actor = ?3");
AUDIT_BY_ACT = list_audit!("AND act = ?3");
AUDIT_BY_ACTOR_AND_ACT = list_audit!("AND actor = ?3 AND act = ?4");
INSERT_AUDIT = insert_audit!();
IDEMPOTENCY_KEY = "SELECT request_digest, execution_id FROM idempotency_keys WHERE principal = ? AND key = ?";
FORGET_IDEMPOTENCY_KEYS = "DELETE FROM idempotency_keys WHERE at < ?";

INSERT_TOKEN = "INSERT INTO tokens (id, name, name_folded, hash, roles, created_at, created_by, expires_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
LIVE_TOKENS = concat!("SELECT hash, ", token_columns!(), " FROM tokens WHERE revoked_at IS NULL");
COUNT_TOKENS = "SELECT count(*) FROM tokens WHERE revoked_at IS NULL";
TOKEN_BY_NAME = "SELECT id FROM tokens WHERE name_folded = ? AND revoked_at IS NULL";
TOKENS = concat!("SELECT ", token_columns!(), " FROM tokens WHERE id < ? ORDER BY id DESC LIMIT ?");
REVOKE_TOKEN = concat!("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING ", token_columns!());
USE_TOKENS = "UPDATE tokens SET last_used_at = j.value ->> 1 FROM json_each(?) AS j WHERE tokens.id = j.value ->> 0";

INSERT_USER = "INSERT INTO users (id, name, name_folded, password, roles, disabled, created_at, created_by) \
     VALUES (?, ?, ?, ?, ?, 0, ?, ?)";
USERS = concat!("SELECT ", user_columns!(), " FROM users ORDER BY id");
COUNT_USERS = "SELECT count(*) FROM users";
USER_BY_NAME = "SELECT id FROM users WHERE name_folded = ?";
UPDATE_USER = concat!("UPDATE users SET roles = coalesce(?, roles), disabled = coalesce(?, disabled), \
     password = coalesce(?, password) WHERE id = ? RETURNING ", user_columns!());
DELETE_USER = "DELETE FROM users WHERE id = ?";

INSERT_SESSION = "INSERT INTO sessions (hash, user_id, created_at, last_used_at, expires_at) VALUES (?, ?, ?, ?, ?)";
SESSIONS = "SELECT hash, user_id, created_at, last_used_at, expires_at FROM sessions";
DELETE_SESSION = "DELETE FROM sessions WHERE hash = ?";
DELETE_SESSIONS = "DELETE FROM sessions WHERE hash IN (SELECT value FROM json_each(?))";
DELETE_SESSIONS_OF_USER = "DELETE FROM sessions WHERE user_id = ? AND hash IS NOT ?";
USE_SESSIONS = "UPDATE sessions SET last_used_at = j.value ->> 1 FROM json_each(?) AS j WHERE sessions.hash = j.value ->> 0";

WORKFLOW_BY_ID = concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE id = ? AND deleted_at IS NULL");
WORKFLOW_BY_NAME = concat!("SELECT ", workflow_columns!(), " FROM workflows WHERE name_folded = ? AND deleted_at IS NULL");
WORKFLOWS_BY_NAME = list_workflows!("name_folded", " > ", "name_folded");
WORKFLOWS_NEWEST = list_workflows!("id", " < ", "id DESC");
WORKFLOW_VERSION = concat!(
    "SELECT ",
    version_columns!(),
    " FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id WHERE v.workflow_id = ? AND v.version <= ? \
     ORDER BY v.version DESC LIMIT 1"
);
WORKFLOW_VERSIONS = concat!(
    "SELECT ",
    version_columns!(),
    " FROM workflow_versions v JOIN workflows w ON w.id = v.workflow_id WHERE v.workflow_id = ? AND v.version < ? \
     ORDER BY v.version DESC LIMIT ?"
);
INSERT_WORKFLOW = "INSERT INTO workflows (id, name, name_folded, search_text, description, \
     active, version, created_at, updated_at, owner_id, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
UPDATE_WORKFLOW = "UPDATE workflows SET name = ?, name_folded = ?, search_text = ?, \
     description = ?, active = ?, version = ?, updated_at = ? WHERE id = ?";
DELETE_WORKFLOW = "UPDATE workflows SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL";
INSERT_VERSION = "INSERT INTO workflow_versions (workflow_id, version, digest, definition, created_at) VALUES (?, ?, ?, ?, ?)";

PLUGINS = concat!("SELECT ", plugin_columns!(), " FROM plugins ORDER BY name, installed_at DESC");
PLUGINS_OF_NAME = concat!("SELECT ", plugin_columns!(), " FROM plugins WHERE name = ?");
PLUGIN = concat!("SELECT ", plugin_columns!(), " FROM plugins WHERE name = ? AND version = ?");
PLUGIN_DIGESTS = "SELECT digest FROM plugins";
INSERT_PLUGIN = "INSERT INTO plugins (name, version, digest, descriptor, size_bytes, imports, \
     enabled, installed_at, installed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
ENABLE_PLUGIN = "UPDATE plugins SET enabled = ? WHERE name = ? AND version = ?";
DELETE_PLUGIN = "DELETE FROM plugins WHERE name = ? AND version = ?";
/// An execution names the digests that it is pinned to in its first event. Deleting is rare, so this reads the first
/// chunk of everything unfinished instead of keeping an index that every start would have to pay for.
PLUGIN_USERS = "SELECT count(*) FROM (SELECT 1 FROM executions AS x \
     JOIN events AS e ON e.execution_id = x.id AND e.seq = 1 \
     WHERE x.status IN ('pending', 'running', 'awaiting_human') AND x.status <> 'completed' \
     AND instr(e.data, ?) > 0 LIMIT 1000)";
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Row as _, SqliteConnection};

    use super::{
        super::{connect, directory::Directory},
        ALL, INSERT_EVENTS, INSERT_EXECUTIONS, INSERT_STEPS, budgets, bus, grants, journal, kv, triggers, webhooks,
    };

    /// Tables that grow with every execution.
    const GROWING: [&str; 15] = [
        "executions",
        "step_executions",
        "events",
        "approvals",
        "audit",
        "idempotency_keys",
        "decisions",
        "notices",
        "approval_links",
        "occurrences",
        "deliveries",
        "bus_events",
        "budget_spent",
        "budget_reserved",
        "execution_ancestors",
    ];
    /// Indices that hold only what is under way, and so may be read from their beginning.
    const OPEN_ONLY: [&str; 5] = [
        "approvals_pending",
        "approvals_pending_by_workflow",
        "notices_to_send",
        "occurrences_queued",
        "bus_events_to_dispatch",
    ];

    async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
        let text = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::raw_sql(text).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect()
    }

    fn reads_all(detail: &str) -> bool {
        let mut words = detail.split_whitespace();
        let scans = words.next() == Some("SCAN");
        let table = words.next().unwrap_or_default();
        let index = words.next_back().unwrap_or_default();
        // `x`, `e` and `o` are what the statements call executions, events and occurrences.
        scans && (GROWING.contains(&table) || ["x", "e", "o"].contains(&table)) && !OPEN_ONLY.contains(&index)
    }

    #[tokio::test]
    async fn no_statement_reads_a_growing_table_from_end_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = connect::writer(&Directory::prepare(folder.path()).unwrap().database()).await.unwrap();
        let bulk = [INSERT_EXECUTIONS, INSERT_EVENTS, INSERT_STEPS].map(|insertion| insertion.text(4));
        let all = ALL
            .iter()
            .chain(triggers::ALL)
            .chain(webhooks::ALL)
            .chain(bus::ALL)
            .chain(budgets::ALL)
            .chain(grants::ALL)
            .chain(journal::ALL)
            .chain(kv::ALL)
            .copied();
        for (name, text) in all.chain(bulk.iter().map(|text| ("bulk", &**text))) {
            let with_plan =
                |s: &&str| !["", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"].contains(s) && !s.starts_with("PRAGMA");
            for statement in text.split(';').map(str::trim).filter(with_plan) {
                let plan = plan(&mut connection, statement).await;
                assert!(!plan.iter().any(|detail| reads_all(detail)), "{name}: {plan:#?}");
                let listing = name.starts_with("EXECUTIONS")
                    || name.starts_with("APPROVALS")
                    || name.starts_with("NOTICES")
                    || name.starts_with("OCCURRENCES")
                    || name.starts_with("DELIVERIES")
                    || name.starts_with("BUS_EVENTS")
                    || name == "STEPS";
                assert!(!listing || !plan.iter().any(|detail| detail.contains("TEMP B-TREE")), "{name}: {plan:#?}");
            }
        }
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_in_a_workflow_is_found_without_what_completed_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = connect::writer(&Directory::prepare(folder.path()).unwrap().database()).await.unwrap();
        let plan = plan(&mut connection, super::EXECUTIONS_BY_WORKFLOW_AND_STATUS).await;
        assert!(plan.iter().any(|detail| detail.contains("executions_by_status")), "{plan:#?}");
        connection.close().await.unwrap();
    }

    #[test]
    fn full_scans_are_seen() {
        assert!(reads_all("SCAN executions"));
        assert!(reads_all("SCAN e USING INDEX sqlite_autoindex_events_1"));
        assert!(!reads_all("SCAN executions USING COVERING INDEX approvals_pending"));
        assert!(!reads_all("SEARCH executions USING PRIMARY KEY (id=?)"));
        assert!(!reads_all("SCAN j VIRTUAL TABLE INDEX 1:"));
    }
}
