//! Tools that need leave, asked for by agents in branches, in a loop and by agents that were called: whatever the order of the
//! answers, and though the host is killed between them, each answer lets its own call go on, once.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};
use weir_e2e::{Data, Event, Host, Model, Said, log, program};

use crate::follow::{ended, events, start, until};

/// The calls that need leave, by the path of the step that waits and the effect of it.
const CALLS: [(&str, &str); 6] = [
    ("both.left", "1"),
    ("both.each[0].work", "1"),
    ("both.each[1].work", "1"),
    ("both.each[2].work", "1"),
    ("both.crowd", "1/1"),
    ("both.crowd", "2/1"),
];

/// An agent step that sends one request, and says which.
fn agent(id: &str, order: &str) -> Value {
    json!({ "id": id, "type": "agent", "agent": "orders.act", "agent_prompt": { "order": order },
        "agent_config": { "tools": ["orders.act"] } })
}

fn workflow(name: &str, model: &Model) -> Value {
    let send =
        |n: &str| format!("call http.request {{\"method\":\"POST\",\"url\":\"http://{}/effects/{n}\"}}", model.address);
    let each = json!({ "id": "each", "type": "loop", "loop_config": { "items_path": "$.input.items", "max_concurrency": 3,
        "steps": [agent("work", &format!("{};", send("each-{{ $.item }}")))] } });
    // The called agents' orders are cut at commas, and this request has one.
    let called =
        format!("all 2 orders.act call http.request {{\"url\":\"http://{}/effects/called-#\"}},;", model.address);
    json!({ "name": name, "steps": [{ "id": "both", "type": "parallel",
        "parallel_steps": [agent("left", &format!("{};", send("left"))), each, agent("crowd", &called)] }] })
}

async fn host(model: &Model) -> Result<(Data, Host)> {
    let data = Data::with_bundled().await?;
    data.configure(&model.config(&json!({ "free": true })).to_string())?;
    let host = data.start().await?;
    host.api.install(&program::guest("orders")?).await?;
    let granted = json!({ "models": ["*"], "tools": [{ "tool": "http.request", "approval": "required" }] });
    let body = json!({ "granted": granted }).to_string();
    host.api.send(Method::PUT, "/api/plugins/orders/grants", "application/json", body).await?.good()?;
    Ok((data, host))
}

/// The questions of an execution by the call that they are about.
async fn questions(host: &Host, id: &str) -> Result<BTreeMap<(String, String), u64>> {
    let asked = events(&host.api, id, CALLS.len(), |event: &Event| event.kind == "deferred").await?;
    let text = |event: &Event, name: &str| event.data[name].as_str().unwrap_or_default().to_owned();
    let found: BTreeMap<_, _> =
        asked.iter().map(|event| ((text(event, "path"), text(event, "effect")), event.seq)).collect();
    let expected = CALLS.iter().map(|(path, effect)| ((*path).to_owned(), (*effect).to_owned()));
    ensure!(
        found.keys().cloned().collect::<Vec<_>>() == {
            let mut all: Vec<_> = expected.collect();
            all.sort();
            all
        },
        "{found:?}"
    );
    Ok(found)
}

/// The steps of agents that have completed.
async fn completed(host: &Host, id: &str) -> Result<Vec<String>> {
    let steps = host.api.all(&format!("/api/executions/{id}/steps")).await?;
    let done = steps.iter().filter(|step| step["type"] == "agent" && step["status"] == "completed");
    Ok(done.filter_map(|step| step["path"].as_str()).map(str::to_owned).collect())
}

/// Answers the questions in this order, and kills the host after each: at once, or when what the answer allows is done.
async fn answer_all(order: &[usize], hasty: bool, model: &Model, data: &Data, mut host: Host) -> Result<Host> {
    let name = format!("{order:?} {hasty}");
    let before = model.effects().len();
    let id = start(&host.api, &workflow(&name, model), json!({ "items": [0, 1, 2] })).await?;
    let questions = questions(&host, &id).await?;
    let mut answered: Vec<(&str, &str)> = Vec::new();
    for index in order {
        let (path, effect) = CALLS[*index];
        let question = questions[&(path.to_owned(), effect.to_owned())];
        let body = json!({ "option_id": "approve" });
        host.api.post(&format!("/api/approvals/{id}.{question}/approve"), &body).await?;
        answered.push((path, effect));
        // An agent that asks twice goes on when both are answered.
        let done = CALLS
            .iter()
            .filter(|(path, _)| CALLS.iter().filter(|(other, _)| other == path).all(|call| answered.contains(call)));
        let mut done: Vec<String> = done.map(|(path, _)| (*path).to_owned()).collect();
        done.dedup();
        if !hasty {
            let agents = RefCell::new(BTreeSet::new());
            let is_done = |event: &Event| {
                if event.kind == "step_started" && event.data["kind"] == "agent" {
                    agents.borrow_mut().insert(event.seq);
                }
                let call = event.data["call"].as_u64().unwrap_or_default();
                event.kind == "step_completed" && agents.borrow().contains(&call)
            };
            until(&host.api, &id, done.len(), is_done)
                .await
                .with_context(|| format!("{name} after {path} {effect}"))?;
            let mut completed = completed(&host, &id).await?;
            completed.sort();
            done.sort();
            ensure!(completed == done, "{name}: after {path} {effect} {completed:?} are done, and not {done:?}");
        }
        host.kill().await?;
        host = data.start().await?;
    }
    let end = ended(&host.api, &id).await?;
    ensure!(end["status"] == "completed", "{name}: {end:#}");
    log::check(&log::read(&host.api, &id).await?).with_context(|| name.clone())?;
    check_effects(&name, hasty, &model.effects()[before..], &end)?;
    Ok(host)
}

/// Each call was made, under one name, and once; where the host was killed in the middle of it perhaps again.
fn check_effects(name: &str, hasty: bool, effects: &[weir_e2e::Asked], end: &Value) -> Result<()> {
    let mut counts = BTreeMap::<&str, Vec<&str>>::new();
    for effect in effects {
        counts.entry(&effect.path).or_default().push(effect.idempotency_key());
    }
    ensure!(counts.len() == CALLS.len(), "{name}: {counts:?}");
    for (path, keys) in &counts {
        ensure!(keys.iter().all(|key| *key == keys[0]), "{name}: {path} has several names: {keys:?}");
        ensure!(hasty || keys.len() == 1, "{name}: {path} was done {} times", keys.len());
    }
    // Four calls of the steps' own agents, two agents that were called, and their two calls.
    ensure!(end["usage"]["tool_calls"] == 8, "{name}: {}", end["usage"]);
    Ok(())
}

#[tokio::test]
async fn questions_of_tools_in_any_order_with_kills_let_their_own_call_go_on_once() -> Result<()> {
    let model = Model::start(|_| Said::text("yes")).await?;
    let (data, mut host) = host(&model).await?;
    let forward: Vec<usize> = (0..CALLS.len()).collect();
    let backward: Vec<usize> = forward.iter().rev().copied().collect();
    let mut orders = vec![forward.clone(), backward];
    for _ in 0..3 {
        let mut order = forward.clone();
        order.shuffle(&mut rand::rng());
        orders.push(order);
    }
    for (n, order) in orders.iter().enumerate() {
        host = answer_all(order, n % 2 == 1, &model, &data, host).await?;
    }
    Ok(())
}
