//! The example workflows, on the inputs that lie beside them; and the definitions of the predecessor.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Api, Data, log, program};

/// Saves an example as its file stands.
async fn save(api: &Api, path: &Path) -> Result<Value> {
    let kind =
        if path.extension().is_some_and(|ending| ending == "yaml") { "application/yaml" } else { "application/json" };
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let answer = api.send(Method::POST, "/api/workflows", kind, text).await?;
    answer.good().with_context(|| format!("saving {}", path.display()))
}

/// Runs an example, answers its question, and gives the execution at its end.
async fn run(api: &Api, workflow: &str, input: Value, answer: Option<Value>) -> Result<Value> {
    let body = json!({ "input_data": input });
    let accepted = api.post(&format!("/api/workflows/{workflow}/execute"), &body).await?;
    let id = accepted["execution_id"].as_str().context("an answer without an id")?;
    if let Some(mut answer) = answer {
        answer["approval_id"] = api.asked(id).await?.into();
        api.post(&format!("/api/executions/{id}/approve"), &answer).await?;
    }
    let execution = api.ended(id).await?;
    ensure!(execution["status"] == "completed", "{workflow} ended badly: {execution}");
    log::check(&log::read(api, id).await?)?;
    let steps = api.all(&format!("/api/executions/{id}/steps")).await?;
    let open =
        steps.iter().find(|step| !["completed", "skipped"].contains(&step["status"].as_str().unwrap_or_default()));
    ensure!(open.is_none(), "a step of {workflow} is {open:?}");
    Ok(execution)
}

#[tokio::test]
async fn order_received_confirms_small_orders_and_announces_large_ones() -> Result<()> {
    let data = Data::with_bundled().await?;
    let host = data.start().await?;
    save(&host.api, &program::workflows().join("order_received.yaml")).await?;
    for (order, total, says) in
        [("A-1", 89.9, "Order A-1 is confirmed."), ("A-2", 1000.0, "needs a second pair of eyes")]
    {
        let execution = run(&host.api, "order_received", json!({ "order": order, "total": total }), None).await?;
        let text = execution["output"]["text"].as_str().unwrap_or_default();
        ensure!(text.contains(says), "{order} over {total} says {text:?}");
    }
    Ok(())
}

#[tokio::test]
async fn customer_messages_runs_to_its_digest() -> Result<()> {
    let data = Data::with_bundled().await?;
    let host = data.start().await?;
    save(&host.api, &program::workflows().join("customer_messages.json")).await?;
    let csv = std::fs::read_to_string(program::workflows().join("customer_messages.input.csv"))?;
    let rows = csv.lines().count() - 1;
    let answer = json!({ "option_id": "escalate", "comment": "at once" });
    let execution = run(&host.api, "customer_messages", json!({ "csv": csv }), Some(answer)).await?;
    let outputs = &execution["step_outputs"];
    ensure!(outputs["parse"]["rows"].as_array().map(Vec::len) == Some(rows), "not all rows were read: {outputs}");
    ensure!(outputs["each"]["count"] == rows, "not all messages were rated: {outputs}");
    ensure!(outputs["approve"]["option_id"] == "escalate", "the answer is lost: {outputs}");
    ensure!(outputs["approve"]["comment"] == "at once", "the comment is lost: {outputs}");
    let urgent = execution["output"]["urgent"].as_array().context("no urgent messages")?;
    ensure!(urgent.contains(&json!(1004)), "smoke from the toaster is urgent: {urgent:?}");
    let digest = execution["output"]["digest"].as_str().context("no digest")?;
    ensure!(digest.starts_with(&format!("Customer messages: {rows}\n")), "another digest: {digest}");
    ensure!(digest.contains("Decision: escalate"), "the decision is not in the digest: {digest}");
    ensure!(execution["usage"]["tool_calls"].as_u64() > Some(4 * rows as u64), "too few calls: {}", execution["usage"]);
    // The same again without an answer: it waits, and is cancelled.
    let accepted =
        host.api.post("/api/workflows/customer_messages/execute", &json!({ "input_data": { "csv": csv } })).await?;
    let id = accepted["execution_id"].as_str().context("an answer without an id")?;
    host.api.asked(id).await?;
    let cancelled = host.api.post(&format!("/api/executions/{id}/cancel"), &json!({ "reason": "enough" })).await?;
    ensure!(cancelled["status"] == "cancelled", "it is not cancelled: {cancelled}");
    ensure!(host.api.ended(id).await?["status"] == "cancelled", "it did not stay cancelled");
    let open = host.api.all("/api/approvals").await?;
    ensure!(open.is_empty(), "a cancelled execution still asks: {open:?}");
    Ok(())
}

