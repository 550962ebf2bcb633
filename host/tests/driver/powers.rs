//! What plugins do beyond computing, with a journal.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{
    event::{Event, Record},
    id::CallId,
};
use weir_host::{
    driver::{DriverConfig, Reach},
    egress::{Egress, EgressConfig, Roots, SystemResolver},
    store::{EffectKind, JournalRow, KvPlace},
};

use super::support::Bench;
use crate::peer::Peer;

fn workflow(tool: &str, order: &str) -> Value {
    json!({ "name": order, "steps": [{ "id": "use", "type": "tool", "tool": tool, "tool_args": { "order": order } }] })
}

/// What the only step answered, and what its journal says.
async fn told(bench: &Bench, tool: &str, order: &str) -> (Value, Vec<JournalRow>) {
    let workflow = bench.save(workflow(tool, order)).await;
    let id = bench.start(&workflow, json!({})).await;
    let over = |log: &[Record]| {
        log.iter()
            .any(|record| matches!(record.event, Event::ExecutionCompleted { .. } | Event::ExecutionFailed { .. }))
    };
    let log = bench.log_until(&id, over).await;
    let output = log.iter().find_map(|record| {
        if let Event::StepCompleted { output, .. } = &record.event { Some(output.value().clone()) } else { None }
    });
    let call = log.iter().find(|record| matches!(record.event, Event::StepStarted { .. })).unwrap().seq;
    (output.unwrap_or_else(|| panic!("{log:#?}")), bench.store.journal(&id, CallId(call), 0, 100).await.unwrap())
}

fn outcomes(rows: &[JournalRow]) -> Vec<(EffectKind, &str, &str)> {
    let outcome = |row: &'_ JournalRow| row.ended.as_ref().map(|ended| ended.outcome.clone());
    assert!(rows.iter().all(|row| outcome(row).is_some()), "{rows:#?}");
    rows.iter().map(|row| (row.kind, &*row.name, &*row.ended.as_ref().unwrap().outcome)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_written_with_the_journal() {
    let bench = Bench::new(&["h10_powers"]).await;
    let (output, rows) = told(&bench, "h10_powers.run", "kv").await;
    assert_eq!(
        (&output[0], &output[2], &output[3]),
        (&json!("Ok(None)"), &json!("Ok(Some(\"null\"))"), &json!("Ok(None)"))
    );
    // What the runtime refuses is not asked for.
    let kinds = outcomes(&rows);
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    assert_eq!(kinds[1], (EffectKind::Kv, "set a", "ok"));
    let place = KvPlace { plugin: Arc::from("h10_powers"), workflow_id: None };
    assert_eq!(bench.store.kv_keys(&place, "", None, 10).await.unwrap(), ["ab"]);
    // They go with the last version of the plugin.
    bench.store.delete_plugin("h10_powers", "0.1.0").await.unwrap();
    assert!(bench.store.kv_keys(&place, "", None, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_recorded_and_those_that_stream_by_their_status() {
    let peer = Peer::saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let egress = Some(Egress::with(peer.allowed(), Box::new(SystemResolver), Roots::Only(Vec::new())));
    let config = DriverConfig { reach: Reach { egress, ..Reach::default() }, ..DriverConfig::default() };
    let bench = Bench::open(tempfile::tempdir().unwrap(), config).await;
    bench.install("h24_requests").await;
    let name = format!("POST {}", peer.address);
    for (way, kind) in [("weir", EffectKind::Http), ("wasi", EffectKind::Stream)] {
        let (output, rows) = told(&bench, "h24_requests.run", &format!("{way} POST 2 3 1 0 {}", peer.url("/"))).await;
        assert!(output[1].as_str().unwrap().starts_with("200 2"), "{output}");
        assert_eq!(outcomes(&rows), [(kind, &*name, "ok"), (kind, &*name, "ok")]);
    }
    let keys = peer.asked();
    let keys: Vec<&str> =
        keys.iter().filter_map(|asked| asked.lines().find(|line| line.starts_with("idempotency-key"))).collect();
    assert!(keys.len() == 4 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_way_out_a_request_is_denied_and_recorded() {
    let bench = Bench::new(&["h24_requests"]).await;
    let (output, rows) = told(&bench, "h24_requests.run", "weir GET 1 0 1 0 http://127.0.0.1:9/").await;
    assert!(output[0].as_str().unwrap().starts_with("denied: "), "{output}");
    assert_eq!(outcomes(&rows), [(EffectKind::Http, "GET 127.0.0.1:9", "denied")]);
    let strict = Egress::with(EgressConfig::default(), Box::new(SystemResolver), Roots::Only(Vec::new()));
    let reach = Reach { egress: Some(strict), ..Reach::default() };
    let bench = Bench::open(bench.stopped().await, DriverConfig { reach, ..DriverConfig::default() }).await;
    let (output, rows) = told(&bench, "h24_requests.run", "wasi GET 1 0 1 0 http://127.0.0.1:9/").await;
    assert!(output[0].as_str().unwrap().ends_with("HttpRequestDenied"), "{output}");
    assert_eq!(outcomes(&rows), [(EffectKind::Stream, "GET 127.0.0.1:9", "denied")]);
}
