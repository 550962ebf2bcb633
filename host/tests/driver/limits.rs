//! Every limit stops what it names, wherever it stands, and says so: on the workflow, on a step, in an agent's settings, and
//! on an agent that an agent calls.

use serde_json::{Value, json};
use weir_engine::{
    event::Event,
    execution::Status,
    failure::{Failure, FailureCode},
    limits::Amounts,
};
use weir_host::driver::Finished;

use super::{effects::bench_with, support::Bench};

/// Where a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Workflow,
    Step,
    Agent,
    Called,
}

const LEVELS: [Level; 4] = [Level::Workflow, Level::Step, Level::Agent, Level::Called];

/// A limit, what is done until it is met, the code of the failure, and what may have been spent by then.
struct Row {
    name: &'static str,
    value: Value,
    orders: &'static str,
    code: FailureCode,
    within: fn(&Amounts) -> bool,
    /// What whoever called the agent is told.
    says: &'static str,
}

const ASK: &str = "ask tell me more;";

fn rows() -> Vec<Row> {
    let row = |name, value, orders, within| {
        let (code, says) = (FailureCode::GuardrailExceeded, "the agent would pass its own ");
        Row { name, value, orders, code, within, says }
    };
    let anything: fn(&Amounts) -> bool = |_| true;
    vec![
        row("request_limit", json!(3), ASK, |used| used.requests == 3),
        row("input_tokens_limit", json!(1_000), ASK, |used| used.input_tokens <= 1_000 && used.requests > 1),
        row("output_tokens_limit", json!(150), ASK, |used| used.output_tokens <= 150 && used.requests > 1),
        row("total_tokens_limit", json!(1_000), ASK, |used| {
            used.input_tokens + used.output_tokens <= 1_000 && used.requests > 1
        }),
        row("tool_calls_limit", json!(5), "all 2 echo.run #;", |used| used.tool_calls == 4),
        row("max_cost_dollars", json!(0.75), ASK, |used| used.cost_microusd <= 750_000 && used.requests > 1),
        Row {
            code: FailureCode::Timeout,
            says: "its own timeout of 400 ms",
            ..row("timeout_seconds", json!(0.4), "call h9_sleep.run;", anything)
        },
        Row {
            code: FailureCode::FuelExhausted,
            says: "its fuel of 20000000",
            ..row("fuel_limit", json!(20_000_000), "spin;", anything)
        },
        Row {
            code: FailureCode::MemoryLimit,
            says: "the limit is 8388608",
            ..row("memory_limit_mb", json!(8), "grow;", anything)
        },
    ]
}

fn workflow(row: &Row, level: Level) -> Value {
    let guardrails = json!({ row.name: row.value });
    let tools = json!(["echo.run", "h9_sleep.run"]);
    // Whoever insists on what is refused is taken for one who goes round in circles.
    let orders = row.orders.repeat(if row.name == "tool_calls_limit" { 4 } else { 40 });
    let at = |here: Level| if level == here { guardrails.clone() } else { json!({}) };
    let called = json!({ "agent": "orders.act", "guardrails": at(Level::Called) });
    let (order, tools) = match level {
        Level::Called => (format!("call orders.act {};", orders.replace(';', ",")), json!([called])),
        Level::Workflow | Level::Step | Level::Agent => (orders, tools),
    };
    let config = json!({ "tools": tools, "guardrails": at(Level::Agent) });
    let act = json!({ "id": "act", "type": "agent", "agent": "orders.act", "agent_prompt": { "order": order },
        "agent_config": config, "guardrails": at(Level::Step) });
    json!({ "name": format!("{} {level:?}", row.name), "guardrails": at(Level::Workflow), "steps": [act] })
}

/// How an execution says what stopped it.
fn failure(finished: &Finished) -> Failure {
    finished.execution.row.failure.clone().unwrap_or_else(|| panic!("{:?}", finished.execution.output))
}

async fn greedy_bench() -> Bench {
    let rules = json!([{ "answer": { "text": "here is something of some length" } }]);
    let bench = bench_with(rules, json!({ "free": false, "price": { "input": 1000, "output": 1000 } })).await;
    for guest in ["echo", "h9_sleep", "orders"] {
        bench.install(guest).await;
    }
    bench
}

