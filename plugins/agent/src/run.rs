//! The loop: model, tools, model, …, answer.

use crate::answer::Form;
use crate::{AgentConfig, purse};
use weir_sdk::model::{Answer, Chat, Stop, ToolCall, Usage};
use weir_sdk::prelude::*;

/// How often the model is asked again for an answer that fits its schema.
const REPAIRS_MAX: u32 = 2;
/// What the model is told of one tool's answer, in bytes: it has to read all of it again in each turn.
const RESULT_BYTES_MAX: usize = 40_000;
/// The longest task, in bytes.
const TASK_BYTES_MAX: usize = 1 << 20;

const LAST_TURN: &str =
    "This is your last turn: no more tools can be called. Give your final answer now, with what you have.";

/// A run of the agent.
struct Run {
    chat: Chat,
    form: Option<Form>,
    tools: Vec<String>,
    turns_left: u32,
    turns_max: u32,
    repairs_left: u32,
    last: Option<Usage>,
    /// Whether the model was told that this is its last turn.
    ending: bool,
}

pub(crate) fn run(input: &Value, config: AgentConfig) -> Result<Value> {
    config.check()?;
    let task = task(input)?;
    let form = config.output_schema.clone().map(Form::new).transpose()?;
    let tools = config.tools()?;
    let mut chat = chat(&config, form.as_ref(), &tools);
    chat.push_user(task);
    let turns = config.max_turns;
    let run = Run {
        chat,
        form,
        tools,
        turns_left: turns,
        turns_max: turns,
        repairs_left: REPAIRS_MAX,
        last: None,
        ending: false,
    };
    run.until_answered()
}

/// The task as the model reads it: a text as it is, anything else as JSON.
fn task(input: &Value) -> Result<String> {
    // A step's `agent_prompt` that is a text comes as an object with nothing else in it.
    let only_prompt = input.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("prompt"));
    let input = only_prompt.filter(|prompt| prompt.is_string()).unwrap_or(input);
    let task = input.as_str().map_or_else(|| input.to_string(), str::to_owned);
    if task.trim().is_empty() || input.is_null() {
        return Err(Failure::invalid_input("the task is empty: give the agent a prompt"));
    }
    if task.len() > TASK_BYTES_MAX {
        return Err(Failure::invalid_input(format!("the task has {} bytes, the most is {TASK_BYTES_MAX}", task.len())));
    }
    Ok(task)
}

fn chat(config: &AgentConfig, form: Option<&Form>, tools: &[String]) -> Chat {
    let mut chat = Chat::new(&config.model);
    let wanted = form.map(|form| {
        format!("Your final answer is one JSON document and nothing else. It fits this JSON Schema: {}", form.schema())
    });
    let system: Vec<String> = config.system.clone().into_iter().chain(wanted).collect();
    if !system.is_empty() {
        chat = chat.system(system.join("\n\n"));
    }
    if let Some(form) = form {
        chat = chat.output_schema_of(form.schema().clone());
    }
    if !tools.is_empty() {
        chat = chat.tools(tools);
    }
    if let Some(temperature) = config.temperature {
        chat = chat.temperature(temperature);
    }
    match config.max_tokens {
        Some(tokens) => chat.max_tokens(tokens),
        None => chat,
    }
}

impl Run {
    fn until_answered(mut self) -> Result<Value> {
        loop {
            let answer = self.turn()?;
            if answer.stop == Stop::Refusal {
                let message = format!("the model refused: {}", excerpt(&answer.text));
                return Err(Failure::other("refused", message));
            }
            let cut = answer.stop == Stop::MaxTokens;
            if !answer.tool_calls.is_empty() && !cut {
                self.answer_calls(&answer)?;
            } else if let Some(output) = self.output(answer, cut)? {
                return Ok(output);
            }
        }
    }

