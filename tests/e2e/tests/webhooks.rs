//! W3 over kill -9: whatever happens to the host, the copies of a delivery start one execution.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use weir_e2e::{Data, api::is_crash};

use crate::sample;

/// Copies that are sent at once, each time.
const COPIES: u32 = 100;
/// How often the host is killed while they come in.
const KILLS: u32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w3_copies_start_one_execution_over_kills() -> Result<()> {
    let data = Data::new()?;
    let mut host = data.start().await?;
    let first = sample::hook(&host).await?;
    let (mut ids, mut accepted) = (HashSet::new(), 0);
    for kill in 0..=KILLS {
        let hook = first.at(&host);
        let mut copies = JoinSet::new();
        for _ in 0..COPIES {
            let hook = hook.clone();
            copies.spawn(async move { hook.send("delivery", &json!({ "n": 1 })).await });
        }
        // Each host but the last dies with the first answer, and the other copies with it.
        while let Some(sent) = copies.join_next().await {
            let answer = match sent? {
                Ok(answer) if [200, 202].contains(&answer.status) => answer,
                Ok(answer) => anyhow::bail!("the host answered {}: {}", answer.status, answer.text),
                Err(error) if kill < KILLS && is_crash(&error) => continue,
                Err(error) => return Err(error),
            };
            accepted += u32::from(answer.status == 202);
            ids.insert(answer.json()?["execution_id"].as_str().context("no execution")?.to_owned());
            if kill < KILLS {
                host.kill().await?;
                host = data.start().await?;
                copies.abort_all();
                break;
            }
        }
    }
    ensure!(ids.len() == 1 && accepted <= 1, "{ids:?} were started, {accepted} times");
    let executions = host.api.all("/api/executions?workflow=hooked").await?;
    ensure!(executions.len() == 1, "{} executions were started", executions.len());
    let trigger = &host.api.get("/api/triggers").await?["items"][0];
    ensure!(trigger["fired"] == 1, "the trigger counts wrongly: {trigger}");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test]
async fn d2_a_host_with_another_secret_key_does_not_start() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let hook = sample::hook(&host).await?;
    ensure!(host.stop().await?.success(), "the host did not stop well");
    let file = data.path().join("secret-key");
    let key = std::fs::read(&file).context("reading the key")?;
    let other = b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    std::fs::write(&file, other).context("changing the key")?;
    ensure!(data.start().await.is_err(), "a host started with a wrong key");
    std::fs::remove_file(&file).context("removing the key")?;
    ensure!(data.start().await.is_err(), "a host started without its key");
    let said = data.said()?;
    ensure!(said.contains("sealed with another one") && said.contains("could not find the secret key"), "{said}");
    std::fs::write(&file, key).context("putting the key back")?;
    let host = data.start().await?;
    let answer = hook.at(&host).send("again", &json!({})).await?;
    ensure!(answer.status == 202, "the secret is lost: {}", answer.text);
    let secrets: Vec<u8> = std::fs::read(data.path().join("weir.db")).context("reading the database")?;
    let secret = hook.secret().as_bytes();
    ensure!(!secrets.windows(secret.len()).any(|part| part == secret), "the secret lies in the database");
    ensure!(!data.said()?.contains(hook.secret()), "the secret lies in the log");
    Ok(())
}
