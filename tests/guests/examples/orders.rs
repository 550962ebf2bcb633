//! An agent that does what its input says, one order after the other, and answers what came of each: `ask TEXT`, `weigh`
//! (asks about the list of its tools), `call TOOL INPUT`, `all TIMES TOOL INPUT` (beside each other; `#` becomes the number
//! of the call), `list`, `budget`, `if ONE OTHER ORDER` (where both are the same), `fill KEY TIMES`, `get KEY`, `spin`, `grow`,
//! `fail TEXT`. Orders end with `;`, those of an agent that is called with `,`.

use weir_guests::{
    Call, Failure, context, described, json_array,
    kv::{self, Space},
    model::Chat,
    order, tools,
};

struct Program;

impl weir_guests::Guest for Program {
    fn describe() -> String {
        let tools = r#"["echo.run","h9_sleep.run","http.request"]"#;
        let entry = |name: &str, more: &str| {
            format!(
                r#"[{{"name":"{name}","title":"{name}","description":"does what it is told","input_schema":{{}},
                "output_schema":{{}}{more}}}]"#
            )
        };
        format!(
            r#"{{"name":"orders","version":"0.1.0","title":"orders","description":"a guest program of the tests",
            "tools":{},"agents":{},"asks":{{"models":["*"],"tools":{tools},"kv":true}}}}"#,
            entry("run", ""),
            entry("act", &format!(r#","tools":{tools}"#))
        )
    }

    fn run(call: Call) -> Result<String, Failure> {
        let orders = order(&call.input).replace("\\\"", "\"");
        let chat = Chat::new(r#"{"max_tokens":100}"#);
        let told: Result<Vec<String>, Failure> =
            orders.split(';').map(str::trim).filter(|one| !one.is_empty()).map(|one| done(&chat, one)).collect();
        Ok(json_array(&told?))
    }
}

fn done(chat: &Chat, one: &str) -> Result<String, Failure> {
    let (verb, rest) = one.split_once(' ').unwrap_or((one, ""));
    Ok(match verb {
        "ask" => told(ask(chat, rest)),
        "call" => {
            let (tool, input) = rest.split_once(' ').unwrap_or((rest, "null"));
            told(tools::call(tool, &given(tool, input, 0)))
        }
        "all" => all(rest),
        "list" => tools::list(),
        "if" => match rest.splitn(3, ' ').collect::<Vec<_>>()[..] {
            [one, other, order] if one == other => done(chat, order)?,
            _ => String::new(),
        },
        "weigh" => told(ask(chat, &format!("what are {} bytes of tools?", tools::list().len()))),
        "budget" => format!("{:?}", context::budget()),
        "fill" => filled(rest)?,
        "get" => kv::get(Space::Plugin, rest)?.unwrap_or_default(),
        "fail" => return Err(Failure::Failed(rest.to_owned())),
        "spin" => spin(),
        "grow" => grown(),
        _ => return Err(Failure::InvalidInput(format!("no such order: {one}"))),
    })
}

fn ask(chat: &Chat, text: &str) -> Result<String, Failure> {
    chat.push(&format!(r#"{{"role":"user","content":"{text}"}}"#))?;
    chat.send()
}

fn all(rest: &str) -> String {
    let mut words = rest.splitn(3, ' ');
    let (times, tool, input) = (words.next(), words.next().unwrap_or_default(), words.next().unwrap_or("null"));
    let times: usize = times.and_then(|times| times.parse().ok()).unwrap_or(0);
    let one = |n: usize| tools::ToolCall { tool: tool.to_owned(), input: given(tool, input, n) };
    let answers = tools::call_all(&(0..times).map(one).collect::<Vec<_>>());
    answers.into_iter().map(told).collect::<Vec<_>>().join(" | ")
}

/// What a tool is given: a document, or the orders for an agent.
fn given(tool: &str, input: &str, n: usize) -> String {
    let input = input.replace('#', &n.to_string());
    if tool.ends_with(".act") { format!("\"{}\"", input.replace(',', ";").replace('"', "\\\"")) } else { input }
}

fn told(answer: Result<String, Failure>) -> String {
    answer.unwrap_or_else(|failure| described(&failure))
}

/// Adds 1 to the number under a key, as often as it says; each time it compares with what it read before.
fn filled(rest: &str) -> Result<String, Failure> {
    let (key, times) = rest.split_once(' ').unwrap_or((rest, "1"));
    let mut set = 0;
    for _ in 0..times.parse::<u32>().unwrap_or(0) {
        let before = kv::get(Space::Plugin, key)?;
        let number = before.as_deref().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let after = (number + 1).to_string();
        set += u32::from(kv::compare_and_set(Space::Plugin, key, before.as_deref(), Some(&after))?);
    }
    Ok(set.to_string())
}

fn spin() -> String {
    let mut n = 0_u64;
    while n < u64::MAX {
        n = std::hint::black_box(n.wrapping_add(1) % (u64::MAX - 1));
    }
    n.to_string()
}

fn grown() -> String {
    let mut held: Vec<Vec<u8>> = Vec::new();
    while held.len() < 4096 {
        held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
    held.len().to_string()
}

const _: () = {
    weir_guests::bindings::export!(Program with_types_in weir_guests::bindings);
};
