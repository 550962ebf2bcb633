//! The store: logs and what follows from them, on real files.

mod audit;
mod contention;
mod grants;
mod logs;
mod made;
mod plugins;
mod projections;
mod questions;
mod triggers;
mod workflows;
