//! What is counted of calls and limits.

use serde_json::json;
use weir_host::metrics::Levels;

use super::{effects::bench_with, support::Bench};

impl Bench {
    /// The value of a series; 0 where it is not told of.
    fn counted(&self, series: &str) -> f64 {
        let text = self.store.metrics().text(Levels::default());
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or(0.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_kind_and_failures_by_code() {
    let bench = Bench::new(&["echo", "h10_agent", "h11_trap"]).await;
    let agent = json!({ "id": "agent", "type": "agent", "agent": "h10_agent.act", "agent_prompt": { "calls": 2 },
        "agent_config": { "tools": ["echo.run"] } });
    let trap = json!({ "id": "trap", "type": "tool", "tool": "h11_trap.run", "tool_args": "$.input.how" });
    bench.run(json!({ "name": "both", "steps": [agent, trap] }), json!({ "how": "panic" })).await;
    let calls = |of: &str| bench.counted(&format!("weir_plugin_call_duration_seconds_count{{{of}}}"));
    assert_eq!(calls("kind=\"agent\",outcome=\"completed\""), 1.0);
    assert_eq!(calls("kind=\"tool\",outcome=\"completed\""), 2.0, "an agent's tools are tools");
    assert_eq!(calls("kind=\"tool\",outcome=\"failed\""), 1.0);
    assert_eq!(bench.counted("weir_plugin_failures_total{kind=\"tool\",code=\"plugin_trap\"}"), 1.0);
    assert_eq!(bench.counted("weir_plugin_calls_running{kind=\"tool\"}"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_agents_that_agents_call_are_counted() {
    let bench = bench_with(json!([{ "answer": { "text": "yes" } }]), json!({})).await;
    for guest in ["echo", "orders"] {
        bench.install(guest).await;
    }
    let called = json!({ "agent": "orders.act", "guardrails": { "request_limit": 1 } });
    let act = json!({ "id": "act", "type": "agent", "agent": "orders.act",
        "agent_prompt": { "order": "call orders.act ask a,ask b,;call orders.act ask c,ask d,;ask e;" },
        "agent_config": { "tools": [called] } });
    let finished = bench.run(json!({ "name": "called", "steps": [act] }), json!({})).await;
    assert!(finished.execution.row.failure.is_none(), "{:?}", finished.execution.row.failure);
    assert_eq!(bench.counted("weir_limits_hit_total{limit=\"request_limit\"}"), 2.0);
    assert_eq!(finished.execution.row.usage.requests, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_hit_inside_blocks_is_counted_once() {
    let bench = Bench::new(&["echo"]).await;
    let echo = json!({ "id": "echo", "type": "tool", "tool": "echo.run", "tool_args": { "a": 1 } });
    let inner = json!({ "id": "inner", "type": "loop", "loop_config": { "items_path": "$.input.items", "item_variable": "n", "steps": [echo] },
        "guardrails": { "tool_calls_limit": 2 } });
    let outer = json!({ "id": "outer", "type": "loop", "loop_config": { "items_path": "$.input.outer", "item_variable": "o", "steps": [inner] } });
    let finished =
        bench.run(json!({ "name": "nested", "steps": [outer] }), json!({ "items": [1, 2, 3], "outer": [1] })).await;
    assert!(finished.execution.row.failure.is_some());
    assert_eq!(bench.counted("weir_limits_hit_total{limit=\"tool_calls_limit\"}"), 1.0);
    assert_eq!(bench.counted("weir_step_duration_seconds_count{type=\"loop\",status=\"failed\"}"), 2.0);
}
