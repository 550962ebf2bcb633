//! Statements about the bus: events from outside and the host's own, and who waits for them.

macro_rules! bus_event_columns {
    () => {
        "seq, source, id, type, subject, time, event, lineage, received_at, dispatched_at"
    };
}
macro_rules! list_bus_events {
    ($and:literal) => {
        concat!(
            "SELECT ",
            bus_event_columns!(),
            " FROM bus_events WHERE seq < ?1 ",
            $and,
            " ORDER BY seq DESC LIMIT ?2"
        )
    };
}

statements! {
WRITE_BUS_EVENTS = insert_bus_events!();
BUS_EVENT = concat!("SELECT ", bus_event_columns!(), " FROM bus_events WHERE seq = ?");
BUS_EVENTS = list_bus_events!("");
BUS_EVENTS_BY_TYPE = list_bus_events!("AND type = ?3");
BUS_EVENTS_BY_SOURCE = list_bus_events!("AND source = ?3");
BUS_EVENTS_BY_TYPE_AND_SOURCE = list_bus_events!("AND type = ?3 AND +source = ?4");
UNDISPATCHED = concat!(
    "SELECT ",
    bus_event_columns!(),
    " FROM bus_events WHERE dispatched_at IS NULL AND seq > ? ORDER BY seq LIMIT ?"
);
/// Looks at the oldest only: numbers and times go up together.
FORGET_BUS_EVENTS = "DELETE FROM bus_events WHERE seq IN (SELECT seq FROM \
     (SELECT seq, received_at, dispatched_at FROM bus_events WHERE seq > 0 ORDER BY seq LIMIT ?2) \
     WHERE received_at < ?1 AND dispatched_at IS NOT NULL)";
BACKLOG = "SELECT count(*) FROM (SELECT 1 FROM bus_events WHERE dispatched_at IS NULL LIMIT ?)";
MARK_DISPATCHED = "UPDATE bus_events SET dispatched_at = ?1 \
     WHERE dispatched_at IS NULL AND seq IN (SELECT value FROM json_each(?2))";

/// What the triggers that start something wait for.
WAITED_FOR = "SELECT t.config->>'event_type', t.config->>'agent_id', t.config->>'workflow_id' \
     FROM triggers AS t JOIN workflows AS w ON w.id = t.workflow_id \
     WHERE t.type IN ('event', 'agent_completion') AND t.deleted_at IS NULL AND t.enabled = 1 AND w.active = 1";
}
