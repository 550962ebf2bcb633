//! One test for each guest program, of the same name.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};
use weir_host::runtime::{CallHost, Effect, Powerless, ToolCall, limits};

use super::{
    outside::h24_requests,
    powers::h10_powers,
    support::{each, ends_in_time, failed, json, perform, request, run, shared},
};
use crate::driver::{effects::h25_greedy, limits::orders};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

macro_rules! each_guest_has_a_test {
    ($($name:ident)*) => { $(const _: fn() = $name;)* };
}
foreach_guest!(each_guest_has_a_test);

#[tokio::test(flavor = "multi_thread")]
async fn echo() {
    let outcome = run("echo", r#"{"a": [1, 2, "ü"]}"#).await;
    assert_eq!(outcome.result.unwrap().text(), r#"{"a": [1, 2, "ü"]}"#);
    assert!(outcome.report.fuel.is_some_and(|fuel| fuel > 0 && fuel < 1_000_000));
    assert!(outcome.report.logs.is_empty());

    let outcome = run("echo", r#"{"log": true}"#).await;
    assert_eq!(outcome.report.logs[0].message, "execution step 0");
    assert_eq!(outcome.report.logs[0].level, "info");
}

/// What becomes of it is shown end to end; the sandbox itself knows no secrets.
#[tokio::test(flavor = "multi_thread")]
async fn d1_leak() {
    let leak = async |how: &str| run("d1_leak", &format!(r#"{{"how":"{how}","a":"hunter2-","b":"hunter2"}}"#)).await;
    assert!(leak("plain").await.result.unwrap().text().contains("Bearer hunter2-hunter2"));
    assert!(leak("base64").await.result.unwrap().text().contains("aHVudGVyMi1odW50ZXIy"));
    assert!(failed(leak("panic").await, FailureCode::PluginTrap).message.contains("hunter2-hunter2"));
    let lines = leak("log").await.report.logs;
    assert!(lines.iter().any(|line| line.message.ends_with("hunter2…")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures() {
    let cases = [
        ("invalid", FailureCode::InvalidInput),
        ("denied", FailureCode::Denied),
        ("unavailable", FailureCode::Unavailable),
        ("failed", FailureCode::Failed),
        ("no_such_page", FailureCode::PluginFailure),
    ];
    for (input, code) in cases {
        let failure = failed(run("failures", &format!("{input:?}")).await, code);
        assert_eq!(failure.message, r"could not do it: \u{1b}[31mred");
        if code == FailureCode::PluginFailure {
            assert_eq!(failure.details.unwrap().text(), r#"{"code":"no_such_page"}"#);
        }
    }
    let failure = failed(run("failures", "\"Not A Name\"").await, FailureCode::PluginFailure);
    assert_eq!(failure.details.unwrap().text(), r#"{"code":"unnamed"}"#);
    let failure = failed(run("failures", "\"long\"").await, FailureCode::Failed);
    assert!(failure.message.len() < 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_spin() {
    let mut call = request("h1_spin", "null").await;
    call.fuel = Some(10_000_000);
    let outcome = perform(call.clone()).await;
    assert_eq!(outcome.report.fuel, Some(10_000_000));
    failed(outcome, FailureCode::FuelExhausted);

    call.fuel = Some(limits::FUEL_MAX);
    call.timeout = Duration::from_millis(200);
    ends_in_time(&call, FailureCode::Timeout, call.timeout, Duration::from_millis(250)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_memory_fill() {
    let mut call = request("h2_memory_fill", "null").await;
    call.fuel = Some(limits::FUEL_MAX);
    call.timeout = Duration::from_millis(300);
    ends_in_time(&call, FailureCode::Timeout, call.timeout, Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_memory_bomb() {
    let mut call = request("h3_memory_bomb", "null").await;
    for (asked, limit) in [(None, limits::MEMORY_BYTES_DEFAULT), (Some(8 << 20), 8 << 20), (Some(1 << 40), 256 << 20)] {
        call.memory_bytes = asked;
        let failure = failed(perform(call.clone()).await, FailureCode::MemoryLimit);
        let details = failure.details.unwrap();
        assert_eq!(details.value()["limit_bytes"], limit);
        assert!(details.value()["wanted_bytes"].as_u64().unwrap() <= limit + (16 << 20));
    }
    call.memory_bytes = Some(64 << 10);
    failed(perform(call).await, FailureCode::MemoryLimit);
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_recursion() {
    let call = request("h5_recursion", "null").await;
    for _ in 0..1_000 {
        failed(perform(call.clone()).await, FailureCode::StackOverflow);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_giant_output() {
    failed(run("h6_giant_output", "\"just_over\"").await, FailureCode::OutputTooLarge);
    let mut huge = request("h6_giant_output", "\"huge\"").await;
    huge.memory_bytes = Some(200 << 20);
    failed(perform(huge).await, FailureCode::OutputTooLarge);
    let failure = failed(run("h6_giant_output", "\"deep\"").await, FailureCode::InvalidOutput);
    assert!(failure.message.contains("nested deeper"), "{}", failure.message);
    failed(run("h6_giant_output", "\"keys\"").await, FailureCode::OutputTooLarge);
    assert_eq!(run("h6_giant_output", "\"\"").await.result.unwrap().text(), "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_log_flood() {
    let outcome = run("h7_log_flood", "5000").await;
    assert!(outcome.result.is_ok());
    let logs = outcome.report.logs;
    assert_eq!(logs.len(), 1_001);
    assert!(logs.iter().map(|line| line.message.len()).sum::<usize>() <= (64 << 10) + 200);
    assert_eq!(logs[0].message, r"line 0\n\u{1b}[2Jinfo: all is well\r\u{202e}");
    assert!(logs[1_000].message.starts_with("4002 lines dropped"), "{}", logs[1_000].message);

    let outcome = run("h7_log_flood", "1000000").await;
    assert!(outcome.report.logs.len() <= 1_001);
    failed(outcome, FailureCode::HostCallLimit);

    let outcome = run("h7_log_flood", "\"long\"").await;
    assert!(outcome.result.is_ok());
    assert!(outcome.report.logs[0].message.len() < 9_000);

    let outcome = run("h7_log_flood", "0").await;
    let lines: Vec<_> = outcome.report.logs.iter().map(|line| (line.level.as_str(), line.message.as_str())).collect();
    assert_eq!(lines, [("error", "from stderr"), ("info", "from stdout")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn h8_host_call_flood() {
    for way in ["\"context\"", "\"clock\"", "\"large\""] {
        let mut call = request("h8_host_call_flood", way).await;
        call.fuel = Some(limits::FUEL_MAX);
        // It works all the time, so it takes no less time than it uses the processor.
        ends_in_time(&call, FailureCode::HostCallLimit, Duration::ZERO, Duration::from_secs(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h9_sleep() {
    let mut call = request("h9_sleep", "null").await;
    call.timeout = Duration::from_millis(200);
    let started = Instant::now();
    failed(perform(call.clone()).await, FailureCode::Timeout);
    assert!(started.elapsed() >= call.timeout, "{:?}", started.elapsed());
    ends_in_time(&call, FailureCode::Timeout, call.timeout, Duration::from_millis(250)).await;
}

/// Answers tool calls with their input.
struct Echoing(AtomicU32);

impl CallHost for Echoing {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        each(effect, |ToolCall { tool, input }| {
            self.0.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                assert_eq!(tool, "echo.run");
                if input.text() == "3" {
                    Err(Failure::new(FailureCode::GuardrailExceeded, "enough"))
                } else {
                    Ok(input)
                }
            }
        })
    }

    fn tools(&self) -> BoxFuture<'static, Json> {
        Box::pin(async { json(r#"[{"name":"echo.run"}]"#) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_agent() {
    let host = Arc::new(Echoing(AtomicU32::new(0)));
    let mut call = request("h10_agent", "3").await;
    call.name = "act".to_owned();
    call.agent = true;
    assert_eq!(shared().call(call.clone(), host.clone()).await.result.unwrap().text(), "[0,1,2]");
    assert_eq!(host.0.load(Ordering::Relaxed), 3);

    call.input = json("5");
    let failure = failed(shared().call(call.clone(), host.clone()).await, FailureCode::PluginFailure);
    assert_eq!(failure.details.unwrap().value()["code"], "guardrail_exceeded");

    call.input = json("\"list\"");
    assert_eq!(shared().call(call.clone(), host.clone()).await.result.unwrap().text(), r#"[{"name":"echo.run"}]"#);

    // What is not an agent has no tools, whatever it imports.
    call.agent = false;
    assert_eq!(shared().call(call.clone(), host.clone()).await.result.unwrap().text(), "[]");
    call.input = json("1");
    failed(shared().call(call, host).await, FailureCode::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_trap() {
    let failure = failed(run("h11_trap", "\"panic\"").await, FailureCode::PluginTrap);
    assert!(failure.message.contains(r"the \u{1b}[31mcore is red"), "{}", failure.message);
    assert!(failure.message.len() < 500 && !failure.message.contains("/home/"), "{}", failure.message);
    let failure = failed(run("h11_trap", "\"unreachable\"").await, FailureCode::PluginTrap);
    assert!(failure.message.contains("unreachable"), "{}", failure.message);
    let failure = failed(run("h11_trap", "\"exit\"").await, FailureCode::PluginTrap);
    assert!(failure.message.contains("exit status 1"), "{}", failure.message);
    let failure = failed(run("h11_trap", "\"exit0\"").await, FailureCode::PluginTrap);
    assert!(failure.message.contains("exit status 0"), "{}", failure.message);
    failed(run("h11_trap", "\"bounds\"").await, FailureCode::PluginTrap);
    assert!(run("h11_trap", "1").await.result.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_odd_output() {
    for way in ["utf8", "surrogate", "nan", "large_number", "duplicate", "two", "empty", "text"] {
        failed(run("h12_odd_output", &format!("{way:?}")).await, FailureCode::InvalidOutput);
    }
    let output = run("h12_odd_output", "\"u64\"").await.result.unwrap();
    assert_eq!(output.text(), "9223372036854775809");
    let output = run("h12_odd_output", "\"proto\"").await.result.unwrap();
    assert_eq!(output.text(), r#"{"__proto__":{"admin":true}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn h13_handles() {
    let failure = failed(run("h13_handles", "null").await, FailureCode::ResourceLimit);
    assert!(failure.message.contains("256"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn h14_entropy() {
    failed(run("h14_entropy", "\"flood\"").await, FailureCode::ResourceLimit);
    let mut call = request("h14_entropy", "null").await;
    let first = perform(call.clone()).await.result.unwrap();
    call.attempt = 1;
    let second = perform(call.clone()).await.result.unwrap();
    assert_eq!(first, second, "every attempt of a call sees the same random numbers");
    call.idempotency_key = "execution/2".to_owned();
    let other = perform(call).await.result.unwrap();
    assert_ne!(first, other);
    assert_eq!(first.value()["environment"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn h15_reach() {
    let seen = run("h15_reach", "null").await.result.unwrap();
    let nothing = r#"{"stdin":0,"files":0,"written":false,"clock":946684800,"environment":0}"#;
    assert_eq!(seen.text(), nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn h22_canary() {
    let mut call = request("h22_canary", "null").await;
    for run in 0..1_000 {
        call.idempotency_key = format!("tenant-{run}/1");
        let found = shared().call(call.clone(), Arc::new(Powerless)).await.result.unwrap();
        assert_eq!(found.text(), r#"{"before":0,"found":0}"#, "call {run}");
    }
}
