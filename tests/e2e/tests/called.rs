//! Agents that call agents, end to end: their turns in the transcript and on the command line, a tool that needs leave, a host
//! that is killed while a model is asked, limits of their own.

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Asked, Data, Host, Model, Said, host::weir, program};

use crate::follow::{ended, events, start, until};

/// What the agent that is called does: it asks, calls a tool, and asks again.
const ORDERS: &str = "ask inner one;call echo.run {\"n\":1};ask inner two;";

/// The model of both agents: the outer one hands its task on, and repeats what came of it.
fn speech(asked: &Asked) -> Said {
    let last = asked.last();
    match last {
        _ if last.starts_with("inner") => Said::text(&format!("{last} is done")),
        _ if asked.turn() == 0 => Said::call("orders.act", ORDERS.into()),
        _ => Said::text("all is done"),
    }
}

fn workflow(guardrails: Value) -> Value {
    let tools = json!([{ "agent": "orders.act", "guardrails": guardrails }]);
    json!({ "name": format!("outer {guardrails}"), "steps": [{ "id": "lead", "type": "agent", "agent": "agent.agent",
        "agent_prompt": "Have it done.", "agent_config": { "tools": tools } }] })
}

async fn host(model: &Model) -> Result<(Data, Host)> {
    let data = Data::with_bundled().await?;
    data.configure(&model.config(&json!({ "price": { "input": 1.0, "output": 10.0 } })).to_string())?;
    let host = data.start().await?;
    for guest in ["echo", "orders"] {
        host.api.install(&program::guest(guest)?).await?;
    }
    let granted = json!({ "models": ["*"], "tools": [{ "tool": "echo.run", "approval": "required" }] });
    let body = json!({ "granted": granted }).to_string();
    host.api.send(Method::PUT, "/api/plugins/orders/grants", "application/json", body).await?.good()?;
    Ok((data, host))
}

fn is_question(event: &weir_e2e::Event) -> bool {
    event.kind == "deferred"
}

async fn transcript(host: &Host, id: &str) -> Result<Value> {
    host.api.get(&format!("/api/executions/{id}/steps/lead/transcript")).await
}

/// The effects of a transcript with their kinds and how they stand.
fn effects(transcript: &Value) -> Vec<(String, String, String)> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let items = transcript["items"].as_array().into_iter().flatten();
    items.map(|item| (text(item, "effect"), text(item, "kind"), text(item, "status"))).collect()
}

async fn on_the_command_line(host: &Host, data: &Data, id: &str) -> Result<String> {
    let globals = ["--url", &host.api.url, "--token", &host.api.token];
    let ran = weir(&[&["executions", "transcript", id, "lead"], &globals[..]].concat(), &[], &data.path()).await?;
    ran.exits(0).map(str::to_owned)
}

