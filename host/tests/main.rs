//! Tests of the host's parts against the real thing: files, processes, components.

mod store;
