//! What starts workflows by itself, at work: a schedule that fires, and a signed webhook that is delivered twice.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::{Value, json};

use super::input_of;
use crate::{
    cli::{
        file,
        out::{Ink, Out, brief, text_of},
        webhooks::Signed,
    },
    client::{Client, ClientError, Method, Sent, segment},
    trigger::webhook::Scheme,
    vault::Secret,
};

/// A schedule that is due within this time is waited for.
const WAIT: Duration = Duration::from_secs(15);
/// How often is asked whether a schedule has fired: there is no stream of what triggers do.
const PAUSE: Duration = Duration::from_millis(100);

/// Shows the first schedule and the first webhook of the saved workflows at work; answers with a command line that starts
/// something.
pub(super) async fn show(client: &Client, url: &str, workflows: &Path, out: Out) -> anyhow::Result<Option<String>> {
    out.say(&format!("\n{}", out.ink(Ink::Strong, "triggers")));
    if let Some(schedule) = first(client, "cron").await? {
        show_schedule(client, &schedule, out).await?;
    }
    match first(client, "webhook").await? {
        Some(webhook) => show_webhook(client, url, workflows, &webhook, out).await.map(Some),
        None => Ok(None),
    }
}

async fn first(client: &Client, kind: &str) -> anyhow::Result<Option<Value>> {
    let page = client.get(&format!("/api/triggers?type={kind}&limit=1")).await?;
    Ok(page["items"].as_array().and_then(|items| items.first()).cloned())
}

/// Waits until a schedule has fired once more, then switches it off again: a demo should not start things for ever.
async fn show_schedule(client: &Client, schedule: &Value, out: Out) -> anyhow::Result<()> {
    let path = format!("/api/triggers/{}", segment(&text_of(schedule, "id")));
    let enabled = client.post(&format!("{path}/enable"), json!({})).await?;
    let (words, zone) = (text_of(&schedule["config"], "schedule"), text_of(&schedule["config"], "timezone"));
    let name = text_of(schedule, "workflow_name");
    out.say(&format!("  schedule  {words} ({zone}) starts {name}; next at {}", text_of(&enabled, "next_at")));
    let fired = wait_for_fire(client, &path, &enabled).await?;
    client.post(&format!("{path}/disable"), json!({})).await?;
    let Some(execution_id) = fired else {
        out.say("            it is not due soon; `weir triggers fire` starts it by hand");
        return Ok(());
    };
    say_execution(client, &execution_id, out).await?;
    out.say("            switched off again; `weir triggers enable` lets it go on");
    Ok(())
}

/// The execution of the schedule's next occurrence.
async fn wait_for_fire(client: &Client, path: &str, before: &Value) -> anyhow::Result<Option<String>> {
    let began = Instant::now();
    while began.elapsed() < WAIT {
        if client.get(path).await?["fired"] != before["fired"] {
            let page = client.get(&format!("{path}/occurrences?limit=1")).await?;
            return Ok(page["items"][0]["execution_id"].as_str().map(str::to_owned));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

/// Says how an execution ended, once it has.
async fn say_execution(client: &Client, id: &str, out: Out) -> anyhow::Result<()> {
    let mut events = client.events(id, 0).await?;
    let ended = async {
        while events.next().await?.is_some() {}
        Ok::<_, ClientError>(())
    };
    if let Ok(ended) = tokio::time::timeout(WAIT, ended).await {
        ended?;
    }
    let execution = client.get(&format!("/api/executions/{}", segment(id))).await?;
    let status = text_of(&execution, "status");
    out.say(&format!("            execution {id} {}: {}", out.status(&status), brief(&execution["output"], 80)));
    Ok(())
}

/// Delivers a signed webhook, the same one twice, and gives another as a command line.
async fn show_webhook(
    client: &Client,
    url: &str,
    workflows: &Path,
    webhook: &Value,
    out: Out,
) -> anyhow::Result<String> {
    let (name, path) = (text_of(webhook, "workflow_name"), text_of(webhook, "url_path"));
    let scheme = text_of(&webhook["config"]["auth"], "scheme");
    out.say(&format!("  webhook   POST {path} ({scheme}) starts {name}"));
    let scheme = Scheme::parse(&scheme).context("the webhook has no scheme that can be signed")?;
    let secret = new_secret(client, &text_of(webhook, "id")).await?;
    let body = sample(workflows, &name)?;
    let sign = || Signed::new(format!("{url}{path}"), scheme, &secret, None, ("application/json".into(), body.clone()));
    let signed = sign()?;
    let received = deliver(client, &path, &signed).await?;
    say_execution(client, &text_of(&received, "execution_id"), out).await?;
    let again = deliver(client, &path, &signed).await?;
    out.say(&format!("            the same delivery again: {}, nothing is started twice", text_of(&again, "status")));
    Ok(sign()?.curl())
}

/// A secret that this demo knows; those of demos before are taken away.
async fn new_secret(client: &Client, trigger_id: &str) -> anyhow::Result<Secret> {
    let path = format!("/api/triggers/{}/secrets", segment(trigger_id));
    for old in client.get(&path).await?["items"].as_array().into_iter().flatten() {
        client.send(Method::DELETE, &format!("{path}/{}", segment(&text_of(old, "id"))), Sent::Nothing).await?;
    }
    let made = client.post(&path, json!({})).await?;
    Ok(Secret::new(made["secret"].as_str().context("the host made no secret")?))
}

/// The input that lies beside the definition of this name.
fn sample(workflows: &Path, name: &str) -> anyhow::Result<String> {
    match input_of(&workflows.join(format!("{name}.yaml"))) {
        Some(input) => {
            Ok(String::from_utf8(file::read(&input)?).context("the webhook's body is no text")?.trim_end().to_owned())
        }
        None => Ok("{}".to_owned()),
    }
}

async fn deliver(client: &Client, path: &str, signed: &Signed) -> anyhow::Result<Value> {
    let body = Sent::Bytes("application/json", Bytes::from(signed.body.clone()));
    let headers: Vec<_> = signed.headers.iter().filter(|(name, _)| *name != "content-type").cloned().collect();
    Ok(client.send_with(Method::POST, path, body, &headers).await?)
}