/// The step ends as the limit says, or with the whole execution; what is told names limit, value and place.
fn check_stopped(row: &Row, level: Level, finished: &Finished) {
    let about = format!("{} at {level:?}", row.name);
    let failure = failure(finished);
    assert_eq!(failure.code, row.code, "{about}: {failure:?}");
    let details = failure.details.as_ref().unwrap_or_else(|| panic!("{about}: {failure:?}")).value().clone();
    assert_eq!(details["limit"], row.name, "{about}: {failure:?}");
    let value = details["value"].as_f64().unwrap();
    assert!((value - row.value.as_f64().unwrap()).abs() < 0.01, "{about}: {failure:?}");
    let whole = level == Level::Workflow && row.code == FailureCode::Timeout;
    assert_eq!(finished.execution.row.status == Status::Timeout, whole, "{about}");
    assert!(whole || failure.path.as_deref() == Some("act"), "{about}: {failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_every_limit_stops_what_it_names_at_every_level_and_says_so() {
    let bench = greedy_bench().await;
    for row in rows() {
        for level in LEVELS {
            let about = format!("{} at {level:?}", row.name);
            let finished = bench.run(workflow(&row, level), json!({})).await;
            let used = &finished.execution.row.usage;
            let own = Amounts { tool_calls: used.tool_calls - u64::from(level == Level::Called), ..*used };
            assert!((row.within)(&own), "{about}: {used:?}");
            if level != Level::Called {
                check_stopped(&row, level, &finished);
                continue;
            }
            // Whoever called the agent is told, and goes on.
            assert_eq!(
                finished.execution.row.status,
                Status::Completed,
                "{about}: {:?}",
                finished.execution.row.failure
            );
            let told = finished.execution.output.as_ref().unwrap().value()[0].as_str().unwrap().to_owned();
            assert!(told.contains(row.code.as_str()), "{about}: {told}");
            assert!(told.contains(row.says), "{about}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn orders() {
    let bench = greedy_bench().await;
    let act = json!({ "id": "act", "type": "agent", "agent": "orders.act",
        "agent_prompt": { "order": "ask hello;call echo.run {\"a\":1};all 2 echo.run #;call nothing.run;fill n 3;get n;" },
        "agent_config": { "tools": ["echo.run"] } });
    let finished = bench.run(json!({ "name": "orders", "steps": [act.clone()] }), json!({})).await;
    let output = finished.execution.output.as_ref().unwrap_or_else(|| panic!("{:?}", finished.execution.row.failure));
    let told: Vec<&str> = output.value().as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(told[0].contains("some length") && told[3].starts_with("denied: "), "{told:?}");
    assert_eq!((told[1], told[2], &told[4..]), ("{\"a\":1}", "0 | 1", &["3", "3"][..]));
    let failing =
        json!({ "id": "act", "type": "agent", "agent": "orders.act", "agent_prompt": { "order": "fail no;" } });
    let finished = bench.run(json!({ "name": "fails", "steps": [failing] }), json!({})).await;
    assert_eq!(failure(&finished).message, "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_counted_at_every_level() {
    let bench = greedy_bench().await;
    let echo = json!({ "id": "echo", "type": "tool", "tool": "echo.run", "tool_args": { "a": 1 } });
    for level in [Level::Workflow, Level::Step] {
        let at = |here: Level| if level == here { json!({ "max_steps": 4 }) } else { json!({}) };
        let each = json!({ "id": "act", "type": "loop", "guardrails": at(Level::Step),
            "loop_config": { "items_path": "$.input.items", "steps": [echo] } });
        let definition = json!({ "name": format!("{level:?}"), "guardrails": at(Level::Workflow), "steps": [each] });
        let finished = bench.run(definition, json!({ "items": [1, 2, 3, 4, 5] })).await;
        let failure = failure(&finished);
        assert_eq!(failure.details.unwrap().value(), &json!({ "limit": "max_steps", "value": 4 }), "{level:?}");
        let log = bench.store.load(&finished.execution.row.id).await.unwrap();
        let began = log.iter().filter(|record| matches!(record.event, Event::StepStarted { .. })).count();
        assert_eq!(began, 4, "{level:?}");
    }
}
