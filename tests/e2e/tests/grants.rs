//! What a plugin may do is what it asks for and was granted, and what the author of a step gives it.

use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{
    Data, Host,
    host::{Ran, weir},
    program,
};

/// The tools that the agent asks for.
const TOOLS: [&str; 3] = ["text.detect_language", "text.keywords", "text.sentiment"];

async fn client(host: &Host, arguments: &[&str]) -> Result<Ran> {
    let environment = [("WEIR_URL", host.api.url.as_str()), ("WEIR_TOKEN", host.api.token.as_str())];
    weir(arguments, &environment, &std::env::temp_dir()).await
}

/// Runs the agent on a message, and gives the execution.
async fn triage(host: &Host, workflow: &str) -> Result<Value> {
    let input = json!({ "input_data": { "message": "I want my money back, at once." } });
    host.api.post(&format!("/api/workflows/{workflow}/execute?wait=20"), &input).await
}

fn workflow(name: &str, config: Value) -> Value {
    json!({ "name": name, "steps": [ { "id": "look", "type": "agent", "agent": "triage.triage",
        "agent_prompt": { "message": "$.input.message" }, "agent_config": config } ] })
}

#[tokio::test]
async fn an_agent_calls_the_tools_that_it_was_granted() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    for name in ["text", "triage"] {
        let component = program::plugin(name)?.to_string_lossy().into_owned();
        client(&host, &["plugin", "add", &component]).await?.exits(0)?;
    }
    host.api.post("/api/workflows", &workflow("plain", json!({}))).await?;
    host.api.post("/api/workflows", &workflow("listed", json!({ "tools": TOOLS }))).await?;

    let refused = triage(&host, "plain").await?;
    ensure!(refused["error"]["code"] == "denied", "a tool was called that nobody granted: {refused:#}");
    let listed = triage(&host, "listed").await?;
    ensure!(listed["status"] == "completed", "what the author lists needs no grant: {listed:#}");

    let shown = client(&host, &["plugin", "grants", "triage"]).await?;
    let told = shown.exits(0)?;
    ensure!(told.contains("pending") && told.contains("asks for tool text.keywords"), "it does not tell: {told}");
    let mut arguments = vec!["plugin", "grant", "triage"];
    arguments.extend(TOOLS.iter().flat_map(|tool| ["--tool", *tool]));
    let told = client(&host, &arguments).await?;
    ensure!(told.exits(0)?.contains("may use tool text.sentiment"), "it does not tell: {told:?}");
    let ran = triage(&host, "plain").await?;
    ensure!(ran["status"] == "completed", "what was granted is denied: {ran:#}");

    ensure!(host.stop().await?.success(), "it did not stop well");
    let host = data.start().await?;
    let ran = triage(&host, "plain").await?;
    ensure!(ran["status"] == "completed", "it was forgotten: {ran:#}");
    client(&host, &["plugin", "grant", "triage", "--nothing"]).await?.exits(0)?;
    let refused = triage(&host, "plain").await?;
    ensure!(refused["error"]["code"] == "denied", "what was taken away is there: {refused:#}");
    let beyond = client(&host, &["plugin", "grant", "triage", "--host", "evil.example", "--kv"]).await?;
    beyond.exits(1)?;
    ensure!(beyond.stderr.contains("host evil.example with GET, HEAD is not asked for"), "{beyond:?}");
    client(&host, &["plugin", "grant", "triage"]).await?.exits(1)?;
    client(&host, &["plugin", "grant", "triage", "--all", "--model", "fast"]).await?.exits(2)?;
    ensure!(host.stop().await?.success(), "it did not stop well");
    Ok(())
}

#[tokio::test]
async fn an_upload_grants_all_only_where_it_says_so() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let component = std::fs::read(program::plugin("triage")?)?;
    let upload = async |query: &str| -> Result<Value> {
        let path = format!("/api/plugins{query}");
        host.api.send(Method::POST, &path, "application/wasm", component.clone()).await?.good()
    };
    for (query, status) in [("", "pending"), ("?grant=none", "pending"), ("?grant=all", "granted"), ("", "granted")] {
        let plugin = upload(query).await?;
        ensure!(plugin["grants_status"] == status, "after {query:?} it is not {status}: {:#}", plugin["grants"]);
    }
    ensure!(upload("?grant=some").await.is_err(), "an unknown word is taken");
    let rows = host.api.get("/api/audit?act=plugin.install").await?;
    let granted = rows["items"].as_array().into_iter().flatten().filter(|row| row["details"]["granted"].is_object());
    ensure!(granted.count() == 1, "the audit log does not tell once that all was granted: {rows:#}");
    let (component, directory) = (program::plugin("triage")?, std::env::temp_dir());
    let inspected = weir(&["plugin", "inspect", &component.to_string_lossy()], &[], &directory).await?;
    ensure!(inspected.exits(0)?.contains("asks for tool text.detect_language"), "{inspected:?}");
    Ok(())
}
