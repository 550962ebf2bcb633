//! What providers say, in each of their protocols.

use serde_json::{Value, json};
use weir_host::models::Provider;

use crate::peer::Said;

/// A stream with these frames, and the end of the connection.
pub(super) fn stream(provider: Provider, frames: &[Value]) -> Said {
    Said::Once(bytes(provider, frames))
}

pub(super) fn bytes(provider: Provider, frames: &[Value]) -> Vec<u8> {
    let mut text = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned();
    for frame in frames {
        text.push_str(&framed(provider, frame));
    }
    text.into_bytes()
}

/// A frame as it goes over the wire. A text is one that is no JSON.
pub(super) fn framed(provider: Provider, frame: &Value) -> String {
    let data = frame.as_str().map_or_else(|| frame.to_string(), str::to_owned);
    match provider {
        Provider::Ollama => format!("{data}\n"),
        Provider::Anthropic => format!("event: {}\ndata: {data}\n\n", frame["type"].as_str().unwrap_or("x")),
        Provider::Openai | Provider::Gemini | Provider::Scripted => format!("data: {data}\n\n"),
    }
}

/// An answer with a status and a document.
pub(super) fn status(line: &str, headers: &str, body: &Value) -> Said {
    let body = body.to_string();
    let length = body.len();
    Said::Once(
        format!("HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes(),
    )
}

/// "Hello there", counted as 11 tokens in (3 of a cache) and 2 out (1 of them thought).
pub(super) fn hello(provider: Provider) -> Vec<Value> {
    match provider {
        Provider::Openai => vec![
            json!({"model": "some-model-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "Hello "}, "finish_reason": null}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "there"}}]}),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13,
                "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 1}}}),
            json!("[DONE]"),
        ],
        Provider::Anthropic => vec![
            json!({"type": "message_start", "message": {"model": "some-model-1", "usage": {"input_tokens": 8,
                "cache_read_input_tokens": 3, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "ping"}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello "}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
            json!({"type": "message_stop"}),
        ],
        Provider::Gemini => vec![
            json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}, {"text": "Hello "}]}}],
                "modelVersion": "some-model-1", "usageMetadata": {"promptTokenCount": 11}}),
            json!({"candidates": [{"content": {"parts": [{"text": "there"}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 11, "cachedContentTokenCount": 3, "candidatesTokenCount": 1,
                "thoughtsTokenCount": 1}}),
        ],
        Provider::Ollama => vec![
            json!({"model": "some-model-1", "message": {"role": "assistant", "content": "Hello "}, "done": false}),
            json!({"message": {"role": "assistant", "content": "there"}, "done": false}),
            json!({"message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
                "prompt_eval_count": 11, "prompt_eval_cached_count": 3, "eval_count": 2}),
        ],
        Provider::Scripted => Vec::new(),
    }
}

/// The same without any count.
pub(super) fn uncounted(provider: Provider) -> Vec<Value> {
    let mut frames = hello(provider);
    for frame in &mut frames {
        if let Some(fields) = frame.as_object_mut() {
            for name in ["usage", "usageMetadata", "prompt_eval_count", "prompt_eval_cached_count", "eval_count"] {
                fields.remove(name);
            }
        }
        if let Some(message) = frame.get_mut("message").and_then(Value::as_object_mut) {
            message.remove("usage");
        }
    }
    frames
}

/// Two calls of tools in one turn, the arguments of the first one in pieces where the protocol has pieces.
pub(super) fn calls(provider: Provider) -> Vec<Value> {
    match provider {
        Provider::Openai => {
            let piece = |piece: Value| json!({"choices": [{"delta": {"tool_calls": [piece]}}]});
            vec![
                piece(json!({"index": 0, "id": "a", "function": {"name": "text__count", "arguments": ""}})),
                piece(json!({"index": 0, "function": {"arguments": "{\"te"}})),
                piece(json!({"index": 1, "id": "b", "function": {"name": "text__count", "arguments": "{\"text\":"}})),
                piece(json!({"index": 0, "function": {"arguments": "xt\": \"one\"}"}})),
                piece(json!({"index": 1, "function": {"arguments": "\"two\"}"}})),
                json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
                json!("[DONE]"),
            ]
        }
        Provider::Anthropic => {
            let begin = |index: u64, id: &str| {
                json!({"type": "content_block_start", "index": index,
                    "content_block": {"type": "tool_use", "id": id, "name": "text__count", "input": {}}})
            };
            let piece = |index: u64, json: &str| {
                json!({"type": "content_block_delta", "index": index,
                    "delta": {"type": "input_json_delta", "partial_json": json}})
            };
            let end = |index: u64| json!({"type": "content_block_stop", "index": index});
            vec![
                json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}}),
                begin(1, "a"),
                piece(1, ""),
                piece(1, "{\"te"),
                piece(1, "xt\": \"one\"}"),
                end(1),
                begin(2, "b"),
                piece(2, "{\"text\": \"two\"}"),
                end(2),
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
                json!({"type": "message_stop"}),
            ]
        }
        Provider::Gemini => {
            let call = |text: &str| json!({"functionCall": {"name": "text__count", "args": {"text": text}}});
            let mut signed = call("one");
            signed["thoughtSignature"] = json!("c2ln");
            vec![
                json!({"candidates": [{"content": {"parts": [signed, call("two")]}}]}),
                json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 1}}),
            ]
        }
        Provider::Ollama => {
            let call = |text: &str| json!({"function": {"name": "text__count", "arguments": {"text": text}}});
            vec![
                json!({"message": {"content": "", "tool_calls": [call("one")]}, "done": false}),
                json!({"message": {"content": "", "tool_calls": [call("two")]}, "done": false}),
                json!({"message": {"content": ""}, "done": true, "done_reason": "stop"}),
            ]
        }
        Provider::Scripted => Vec::new(),
    }
}

/// A model that would not answer; Ollama knows nothing of the kind.
pub(super) fn refusal(provider: Provider) -> Option<Vec<Value>> {
    Some(match provider {
        Provider::Openai => vec![
            json!({"choices": [{"delta": {"refusal": "I will not"}}]}),
            json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
            json!("[DONE]"),
        ],
        Provider::Anthropic => vec![
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 1}}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}}),
            json!({"type": "message_stop"}),
        ],
        Provider::Gemini => vec![json!({"candidates": [{"finishReason": "SAFETY"}]})],
        Provider::Ollama | Provider::Scripted => return None,
    })
}

/// An answer that ends because there is no more room, in the middle of its JSON.
pub(super) fn cut_short(provider: Provider) -> Vec<Value> {
    let mut frames = hello(provider);
    for frame in &mut frames {
        for (place, reason) in [
            ("/choices/0/finish_reason", "length"),
            ("/delta/stop_reason", "max_tokens"),
            ("/candidates/0/finishReason", "MAX_TOKENS"),
            ("/done_reason", "length"),
        ] {
            if let Some(found) = frame.pointer_mut(place).filter(|found| !found.is_null()) {
                *found = json!(reason);
            }
        }
    }
    frames
}
