//! D1: secrets that people and senders say by accident, wherever something can be said, are not kept.

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Api, Data, Host};

use crate::{
    sample,
    secrets::{Canary, ensure_nothing_is_written, set},
};

const JSON: &str = "application/json";

/// A request that has a secret in it.
struct Slip {
    method: Method,
    path: String,
    kind: String,
    body: String,
}

fn slip(method: Method, path: impl Into<String>, kind: &str, body: impl ToString) -> Slip {
    Slip { method, path: path.into(), kind: kind.to_owned(), body: body.to_string() }
}

/// What senders say: in bodies of every type, also in one that is refused, and in the query.
fn of_senders(canary: &Canary) -> Vec<Slip> {
    let (value, escaped) = (&canary.value, canary.escaped());
    let post = |path: &str, kind: &str, body: &str| slip(Method::POST, path, kind, body);
    vec![
        post("/webhooks/hook", JSON, &format!(" {}\n", json!({ "a": value, value: 1 }))),
        post("/webhooks/hook", JSON, &format!("{{{value:?}: 1, {value:?}: 2}}")),
        post("/webhooks/hook", "application/x-www-form-urlencoded", &format!("a={escaped}&{escaped}=b")),
        post("/webhooks/hook", "text/plain", &format!("{value}, and more")),
        post("/webhooks/hook", value, ""),
        post(&format!("/webhooks/hook?q={escaped}"), JSON, "{}"),
        post(&format!("/webhooks/{escaped}"), JSON, "{}"),
    ]
}

/// Events with a secret in each attribute.
fn of_events(canary: &Canary) -> impl Iterator<Item = Slip> {
    let attributes = ["id", "source", "subject", "type", "more"];
    attributes.into_iter().map(|attribute| {
        let mut event =
            json!({ "specversion": "1.0", "id": attribute, "source": "/tests", "type": "com.example.said" });
        event[attribute] = json!(canary.value);
        slip(Method::POST, "/api/events", "application/cloudevents+json", event)
    })
}

/// Definitions with a secret in a name, a text, a list and a key.
fn of_authors(canary: &Canary) -> impl Iterator<Item = Slip> {
    let value = &canary.value;
    let members = [
        ("name", json!(value)),
        ("description", json!(format!("uses {value}"))),
        ("output", json!({ "a": [1, format!("Bearer {value}")] })),
        ("output", json!({ value: 1 })),
    ];
    members.into_iter().map(|(member, said)| {
        let mut definition = sample::asking();
        definition["name"] = json!("told");
        definition[member] = said;
        slip(Method::POST, "/api/workflows", JSON, definition)
    })
}

/// What stands where a name belongs, as the password does in the field above.
fn of_people(canary: &Canary, approval: &str) -> Vec<Slip> {
    let (value, escaped) = (&canary.value, canary.escaped());
    let post = |path: &str, body: Value| slip(Method::POST, path, JSON, body);
    let put = |path: &str, body: Value| slip(Method::PUT, format!("{path}/{escaped}"), JSON, body);
    vec![
        post("/api/tokens", json!({ "name": value, "roles": ["viewer"] })),
        post("/api/users", json!({ "name": value, "roles": ["viewer"], "password": value })),
        post("/api/session", json!({ "name": value, "password": value })),
        post(&format!("/api/workflows/{escaped}/execute"), json!({})),
        post(&format!("/api/executions/{escaped}/cancel"), json!({})),
        post("/api/workflows/asking/execute", json!({ "input_data": {}, value: 1 })),
        post(&format!("/api/approvals/{approval}/reassign"), json!({ "users": ["alice", value] })),
        post(&format!("/api/approvals/{approval}/links"), json!({ "name": value })),
        slip(Method::POST, "/api/plugins", "application/wasm", value),
        put("/api/budgets", json!({ "scope": "host", "period": "day", "limits": { "request_limit": 1 } })),
        put("/api/secrets", json!({ "value": "another-value" })),
        put("/api/workflows", sample::asking()),
    ]
}

/// Sends these requests, with the secret in headers as well, and gives the answers' status codes.
async fn say(api: &Api, canary: &Canary, slips: impl IntoIterator<Item = Slip>) -> Result<Vec<u16>> {
    let value = &canary.value;
    let mut answered = Vec::new();
    for (n, Slip { method, path, kind, body }) in slips.into_iter().enumerate() {
        let id = format!("{n} {value}");
        let headers = [("content-type", kind.as_str()), ("x-id", &id), ("x-said", value), ("idempotency-key", value)];
        answered.push(api.send_with(method, &path, &headers, body).await?.status);
    }
    Ok(answered)
}

async fn ensure_masked(host: &Host, canary: &Canary) -> Result<()> {
    let trigger = host.api.get("/api/triggers").await?["items"][0]["id"].clone();
    let trigger = trigger.as_str().context("no trigger")?.to_owned();
    let deliveries = host.api.all(&format!("/api/triggers/{trigger}/deliveries")).await?;
    let id = deliveries.last().and_then(|first| first["id"].as_str()).context("no delivery")?;
    let first = host.api.get(&format!("/api/deliveries/{id}")).await?;
    ensure!(first["body"].as_str().is_some_and(|body| body.contains("[secret ")), "nothing was masked: {first:#}");
    for path in
        [format!("/api/triggers/{trigger}/deliveries"), "/api/events".to_owned(), "/api/audit?limit=199".to_owned()]
    {
        let shown = host.api.get(&path).await?.to_string();
        ensure!(shown.contains("[secret "), "nothing was masked at {path}: {shown}");
        canary.ensure_absent(&path, shown.as_bytes())?;
    }
    host.api.post(&format!("/api/deliveries/{id}/resend"), &json!({})).await.map(drop)
}

#[tokio::test]
async fn d1_secrets_that_people_and_senders_say_are_not_kept() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    let hook = sample::hook(&host).await?;
    let started = host.api.post("/api/workflows/asking/execute", &json!({ "input_data": { "n": 1 } })).await?;
    let execution = started["execution_id"].as_str().context("no execution")?;
    host.api.asked(execution).await?;
    let asked = host.api.get(&format!("/api/executions/{execution}/approvals")).await?["items"][0]["id"].clone();
    let question = asked.as_str().context("nothing is asked")?;
    // One that is spelled otherwise in many places, and one that fits wherever a name does.
    let canaries = [Canary::new(), Canary::of_letters()];
    for (n, canary) in canaries.iter().enumerate() {
        set(&host.api, &format!("canary-{n}"), &canary.value).await?;
    }
    for canary in &canaries {
        let answered = say(hook.api(), canary, of_senders(canary)).await?;
        ensure!(answered == [202, 400, 202, 202, 415, 202, 404], "senders were answered {answered:?}");
        let answered = say(&host.api, canary, of_events(canary)).await?;
        ensure!(answered.iter().filter(|status| **status == 202).count() >= 3, "events were answered {answered:?}");
        let answered = say(&host.api, canary, of_authors(canary)).await?;
        ensure!(answered == [422; 4], "authors were answered {answered:?}");
        let answered = say(&host.api, canary, of_people(canary, question)).await?;
        let refused = [422, 422, 401, 404, 404, 422, 422, 422, 422, 422, 422, 404];
        ensure!(answered == refused, "people were answered {answered:?}");
        ensure_masked(&host, canary).await?;
    }
    host.kill().await?;
    canaries.iter().try_for_each(|canary| ensure_nothing_is_written(&data, canary, ""))
}