#[tokio::test]
async fn invoice_check_asks_only_where_something_is_odd() -> Result<()> {
    let data = Data::with_bundled().await?;
    let host = data.start().await?;
    save(&host.api, &program::workflows().join("invoice_check.yaml")).await?;
    let text = std::fs::read_to_string(program::workflows().join("invoice_check.input.json"))?;
    let input: Value = serde_json::from_str(&text)?;
    let execution = run(&host.api, "invoice_check", input.clone(), None).await?;
    let answer = execution["output"].as_str().context("no answer")?;
    ensure!(answer.starts_with("Invoice RE-2026-1107: pay, due 04 December 2026, sha256 "), "another answer: {answer}");
    let steps =
        host.api.all(&format!("/api/executions/{}/steps", execution["id"].as_str().unwrap_or_default())).await?;
    ensure!(
        steps.iter().any(|step| step["step_id"] == "ask" && step["status"] == "skipped"),
        "somebody was asked: {steps:?}"
    );

    let mut dear = input;
    dear["text"] = dear["text"].as_str().unwrap_or_default().replace("625.00", "1625.00").into();
    let decision = json!({ "option_id": "reject", "data": { "cost_centre": "4711" } });
    let execution = run(&host.api, "invoice_check", dear, Some(decision)).await?;
    let answer = execution["output"].as_str().context("no answer")?;
    ensure!(answer.starts_with("Invoice RE-2026-1107: reject, due 04 December 2026"), "another answer: {answer}");
    ensure!(execution["step_outputs"]["ask"]["data"]["cost_centre"] == "4711", "the form is lost: {execution}");
    Ok(())
}

/// The files of a directory with one of these endings.
fn files(directory: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e)));
    files.sort();
    Ok(files)
}

#[test]
fn every_example_is_run_by_a_test() -> Result<()> {
    let mut examples = files(&program::workflows(), &["json", "yaml"])?;
    examples.retain(|path| !path.to_string_lossy().contains(".input."));
    let names: Vec<_> = examples.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    // The demo's test waits for the schedule of heartbeat; those with agents and the web have tests in `research`.
    let tested = [
        "ask_agent",
        "customer_messages",
        "heartbeat",
        "invoice_check",
        "order_received",
        "web_research",
        "web_research_simple",
    ];
    ensure!(names == tested, "write a test for each of {names:?}");
    Ok(())
}

#[tokio::test]
async fn the_predecessors_definitions_lack_only_their_tools() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let definitions = files(&program::workflows().join("predecessor"), &["json"])?;
    ensure!(definitions.len() >= 7, "definitions are missing: {definitions:?}");
    for path in definitions {
        let text = std::fs::read(&path)?;
        let answer = host.api.send(Method::POST, "/api/workflows/validate", "application/json", text).await?;
        let found = answer.good()?;
        let errors = found["errors"].as_array().context("a validation without errors")?;
        ensure!(!errors.is_empty(), "{} calls tools that nobody installed", path.display());
        let odd = errors.iter().find(|error| error["code"] != "unknown_tool" && error["code"] != "unknown_agent");
        ensure!(odd.is_none(), "{}: {odd:?}", path.display());
        ensure!(errors.iter().all(|error| error["step_id"].is_string()), "an error names no step: {errors:?}");
    }
    Ok(())
}
