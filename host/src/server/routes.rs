//! The handlers, one file for each noun.

pub(super) mod agents;
pub(super) mod approval_acts;
pub(super) mod approval_links;
mod approval_refusal;
pub(super) mod approvals;
pub(super) mod audit;
pub(super) mod budgets;
pub(super) mod deliveries;
pub(super) mod events;
pub(super) mod executions;
pub(super) mod grants;
pub(super) mod health;
pub(super) mod links;
pub(super) mod metrics;
pub(super) mod models;
pub(super) mod notices;
pub(super) mod plugins;
pub(super) mod schema;
pub(super) mod secrets;
pub(super) mod session;
pub(super) mod tokens;
pub(super) mod transcripts;
pub(super) mod triggers;
pub(super) mod users;
pub(super) mod webhooks;
pub(super) mod workflows;
