//! D1: a secret that goes out over HTTP, and that servers and models repeat in every spelling, turns up nowhere: neither in
//! what a plugin, a model, a person, a client or a collector is told, nor in anything that is written.

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Asked, Data, Host, Model, Said, host::weir};

use crate::{
    follow::{ended, start},
    secrets::{Canary, ensure_nothing_is_written},
};

/// What a request has in its header.
const HEADER: &str = "Bearer {{secret:canary}}";

/// A model that has the secret from somewhere: it has it sent, and says it.
fn speech(asked: &Asked, model: &str, secret: &str) -> Said {
    match asked.turn() {
        0 => Said::call(
            "http.request",
            json!({ "url": format!("http://{model}/echo/model"), "headers": { "authorization": HEADER } }),
        ),
        _ => Said::text(&format!("the secret is {secret}, so much is clear")),
    }
}

fn workflow(model: &Model) -> Value {
    let url = format!("http://{}/echo/tool", model.address);
    let send = json!({ "id": "send", "type": "tool", "tool": "http.request",
        "tool_args": { "url": url, "headers": { "authorization": HEADER } } });
    let ask = json!({ "id": "ask", "type": "agent", "agent": "agent.agent", "agent_prompt": "It said {{ $.send.json }}.",
        "agent_config": { "tools": ["http.request"] } });
    json!({ "name": "canary", "steps": [send, ask], "output": { "sent": "$.send", "asked": "$.ask" } })
}

async fn host(model: &Model, canary: &Canary) -> Result<(Data, Host)> {
    let data = Data::with_bundled().await?;
    let mut config = model.config(&json!({ "free": true }));
    config["otel"] = json!({ "endpoint": format!("http://{}", model.address) });
    data.configure(&config.to_string())?;
    let host = data.start().await?;
    let secret = json!({ "value": canary.value, "hosts": [model.address.to_string()] }).to_string();
    host.api.send(Method::PUT, "/api/secrets/canary", "application/json", secret).await?.good()?;
    Ok((data, host))
}

/// Everything that clients are shown of an execution.
async fn shown(host: &Host, data: &Data, id: &str) -> Result<Vec<(String, String)>> {
    let paths = [
        format!("/api/executions/{id}"),
        format!("/api/executions/{id}/steps?limit=199"),
        format!("/api/executions/{id}/steps/send/transcript"),
        format!("/api/executions/{id}/steps/ask/transcript"),
        format!("/api/executions/{id}/events?format=json&limit=199"),
        "/api/executions".to_owned(),
        "/api/audit?limit=199".to_owned(),
        "/api/secrets".to_owned(),
        "/metrics".to_owned(),
    ];
    let mut shown = Vec::new();
    for path in paths {
        let answer = host.api.ask(Method::GET, &path).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text);
        shown.push((path, answer.text));
    }
    let globals = ["--url", &host.api.url, "--token", &host.api.token];
    for step in ["send", "ask"] {
        let ran = weir(&[&["executions", "transcript", id, step], &globals[..]].concat(), &[], &data.path()).await?;
        shown.push((format!("the transcript of {step}"), format!("{}{}", ran.exits(0)?, ran.stderr)));
    }
    Ok(shown)
}

#[tokio::test]
async fn d1_a_secret_that_is_echoed_in_every_spelling_turns_up_nowhere() -> Result<()> {
    let canary = Canary::new();
    let secret = canary.value.clone();
    let model = Model::start(move |asked| {
        let address = asked.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        speech(asked, address, &secret)
    })
    .await?;
    let (data, host) = host(&model, &canary).await?;
    model.answer_only(0);
    let id = start(&host.api, &workflow(&model), json!({})).await?;
    // Whoever watches sees pieces of answers as they come.
    let watched = host.api.events(&id, 0).await?;
    model.answer_only(usize::MAX);
    let end = ended(&host.api, &id).await?;
    ensure!(end["status"] == "completed", "{end:#}");
    let told = end["output"].to_string();
    ensure!(told.contains("[secret canary]"), "nothing was masked: {told}");
    let stream = watched.raw().await?;
    ensure!(String::from_utf8_lossy(&stream).contains("so much is clear"), "no answer was streamed");
    canary.ensure_absent("the stream of events", &stream)?;
    for (place, text) in shown(&host, &data, &id).await? {
        canary.ensure_absent(&place, text.as_bytes())?;
    }
    // It was sent: what is looked for is there to be found.
    let sent: Vec<Asked> = model.reached("/echo/");
    ensure!(sent.len() == 2, "{} requests were sent", sent.len());
    let header = |asked: &Asked| asked.headers.get("authorization").map(|value| value.as_bytes().to_vec());
    let whole = format!("Bearer {}", canary.value).into_bytes();
    ensure!(sent.iter().all(|asked| header(asked).as_ref() == Some(&whole)), "the secret was not sent");
    // The model was told what the tools said, and nothing more.
    for asked in model.asked() {
        canary.ensure_absent("a request to the model", &asked.bytes)?;
        ensure!(asked.body.to_string().contains("[secret canary]"), "it was not told: {}", asked.body);
    }
    canary.ensure_absent("the traces", &model.traces().await?)?;
    host.kill().await?;
    ensure_nothing_is_written(&data, &canary, "")?;
    ensure!(data.path().join("weir.db-wal").exists(), "there is no log of the database to look through");
    let host = data.start().await?;
    let shown = shown(&host, &data, &id).await?;
    shown
        .iter()
        .try_for_each(|(place, text)| canary.ensure_absent(place, text.as_bytes()))
        .context("after a restart")?;
    Ok(())
}
