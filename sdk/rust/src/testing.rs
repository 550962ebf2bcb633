//! Running tools and agents natively, against a fake host: in `cargo test`, without a component.
//!
//! ```
//! use weir_sdk::{prelude::*, testing::Host};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Input {
//!     /// What to greet.
//!     name: String,
//! }
//!
//! /// Greets politely.
//! #[agent(tools("text.title_case"))]
//! fn greet(input: Input) -> Result<String> {
//!     log::info(format!("greeting {}", input.name));
//!     let name: String = tools::call("text.title_case", &input.name)?;
//!     Ok(format!("Good day, {name}"))
//! }
//! weir_sdk::plugin! { name: "manners", agents: [greet] }
//!
//! let host = Host::new().tool("text.title_case", |_input| Ok(json!("Ada")));
//!
//! // The function itself …
//! let ran = host.run(|| greet(Input { name: "ada".into() }));
//! assert_eq!(ran.result, Ok("Good day, Ada".into()));
//! assert_eq!(ran.logs[0].message, "greeting ada");
//! assert_eq!(ran.calls[0].tool, "text.title_case");
//!
//! // … or through the dispatch, as the host does.
//! let ran = host.call::<Plugin>("greet", &json!({ "name": 7 }));
//! assert_eq!(ran.result.unwrap_err().message(), "input.name: invalid type: integer `7`, expected a string");
//! ```

pub(crate) mod fake;

use crate::log::Level;
use crate::tools::ToolInfo;
use crate::{Call, Failure, Plugin, descriptor, dispatch};
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

type Tool = Rc<dyn Fn(Value) -> Result<Value, Failure>>;

/// A fake host: what tools, agents and the functions of this crate see while [`run`](Self::run) or
/// [`call`](Self::call) is under way.
#[derive(Clone)]
pub struct Host {
    tools: BTreeMap<String, (ToolInfo, Tool)>,
    execution_id: String,
    step_path: String,
    remaining_ms: u64,
    config: Value,
    attempt: u32,
}

/// A line that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
}

/// A call of another plugin's tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The tool that was called.
    pub tool: String,
    /// What it was given.
    pub input: Value,
    /// What it answered.
    pub result: Result<Value, Failure>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Ran<T> {
    /// The answer.
    pub result: T,
    /// The lines that were logged, in order.
    pub logs: Vec<Line>,
    /// The calls of other tools, in order.
    pub calls: Vec<ToolCall>,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Makes a host that offers no tools, for step `step` of execution `execution`, with 30 seconds left.
    pub fn new() -> Self {
        Self {
            tools: BTreeMap::new(),
            execution_id: "execution".into(),
            step_path: "step".into(),
            remaining_ms: 30_000,
            config: Value::Object(Default::default()),
            attempt: 0,
        }
    }

    /// Offers a tool: a function from input to output.
    #[must_use]
    pub fn tool(mut self, name: &str, tool: impl Fn(Value) -> Result<Value, Failure> + 'static) -> Self {
        let info = ToolInfo { name: name.into(), ..Default::default() };
        self.tools.insert(name.into(), (info, Rc::new(tool)));
        self
    }

    /// Offers all tools of another plugin, natively.
    #[must_use]
    pub fn plugin<P: Plugin + 'static>(mut self) -> Self {
        for offer in P::TOOLS {
            let name = format!("{}.{}", P::HEADER.name, offer.name);
            let info = ToolInfo {
                name: name.clone(),
                title: offer.title.into(),
                description: offer.description.into(),
                input_schema: (offer.input_schema)(),
                output_schema: (offer.output_schema)(),
            };
            let run = move |input: Value| {
                let call = call_of(offer.name, &Value::Object(Default::default()), &input, 0);
                read_output(&dispatch::run::<P>(&call)?)
            };
            self.tools.insert(name, (info, Rc::new(run)));
        }
        self
    }

    /// Sets the execution's id.
    #[must_use]
    pub fn execution_id(mut self, id: &str) -> Self {
        self.execution_id = id.into();
        self
    }

    /// Sets the step's path.
    #[must_use]
    pub fn step_path(mut self, path: &str) -> Self {
        self.step_path = path.into();
        self
    }

    /// Sets how many milliseconds are left.
    #[must_use]
    pub fn remaining_ms(mut self, remaining_ms: u64) -> Self {
        self.remaining_ms = remaining_ms;
        self
    }

    /// Sets the step's configuration, for [`call`](Self::call).
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Sets which attempt it is, for [`call`](Self::call).
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Runs a function under this host.
    pub fn run<T>(&self, function: impl FnOnce() -> T) -> Ran<T> {
        fake::run(self.clone(), function)
    }

    /// Calls a tool or agent of a plugin as the host does: by name, from JSON to JSON.
    pub fn call<P: Plugin>(&self, name: &str, input: &Value) -> Ran<Result<Value, Failure>> {
        let call = call_of(name, &self.config, input, self.attempt);
        self.run(|| read_output(&dispatch::run::<P>(&call)?))
    }
}

/// The descriptor of a plugin, as the host reads it at upload.
pub fn describe<P: Plugin>() -> Value {
    descriptor::describe::<P>()
}

fn call_of(name: &str, config: &Value, input: &Value, attempt: u32) -> Call {
    Call {
        name: name.into(),
        config: config.to_string(),
        input: input.to_string(),
        idempotency_key: "execution/1".into(),
        attempt,
    }
}

fn read_output(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::failed(format!("could not read the output as JSON: {error}")))
}
