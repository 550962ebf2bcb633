//! D4: every act has its row, and a crash leaves both or neither.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command, task::JoinSet, time::timeout};
use weir_e2e::{Api, Data, api::is_crash, host::weir, program};

use crate::sample;

/// How often the host is killed.
const KILLS: u32 = 8;
/// Clients that act at a time.
const CLIENTS: usize = 8;
/// Milliseconds that a host lives.
const LIFE_MS: std::ops::Range<u64> = 50..400;

/// Every act that the table of routes names.
fn acts() -> Result<BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/src/server/router.rs");
    let text = std::fs::read_to_string(path).context("reading the table of routes")?;
    let table = text.split("\nroutes! {").nth(1).context("finding the table")?;
    let act = |line: &str| Some(line.split_once("=>")?.1.split_once(", \"")?.1.split('"').next()?.to_owned());
    let acts: BTreeSet<String> = table.lines().filter_map(act).collect();
    ensure!(acts.contains("workflow.create") && acts.len() > 10, "the table is not understood: {acts:?}");
    Ok(acts)
}

async fn good(api: &Api, method: Method, path: &str, body: Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let kind = if body.is_empty() { "" } else { "application/json" };
    let answer = api.send(method.clone(), path, kind, body).await?;
    answer.good().with_context(|| format!("{method} {path}"))
}

/// Does everything once.
async fn do_everything(api: &Api) -> Result<String> {
    let (post, put, delete) = (Method::POST, Method::PUT, Method::DELETE);
    good(api, post.clone(), "/api/workflows", sample::asking()).await?;
    let workflow = sample::asking()["name"].as_str().context("a workflow without a name")?.to_owned();
    let path = format!("/api/workflows/{workflow}");
    good(api, put.clone(), &path, sample::asking()).await?;
    let (answered, cancelled) = (execute(api, &path).await?, execute(api, &path).await?);
    api.asked(&answered).await?;
    let questions = api.get(&format!("/api/executions/{answered}/approvals")).await?;
    let question = questions["items"][0]["id"].as_str().context("a question without an id")?;
    let question = format!("/api/approvals/{question}");
    for (verb, body) in [("reassign", json!({ "roles": ["approver"] })), ("remind", json!({}))] {
        good(api, post.clone(), &format!("{question}/{verb}"), body).await?;
    }
    let link = good(api, post.clone(), &format!("{question}/links"), json!({})).await?;
    let link = link["link_id"].as_str().context("a link without an id")?;
    good(api, delete.clone(), &format!("{question}/links/{link}"), Value::Null).await?;
    good(api, post.clone(), &format!("/api/executions/{answered}/approve"), json!({ "option_id": "yes" })).await?;
    good(api, post.clone(), &format!("/api/executions/{cancelled}/cancel"), Value::Null).await?;
    good(api, delete.clone(), &path, Value::Null).await?;
    switch_triggers(api).await?;
    receive_webhooks(api).await?;
    let event = json!({ "specversion": "1.0", "id": "1", "source": "/tests", "type": "com.example.tested" });
    api.send(Method::POST, "/api/events", "application/cloudevents+json", event.to_string()).await?.good()?;
    good(api, delete.clone(), "/api/plugins/text", Value::Null).await?;
    api.install(&program::plugin("text")?).await?;
    for verb in ["disable", "enable"] {
        good(api, post.clone(), &format!("/api/plugins/text/{verb}"), Value::Null).await?;
    }
    good(api, put.clone(), "/api/plugins/text/grants", json!({ "all": true })).await?;
    try_tool(api).await?;
    let secret = json!({ "value": "correct horse battery", "hosts": ["api.example.com"] });
    good(api, put.clone(), "/api/secrets/search-key", secret.clone()).await?;
    good(api, put.clone(), "/api/secrets/search-key", secret).await?;
    good(api, post.clone(), "/api/models/default/try", json!({ "text": "hello" })).await?;
    good(api, delete.clone(), "/api/secrets/search-key", Value::Null).await?;
    let budget = json!({ "scope": "host", "period": "day", "limits": { "request_limit": 10 } });
    good(api, put.clone(), "/api/budgets/team", budget).await?;
    good(api, delete.clone(), "/api/budgets/team", Value::Null).await?;
    let token = good(api, post.clone(), "/api/tokens", json!({ "name": "ci", "roles": ["viewer"] })).await?;
    let id = token["id"].as_str().context("a token without an id")?;
    good(api, delete.clone(), &format!("/api/tokens/{id}"), Value::Null).await?;
    let user = json!({ "name": "alice", "password": "correct horse battery", "roles": ["author"] });
    good(api, post.clone(), "/api/users", user).await?;
    good(api, put, "/api/users/alice", json!({ "roles": ["viewer"] })).await?;
    sign_in_and_out(api).await?;
    good(api, post, "/api/users/alice/password", json!({ "password": "another long password" })).await?;
    good(api, delete, "/api/users/alice", Value::Null).await?;
    Ok(answered)
}

