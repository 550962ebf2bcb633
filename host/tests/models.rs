//! The gateway to models, against servers that speak each protocol, and speak it badly.

mod answers;
mod errors;
mod requests;
mod scripted;
mod speech;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use weir_engine::json::Json;
use weir_host::{
    egress::{Egress, EgressConfig, HostPort, Roots, SystemResolver},
    models::{
        ChatRequest, Gateway, Key, Keys, Message, ModelAnswer, ModelConfig, ModelError, NoKeys, PriceTable, Problem,
        Provider, ToolSpec, ToolUse,
    },
};

use crate::peer::{Peer, Said};

/// The protocols that go over the wire.
const WIRES: [Provider; 4] = [Provider::Openai, Provider::Anthropic, Provider::Gemini, Provider::Ollama];

/// A model at a peer, with few tries and little time.
fn model_at(provider: Provider, peer: &Peer) -> ModelConfig {
    ModelConfig {
        base_url: Some(peer.url("/v1")),
        timeout_seconds: 20,
        retries: 2,
        ..ModelConfig::new(provider, "some-model")
    }
}

fn gateway(model: ModelConfig, egress: EgressConfig) -> Gateway {
    gateway_with(model, egress, Arc::new(NoKeys)).unwrap()
}

fn gateway_with(model: ModelConfig, egress: EgressConfig, keys: Arc<dyn Keys>) -> Result<Gateway, Problem> {
    let egress = Egress::with(egress, Box::new(SystemResolver), Roots::Only(Vec::new()));
    Gateway::new(&BTreeMap::from([("fast".to_owned(), model)]), &PriceTable::default(), &egress, &keys)
}

/// Asks once, and tells what was streamed besides.
async fn ask(gateway: &Gateway, request: ChatRequest) -> (Result<ModelAnswer, ModelError>, Vec<String>) {
    let prepared = gateway.prepare(request).unwrap();
    let mut heard = Vec::new();
    let answer = gateway.send(&prepared, prepared.max_tokens, &mut |piece| heard.push(piece.to_owned())).await;
    (answer, heard)
}

/// Asks a peer that answers everything in the same way.
async fn asked(provider: Provider, said: Said) -> (Result<ModelAnswer, ModelError>, Vec<String>, Peer) {
    let peer = Peer::answering(move |_| said.clone()).await;
    let (answer, heard) = ask(&gateway(model_at(provider, &peer), peer.allowed()), hello()).await;
    (answer, heard, peer)
}

fn hello() -> ChatRequest {
    ChatRequest::question("fast", "hello")
}

/// A request with everything in it.
fn everything() -> ChatRequest {
    ChatRequest {
        system: Some("be brief".to_owned()),
        tools: vec![ToolSpec {
            name: "text.count".to_owned(),
            description: Some("counts".to_owned()),
            input_schema: json!({"type": "object", "properties": {"text": {"type": "string"}}}).into(),
        }],
        messages: vec![
            Message::User { content: "hello".to_owned() },
            Message::Assistant {
                content: String::new(),
                tool_calls: vec![ToolUse {
                    id: "c1".to_owned(),
                    tool: "text.count".to_owned(),
                    input: json!({"text": "a"}).into(),
                    signature: None,
                }],
            },
            Message::Tool { tool_call_id: "c1".to_owned(), content: "{\"count\":1}".to_owned() },
        ],
        output_schema: Some(json!({"type": "object", "properties": {"n": {"type": "integer"}}}).into()),
        max_tokens: Some(77),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stop: vec!["END".to_owned()],
        seed: Some(7),
        ..hello()
    }
}

/// The body of a request that a peer was sent.
fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn inputs(answer: &ModelAnswer) -> Vec<(&str, &Json)> {
    answer.tool_calls.iter().map(|call| (call.tool.as_str(), &call.input)).collect()
}

/// Keys for one host.
struct OneKey(&'static str, HostPort);

impl Keys for OneKey {
    fn key(&self, name: &str, target: &HostPort) -> Option<Key> {
        (name == self.0 && *target == self.1).then(|| Key::new("sk-the-key".to_owned()))
    }
}
