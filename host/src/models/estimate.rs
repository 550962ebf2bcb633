//! How many tokens a request can be counted as, before anybody counted it.
//!
//! It must be an upper bound, because what is reserved before a call is what keeps a limit: counting with the provider's
//! own tokenizer would be nearer, and there is one for each family of models, most of them unpublished. All of them make
//! tokens of bytes, or of more than one byte, so **a text has at most as many tokens as bytes**. To the bytes of everything
//! that is sent, written as JSON, comes what providers put around it: the marks between messages, the introduction that
//! some write for tools and schemas.

use super::{ChatRequest, Message, Micros};

/// What a request costs before it says anything.
const BASE: u64 = 64;
/// The marks around a message.
const PER_MESSAGE: u64 = 16;
/// What is written around a tool, or a call of one.
const PER_TOOL: u64 = 32;
/// The introduction that providers write where there are tools (Anthropic's has some 700 tokens), or a schema.
const INTRODUCTION: u64 = 1024;

/// The most tokens that a request is counted as, where a token has at least `bytes_per_token` bytes.
pub(super) fn input_tokens_max(request: &ChatRequest, bytes_per_token: Micros) -> u64 {
    let tools = count(request.tools.len());
    let introduces = tools > 0 || request.output_schema.is_some();
    let calls: usize = request.messages.iter().map(calls).sum();
    let overhead = BASE
        .saturating_add(PER_MESSAGE.saturating_mul(count(request.messages.len())))
        .saturating_add(PER_TOOL.saturating_mul(tools.saturating_add(count(calls))))
        .saturating_add(if introduces { INTRODUCTION } else { 0 });
    tokens(bytes(request), bytes_per_token).saturating_add(overhead)
}

/// The tokens of so many bytes, rounded up.
fn tokens(bytes: u64, bytes_per_token: Micros) -> u64 {
    let millionths = u128::from(bytes) * u128::from(Micros::ONE.get());
    u64::try_from(millionths.div_ceil(u128::from(bytes_per_token.get().max(1)))).unwrap_or(u64::MAX)
}

/// The bytes of everything that the model is told. A schema is counted twice: providers that take none for answers get it
/// in the system text as well.
pub(super) fn bytes(request: &ChatRequest) -> u64 {
    let system = request.system.as_ref().map_or(0, String::len);
    let schema = request.output_schema.as_ref().map_or(0, |schema| 2 * schema.text().len());
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.as_ref().map_or(0, String::len) + tool.input_schema.text().len())
        .sum();
    let messages: usize = request.messages.iter().map(said).sum();
    count(system + schema + tools + messages)
}

fn said(message: &Message) -> usize {
    match message {
        Message::User { content } => content.len(),
        Message::Assistant { content, tool_calls } => {
            let one = |call: &super::ToolUse| {
                let signature = call.signature.as_ref().map_or(0, String::len);
                call.id.len() + call.tool.len() + call.input.text().len() + signature
            };
            content.len() + tool_calls.iter().map(one).sum::<usize>()
        }
        Message::Tool { tool_call_id, content } => tool_call_id.len() + content.len(),
    }
}

fn calls(message: &Message) -> usize {
    match message {
        Message::Assistant { tool_calls, .. } => tool_calls.len(),
        Message::User { .. } | Message::Tool { .. } => 0,
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_at_most_as_many_tokens_as_bytes() {
        let request = ChatRequest::question("a", &"é".repeat(1000));
        assert_eq!(input_tokens_max(&request, Micros::ONE), 2000 + BASE + PER_MESSAGE);
        assert_eq!(input_tokens_max(&request, Micros::new(4_000_000)), 500 + BASE + PER_MESSAGE);
        assert_eq!(tokens(1, Micros::new(4_000_000)), 1, "rounded up");
    }
}
