//! Decides what a workflow execution does next, and does nothing itself: no I/O, no clock, no randomness, no async.
//!
//! [`Definition::parse`](definition::Definition::parse) reads what an author wrote, [`compile`](compile::compile) makes a
//! [`Graph`](graph::Graph) of it, and an [`Execution`](execution::Execution) runs it: the host feeds
//! [`Input`](execution::Input)s and a time, appends the [`Record`](event::Record)s that come back, and keeps in flight
//! exactly what [`commands`](execution::Execution::commands) lists.

pub mod approvers;
pub mod compile;
pub mod condition;
pub mod definition;
pub mod event;
pub mod execution;
pub mod failure;
pub mod graph;
pub mod id;
pub mod json;
pub mod limits;
pub mod reference;
pub mod retry;
pub mod tool_grant;
