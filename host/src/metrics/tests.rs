use std::{collections::BTreeMap, time::Duration};

use super::{Levels, Metrics, ModelRequest};

/// The samples of a text: name and labels as they are written, and the value. Panics where the text is not OpenMetrics.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (body, _) = text.split_once("# EOF\n").expect("the text is whole");
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        if let Some(about) = line.strip_prefix("# ") {
            let mut words = about.splitn(3, ' ');
            let (kind, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(["TYPE", "HELP", "UNIT"].contains(&kind), "{line}");
            assert!(kind != "TYPE" || types.insert(name, rest).is_none(), "{line} comes twice");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(types.keys().any(|known| name.starts_with(known)), "{line} belongs to nothing");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{line}");
        assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{line} comes twice");
    }
    samples
}

fn read(metrics: &Metrics) -> BTreeMap<String, f64> {
    samples(&metrics.text(Levels::default()))
}

#[test]
fn the_text_is_whole_and_says_what_was_done() {
    let metrics = Metrics::default();
    metrics.execution_started("cron");
    metrics.execution_ended("cron", "completed", Duration::from_secs(2));
    metrics.step_ended("tool", "failed", Duration::from_millis(3));
    metrics.http_request(Some(("/api/workflows/{workflow}", "get")), 200, Duration::from_millis(1));
    metrics.http_request(None, 404, Duration::ZERO);
    metrics.call_begins("tool").ended(None);
    metrics.call_begins("agent").ended(Some("plugin_trap"));
    drop(metrics.call_begins("agent"));
    let levels = Levels { executions_in_memory: 3, ready: true, ..Levels::default() };
    let samples = samples(&metrics.text(levels));
    let expected = [
        ("weir_executions_started_total{trigger=\"cron\"}", 1.0),
        ("weir_executions_ended_total{trigger=\"cron\",status=\"completed\"}", 1.0),
        ("weir_execution_duration_seconds_sum{trigger=\"cron\",status=\"completed\"}", 2.0),
        ("weir_step_duration_seconds_count{type=\"tool\",status=\"failed\"}", 1.0),
        ("weir_step_duration_seconds_bucket{le=\"0.001\",type=\"tool\",status=\"failed\"}", 0.0),
        ("weir_step_duration_seconds_bucket{le=\"0.005\",type=\"tool\",status=\"failed\"}", 1.0),
        ("weir_http_requests_total{route=\"/api/workflows/{workflow}\",method=\"get\",status=\"200\"}", 1.0),
        ("weir_http_requests_total{route=\"other\",method=\"other\",status=\"404\"}", 1.0),
        ("weir_plugin_calls_running{kind=\"agent\"}", 0.0),
        ("weir_plugin_call_duration_seconds_count{kind=\"agent\",outcome=\"dropped\"}", 1.0),
        ("weir_plugin_failures_total{kind=\"agent\",code=\"plugin_trap\"}", 1.0),
        ("weir_executions_in_memory", 3.0),
        ("weir_ready", 1.0),
    ];
    for (series, value) in expected {
        assert_eq!(samples.get(series), Some(&value), "{series} in {samples:#?}");
    }
}

#[test]
fn tokens_and_money_are_counted_and_an_unknown_price_is_no_zero() {
    let metrics = Metrics::default();
    let request = ModelRequest {
        alias: "fast",
        provider: "scripted",
        outcome: "ok",
        input_tokens: 11,
        output_tokens: 7,
        cost_microusd: Some(5),
        ..ModelRequest::default()
    };
    metrics.model_request(&request);
    metrics.model_request(&ModelRequest { cost_microusd: None, ..request });
    let samples = read(&metrics);
    let of = |name: &str, more: &str| samples[&format!("{name}{{alias=\"fast\",provider=\"scripted\"{more}}}")];
    assert_eq!(of("weir_model_tokens_total", ",kind=\"input\""), 22.0);
    assert_eq!(of("weir_model_tokens_total", ",kind=\"output\""), 14.0);
    assert_eq!(of("weir_model_cost_microusd_total", ""), 5.0);
    assert_eq!(of("weir_model_requests_unpriced_total", ""), 1.0);
    assert_eq!(of("weir_model_requests_total", ",outcome=\"ok\""), 2.0);
}

#[test]
fn labels_are_bounded_whatever_names_come() {
    let metrics = Metrics::default();
    for n in 0..1_000 {
        metrics.limit_hit(&format!("budget {n}"));
        metrics.execution_started(&format!("type{n}"));
        let (alias, provider) = (format!("a\"\n{n}"), format!("p{n}"));
        metrics.model_request(&ModelRequest { alias: &alias, provider: &provider, ..ModelRequest::default() });
    }
    let samples = read(&metrics);
    let series = |name: &str| samples.keys().filter(|series| series.starts_with(name)).count();
    assert_eq!(series("weir_limits_hit_total"), 65);
    assert_eq!(samples["weir_limits_hit_total{limit=\"other\"}"], 936.0);
    assert_eq!(series("weir_executions_started_total"), 1);
    assert_eq!(series("weir_model_requests_total"), 65);
    assert!(samples.contains_key("weir_limits_hit_total{limit=\"budget_0\"}"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_told_of() {
    let samples = read(&Metrics::default());
    assert!(samples["process_resident_memory_bytes"] > 1e6, "{samples:?}");
    assert!(samples["process_open_fds"] > 1.0 && samples["process_open_fds"] <= samples["process_max_fds"]);
    assert!(samples.contains_key("process_cpu_seconds_total") && samples["process_start_time_seconds"] > 1e9);
}