#[tokio::test]
async fn an_agent_that_is_called_asks_a_person_and_goes_on_and_its_turns_are_shown() -> Result<()> {
    let model = Model::start(speech).await?;
    let (data, host) = host(&model).await?;
    let id = start(&host.api, &workflow(json!({})), json!({})).await?;
    let asked = events(&host.api, &id, 1, is_question).await?;
    let shown = transcript(&host, &id).await?;
    let of = |one: (&str, &str, &str)| (one.0.to_owned(), one.1.to_owned(), one.2.to_owned());
    let before = [("1", "model", "ok"), ("2", "tool", "running"), ("2/1", "model", "ok")].map(of);
    ensure!(effects(&shown) == before, "{shown:#}");
    ensure!(shown["items"][2]["parent"] == "2" && shown["items"][1]["parent"].is_null(), "{shown:#}");
    let waiting = &shown["waiting_for"];
    ensure!(waiting.as_array().is_some_and(|all| all.len() == 1), "{waiting:#}");
    ensure!(waiting[0]["effect"] == "2/2" && waiting[0]["tool"] == "echo.run", "{waiting:#}");
    ensure!(waiting[0]["arguments"] == json!({ "n": 1 }), "{waiting:#}");
    ensure!(shown["step"]["status"] == "awaiting_human", "{shown:#}");
    let told = on_the_command_line(&host, &data, &id).await?;
    for line in ["\n  2/1 model default", "2/2 awaiting_human echo.run {\"n\":1}", "approval"] {
        ensure!(told.contains(line), "{line:?} is not told:\n{told}");
    }

    host.kill().await?;
    let host = data.start().await?;
    model.answer_only(model.asked().len());
    let approval = waiting[0]["approval_id"].as_str().context("a question without an id")?;
    let question = asked[0].seq;
    ensure!(approval.ends_with(&format!(".{question}")), "{approval} is not {question}");
    host.api.post(&format!("/api/approvals/{approval}/approve"), &json!({ "option_id": "approve" })).await?;
    // It goes on: the model of the agent that is called holds its answer back.
    model.until_asked(3).await?;
    let shown = transcript(&host, &id).await?;
    ensure!(shown["step"]["status"] == "running" && shown["waiting_for"] == json!([]), "{shown:#}");
    model.answer_only(usize::MAX);
    let end = ended(&host.api, &id).await?;
    ensure!(end["status"] == "completed" && end["output"]["result"] == "all is done", "{end:#}");
    let shown = transcript(&host, &id).await?;
    ensure!(effects(&shown).iter().all(|(_, _, status)| status == "ok"), "{shown:#}");
    let names: Vec<String> = effects(&shown).into_iter().map(|(effect, _, _)| effect).collect();
    ensure!(names == ["1", "2", "2/1", "2/2", "2/3", "3"], "{names:?}");
    ensure!(shown["items"][3]["details"]["decided"]["decision"]["option_id"] == "approve", "{shown:#}");
    ensure!(shown["step"]["usage"]["written_off"].is_null(), "{shown:#}");
    ensure!(model.asked().len() == 4, "something was asked twice: {model:?}");
    let told = on_the_command_line(&host, &data, &id).await?;
    for line in
        ["\n  2/2 tool echo.run ok", "\n  2/3 model default ok", "< inner two is done", "4 requests, 40+20 tokens"]
    {
        ensure!(told.contains(line), "{line:?} is not told:\n{told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_whose_answer_is_lost_is_written_off_and_said_so() -> Result<()> {
    let model = Model::start(speech).await?;
    let (data, host) = host(&model).await?;
    // The second request is that of the agent that is called.
    model.answer_only(1);
    let id = start(&host.api, &workflow(json!({})), json!({})).await?;
    model.until_asked(2).await?;
    host.kill().await?;
    model.answer_only(usize::MAX);
    let host = data.start().await?;
    let asked = events(&host.api, &id, 1, is_question).await?;
    let path = format!("/api/approvals/{id}.{}/approve", asked[0].seq);
    host.api.post(&path, &json!({ "option_id": "reject", "comment": "not today" })).await?;
    let end = ended(&host.api, &id).await?;
    ensure!(end["status"] == "completed" && end["usage"]["requests"] == 5, "{end:#}");
    ensure!(model.asked().len() == 5, "{} requests were sent", model.asked().len());
    let shown = transcript(&host, &id).await?;
    let usage = &shown["step"]["usage"];
    ensure!(usage["models"][0]["requests"] == 4 && usage["written_off"]["requests"] == 1, "{usage:#}");
    for amount in ["requests", "input_tokens", "output_tokens"] {
        let of = |part: &Value| part[amount].as_u64().unwrap_or_default();
        ensure!(of(usage) == of(&usage["models"][0]) + of(&usage["written_off"]), "{amount}: {usage:#}");
    }
    let refused = &shown["items"][3];
    ensure!(refused["effect"] == "2/2" && refused["status"] == "denied", "{refused:#}");
    ensure!(refused["error"]["message"].to_string().contains("not today"), "{refused:#}");
    Ok(())
}

#[tokio::test]
async fn limits_of_an_agent_that_is_called_stop_it_and_name_themselves() -> Result<()> {
    let model = Model::start(speech).await?;
    let (_data, host) = host(&model).await?;
    for (name, value, asked) in [("request_limit", 0, 2), ("tool_calls_limit", 0, 4), ("output_tokens_limit", 0, 2)] {
        let before = model.asked().len();
        let id = start(&host.api, &workflow(json!({ name: value })), json!({})).await?;
        // Also one that may not ask models goes on, and asks a person.
        until(&host.api, &id, 1, is_question).await?;
        host.api.post(&format!("/api/executions/{id}/approve"), &json!({ "option_id": "approve" })).await?;
        let end = ended(&host.api, &id).await?;
        ensure!(end["status"] == "completed", "{name}: {end:#}");
        let shown = transcript(&host, &id).await?;
        let items = shown["items"].as_array().context("no transcript")?;
        let refused: Vec<&Value> = items.iter().filter(|item| item["error"]["details"]["limit"] == name).collect();
        ensure!(!refused.is_empty(), "{name}: nothing was refused: {shown:#}");
        let error = &refused[0]["error"];
        ensure!(refused[0]["parent"] == "2" && error["code"] == "guardrail_exceeded", "{name}: {error:#}");
        ensure!(error["details"]["value"] == value && error["details"]["effect"] == "2", "{name}: {error:#}");
        let message = error["message"].as_str().unwrap_or_default();
        ensure!(message.contains(&format!("its own {name} = {value}")), "{name}: {message}");
        ensure!(model.asked().len() - before == asked, "{name}: {} requests", model.asked().len() - before);
    }
    Ok(())
}
