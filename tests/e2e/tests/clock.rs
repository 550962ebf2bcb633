//! R9: the clock is set, forward and back, under hosts that run, that are killed, and that were down meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use weir_e2e::{
    Api, Clock, Data, Host,
    api::Answer,
    host::{PATIENCE, weir},
};

/// A workflow without plugins, that a schedule starts.
fn scheduled(name: &str, config: &Value) -> Value {
    json!({
        "name": name,
        "trigger": { "type": "cron", "config": config },
        "steps": [{ "id": "a", "type": "condition", "condition": { "field": "$.trigger.id", "operator": "exists" } }],
    })
}

async fn save(api: &Api, name: &str, config: Value) -> Result<()> {
    api.post("/api/workflows", &scheduled(name, &config)).await.map(drop)
}

/// The trigger of a workflow.
async fn trigger(api: &Api, name: &str) -> Result<Value> {
    let all = api.all("/api/triggers").await?;
    all.into_iter().find(|trigger| trigger["workflow_name"] == name).with_context(|| format!("no trigger of {name}"))
}

/// Waits until the schedule of a workflow has started so many executions.
async fn fired(api: &Api, name: &str, times: u64) -> Result<Value> {
    let began = Instant::now();
    let mut turn = tokio::time::interval(Duration::from_millis(10));
    loop {
        turn.tick().await;
        let trigger = trigger(api, name).await?;
        if trigger["fired"].as_u64() >= Some(times) {
            return Ok(trigger);
        }
        ensure!(began.elapsed() < PATIENCE, "{name} did not start {times} times: {trigger}");
    }
}

/// Waits, by a schedule of every second, until the host has looked at its schedules at an instant of its clock, or later.
async fn looked(host: &Host, after: Timestamp) -> Result<()> {
    save(&host.api, "look", json!({ "schedule": "* * * * * *" })).await?;
    let began = Instant::now();
    let mut turn = tokio::time::interval(Duration::from_millis(10));
    loop {
        turn.tick().await;
        let look = trigger(&host.api, "look").await?;
        let last = look["last_at"].as_str().map(at).transpose()?;
        if last.is_some_and(|last| last > after) {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "the host does not look at its schedules: {look}");
    }
    host.api.ask(Method::DELETE, "/api/workflows/look").await?.good().map(drop)
}

/// Fired, skipped and failed of a workflow's schedule.
async fn counts(api: &Api, name: &str) -> Result<[u64; 3]> {
    let trigger = trigger(api, name).await?;
    let count = |field: &str| trigger[field].as_u64().with_context(|| format!("no {field} in {trigger}"));
    Ok([count("fired")?, count("skipped")?, count("failed")?])
}

/// The instants for which a workflow's schedule started something, oldest first; each started another execution.
async fn instants(api: &Api, name: &str) -> Result<Vec<String>> {
    let id = trigger(api, name).await?["id"].as_str().context("a trigger without an id")?.to_owned();
    let occurrences = api.all(&format!("/api/triggers/{id}/occurrences")).await?;
    let fired: Vec<&Value> = occurrences.iter().filter(|row| row["status"] == "fired").collect();
    let mut executions: Vec<&str> = fired.iter().filter_map(|row| row["execution_id"].as_str()).collect();
    executions.sort_unstable();
    executions.dedup();
    ensure!(executions.len() == fired.len(), "two occurrences share an execution: {fired:?}");
    let instants = fired.iter().filter_map(|row| row["scheduled_for"].as_str());
    let mut instants = instants.map(at).collect::<Result<Vec<Timestamp>>>()?;
    instants.sort_unstable();
    Ok(instants.iter().map(Timestamp::to_string).collect())
}

