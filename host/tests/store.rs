//! The store: logs and what follows from them, on real files.

mod audit;
mod contention;
mod grants;
mod kv;
mod logs;
pub(crate) mod made;
mod plugins;
mod projections;
mod questions;
mod triggers;
mod workflows;
