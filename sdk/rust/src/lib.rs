#![doc = include_str!("../README.md")]

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
pub mod context;
#[doc(hidden)]
pub mod descriptor;
#[doc(hidden)]
pub mod dispatch;
mod failure;
mod host;
pub mod http;
pub mod kv;
pub mod log;
pub mod model;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod tools;

pub use failure::Failure;
pub use weir_sdk_macros::{agent, plugin, tool};

/// The crates that the generated code names, so that an author's manifest need not.
pub use {schemars, serde, serde_json};

// The macros write `::weir_sdk`; this crate's own tests use them too.
extern crate self as weir_sdk;

/// What most plugins use: `use weir_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{Call, Failure, Result, agent, context, http, kv, log, model, tool, tools};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}

/// The result of a tool or an agent.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A call of one tool or agent, as it comes from the host. A function that wants to know it takes a `&Call`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The tool or agent.
    pub name: String,
    /// The step's fixed configuration: a JSON object.
    pub config: String,
    /// What to work on: a JSON document.
    pub input: String,
    /// The same for every attempt of the same logical call: give it to systems that can recognise repeats.
    pub idempotency_key: String,
    /// 0 for the first attempt.
    pub attempt: u32,
}

/// A plugin: what [`plugin!`] makes.
pub trait Plugin {
    /// Name, version and texts.
    #[doc(hidden)]
    const HEADER: descriptor::Header;
    /// The tools, in the order of the descriptor.
    #[doc(hidden)]
    const TOOLS: &'static [descriptor::Offer];
    /// The agents, in the order of the descriptor.
    #[doc(hidden)]
    const AGENTS: &'static [descriptor::Offer];
}

/// A function that `#[tool]` stands on.
#[doc(hidden)]
#[diagnostic::on_unimplemented(message = "`{Self}` is not a tool", note = "put `#[tool]` on the function")]
pub trait IsTool {
    /// How to call it, and what to say about it.
    const OFFER: descriptor::Offer;
}

/// A function that `#[agent]` stands on.
#[doc(hidden)]
#[diagnostic::on_unimplemented(message = "`{Self}` is not an agent", note = "put `#[agent]` on the function")]
pub trait IsAgent {
    /// How to call it, and what to say about it.
    const OFFER: descriptor::Offer;
}

/// What a tool's or agent's function returns: a `Result` whose error becomes a [`Failure`].
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a tool or agent cannot return `{Self}`",
    note = "return `weir_sdk::Result<T>`, with a `T` that derives `Serialize` and `JsonSchema`"
)]
pub trait Answer {
    /// What the function answers when all is well.
    type Output: serde::Serialize + schemars::JsonSchema;
    /// The answer, with the error as a failure.
    fn into_result(self) -> Result<Self::Output>;
}

impl<T: serde::Serialize + schemars::JsonSchema, E: Into<Failure>> Answer for Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T> {
        self.map_err(Into::into)
    }
}