    /// One model request.
    fn turn(&mut self) -> Result<Answer> {
        if self.turns_left == 0 {
            let message = format!("the model had no answer after {} turns: raise config.max_turns", self.turns_max);
            return Err(Failure::other("max_turns", message));
        }
        let is_last = self.turns_left == 1 || purse::is_nearly_empty(self.last);
        if is_last && !self.tools.is_empty() && !self.ending {
            self.ending = true;
            self.chat.push_user(LAST_TURN);
        }
        self.turns_left -= 1;
        let answer = self.chat.send()?;
        self.last = Some(answer.usage);
        Ok(answer)
    }

    /// Calls the tools that the model asks for, as many as may be called, and tells it what they answered.
    fn answer_calls(&mut self, answer: &Answer) -> Result<()> {
        if self.ending {
            let message = "the model asked for tools in its last turn instead of answering: raise config.max_turns or \
                           the guardrails";
            return Err(Failure::other("max_turns", message));
        }
        let known: Vec<&ToolCall> = answer.tool_calls.iter().filter(|call| self.tools.contains(&call.tool)).collect();
        let admitted = &known[..known.len().min(purse::tool_calls_left())];
        let mut results: Vec<Result<Value>> =
            tools::call_all(admitted.iter().map(|call| (call.tool.as_str(), &call.input)));
        log::debug(format!("{} of {} tool calls made", results.len(), answer.tool_calls.len()));
        results.reverse();
        for call in &answer.tool_calls {
            let content = if !self.tools.contains(&call.tool) {
                told(Err(self.unknown(&call.tool)))
            } else {
                told(results.pop().unwrap_or_else(|| Err(Failure::denied("not called: no tool calls are left"))))
            };
            self.chat.push_tool_result(&call.id, content);
        }
        Ok(())
    }

    fn unknown(&self, tool: &str) -> Failure {
        Failure::invalid_input(format!("there is no tool {tool:?}; there are: {}", self.tools.join(", ")))
    }

    /// The agent's output, or nothing where the model has been asked again.
    fn output(&mut self, answer: Answer, cut: bool) -> Result<Option<Value>> {
        let text = answer.text;
        let Some(form) = &self.form else {
            return if cut { Err(cut_off(&text)) } else { Ok(Some(json!({ "result": text, "content": text }))) };
        };
        let errors = match form.read(&text) {
            Ok(document) => return Ok(Some(document)),
            Err(_) if cut => return Err(cut_off(&text)),
            Err(errors) => errors,
        };
        if self.repairs_left == 0 || self.turns_left == 0 || self.last_request_is_spent() {
            let message = format!("the model's answer does not fit config.output_schema:\n{errors}");
            return Err(Failure::other("invalid_answer", message));
        }
        log::warn(format!("the answer does not fit its schema, asking again:\n{errors}"));
        self.repairs_left -= 1;
        self.chat.push_user(format!(
            "Your answer does not fit the JSON Schema:\n{errors}\nAnswer again with the whole JSON document and nothing else."
        ));
        Ok(None)
    }

    fn last_request_is_spent(&self) -> bool {
        context::budget().requests == Some(0)
    }
}

fn cut_off(text: &str) -> Failure {
    let message = format!(
        "the model's answer was cut off after as many tokens as it may have: raise config.max_tokens or the guardrails; it \
         began: {}",
        excerpt(text)
    );
    Failure::other("cut_off", message)
}

/// The beginning of a text, for messages.
fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(300)]
}

/// What the model is told of a call: the tool's answer as JSON, or why it failed.
fn told(result: Result<Value>) -> String {
    match result {
        Ok(Value::String(text)) => shortened(text),
        Ok(answer) => shortened(answer.to_string()),
        Err(failure) => {
            let message = shortened(failure.message().to_owned());
            json!({ "error": { "code": failure.code(), "message": message } }).to_string()
        }
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > RESULT_BYTES_MAX {
        let bytes = text.len();
        text.truncate(text.floor_char_boundary(RESULT_BYTES_MAX));
        text.push_str(&format!("… (the rest of {bytes} bytes is left out)"));
    }
    text
}