fn at(text: &str) -> Result<Timestamp> {
    text.parse().with_context(|| format!("reading the instant {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_no_jump_of_the_clock_starts_anything_twice_or_loses_more_than_the_policy_says() -> Result<()> {
    let data = Data::new()?;
    let clock = Clock::new(&data)?;
    clock.set(at("2027-03-02T10:59:50Z")?)?;
    let host = clock.start(&data).await?;
    for (name, policy) in [("once", "run_once"), ("all", "run_all"), ("none", "skip")] {
        save(&host.api, name, json!({ "schedule": "0 * * * *", "catch_up": policy, "overlap": "allow" })).await?;
    }
    let all = async |host: &Host| -> Result<_> {
        Ok([counts(&host.api, "once").await?, counts(&host.api, "all").await?, counts(&host.api, "none").await?])
    };

    // Forward by three days, under a host that sleeps until the next hour: 73 hours have come.
    clock.set(at("2027-03-05T11:30:00Z")?)?;
    looked(&host, at("2027-03-05T11:30:00Z")?).await?;
    fired(&host.api, "all", 73).await?;
    ensure!(all(&host).await? == [[1, 72, 0], [73, 0, 0], [0, 73, 0]], "after three days: {:?}", all(&host).await?);
    ensure!(instants(&host.api, "once").await? == ["2027-03-05T11:00:00Z"], "not the newest hour");

    // Back by an hour and a half, and over the same hours again.
    for (from, until) in [("09:59:58", "10:00:01"), ("10:59:58", "11:00:01")] {
        clock.set(at(&format!("2027-03-05T{from}Z"))?)?;
        looked(&host, at(&format!("2027-03-05T{until}Z"))?).await?;
    }
    ensure!(all(&host).await? == [[1, 72, 0], [73, 0, 0], [0, 73, 0]], "after going back: {:?}", all(&host).await?);

    // Killed, and down for an hour that is on time again.
    host.kill().await?;
    clock.set(at("2027-03-05T12:00:01Z")?)?;
    let host = clock.start(&data).await?;
    for name in ["once", "all", "none"] {
        fired(&host.api, name, if name == "all" { 74 } else { u64::from(name == "once") + 1 }).await?;
    }
    ensure!(all(&host).await? == [[2, 72, 0], [74, 0, 0], [1, 73, 0]], "on time: {:?}", all(&host).await?);

    // Killed, and behind the last second of 2038 that fits into 32 bits.
    host.kill().await?;
    clock.set(at("2038-01-19T03:30:00Z")?)?;
    let host = clock.start(&data).await?;
    let hours = (at("2038-01-19T03:00:00Z")?.as_second() - at("2027-03-05T12:00:00Z")?.as_second()) / 3600;
    let hours = u64::try_from(hours)?;
    fired(&host.api, "all", 174).await?;
    fired(&host.api, "once", 3).await?;
    looked(&host, at("2038-01-19T03:30:00Z")?).await?;
    let wanted = [[3, 72 + hours - 1, 0], [174, hours - 100, 0], [1, 73 + hours, 0]];
    ensure!(all(&host).await? == wanted, "in 2038: {:?}, not {wanted:?}", all(&host).await?);

    // Killed, and back in the year that was: nothing until the cursor is passed again.
    host.kill().await?;
    clock.set(at("2027-03-05T12:59:58Z")?)?;
    let host = clock.start(&data).await?;
    looked(&host, at("2027-03-05T13:00:01Z")?).await?;
    ensure!(all(&host).await? == wanted, "back from 2038: {:?}, not {wanted:?}", all(&host).await?);
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_changes_of_the_clocks_and_leap_days_are_caught_up_once() -> Result<()> {
    let data = Data::new()?;
    let clock = Clock::new(&data)?;
    clock.set(at("2027-03-26T12:00:00Z")?)?;
    let host = clock.start(&data).await?;
    let nightly =
        json!({ "schedule": "30 2 * * *", "timezone": "Europe/Berlin", "catch_up": "run_all", "overlap": "allow" });
    save(&host.api, "nightly", nightly).await?;
    save(&host.api, "leap", json!({ "schedule": "0 0 29 2 *" })).await?;

    // On 28 March clocks go from 2:00 to 3:00: there is no 2:30, and the first instant after the gap counts.
    host.kill().await?;
    clock.set(at("2027-03-29T12:00:00Z")?)?;
    let host = clock.start(&data).await?;
    fired(&host.api, "nightly", 3).await?;
    let spring = ["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"];
    ensure!(instants(&host.api, "nightly").await? == spring, "{:?}", instants(&host.api, "nightly").await?);

    // On 31 October 2:30 comes twice, and counts once; the host runs, and its clock jumps over it, and back into the hour.
    for (from, until, times) in [
        ("2027-10-31T00:29:58Z", "2027-10-31T00:30:01Z", 104),
        ("2027-10-31T01:29:58Z", "2027-10-31T01:30:01Z", 104),
        ("2027-10-31T00:29:58Z", "2027-10-31T00:30:01Z", 104),
        ("2027-11-01T01:29:58Z", "2027-11-01T01:30:01Z", 105),
    ] {
        clock.set(at(from)?)?;
        looked(&host, at(until)?).await?;
        let trigger = fired(&host.api, "nightly", times).await?;
        ensure!(trigger["fired"] == times, "it started too often until {until}: {trigger}");
    }
    let instants = instants(&host.api, "nightly").await?;
    let autumn = ["2027-10-30T00:30:00Z", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"];
    ensure!(instants.ends_with(&autumn.map(str::to_owned)), "{instants:?}");

    host.kill().await?;
    clock.set(at("2028-03-01T06:00:00Z")?)?;
    let host = clock.start(&data).await?;
    let leap = fired(&host.api, "leap", 1).await?;
    ensure!(leap["next_at"].as_str().is_some_and(|next| next.starts_with("2032-02-29T00:00:00")), "{leap}");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

/// Asks a person, who has so many seconds.
async fn ask(api: &Api, seconds: f64) -> Result<String> {
    let name = format!("asks at {}", Timestamp::now().as_nanosecond());
    let workflow = json!({ "name": name, "steps": [{ "id": "ask", "type": "human", "human_config": {
        "notification": "?", "options": [{ "id": "yes" }], "timeout_minutes": seconds / 60.0, "on_timeout": "fail" } }] });
    let saved = api.post("/api/workflows", &workflow).await?;
    let id = saved["id"].as_str().context("a workflow without an id")?;
    let started = api.post(&format!("/api/workflows/{id}/execute"), &json!({ "input_data": {} })).await?;
    Ok(started["execution_id"].as_str().context("an answer without an id")?.to_owned())
}

async fn status(api: &Api, execution: &str) -> Result<String> {
    let shown = api.get(&format!("/api/executions/{execution}")).await?;
    Ok(shown["status"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_p5_a_question_lapses_when_the_clock_says_so_and_never_before() -> Result<()> {
    let data = Data::new()?;
    let clock = Clock::new(&data)?;
    let host = clock.start(&data).await?;

    // Forward over the time of a question that waits: it lapses, and is not decided.
    let (hour, first) = (ask(&host.api, 3_600.0).await?, ask(&host.api, 2.0).await?);
    clock.turn(SignedDuration::from_hours(2))?;
    for execution in [&first, &hour] {
        let ended = host.api.ended(execution).await?;
        ensure!(ended["status"] == "failed", "it did not lapse: {ended}");
        let late =
            host.api.try_post(&format!("/api/executions/{execution}/approve"), &json!({ "option_id": "yes" })).await?;
        late.refused(409, "already_decided")?;
    }

    // Back by an hour: two seconds are an hour and two seconds then. A question that is asked later lapses first.
    let (early, answered) = (ask(&host.api, 2.0).await?, ask(&host.api, 3.0).await?);
    clock.turn(SignedDuration::from_hours(-1))?;
    let other = ask(&host.api, 4.0).await?;
    ensure!(host.api.ended(&other).await?["status"] == "failed", "it did not lapse");
    ensure!(status(&host.api, &early).await? == "awaiting_human", "a question lapsed before its time");
    host.api.post(&format!("/api/executions/{answered}/approve"), &json!({ "option_id": "yes" })).await?;
    ensure!(host.api.ended(&answered).await?["status"] == "completed", "the answer did not count");

    // Killed, and up again before its time, and then after it.
    host.kill().await?;
    let host = clock.start(&data).await?;
    ensure!(status(&host.api, &early).await? == "awaiting_human", "a question lapsed before its time");
    host.kill().await?;
    clock.turn(SignedDuration::from_hours(1))?;
    let host = clock.start(&data).await?;
    let ended = host.api.ended(&early).await?;
    ensure!(ended["status"] == "failed", "it did not lapse: {ended}");
    let listed = host.api.get("/api/approvals").await?;
    ensure!(listed["items"] == json!([]), "something is still asked: {listed}");
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

/// A sender of signed webhooks.
struct Sender<'a> {
    host: &'a Host,
    secret: &'a str,
}

impl Sender<'_> {
    /// A delivery, signed by a clock: the host's, or the real one.
    async fn signed(&self, id: &str, clock: Option<&Clock>) -> Result<Value> {
        let clock = clock.map(Clock::environment);
        let mut environment = vec![("WEIR_URL", self.host.api.url.as_str()), ("WEIR_WEBHOOK_SECRET", self.secret)];
        environment.extend(clock.iter().flatten().map(|(name, value)| (*name, value.as_str())));
        let arguments =
            ["--json", "webhooks", "sign", "hook", "--scheme", "standard_webhooks", "--id", id, "--body", "{}"];
        let signed = weir(&arguments, &environment, &std::env::temp_dir()).await?;
        serde_json::from_str(signed.exits(0)?).context("reading a signed request")
    }

    async fn send(&self, signed: &Value) -> Result<Answer> {
        let headers = signed["headers"].as_object().context("a request without headers")?;
        let headers: Vec<(&str, &str)> =
            headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
        let stranger = Api::new(&self.host.api.url, "");
        let body = signed["body"].as_str().context("a request without a body")?.to_owned();
        stranger.send_with(Method::POST, "/webhooks/hook", &headers, body).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_w1_webhooks_are_as_old_as_both_clocks_say_and_copies_start_nothing_whatever_the_time() -> Result<()> {
    let data = Data::new()?;
    let clock = Clock::new(&data)?;
    let host = clock.start(&data).await?;
    let mut workflow = scheduled("hooked", &json!({}));
    workflow["trigger"] =
        json!({ "type": "webhook", "config": { "path": "hook", "auth": { "scheme": "standard_webhooks" } } });
    let saved = host.api.post("/api/workflows", &workflow).await?;
    let secret = saved["secrets"][0]["secret"].as_str().context("no secret was made")?.to_owned();
    let sender = Sender { host: &host, secret: &secret };
    let first = sender.signed("first", None).await?;
    let started = sender.send(&first).await?;
    ensure!(started.status == 202, "{started:?}");
    let execution = started.json()?["execution_id"].clone();

    for minutes in [10, -10] {
        clock.set_right()?;
        clock.turn(SignedDuration::from_mins(minutes))?;
        let by_real_time = sender.signed(&format!("real {minutes}"), None).await?;
        sender.send(&by_real_time).await?.refused(401, "unauthorized")?;
        let by_its_time = sender.signed(&format!("its {minutes}"), Some(&clock)).await?;
        ensure!(sender.send(&by_its_time).await?.status == 202, "the sender's clock and the host's say the same");
        sender.send(&first).await?.refused(401, "unauthorized")?;
        let copy = sender.signed("first", Some(&clock)).await?;
        let answer = sender.send(&copy).await?;
        ensure!(answer.status == 200 && answer.json()?["execution_id"] == execution, "no copy: {answer:?}");
    }

    clock.set_right()?;
    host.kill().await?;
    clock.turn(SignedDuration::from_hours(6 * 24))?;
    let host = clock.start(&data).await?;
    let sender = Sender { host: &host, secret: &secret };
    let copy = sender.signed("first", Some(&clock)).await?;
    let answer = sender.send(&copy).await?;
    ensure!(answer.status == 200 && answer.json()?["execution_id"] == execution, "no copy after six days: {answer:?}");
    let executions = host.api.all("/api/executions").await?;
    ensure!(executions.len() == 3, "{} executions were started", executions.len());
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}