async fn switch_triggers(api: &Api) -> Result<()> {
    let mut workflow = sample::asking();
    workflow["name"] = "yearly".into();
    workflow["trigger"] = json!({ "type": "cron", "config": { "schedule": "0 0 1 1 *" } });
    api.post("/api/workflows", &workflow).await?;
    let triggers = api.get("/api/triggers?workflow=yearly&type=cron").await?;
    let id = triggers["items"][0]["id"].as_str().context("no trigger")?;
    for verb in ["disable", "enable", "fire"] {
        api.post(&format!("/api/triggers/{id}/{verb}"), &json!({})).await?;
    }
    Ok(())
}

async fn receive_webhooks(api: &Api) -> Result<()> {
    let mut workflow = sample::asking();
    workflow["name"] = "hooked".into();
    workflow["trigger"] = json!({ "type": "webhook", "config": { "path": "acts", "auth": { "scheme": "bearer" } } });
    api.post("/api/workflows", &workflow).await?;
    let triggers = api.get("/api/triggers?workflow=hooked").await?;
    let trigger = format!("/api/triggers/{}", triggers["items"][0]["id"].as_str().context("no trigger")?);
    let made = api.post(&format!("{trigger}/secrets"), &json!({})).await?;
    let (id, secret) = (made["id"].as_str().context("no id")?, made["secret"].as_str().context("no secret")?);
    let sender = Api::new(&api.url, secret);
    sender.send(Method::POST, "/webhooks/acts", "application/json", json!({ "n": 7 }).to_string()).await?.good()?;
    let deliveries = api.get(&format!("{trigger}/deliveries")).await?;
    let delivery = deliveries["items"][0]["id"].as_str().context("no delivery")?;
    good(api, Method::POST, &format!("/api/deliveries/{delivery}/resend"), Value::Null).await?;
    good(api, Method::DELETE, &format!("{trigger}/secrets/{id}"), Value::Null).await?;
    Ok(())
}

async fn execute(api: &Api, workflow: &str) -> Result<String> {
    let started = api.post(&format!("{workflow}/execute"), &json!({ "input_data": { "n": 7 } })).await?;
    Ok(started["execution_id"].as_str().context("no execution")?.to_owned())
}

/// Tries the first tool that the plugin offers, with whatever it takes.
async fn try_tool(api: &Api) -> Result<()> {
    let plugin = api.get("/api/plugins/text").await?;
    for tool in plugin["descriptor"]["tools"].as_array().context("a plugin without tools")? {
        let name = tool["name"].as_str().context("a tool without a name")?;
        let properties = tool["input_schema"]["properties"].as_object().cloned().unwrap_or_default();
        let texts: serde_json::Map<_, _> = properties.keys().map(|key| (key.clone(), json!("a"))).collect();
        let answer = api.try_post(&format!("/api/plugins/text/tools/{name}/try"), &json!({ "input": texts })).await?;
        if answer.status == 200 {
            return Ok(());
        }
    }
    anyhow::bail!("no tool takes texts")
}

