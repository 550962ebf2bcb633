//! Tests of the host, one binary.

mod runtime;
