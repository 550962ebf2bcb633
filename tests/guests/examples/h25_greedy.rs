//! Asks a model for the longest answer, again and again, and calls tools as often as its input says beside each other:
//! whatever is left to spend.

use weir_guests::{
    Call, Failure,
    bindings::weir::plugin::{
        model::Chat,
        tools::{ToolCall, call_all},
    },
};

fn run(call: Call) -> Result<String, Failure> {
    let batch = call.input.chars().filter(char::is_ascii_digit).collect::<String>().parse::<usize>().unwrap_or(0);
    if batch > 0 {
        let one = |n: usize| ToolCall { tool: "echo.run".to_owned(), input: n.to_string() };
        call_all(&(0..batch).map(one).collect::<Vec<_>>());
    }
    let chat = Chat::new(r#"{"model": "default", "max_tokens": 1000000}"#);
    loop {
        chat.push(r#"{"role": "user", "content": "more"}"#)?;
        chat.send()?;
    }
}

weir_guests::guest!("h25_greedy", run, r#"{"models": ["*"], "tools": ["echo.run"]}"#);
