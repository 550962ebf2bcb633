//! What the end-to-end tests stand on: a real host process, an HTTP client, a ledger of what was seen from outside, and
//! a checker of logs.
//!
//! Nothing here knows the host's code: it sees what a user sees.

pub mod api;
pub mod clock;
pub mod host;
pub mod ledger;
pub mod log;
pub mod program;

pub use api::{Answer, Api, Event, Events};
pub use clock::Clock;
pub use host::{Data, Host};
