//! What an agent did in a step, as the API, the metrics and the collector tell it: all of them agree.

use serde_json::{Value, json};
use weir_host::{client::Sent, spans::otlp::Span};

use super::{
    spans::Collector,
    support::{TestHost, code},
};
use crate::runtime::support::{component, guest};

/// A model that calls `echo` twice at once, is told what came of it, and answers.
const SCRIPT: &str = r#"
rules:
  - when: { has_tool_result: true }
    answer: { text: "the answer", usage: { input_tokens: 100, cached_input_tokens: 40, output_tokens: 7 } }
  - answer:
      text: ""
      tool_calls:
        - { tool: echo.run, input: { n: 1 } }
        - { tool: echo.run, input: { n: 2 } }
      usage: { input_tokens: 50, output_tokens: 20 }
"#;

async fn host(collector: &Collector) -> (TestHost, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.yaml");
    std::fs::write(&script, SCRIPT).unwrap();
    let model = json!({ "provider": "scripted", "script": script, "price": { "input": 1.0, "output": 10.0 } });
    let host = TestHost::with(|config| {
        collector.set_up(config);
        config.models.insert("fast".to_owned(), serde_json::from_value(model).unwrap());
    })
    .await;
    for bytes in [guest("echo"), component("agent")] {
        let sent = Sent::Bytes("application/wasm", bytes);
        host.client.send(axum::http::Method::POST, "/api/plugins?grant=all", sent).await.unwrap();
    }
    (host, folder)
}

