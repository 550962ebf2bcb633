//! The handlers, one file for each noun.

pub(super) mod approvals;
pub(super) mod deliveries;
pub(super) mod executions;
pub(super) mod health;
pub(super) mod plugins;
pub(super) mod schema;
pub(super) mod triggers;
pub(super) mod webhooks;
pub(super) mod workflows;
