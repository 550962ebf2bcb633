//! The API as clients see it: a real host on a free port, real sockets.

mod abuse;
mod api;
mod auth;
mod bodies;
mod documented;
mod events;
mod support;
mod webhooks;