fn asking(name: &str) -> Value {
    let ask = json!({ "id": "ask", "type": "agent", "agent": "agent.agent", "agent_prompt": "$.input.task",
        "agent_config": { "model": "fast", "tools": ["echo.run"] } });
    let each = json!({ "id": "each", "type": "loop", "loop_config": { "items_path": "$.input.items", "item_variable": "n",
        "steps": [ask] } });
    json!({ "name": name, "steps": [each] })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_did_is_told_everywhere_the_same() {
    let collector = Collector::start().await;
    let (host, _folder) = host(&collector).await;
    host.save(asking("asks")).await;
    let input = json!({ "input_data": { "task": "canary-in-the-prompt", "items": [1, 2] } });
    let ended = host.client.post("/api/workflows/asks/execute?wait=60", input).await.unwrap();
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let base = format!("/api/executions/{}/steps", ended["id"].as_str().unwrap());
    check_transcript(&host, &base).await;
    check_usage(&host, &base, &ended).await;
    let metrics = check_metrics(&host, &ended).await;

    // The collector.
    let spans = collector.spans(12).await;
    let named = |name: &str| spans.iter().filter(|span| span.name.starts_with(name)).count();
    assert_eq!((named("chat "), named("execute_tool echo.run"), named("step ask"), named("step each")), (4, 4, 2, 1));
    let step = spans.iter().find(|span| span.name == "step ask").unwrap();
    assert!(spans.iter().any(|span| span.name.starts_with("chat") && span.parent_span_id == step.span_id));
    check_call_ids(&host, &base, &spans).await;
    let told = format!("{spans:?}{metrics}");
    assert!(!told.contains("canary"), "what is said to models is neither in spans nor in metrics");
    host.running.stop().await;
}

/// Each tool's span has the name that the model gave to the call.
async fn check_call_ids(host: &TestHost, base: &str, spans: &[Span]) {
    let mut wanted = Vec::new();
    for visit in 1..=2 {
        let shown = host.client.get(&format!("{base}/ask/transcript?visit={visit}")).await.unwrap();
        let calls = shown["items"][0]["answer"]["tool_calls"].as_array().unwrap().clone();
        wanted.extend(calls.iter().map(|call| call["id"].as_str().unwrap().to_owned()));
    }
    let id = |span: &Span| {
        let found = span.attributes.iter().find(|attribute| attribute.key == "gen_ai.tool.call.id");
        format!("{:?}", found.and_then(|attribute| attribute.value.clone()))
    };
    let tools = spans.iter().filter(|span| span.name == "execute_tool echo.run");
    let mut told: Vec<String> = tools.map(id).collect();
    wanted.sort();
    told.sort();
    assert_eq!(wanted.len(), 4, "{wanted:?}");
    for (told, wanted) in told.iter().zip(&wanted) {
        assert!(told.contains(&format!("{wanted:?}")), "{told} is not {wanted}");
    }
}

/// The transcript, by path, by id and visit, and by the visit's own number; page by page it is the same.
async fn check_transcript(host: &TestHost, base: &str) {
    let shown = host.client.get(&format!("{base}/each%5B0%5D.ask/transcript")).await.unwrap();
    let items = shown["items"].as_array().unwrap();
    let kinds: Vec<_> =
        items.iter().map(|item| (item["effect"].as_str().unwrap(), item["kind"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("1", "model"), ("2", "tool"), ("3", "tool"), ("4", "model")], "{shown:#}");
    assert!(items.iter().all(|item| item["status"] == "ok" && item["latency_ms"].is_u64()), "{shown:#}");
    assert!(items[0]["request"]["messages"].to_string().contains("canary-in-the-prompt"));
    assert_eq!(items[0]["answer"]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(items[1]["request"]["input"], json!({ "n": 1 }));
    assert_eq!(items[3]["answer"]["text"], "the answer");
    let about = &items[3]["details"];
    assert_eq!(
        (&about["provider"], &about["input_tokens"], &about["output_tokens"]),
        (&json!("scripted"), &json!(100), &json!(7))
    );
    let call = shown["step"]["id"].as_str().unwrap();
    for same in ["ask/transcript?visit=1", &format!("{call}/transcript")] {
        let other = host.client.get(&format!("{base}/{same}")).await.unwrap();
        assert_eq!(other["items"], shown["items"], "{same}");
    }
    let last = host.client.get(&format!("{base}/ask/transcript")).await.unwrap();
    assert_eq!(last["step"]["path"], "each[1].ask");

    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = host.client.get(&format!("{base}/{call}/transcript?limit=1{cursor}")).await.unwrap();
        paged.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(Value::from(paged), shown["items"]);
    for (path, refusal) in [
        ("nowhere/transcript", "step_not_found"),
        ("ask/transcript?visit=3", "step_not_found"),
        ("ask/transcript?visit=0", "invalid_query"),
        ("ask/transcript?cursor=x", "invalid_query"),
    ] {
        assert_eq!(code(host.client.get(&format!("{base}/{path}")).await), refusal, "{path}");
    }
}

/// Usage by model, of steps and of the execution.
async fn check_usage(host: &TestHost, base: &str, ended: &Value) {
    let steps = host.client.get(base).await.unwrap();
    let agents: Vec<&Value> =
        steps["items"].as_array().unwrap().iter().filter(|step| step["type"] == "agent").collect();
    for (name, of_execution) in [("requests", 4), ("input_tokens", 300), ("output_tokens", 54)] {
        let sum = |of: &dyn Fn(&Value) -> u64| agents.iter().map(|step| of(step)).sum::<u64>();
        let by_model =
            |step: &Value| step["usage"]["models"].as_array().unwrap().iter().map(|m| m[name].as_u64().unwrap()).sum();
        assert_eq!(ended["usage"][name], of_execution, "{ended:#}");
        assert_eq!(sum(&|step| step["usage"][name].as_u64().unwrap()), of_execution, "{steps:#}");
        assert_eq!(sum(&by_model), of_execution, "{steps:#}");
    }
    assert!(agents.iter().all(|step| step["usage"]["written_off"].is_null()), "{steps:#}");
    assert_eq!(agents[0]["usage"]["models"][0]["alias"], "fast");
}

/// The metrics.
async fn check_metrics(host: &TestHost, ended: &Value) -> String {
    let text = host.get("/metrics").await.body;
    let series = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}"))
    };
    let fast = "alias=\"fast\",provider=\"scripted\"";
    assert_eq!(series(&format!("weir_model_requests_total{{{fast},outcome=\"ok\"}}")), 4.0);
    assert_eq!(series(&format!("weir_model_tokens_total{{{fast},kind=\"input\"}}")), 300.0);
    assert_eq!(series(&format!("weir_model_tokens_total{{{fast},kind=\"cached\"}}")), 80.0);
    assert_eq!(series(&format!("weir_model_tokens_total{{{fast},kind=\"output\"}}")), 54.0);
    let cost = series(&format!("weir_model_cost_microusd_total{{{fast}}}"));
    assert_eq!(cost / 1e6, ended["usage"]["estimated_cost_dollars"].as_f64().unwrap());
    assert_eq!(series("weir_effect_duration_seconds_count{kind=\"tool\",outcome=\"ok\"}"), 4.0);
    text
}
