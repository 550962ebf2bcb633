//! Waiting for what an execution does, by its events, and not for ever.

use std::{future::Future, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;
use weir_e2e::{Api, Event};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a workflow that is saved for that, and gives the execution's id.
pub(crate) async fn start(api: &Api, workflow: &Value, input: Value) -> Result<String> {
    let saved = api.post("/api/workflows", workflow).await?;
    let workflow = saved["id"].as_str().context("a workflow without an id")?;
    let accepted = api.post(&format!("/api/workflows/{workflow}/execute"), &json!({ "input_data": input })).await?;
    Ok(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned())
}

/// Waits until the log of an execution has as many events of a kind, and gives those.
pub(crate) async fn events(
    api: &Api,
    id: &str,
    count: usize,
    is_wanted: impl Fn(&Event) -> bool,
) -> Result<Vec<Event>> {
    let wait = async {
        let (mut events, mut seen) = (api.events(id, 0).await?, Vec::new());
        while seen.len() < count {
            let batch = events.next().await?;
            ensure!(!batch.is_empty(), "execution {id} ended after {} of {count} events", seen.len());
            seen.extend(batch.into_iter().filter(|event| is_wanted(event)));
        }
        Ok(seen)
    };
    within(format!("{count} events"), wait).await
}

/// The same, if it does not matter which.
pub(crate) async fn until(api: &Api, id: &str, count: usize, is_wanted: impl Fn(&Event) -> bool) -> Result<()> {
    events(api, id, count, is_wanted).await.map(drop)
}

/// Waits until an execution has a status, and shows it then.
pub(crate) async fn until_status(api: &Api, id: &str, status: &str) -> Result<Value> {
    let wait = async {
        let mut events = api.events(id, 0).await?;
        loop {
            let shown = api.get(&format!("/api/executions/{id}")).await?;
            if shown["status"] == status {
                return Ok(shown);
            }
            let batch = events.next().await?;
            ensure!(!batch.is_empty(), "execution {id} ended: {shown:#}");
        }
    };
    within(format!("the status {status}"), wait).await
}

/// Waits until an execution has ended, and shows it.
pub(crate) async fn ended(api: &Api, id: &str) -> Result<Value> {
    within("the end".to_owned(), api.ended(id)).await
}

async fn within<T>(what: String, wait: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, wait).await.with_context(|| format!("waited in vain for {what}"))?
}
