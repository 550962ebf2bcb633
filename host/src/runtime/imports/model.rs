//! `weir:plugin/model`: an agent talks to a model. The host keeps the conversation.

use serde_json::{Value, json};
use wasmtime::component::Resource;
use weir_engine::json::Json;

use super::CallState;
use crate::runtime::{
    ChatTurn, Effect,
    bindings::weir::plugin::{
        model::{Host, HostChat},
        types::Failure,
    },
    limits::{CHAT_BYTES_MAX, CHAT_MESSAGES_MAX},
};

/// A conversation.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Chat {
    /// What is wrong with the options is told when the conversation is sent.
    options: Result<Json, Failure>,
    messages: Vec<Json>,
    sent_before: usize,
    bytes: usize,
}

impl Host for CallState {}

impl HostChat for CallState {
    fn new(&mut self, options: String) -> wasmtime::Result<Resource<Chat>> {
        self.count(options.len())?;
        let options = self.kept(options, "the options");
        let bytes = options.as_ref().map_or(0, |options| options.text().len());
        Ok(self.table.push(Chat { options, messages: Vec::new(), sent_before: 0, bytes })?)
    }

    fn push(&mut self, chat: Resource<Chat>, message: String) -> wasmtime::Result<Result<(), Failure>> {
        self.count(message.len())?;
        let message = match self.kept(message, "a message") {
            Ok(message) => message,
            Err(failure) => return Ok(Err(failure)),
        };
        Ok(self.table.get_mut(&chat)?.add(message))
    }

    async fn send(&mut self, chat: Resource<Chat>) -> wasmtime::Result<Result<String, Failure>> {
        self.count(0)?;
        if let Err(failure) = self.host_of_agents("ask a model") {
            return Ok(Err(failure));
        }
        let turn = match self.table.get(&chat)?.turn() {
            Ok(turn) => turn,
            Err(failure) => return Ok(Err(failure)),
        };
        if self.chat_bytes > CHAT_BYTES_MAX {
            return Ok(Err(too_long()));
        }
        let sent = turn.messages.len();
        let answer = self.effect(Effect::Model(turn)).await?;
        self.table.get_mut(&chat)?.sent_before = sent;
        match answer {
            Ok(answer) => self.answered(&chat, &answer).map(|()| Ok(answer.text().to_owned())),
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn drop(&mut self, chat: Resource<Chat>) -> wasmtime::Result<()> {
        let chat = self.table.delete(chat)?;
        self.chat_bytes = self.chat_bytes.saturating_sub(chat.bytes);
        Ok(())
    }
}

impl CallState {
    /// Reads an object that a conversation will keep, if there is room for it.
    fn kept(&mut self, text: String, what: &str) -> Result<Json, Failure> {
        let bytes = self.chat_bytes.saturating_add(text.len());
        if bytes > CHAT_BYTES_MAX {
            return Err(too_long());
        }
        let json = Json::parse(text).map_err(|error| Failure::InvalidInput(format!("{what}: {error}")))?;
        if !json.value().is_object() {
            return Err(Failure::InvalidInput(format!("{what}: expected an object")));
        }
        self.chat_bytes = bytes;
        Ok(json.without_tree())
    }

    /// Adds the model's answer to the conversation. It was paid for: it is kept even where it leaves no room for more.
    fn answered(&mut self, chat: &Resource<Chat>, answer: &Json) -> wasmtime::Result<()> {
        let message = said(answer.value());
        self.chat_bytes = self.chat_bytes.saturating_add(message.text().len());
        let chat = self.table.get_mut(chat)?;
        chat.bytes = chat.bytes.saturating_add(message.text().len());
        chat.messages.push(message);
        Ok(())
    }
}

impl Chat {
    fn add(&mut self, message: Json) -> Result<(), Failure> {
        // The bytes are counted either way, so that they are given back with the conversation.
        self.bytes = self.bytes.saturating_add(message.text().len());
        if self.messages.len() >= CHAT_MESSAGES_MAX {
            return Err(Failure::InvalidInput(format!("a conversation has at most {CHAT_MESSAGES_MAX} messages")));
        }
        self.messages.push(message);
        Ok(())
    }

    fn turn(&self) -> Result<ChatTurn, Failure> {
        let options = self.options.clone()?;
        Ok(ChatTurn { options, messages: self.messages.clone(), sent_before: self.sent_before })
    }
}

/// What the model said, as a message.
fn said(answer: &Value) -> Json {
    let mut message = json!({ "role": "assistant", "content": answer.get("text").cloned().unwrap_or_default() });
    let calls = answer.get("tool_calls").filter(|calls| calls.as_array().is_some_and(|calls| !calls.is_empty()));
    if let Some(calls) = calls {
        message["tool_calls"] = calls.clone();
    }
    Json::from_value(message).without_tree()
}

fn too_long() -> Failure {
    Failure::InvalidInput(format!("conversations of a call may have {CHAT_BYTES_MAX} bytes together: drop some"))
}
