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
mod ran;

use crate::context::Budget;
use crate::kv::Space;
use crate::model::Answer;
use crate::tools::ToolInfo;
use crate::{Call, Failure, Plugin, descriptor, dispatch, http};
pub use ran::{Line, ModelCall, Ran, ToolCall, Turn};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Tool = Rc<dyn Fn(Value) -> Result<Value, Failure>>;
type Model = Rc<dyn Fn(&Turn) -> Result<Answer, Failure>>;
type Http = Rc<dyn Fn(&http::Request) -> Result<http::Response, Failure>>;
type Documents = Rc<RefCell<BTreeMap<(Space, String), String>>>;

/// A fake host: what tools, agents and the functions of this crate see while [`run`](Self::run) or
/// [`call`](Self::call) is under way.
///
/// Documents stay from one run to the next, and clones share them.
#[derive(Clone)]
pub struct Host {
    tools: BTreeMap<String, (ToolInfo, Tool)>,
    execution_id: String,
    step_path: String,
    remaining_ms: u64,
    config: Value,
    attempt: u32,
    model: Option<Model>,
    http: Option<Http>,
    documents: Documents,
    budget: Budget,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Makes a host that offers no tools, models or web, for step `step` of execution `execution`, with 30 seconds left
    /// and an empty store.
    pub fn new() -> Self {
        Self {
            tools: BTreeMap::new(),
            execution_id: "execution".into(),
            step_path: "step".into(),
            remaining_ms: 30_000,
            config: Value::Object(Default::default()),
            attempt: 0,
            model: None,
            http: None,
            documents: Documents::default(),
            budget: Budget::default(),
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

    /// Answers model requests by a function.
    #[must_use]
    pub fn model(mut self, model: impl Fn(&Turn) -> Result<Answer, Failure> + 'static) -> Self {
        self.model = Some(Rc::new(model));
        self
    }

    /// Answers the model requests of a run with these, one after another; further ones fail as unavailable.
    #[must_use]
    pub fn answers(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        self.model(move |turn| match answers.get(turn.number) {
            Some(answer) => Ok(answer.clone()),
            None => Err(Failure::unavailable(format!("the test has {} answers", answers.len()))),
        })
    }

    /// Answers requests over HTTP by a function. An answer without a URL comes from that of the request.
    #[must_use]
    pub fn http(mut self, http: impl Fn(&http::Request) -> Result<http::Response, Failure> + 'static) -> Self {
        self.http = Some(Rc::new(http));
        self
    }

    /// Puts a document into the store.
    #[must_use]
    pub fn document(self, space: Space, key: &str, value: &Value) -> Self {
        self.documents.borrow_mut().insert((space, key.into()), value.to_string());
        self
    }

    /// The documents of a space, by their keys.
    pub fn documents(&self, space: Space) -> BTreeMap<String, Value> {
        let documents = self.documents.borrow();
        let of_space = documents.iter().filter(|((found, _), _)| *found == space);
        of_space.map(|((_, key), text)| (key.clone(), serde_json::from_str(text).unwrap_or_default())).collect()
    }

    /// Sets what is left to spend when a run begins. Requests, tokens and tool calls of the run are taken off.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
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
