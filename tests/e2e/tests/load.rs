//! R8: many clients at once are served, none is refused.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use weir_e2e::{Api, Data};

use crate::sample;

const CLIENTS: u64 = 50;
const STARTS: u64 = 200;
const RACES: u32 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_many_clients() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let api = Arc::new(Api::new(&host.api.url, &host.api.token));
        clients.spawn(async move { load(&api, client).await });
    }
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    while let Some(client) = clients.join_next().await {
        for status in client?? {
            *statuses.entry(status).or_default() += 1;
        }
    }
    eprintln!("r8: {statuses:?} in {:?}", began.elapsed());
    let all = u32::try_from(CLIENTS * STARTS)?;
    ensure!(statuses == BTreeMap::from([(200, all), (202, all)]), "some requests were refused: {statuses:?}");
    let ended = host.api.all("/api/executions?status=completed").await?.len();
    ensure!(ended == usize::try_from(all)?, "{ended} of {all} executions completed");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    let said = data.said()?;
    ensure!(!said.contains("locked"), "the database was locked: {said}");
    Ok(())
}

/// Starts executions and answers what they ask, each some starts later, so that both happen at once.
async fn load(api: &Api, client: u64) -> Result<Vec<u16>> {
    let mut statuses = Vec::new();
    let mut open = std::collections::VecDeque::new();
    for n in 0..STARTS {
        let body = json!({ "input_data": { "n": client * STARTS + n } });
        let answer = api.try_post("/api/workflows/asking/execute", &body).await?;
        statuses.push(answer.status);
        let accepted = answer.good()?;
        open.push_back(accepted["execution_id"].as_str().context("an answer without an id")?.to_owned());
        if n >= client % 8
            && let Some(execution) = open.pop_front()
        {
            statuses.push(approve(api, &execution).await?);
        }
    }
    for execution in open {
        statuses.push(approve(api, &execution).await?);
    }
    Ok(statuses)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_of_many_answers_the_first_counts() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    for n in 0..RACES {
        let accepted = host.api.post("/api/workflows/asking/execute", &json!({ "input_data": { "n": n } })).await?;
        let id = accepted["execution_id"].as_str().context("an answer without an id")?.to_owned();
        let mut racers = JoinSet::new();
        for racer in 0..8 {
            let (api, path) = (host.api.clone(), format!("/api/executions/{id}/approve"));
            let option = if racer % 2 == 0 { "yes" } else { "no" };
            racers.spawn(async move {
                Ok::<_, anyhow::Error>((option, api.try_post(&path, &json!({ "option_id": option })).await?))
            });
        }
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for raced in racers.join_all().await {
            let (option, answer) = raced?;
            if answer.status == 200 { first.push(option) } else { others.push(answer.refused(409, "already_decided")?) }
        }
        ensure!(first.len() == 1, "{} answers counted", first.len());
        for problem in others {
            let told = &problem["details"]["approval"]["decision"]["option_id"];
            ensure!(*told == first[0], "{told} was told, but {first:?} counted");
        }
        ensure!(host.api.ended(&id).await?["output"]["option"] == first[0], "another answer was taken");
    }
    let said = data.said()?;
    ensure!(!said.contains("ERROR"), "the host complained: {said}");
    Ok(())
}

async fn approve(api: &Api, execution: &str) -> Result<u16> {
    let path = format!("/api/executions/{execution}/approve");
    Ok(api.try_post(&path, &json!({ "option_id": "yes" })).await?.status)
}
