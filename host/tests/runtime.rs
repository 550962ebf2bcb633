//! The sandbox: each limit stops its guest, and says so with a code of its own.

mod abuse;
mod guests;
mod support;
mod upload;
