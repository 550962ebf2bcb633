//! The command line, as a new user meets it.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};
use weir_e2e::{
    Data, Host,
    host::{Ran, send_signal, weir},
    program,
};

use crate::sample;

/// Writes a file and gives its path as text.
fn file(data: &Data, name: &str, text: &str) -> Result<String> {
    let path = data.beside(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path.to_string_lossy().into_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Runs the program as a client of a host.
async fn client(host: &Host, arguments: &[&str]) -> Result<Ran> {
    let environment = [("WEIR_URL", host.api.url.as_str()), ("WEIR_TOKEN", host.api.token.as_str())];
    weir(arguments, &environment, &std::env::temp_dir()).await
}

/// Runs the program without a host.
async fn alone(arguments: &[&str]) -> Result<Ran> {
    weir(arguments, &[("WEIR_URL", "http://127.0.0.1:9")], &std::env::temp_dir()).await
}

fn json_of(ran: &Ran) -> Result<Value> {
    serde_json::from_str(ran.exits(0)?).with_context(|| format!("reading the JSON of {ran:?}"))
}

#[tokio::test]
async fn help_leads_a_new_user_on() -> Result<()> {
    let help = alone(&["--help"]).await?;
    for word in
        ["serve", "run", "validate", "plugin", "workflow", "executions", "approve", "reference", "cron", "Examples:"]
    {
        ensure!(help.exits(0)?.contains(word), "the help does not tell of {word}: {}", help.stdout);
    }
    for command in
        ["serve", "run", "validate", "plugin", "workflow", "executions", "approve", "reference", "cron", "demo"]
    {
        let help = alone(&[command, "--help"]).await?;
        ensure!(help.exits(0)?.contains("Usage: weir"), "{command} has no help: {help:?}");
    }
    let unknown = alone(&["exectuions"]).await?;
    unknown.exits(2)?;
    ensure!(unknown.stderr.contains("executions"), "nothing similar is named: {unknown:?}");
    ensure!(alone(&[]).await?.code == Some(2), "no command at all is a wrong command line");
    ensure!(alone(&["version"]).await?.exits(0)?.starts_with("weir 0."), "it has no version");
    Ok(())
}

#[tokio::test]
async fn validate_tells_everything_that_is_wrong() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let good = file(&data, "good.json", &sample::asking().to_string())?;
    let bad = file(
        &data,
        "bad.yaml",
        "name: bad\nsteps:\n  - { id: a, type: tool }\n  - { id: a, type: teleport }\n  - { id: c, type: condition, condition: { field: $.a.x, operator: almost, value: 1, then_step: nowhere } }\n",
    )?;
    ensure!(client(&host, &["validate", &good]).await?.exits(0)?.contains("valid"), "a good file is not valid");
    alone(&["validate", "--offline", &good]).await?.exits(0)?;
    for found in [client(&host, &["validate", &bad]).await?, alone(&["validate", "--offline", &bad]).await?] {
        let told = found.exits(1)?;
        for problem in ["/steps/0", "/steps/1", "teleport", "almost", "nowhere"] {
            ensure!(told.contains(problem), "{problem} is not told: {told}");
        }
    }
    let found = client(&host, &["--json", "validate", &bad]).await?;
    let found: Value = serde_json::from_str(found.exits(1)?)?;
    ensure!(found["errors"].as_array().is_some_and(|errors| errors.len() >= 4), "too few errors: {found}");
    let broken = file(&data, "broken.json", "{\"name\": ")?;
    let missing = text(&data.beside("missing.json"));
    for path in [broken, missing] {
        let refused = alone(&["validate", "--offline", &path]).await?;
        refused.exits(1)?;
        ensure!(refused.stderr.contains(&path), "the file is not named: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn run_runs_a_workflow_in_this_process() -> Result<()> {
    let data = Data::new()?;
    let workflow = text(&program::workflows().join("invoice_check.yaml"));
    let input = format!("@{}", text(&program::workflows().join("invoice_check.input.json")));
    let (words, tables) = (text(&program::plugin("text")?), text(&program::plugin("data")?));
    let ran = alone(&["run", &workflow, "--input", &input, "--plugin", &words, "--plugin", &tables]).await?;
    let told = ran.exits(0)?;
    for word in ["find", "total", "answer", "completed", "Invoice RE-2026-1107: pay"] {
        ensure!(told.contains(word), "{word} is not told: {told}");
    }
    let asking = file(&data, "asking.json", &sample::asking().to_string())?;
    let ran = alone(&["run", &asking, "--input", "{\"n\": 7}", "--approve", "yes"]).await?;
    ensure!(ran.exits(0)?.contains("\"option\": \"yes\""), "the answer is lost: {ran:?}");
    let ran = alone(&["run", &asking, "--input", "{\"n\": 7}"]).await?;
    ensure!(ran.exits(1)?.contains("--approve"), "it does not say how to answer: {ran:?}");
    let ran = alone(&["run", &workflow, "--input", &input]).await?;
    ran.exits(1)?;
    ensure!(ran.stderr.contains("text.extract") && ran.stderr.contains("find"), "it does not say what lacks: {ran:?}");
    Ok(())
}

#[tokio::test]
async fn run_goes_on_with_the_data_of_before() -> Result<()> {
    let data = Data::with_bundled().await?;
    let directory = text(&data.path());
    let workflow = text(&program::workflows().join("invoice_check.yaml"));
    let input = format!("@{}", text(&program::workflows().join("invoice_check.input.json")));
    let ran = alone(&["--json", "run", &workflow, "--input", &input, "--data", &directory]).await?;
    let last = ran.exits(0)?.lines().last().context("no output")?;
    let execution: Value = serde_json::from_str(last).with_context(|| format!("reading {last}"))?;
    ensure!(execution["status"] == "completed", "the last line is not the execution: {execution}");
    let failing = json!({ "name": "failing", "steps": [
        { "id": "find", "type": "tool", "tool": "text.sentiment", "tool_args": { "text": "$.input.missing" } } ] });
    let failing = file(&data, "failing.json", &failing.to_string())?;
    let ran = alone(&["run", &failing, "--data", &directory]).await?;
    ensure!(ran.exits(1)?.contains("reference_not_found"), "it does not say why: {ran:?}");
    Ok(())
}

#[tokio::test]
async fn plugins_are_inspected_and_added() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let words = text(&program::plugin("text")?);
    let inspected = alone(&["plugin", "inspect", &words]).await?;
    for word in ["text", "text.detect_language(", "digest", "imports"] {
        ensure!(inspected.exits(0)?.contains(word), "{word} is not told: {inspected:?}");
    }
    let echo = text(&program::guest("echo")?);
    let inspected = json_of(&alone(&["--json", "plugin", "inspect", &echo]).await?)?;
    ensure!(inspected["descriptor"]["name"] == "echo", "another descriptor: {inspected}");
    let junk = file(&data, "junk.wasm", "not a component")?;
    for refused in [alone(&["plugin", "inspect", &junk]).await?, client(&host, &["plugin", "add", &junk]).await?] {
        refused.exits(1)?;
        ensure!(refused.stderr.contains("junk.wasm") && refused.stderr.contains("component"), "why? {refused:?}");
    }
    let added = json_of(&client(&host, &["--json", "plugin", "add", &echo]).await?)?;
    ensure!(added["digest"] == inspected["digest"], "other bytes: {added}");
    ensure!(client(&host, &["plugin", "list"]).await?.exits(0)?.contains("enabled"), "it is not listed");
    client(&host, &["plugin", "disable", "echo"]).await?.exits(0)?;
    client(&host, &["plugin", "enable", "echo"]).await?.exits(0)?;
    client(&host, &["plugin", "delete", "echo"]).await?.exits(0)?;
    ensure!(host.api.all("/api/plugins").await?.is_empty(), "it is still there");
    Ok(())
}

#[tokio::test]
async fn executions_are_listed_answered_and_cancelled() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let asking = file(&data, "asking.json", &sample::asking().to_string())?;
    ensure!(client(&host, &["workflow", "apply", &asking]).await?.exits(0)?.contains("version 1"), "not saved");
    ensure!(client(&host, &["workflow", "apply", &asking]).await?.exits(0)?.contains("unchanged"), "saved again");
    ensure!(client(&host, &["workflow", "list"]).await?.exits(0)?.contains("asking"), "not listed");
    let input = file(&data, "input.json", "{\"n\": 3}")?;
    let execute = ["workflow", "execute", "asking", "--input", &format!("@{input}"), "--detach"];
    let ids = [client(&host, &execute).await?, client(&host, &execute).await?];
    let ids: Vec<&str> = ids.iter().map(|ran| Ok(ran.exits(0)?.trim())).collect::<Result<_>>()?;
    for id in &ids {
        host.api.asked(id).await?;
    }
    let listed = json_of(&client(&host, &["executions", "list", "--json", "--status", "awaiting_human"]).await?)?;
    ensure!(listed["items"].as_array().map(Vec::len) == Some(2), "not both are listed: {listed}");
    let asked = client(&host, &["approvals", "list"]).await?;
    ensure!(asked.exits(0)?.contains("yes|no") && asked.stdout.contains("Is 3 fine?"), "no question: {asked:?}");
    let wrong = client(&host, &["approve", ids[0], "--option", "perhaps"]).await?;
    wrong.exits(1)?;
    ensure!(wrong.stderr.contains("yes") && wrong.stderr.contains("no"), "the options are not named: {wrong:?}");
    client(&host, &["approve", ids[0], "--option", "no", "--comment", "never"]).await?.exits(0)?;
    let again = client(&host, &["approve", ids[0], "--option", "yes"]).await?;
    again.exits(1)?;
    ensure!(again.stderr.contains("no") && again.stderr.contains("decided"), "the first answer is not told: {again:?}");
    client(&host, &["executions", "cancel", ids[1], "--reason", "late"]).await?.exits(0)?;
    client(&host, &["executions", "cancel", ids[1]]).await?.exits(1)?;
    ensure!(client(&host, &["executions", "watch", ids[0]]).await?.exits(0)?.contains("completed"), "not watched");
    client(&host, &["executions", "watch", ids[1]]).await?.exits(1)?;
    let shown = client(&host, &["executions", "show", ids[1]]).await?;
    ensure!(shown.exits(0)?.contains("cancelled"), "it is not cancelled: {shown:?}");
    Ok(())
}

#[tokio::test]
async fn budgets_are_set_listed_and_deleted() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let arguments = ["budgets", "set", "team", "--period", "month", "--cost", "2.5", "--requests", "10"];
    client(&host, &arguments).await?.exits(0)?;
    let arguments = ["budgets", "set", "each", "--each-workflow", "--period", "hour", "--tool-calls", "7"];
    client(&host, &arguments).await?.exits(0)?;
    let listed = client(&host, &["budgets", "list"]).await?;
    let told = listed.exits(0)?;
    for word in [
        "team",
        "all executions",
        "2.5 dollars a month",
        "10 requests a month",
        "each workflow",
        "7 tool calls an hour",
    ] {
        ensure!(told.contains(word), "{word} is not told: {told}");
    }
    let shown = client(&host, &["--json", "budgets", "show", "team"]).await?;
    let shown: Value = serde_json::from_str(shown.exits(0)?)?;
    ensure!(shown["limits"]["max_cost_dollars"] == 2.5 && shown["scope"] == "host", "{shown}");
    client(&host, &["budgets", "delete", "team"]).await?.exits(0)?;
    client(&host, &["budgets", "show", "team"]).await?.exits(1)?;
    client(&host, &["budgets", "set", "team", "--period", "week", "--requests", "1"]).await?.exits(2)?;
    let nothing = client(&host, &["budgets", "set", "team", "--period", "day"]).await?;
    nothing.exits(1)?;
    ensure!(nothing.stderr.contains("limits nothing"), "{nothing:?}");
    Ok(())
}

