//! The API as clients see it: a real host on a free port, real sockets.

mod abuse;
mod agents;
mod api;
mod approvals;
mod auth;
mod bodies;
mod bombs;
mod budgets;
mod cloud_events;
mod documented;
mod events;
mod grants;
mod idempotency;
mod matrix;
mod metrics;
mod models;
mod secrets;
mod sessions;
mod slow;
mod spans;
mod support;
mod tokens;
mod transcripts;
mod triggers;
mod webhooks;
