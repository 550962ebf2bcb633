//! Webhooks: requests from outside that start executions. A request is verified over its raw bytes, read by its declared
//! type, filtered, and starts one execution however often its sender repeats it.

mod content;
mod headers;
mod scheme;
mod sign;
pub mod verify;

pub use self::{
    content::{ContentError, ContentType},
    headers::Headers,
    scheme::Scheme,
    sign::sign,
};