#[tokio::test]
async fn links_to_a_question_are_made_listed_and_taken_back() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    host.api.post("/api/workflows", &sample::asking()).await?;
    let started = host.api.post("/api/workflows/asking/execute", &json!({ "input_data": { "n": 1 } })).await?;
    let execution = started["execution_id"].as_str().context("an answer without an id")?;
    let question = format!("{execution}.{}", host.api.asked(execution).await?);
    let made = client(&host, &["approvals", "link", &question, "--for", "pat@example.com"]).await?;
    let url = made.exits(0)?.trim().to_owned();
    let listed = json_of(&client(&host, &["approvals", "links", &question, "--json"]).await?)?;
    let link = listed["items"][0]["id"].as_str().with_context(|| format!("no link in {listed}"))?;
    client(&host, &["approvals", "revoke-link", &question, link]).await?.exits(0)?;
    client(&host, &["approvals", "revoke-link", &question, link]).await?.exits(1)?;
    let listed = client(&host, &["approvals", "links", &question]).await?;
    let told = listed.exits(0)?;
    ensure!(told.contains("pat@example.com") && told.contains("revoked") && !told.contains(&url), "{told}");
    Ok(())
}

#[tokio::test]
async fn references_are_explained_to_authors() -> Result<()> {
    let data = Data::new()?;
    let scope = format!("@{}", file(&data, "scope.json", r#"{"input": {"a": [1, 2]}, "who": {"name": "Ada"}}"#)?);
    for (expression, expected) in [
        ("$.input.a[1]", "2"),
        ("$.input.a[*]", "[\n  1,\n  2\n]"),
        ("Dear {{ $.who.name }}", "\"Dear Ada\""),
        (r#"{"n": "$.input.a[0]"}"#, "{\n  \"n\": 1\n}"),
    ] {
        let told = alone(&["reference", expression, "--scope", &scope]).await?;
        ensure!(told.exits(0)?.trim() == expected, "{expression} is {told:?}");
    }
    let missing = alone(&["reference", "$.who.age", "--scope", &scope]).await?;
    ensure!(missing.exits(1)?.contains("$.who.age"), "it does not say what is missing: {missing:?}");
    let broken = alone(&["reference", "$.who[", "--scope", &scope]).await?;
    broken.exits(1)?;
    ensure!(broken.stderr.contains("could not read the expression"), "it does not say what is wrong: {broken:?}");
    Ok(())
}

#[tokio::test]
async fn schedules_are_explained_to_authors() -> Result<()> {
    let cron = async |more: &[&str]| alone(&[&["cron", "next"], more].concat()).await;
    let berlin = ["30 2 * * *", "--timezone", "europe/berlin", "--from", "2026-03-28T12:00:00+01:00", "-n", "2"];
    let told = cron(&berlin).await?;
    ensure!(told.exits(0)? == "2026-03-29T03:00:00+02:00\n2026-03-30T02:30:00+02:00\n", "other instants: {told:?}");
    let told = json_of(&cron(&[&berlin[..], &["--json"]].concat()).await?)?;
    ensure!(told["timezone"] == "Europe/Berlin" && told["next"][0] == "2026-03-29T03:00:00+02:00", "other: {told}");
    ensure!(cron(&["@daily"]).await?.exits(0)?.lines().count() == 10, "not ten from now");
    for (arguments, words) in [
        (["0 25 * * *", "--timezone=UTC"], "hour field of the schedule at character 3: 25 is out of range"),
        (["0 25 * * *", "--timezone=UTC"], "\n  0 25 * * *\n    ^\n"),
        (["@daily", "--timezone=Europe/Atlantis"], "IANA"),
        (["0 0 30 2 *", "--timezone=UTC"], "no date in the next 8 years"),
        (["@daily", "--from=tomorrow"], "RFC 3339"),
    ] {
        let refused = cron(&arguments).await?;
        refused.exits(1)?;
        ensure!(refused.stderr.contains(words), "{words} is not told: {refused:?}");
    }
    cron(&["@daily", "-n", "0"]).await?.exits(2)?;
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_down_or_strange_is_explained() -> Result<()> {
    let down = alone(&["executions", "list"]).await?;
    down.exits(1)?;
    ensure!(down.stderr.contains("weir serve") && down.stderr.contains("127.0.0.1:9"), "no help: {down:?}");
    let url = alone(&["--url", "localhost", "executions", "list"]).await?;
    url.exits(1)?;
    ensure!(url.stderr.contains("http://"), "no help: {url:?}");
    let data = Data::new()?;
    let host = data.start().await?;
    let (here, url) = (std::env::temp_dir(), ("WEIR_URL", host.api.url.as_str()));
    let token = weir(&["executions", "list"], &[url, ("WEIR_TOKEN", "x")], &here).await?;
    token.exits(1)?;
    ensure!(token.stderr.contains("token"), "no help: {token:?}");
    // With the data directory the token is found.
    weir(&["executions", "list", "--data", &text(&data.path())], &[url], &here).await?.exits(0)?;
    let taken = text(&data.beside("other"));
    let address = host.api.url.trim_start_matches("http://");
    let taken = weir(&["serve", "--data", &taken, "--listen", address], &[], &std::env::temp_dir()).await?;
    taken.exits(1)?;
    ensure!(taken.stderr.contains(address) && taken.stderr.contains("--listen"), "no help: {taken:?}");
    Ok(())
}

#[tokio::test]
async fn triggers_are_listed_switched_and_fired() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    let flow = "name: flow\ntrigger: { type: cron, id: yearly, config: { schedule: 0 0 1 1 *, timezone: Europe/Berlin } }\n\
                steps: [{ id: a, type: condition, condition: { field: $.trigger.id, operator: exists } }]\n";
    let good = file(&data, "flow.yaml", flow)?;
    let bad = file(&data, "bad.yaml", &flow.replace("0 0 1 1 *", "0 24 1 1 *"))?;
    for found in [client(&host, &["validate", &bad]).await?, alone(&["validate", "--offline", &bad]).await?] {
        let told = found.exits(1)?;
        ensure!(told.contains("/trigger/config/schedule") && told.contains("character 3"), "not told: {told}");
    }
    let saved = json_of(&client(&host, &["--json", "workflow", "apply", &good]).await?)?;
    let id = saved["triggers"][0]["id"].as_str().context("a workflow without its trigger")?;
    let list = client(&host, &["triggers", "list", "--workflow", "flow", "--type", "cron"]).await?;
    ensure!(list.exits(0)?.contains(id) && list.stdout.contains("yearly"), "not listed: {list:?}");
    ensure!(client(&host, &["triggers", "show", id]).await?.exits(0)?.contains("Europe/Berlin"), "not shown");
    let next = client(&host, &["triggers", "next", id, "-n", "3"]).await?;
    ensure!(next.exits(0)?.lines().filter(|line| line.contains("-12-31T23:00:00")).count() == 3, "another: {next:?}");
    client(&host, &["triggers", "disable", id]).await?.exits(0)?;
    ensure!(client(&host, &["triggers", "list"]).await?.exits(0)?.contains(" no "), "it is not off");
    client(&host, &["triggers", "enable", id]).await?.exits(0)?;
    let fired = client(&host, &["triggers", "fire", id, "--input", "{\"n\": 1}"]).await?;
    let execution = host.api.ended(fired.exits(0)?.trim()).await?;
    ensure!(execution["input_data"] == json!({ "n": 1 }) && execution["status"] == "completed", "{execution}");
    let occurrences = client(&host, &["triggers", "occurrences", id]).await?;
    ensure!(occurrences.exits(0)?.contains("fired"), "no occurrence: {occurrences:?}");
    client(&host, &["triggers", "show", "nothing"]).await?.exits(1)?;
    Ok(())
}

/// What the demo tells whoever watches it.
fn told_all(told: &str, more: &[&str]) -> Result<()> {
    ensure!(told.starts_with("listening on http://127.0.0.1:"), "another first line: {told}");
    let plugins = ["text 0.1.0", "data 0.1.0", "triage 0.1.0"];
    let steps = ["customer_messages", "invoice_check", "each[11].rate", "asks:", "completed"];
    let agent = ["running ask_agent with a model (scripted)", "negative", "it took 2 model requests, 3 tool calls"];
    let triggers =
        ["*/10 * * * * * (Europe/Berlin)", "It is 20", "POST /webhooks/orders", "A-1007 is confirmed", "duplicate"];
    for word in plugins.iter().chain(&steps).chain(&agent).chain(&triggers).chain(more) {
        ensure!(told.contains(word), "{word} is not told: {told}");
    }
    ensure!(!told.contains('\u{1b}'), "colours where no terminal is: {told}");
    Ok(())
}

/// Runs the program until it tells `word`, interrupts it as Ctrl-C does, and gives what it told.
async fn until_interrupted(arguments: &[&str], word: &str) -> Result<String> {
    let mut command = Command::new(program::weir()?);
    command
        .args(arguments)
        .env_remove("WEIR_URL")
        .env_remove("WEIR_TOKEN")
        .env_remove("WEIR_MODEL_URL")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("starting the program")?;
    let mut lines = BufReader::new(child.stdout.take().context("taking its output")?).lines();
    let mut told = String::new();
    while let Some(line) = lines.next_line().await? {
        told += &line;
        told.push('\n');
        if line.contains(word) {
            send_signal(child.id().context("it has ended by itself")?, Signal::INT)?;
        }
    }
    let status = child.wait().await?;
    ensure!(status.success(), "it ended with {status} after: {told}");
    Ok(told)
}

#[tokio::test]
async fn the_demo_goes_from_nothing_to_a_digest() -> Result<()> {
    let data = Data::new()?;
    let (plugins, workflows, directory) = (text(&program::plugins()?), text(&program::workflows()), text(&data.path()));
    let mut arguments = vec!["demo", "--data", &directory, "--plugins", &plugins, "--workflows", &workflows];
    arguments.extend(["--listen", "127.0.0.1:0", "--approve", "escalate", "--once"]);
    let ran = alone(&arguments).await.context("running the demo once")?;
    told_all(ran.exits(0)?, &["escalate (by admin)", "Customer messages:"])?;
    // The second time goes on with the same data, leaves the question to others, and serves until it is told to stop.
    arguments.truncate(arguments.len() - 3);
    let told = until_interrupted(&arguments, "serving on").await.context("running the demo again")?;
    let onward = ["where to go on", "curl -H", "approvals list", "webhook-signature: v1,"];
    told_all(&told, &[&onward[..], &[" --option escalate   (or queue)", "/approve/wl_"]].concat())?;
    let host = data.start().await?;
    let known = async |status: &str, workflow: &str| {
        host.api.all(&format!("/api/executions?status={status}&workflow={workflow}")).await
    };
    ensure!(known("completed", "customer_messages").await?.len() == 1, "an execution is lost");
    ensure!(known("awaiting_human", "customer_messages").await?.len() == 1, "an execution is lost");
    ensure!(known("completed", "order_received").await?.len() == 2, "a webhook started nothing, or something twice");
    Ok(())
}