async fn sign_in_and_out(api: &Api) -> Result<()> {
    let stranger = Api::new(&api.url, "");
    let body = json!({ "name": "alice", "password": "correct horse battery" });
    let answer = stranger.try_post("/api/session", &body).await?;
    answer.good()?;
    let cookie = answer.headers.get("set-cookie").context("no cookie")?.to_str()?;
    let cookie = cookie.split(';').next().context("an empty cookie")?;
    let headers = [("cookie", cookie), ("origin", api.url.as_str()), ("content-type", "application/json")];
    let passwords = json!({ "current_password": "correct horse battery", "password": "another battery of horses" });
    let changed = stranger.send_with(Method::POST, "/api/session/password", &headers, passwords.to_string()).await?;
    ensure!(changed.status == 204, "changing the password answered {}", changed.status);
    let left = stranger.send_with(Method::DELETE, "/api/session", &headers, "").await?;
    ensure!(left.status == 204, "signing out answered {}", left.status);
    Ok(())
}

#[tokio::test]
async fn d4_every_act_that_is_done_has_its_row() -> Result<()> {
    let data = Data::with_bundled().await?;
    let script = data.beside("script.yaml");
    std::fs::write(&script, "rules: [{answer: {text: hello}}]")?;
    let model = json!({ "provider": "scripted", "script": script });
    data.configure(&json!({ "models": { "default": model } }).to_string())?;
    let host = data.start().await?;
    let before = host.api.all("/api/audit").await?.len();
    let execution = do_everything(&host.api).await?;
    let rows = host.api.all("/api/audit").await?;
    let mut done = BTreeMap::<String, usize>::new();
    // The newest come first; those of before this test are the oldest.
    for row in rows.iter().rev().skip(before).filter(|row| row["outcome"] == "done") {
        *done.entry(row["act"].as_str().context("a row without an act")?.to_owned()).or_default() += 1;
    }
    // The start of an execution is written down in its own log, with its first event.
    let events = host.api.get(&format!("/api/executions/{execution}/events?format=json")).await?;
    ensure!(events["items"][0]["data"]["trigger"]["started_by"] == "admin", "nobody started it: {events}");
    done.insert("execution.start".to_owned(), 1);
    // A notice can be sent again once it was given up, which takes longer than this test: the host's own tests do it.
    done.insert("notice.retry".to_owned(), 1);
    let missing: Vec<String> = acts()?.into_iter().filter(|act| !done.contains_key(act)).collect();
    ensure!(missing.is_empty(), "these acts have no row, or this test does not do them: {missing:?}");
    let verified = host.api.get("/api/audit/verify").await?;
    ensure!(verified["sound"] == true, "the chain is broken: {verified}");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

/// Saves workflows with names of its own until the host goes away; what was answered with 201.
async fn save_many(api: Api, prefix: String) -> Result<Vec<String>> {
    let mut saved = Vec::new();
    for n in 0.. {
        let mut workflow = sample::asking();
        workflow["name"] = format!("{prefix}-{n}").into();
        match api.post("/api/workflows", &workflow).await {
            Ok(_) => saved.push(format!("{prefix}-{n}")),
            Err(error) if is_crash(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(saved)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_crash_leaves_the_act_and_its_row_or_neither() -> Result<()> {
    let data = Data::new()?;
    let mut answered = BTreeSet::new();
    for kill in 0..KILLS {
        let host = data.start().await?;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(save_many(host.api.clone(), format!("w-{kill}-{client}")));
        }
        let life = Duration::from_millis(rand::rng().random_range(LIFE_MS));
        // A client ends early only with a violation.
        if let Ok(Some(saved)) = timeout(life, clients.join_next()).await {
            answered.extend(saved??);
        }
        host.kill().await?;
        while let Some(saved) = clients.join_next().await {
            answered.extend(saved??);
        }
    }
    let host = data.start().await?;
    let names = |rows: Vec<Value>, field: &str| -> BTreeSet<String> {
        rows.iter().filter_map(|row| row[field].as_str().map(str::to_owned)).collect()
    };
    let stored = names(host.api.all("/api/workflows").await?, "name");
    let rows = names(host.api.all("/api/audit?act=workflow.create").await?, "object");
    ensure!(stored == rows, "acts without a row, or rows without an act: {:?}", stored.symmetric_difference(&rows));
    ensure!(answered.is_subset(&stored), "what was answered is lost");
    ensure!(host.api.get("/api/audit/verify").await?["sound"] == true, "the chain is broken");
    eprintln!("d4: {KILLS} kills, {} workflows, {} of them answered", stored.len(), answered.len());
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test]
async fn a14_a_key_survives_a_crash() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    let path = format!("/api/workflows/{}/execute", sample::asking()["name"].as_str().context("a name")?);
    let headers = [("idempotency-key", "order-7"), ("content-type", "application/json")];
    let body = json!({ "input_data": { "n": 7 } }).to_string();
    let first = host.api.send_with(Method::POST, &path, &headers, body.clone()).await?.good()?;
    host.kill().await?;
    let host = data.start().await?;
    let again = host.api.send_with(Method::POST, &path, &headers, body.clone()).await?;
    ensure!(again.headers.get("idempotent-replayed").is_some_and(|value| value == "true"), "it began again");
    ensure!(again.good()?["execution_id"] == first["execution_id"], "another execution is named");
    ensure!(host.api.all("/api/executions").await?.len() == 1, "there are several executions");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

/// Runs the program with something on its standard input.
async fn typed(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Result<std::process::Output> {
    let mut command = Command::new(program::weir()?);
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    Ok(child.wait_with_output().await?)
}

#[tokio::test]
async fn tokens_users_and_the_audit_log_from_the_command_line() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let environment = [("WEIR_URL", host.api.url.as_str()), ("WEIR_TOKEN", host.api.token.as_str())];
    let here = std::env::temp_dir();
    let run = async |arguments: &[&str]| weir(arguments, &environment, &here).await;
    let made = run(&["tokens", "create", "ci", "--role", "operator,approver", "--expires", "90d"]).await?;
    let token = made.exits(0)?.trim().to_owned();
    let me = Api::new(&host.api.url, &token).get("/api/session").await?;
    ensure!(me["roles"] == json!(["operator", "approver"]), "other roles: {me}");
    ensure!(run(&["tokens", "list"]).await?.exits(0)?.contains("operator,approver"), "the token is not listed");
    run(&["tokens", "revoke", "ci"]).await?.exits(0)?;
    let refused = Api::new(&host.api.url, &token).ask(Method::GET, "/api/session").await?;
    refused.refused(401, "unauthorized")?;
    run(&["tokens", "create", "x", "--role", "root"]).await?.exits(2)?;

    let (first, second) = ("correct horse battery\n", "a battery of new horses\n");
    let added = typed(&["users", "add", "alice", "--role", "author"], &environment, first).await?;
    ensure!(added.status.success(), "alice is not added: {added:?}");
    let own = ["users", "password", "alice", "--own"];
    let stranger = [("WEIR_URL", host.api.url.as_str()), ("WEIR_TOKEN", "")];
    let changed = typed(&own, &stranger, &format!("{first}{second}")).await?;
    ensure!(changed.status.success(), "alice has no new password: {changed:?}");
    let refused = typed(&own, &stranger, &format!("{first}{second}")).await?;
    ensure!(!refused.status.success(), "the old password is still good: {refused:?}");
    let listed = run(&["audit", "list", "--act", "user.change_password"]).await?;
    ensure!(listed.exits(0)?.contains("user:alice"), "the row is missing: {listed:?}");
    run(&["users", "set-roles", "alice", "viewer"]).await?.exits(0)?;
    ensure!(run(&["users", "disable", "alice"]).await?.exits(0)?.contains("disabled"), "she is not disabled");
    ensure!(run(&["--json", "users", "list"]).await?.exits(0)?.contains("\"disabled\": true"), "she is not listed so");
    run(&["users", "delete", "alice"]).await?.exits(0)?;

    let listed = run(&["audit", "list", "--act", "user.create"]).await?;
    ensure!(listed.exits(0)?.contains("alice"), "the row is missing: {listed:?}");
    ensure!(run(&["audit", "verify"]).await?.exits(0)?.contains("sound"), "the log is not sound");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}
