//! The engine's tests, in one binary.

mod compile;
mod reference;
