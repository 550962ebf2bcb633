//! A request to a model, as a plugin puts it: read from its options and messages, with everything that is wrong at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use weir_engine::json::Json;

use super::{Problem, ToolUse, config::ANSWER_TOKENS_MAX};

/// The alias where a plugin names none.
const ALIAS_DEFAULT: &str = "default";
/// The most bytes of all messages.
const MESSAGES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most messages of a conversation.
const MESSAGES_MAX: usize = 4096;
/// The most tools that a model is told of.
const TOOLS_MAX: usize = 128;
/// The most texts to stop at, and bytes of each.
const STOPS_MAX: usize = 16;
const STOP_BYTES_MAX: usize = 256;
/// The most bytes of a schema for the answer.
const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// The most problems that are told.
const PROBLEMS_MAX: usize = 20;

/// A request: everything that the model is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model's name here.
    pub alias: String,
    /// What it is told before everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The tools that it may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// The JSON Schema of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Json>,
    /// The most tokens of the answer that the plugin wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// How freely it chooses its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// From how much of the probable it chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts at which it stops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Makes answers more alike, where the provider knows how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// What somebody says to the model.
    User {
        /// The text.
        content: String,
    },
    /// What the model said.
    Assistant {
        /// The text; empty if it only asked for tools.
        #[serde(default, deserialize_with = "or_nothing")]
        content: String,
        /// The tools that it asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolUse>,
    },
    /// What a tool answered.
    Tool {
        /// The call that it answers.
        tool_call_id: String,
        /// The answer.
        content: String,
    },
}

/// Reads `null` as the empty text: that is how some write an answer that only asks for tools.
fn or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A tool that a model may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What it is given.
    #[serde(default = "Json::null")]
    pub input_schema: Json,
}

impl ChatRequest {
    /// A question without anything else.
    #[must_use]
    pub fn question(alias: &str, text: &str) -> Self {
        Self {
            alias: alias.to_owned(),
            system: None,
            messages: vec![Message::User { content: text.to_owned() }],
            tools: Vec::new(),
            output_schema: None,
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
        }
    }

    /// Reads a request from the options of a chat, its messages, and the tools that the call may use.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(options: &Json, messages: &[Json], tools: &[ToolSpec]) -> Result<Self, Problem> {
        let mut reader = Reader { problems: Vec::new() };
        let request = reader.request(options, messages, tools);
        if reader.problems.is_empty() {
            return Ok(request);
        }
        reader.problems.truncate(PROBLEMS_MAX);
        Err(Problem::invalid(format!("could not understand the chat: {}", reader.problems.join("; "))))
    }

    /// The alias that the options of a chat name.
    #[must_use]
    pub fn alias_of(options: &Json) -> &str {
        options.value().get("model").and_then(Value::as_str).unwrap_or(ALIAS_DEFAULT)
    }
}

struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn request(&mut self, options: &Json, messages: &[Json], tools: &[ToolSpec]) -> ChatRequest {
        let empty = Map::new();
        let options = match options.value() {
            Value::Object(options) => options,
            Value::Null => &empty,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.problems.push("options: this is not an object".to_owned());
                &empty
            }
        };
        self.check_names(options);
        ChatRequest {
            alias: self.text(options, "model").unwrap_or_else(|| ALIAS_DEFAULT.to_owned()),
            system: self.text(options, "system"),
            tools: self.tools(options, tools),
            output_schema: self.schema(options),
            max_tokens: self.whole(options, "max_tokens", ANSWER_TOKENS_MAX),
            temperature: self.number(options, "temperature", 2.0),
            top_p: self.number(options, "top_p", 1.0),
            stop: self.stop(options),
            seed: self.seed(options),
            messages: self.messages(messages),
        }
    }

    fn check_names(&mut self, options: &Map<String, Value>) {
        const KNOWN: [&str; 9] =
            ["model", "system", "tools", "output_schema", "max_tokens", "temperature", "top_p", "stop", "seed"];
        for name in options.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            let name: String = name.chars().take(64).collect();
            self.problems.push(format!("options.{name}: there is no such option; there are {}", KNOWN.join(", ")));
        }
    }

    fn problem(&mut self, option: &str, should: &str) {
        self.problems.push(format!("options.{option}: {should}"));
    }

    fn text(&mut self, options: &Map<String, Value>, name: &str) -> Option<String> {
        match options.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.problem(name, "write a text");
                None
            }
        }
    }

    fn whole(&mut self, options: &Map<String, Value>, name: &str, max: u64) -> Option<u64> {
        let given = options.get(name).filter(|given| !given.is_null())?;
        let number = given.as_u64().filter(|number| (1..=max).contains(number));
        if number.is_none() {
            self.problem(name, &format!("write a whole number from 1 to {max}"));
        }
        number
    }

    fn seed(&mut self, options: &Map<String, Value>) -> Option<u64> {
        let given = options.get("seed").filter(|given| !given.is_null())?;
        // Providers keep seeds as signed numbers of 32 or 64 bits.
        let number = given.as_u64().filter(|number| *number <= u64::from(u32::MAX >> 1));
        if number.is_none() {
            self.problem("seed", "write a whole number from 0 to 2147483647");
        }
        number
    }

    fn number(&mut self, options: &Map<String, Value>, name: &str, max: f64) -> Option<f64> {
        let given = options.get(name).filter(|given| !given.is_null())?;
        let number = given.as_f64().filter(|number| (0.0..=max).contains(number));
        if number.is_none() {
            self.problem(name, &format!("write a number from 0 to {max}"));
        }
        number
    }

    fn stop(&mut self, options: &Map<String, Value>) -> Vec<String> {
        let texts = match options.get("stop") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(given) => Vec::<String>::deserialize(given).unwrap_or_default(),
        };
        let fits = |text: &String| !text.is_empty() && text.len() <= STOP_BYTES_MAX;
        if texts.is_empty() || texts.len() > STOPS_MAX || !texts.iter().all(fits) {
            self.problem("stop", &format!("write 1 to {STOPS_MAX} texts of 1 to {STOP_BYTES_MAX} bytes"));
        }
        texts
    }

    fn schema(&mut self, options: &Map<String, Value>) -> Option<Json> {
        let given = options.get("output_schema").filter(|given| !given.is_null())?;
        let schema = Json::from_value(given.clone());
        if !given.is_object() || schema.text().len() > SCHEMA_BYTES_MAX {
            self.problem("output_schema", &format!("write a JSON Schema of at most {SCHEMA_BYTES_MAX} bytes"));
        }
        Some(schema)
    }

    fn tools(&mut self, options: &Map<String, Value>, known: &[ToolSpec]) -> Vec<ToolSpec> {
        let Some(given) = options.get("tools").filter(|given| !given.is_null()) else { return Vec::new() };
        let Ok(names) = BTreeSet::<String>::deserialize(given) else {
            self.problem("tools", "write a list of names, as tools.list tells them");
            return Vec::new();
        };
        if names.len() > TOOLS_MAX {
            self.problem("tools", &format!("a model is told of {TOOLS_MAX} tools at most"));
        }
        for name in names.iter().filter(|name| !known.iter().any(|tool| tool.name == **name)).take(PROBLEMS_MAX) {
            self.problem("tools", &format!("this call may not use {name:?}; tools.list tells what it may"));
        }
        known.iter().filter(|tool| names.contains(&tool.name)).cloned().collect()
    }

    fn messages(&mut self, given: &[Json]) -> Vec<Message> {
        let bytes: usize = given.iter().map(|message| message.text().len()).sum();
        if given.is_empty() || given.len() > MESSAGES_MAX || bytes > MESSAGES_BYTES_MAX {
            let limits = format!("send 1 to {MESSAGES_MAX} messages of {MESSAGES_BYTES_MAX} bytes in all");
            self.problems.push(format!("messages: {limits}"));
            return Vec::new();
        }
        let mut open = BTreeSet::new();
        let mut messages = Vec::with_capacity(given.len());
        for (index, message) in given.iter().enumerate() {
            match Message::deserialize(message.value()) {
                Ok(message) => {
                    self.follows(index, &message, &mut open);
                    messages.push(message);
                }
                Err(error) => self.problems.push(format!("messages[{index}]: {error}")),
            }
        }
        messages
    }

    /// Notes which calls were made; an answer must belong to one of them, or the provider refuses the conversation.
    fn follows(&mut self, index: usize, message: &Message, made: &mut BTreeSet<String>) {
        match message {
            Message::User { .. } => {}
            Message::Assistant { tool_calls, .. } => made.extend(tool_calls.iter().map(|call| call.id.clone())),
            Message::Tool { tool_call_id, .. } => {
                if !made.contains(tool_call_id) {
                    self.problems.push(format!("messages[{index}].tool_call_id: no message before made this call"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: Value, messages: &[Value]) -> Result<ChatRequest, Problem> {
        let known = ["text.count", "text.upper"].map(|name| ToolSpec {
            name: name.to_owned(),
            description: None,
            input_schema: json!({"type": "object"}).into(),
        });
        let messages: Vec<Json> = messages.iter().cloned().map(Json::from).collect();
        ChatRequest::read(&options.into(), &messages, &known)
    }

    #[test]
    fn options_and_messages_become_a_request() {
        let options = json!({"model": "fast", "system": "be brief", "tools": ["text.count"], "max_tokens": 10,
            "temperature": 0, "stop": "END", "seed": 7, "output_schema": {"type": "object"}});
        let messages = [
            json!({"role": "user", "content": "hello"}),
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "tool": "text.count", "input": {}}]}),
            json!({"role": "tool", "tool_call_id": "1", "content": "{}"}),
        ];
        let request = read(options, &messages).unwrap();
        assert_eq!((request.alias.as_str(), request.tools.len(), request.messages.len()), ("fast", 1, 3));
        assert_eq!((request.max_tokens, request.temperature, request.seed), (Some(10), Some(0.0), Some(7)));
        assert_eq!(request.stop, ["END"]);
        let plain = read(Value::Null, &messages[..1]).unwrap();
        assert_eq!(plain, ChatRequest::question("default", "hello"));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let options = json!({"model": 1, "tools": ["nope"], "max_tokens": 0, "temperature": 3, "top_p": "a", "stop": [],
            "seed": -1, "output_schema": [], "modle": "x"});
        let messages =
            [json!({"role": "tool", "tool_call_id": "9", "content": "x"}), json!({"role": "robot"}), json!(1)];
        let problem = read(options, &messages).unwrap_err().to_string();
        let places = ["model", "tools", "max_tokens", "temperature", "top_p", "stop", "seed", "output_schema", "modle"];
        for place in places {
            assert!(problem.contains(&format!("options.{place}: ")), "{place}: {problem}");
        }
        for place in ["messages[0].tool_call_id", "messages[1]", "messages[2]"] {
            assert!(problem.contains(place), "{place}: {problem}");
        }
        assert!(read(json!([]), &[]).unwrap_err().to_string().contains("messages: send 1 to"));
    }
}
