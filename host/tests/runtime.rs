//! The sandbox: each limit stops its guest, and says so with a code of its own.

mod abuse;
mod guests;
pub(crate) mod outside;
mod powers;
pub(crate) mod support;
mod upload;
