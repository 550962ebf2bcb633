//! Events of the bus as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::Time;
use crate::store::BusEventRow;

/// An event that came from outside, or one of the host's own that a trigger waited for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BusEventView {
    /// Its number on this host.
    pub seq: u64,
    /// The event, in the JSON format of CloudEvents 1.0.
    #[schema(value_type = Object)]
    pub event: Json,
    /// When it was stored.
    pub received_at: Time,
    /// When every trigger that waits for it had its occurrence; null while some have not.
    pub dispatched_at: Option<Time>,
    /// Of the host's own: the executions that led here, `{workflow, execution_id}` each, the newest last.
    #[schema(value_type = Option<Vec<Object>>)]
    pub lineage: Option<Json>,
}

impl From<BusEventRow> for BusEventView {
    fn from(row: BusEventRow) -> Self {
        Self {
            seq: row.seq,
            event: row.event,
            received_at: Time(row.received_at),
            dispatched_at: row.dispatched_at.map(Time),
            lineage: row.lineage,
        }
    }
}
