//! Logs of earlier releases still replay to the same state, and are written the same way, byte for byte.
//!
//! `logs/NAME.jsonl` holds a log, one `[at, event]` a line; `logs/NAME.json` the definition and the summary that the log
//! leads to. Files are never changed once they were released: a change that breaks one breaks executions that are
//! stored somewhere. To add one, add a script to [`samples`] under a new name and run the tests once with
//! `WEIR_WRITE_LOGS=1`, which writes the files that are missing.

mod samples;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::{Value, json};
use weir_engine::{
    event::{Event, Record},
    execution::{Execution, Summary},
    id::Timestamp,
};

use crate::support::setup;

const EVENTS: [&str; 27] = [
    "execution_started",
    "step_started",
    "retry_scheduled",
    "attempt_started",
    "call_interrupted",
    "reserved",
    "settled",
    "paused",
    "resumed",
    "decided",
    "scope_opened",
    "scope_completed",
    "scope_failed",
    "scope_cancelled",
    "step_completed",
    "step_skipped",
    "step_failed",
    "step_cancelled",
    "execution_completed",
    "execution_failed",
    "execution_timed_out",
    "execution_cancelled",
    "voted",
    "reassigned",
    "deferred",
    "lapsed",
    "withdrawn",
];

/// The place of an event's kind in [`EVENTS`]; a new kind does not compile until it stands here too.
fn kind(event: &Event) -> usize {
    match event {
        Event::ExecutionStarted(_) => 0,
        Event::StepStarted { .. } => 1,
        Event::RetryScheduled { .. } => 2,
        Event::AttemptStarted { .. } => 3,
        Event::CallInterrupted { .. } => 4,
        Event::Reserved { .. } => 5,
        Event::Settled { .. } => 6,
        Event::Paused { .. } => 7,
        Event::Resumed { .. } => 8,
        Event::Decided { .. } => 9,
        Event::ScopeOpened { .. } => 10,
        Event::ScopeCompleted { .. } => 11,
        Event::ScopeFailed { .. } => 12,
        Event::ScopeCancelled { .. } => 13,
        Event::StepCompleted { .. } => 14,
        Event::StepSkipped { .. } => 15,
        Event::StepFailed { .. } => 16,
        Event::StepCancelled { .. } => 17,
        Event::ExecutionCompleted { .. } => 18,
        Event::ExecutionFailed { .. } => 19,
        Event::ExecutionTimedOut { .. } => 20,
        Event::ExecutionCancelled { .. } => 21,
        Event::Voted { .. } => 22,
        Event::Reassigned { .. } => 23,
        Event::Deferred { .. } => 24,
        Event::Lapsed { .. } => 25,
        Event::Withdrawn { .. } => 26,
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/logs")
}

fn shown(summary: &Summary) -> Value {
    json!({
        "status": summary.status.as_str(),
        "current_step": summary.current_step,
        "usage": summary.usage,
        "wake_at": summary.wake_at,
        "idle": summary.idle,
        "output": summary.output,
        "failure": summary.failure,
        "paused": summary.paused,
    })
}

fn write_missing() {
    for (name, definition, world) in samples::samples() {
        let lines: Vec<String> =
            world.log.iter().map(|record| serde_json::to_string(&(record.at, &record.event)).unwrap()).collect();
        let about = json!({ "definition": definition, "summary": shown(&world.live.summary()) });
        let files = [(format!("{name}.json"), format!("{about:#}")), (format!("{name}.jsonl"), lines.join("\n"))];
        for (file, text) in files {
            let path = folder().join(file);
            if !path.exists() {
                fs::write(path, text + "\n").unwrap();
            }
        }
    }
}

/// Every stored log, with its definition and summary.
fn logs() -> Vec<(String, Value, String)> {
    if std::env::var_os("WEIR_WRITE_LOGS").is_some() {
        write_missing();
    }
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().unwrap().strip_suffix(".jsonl").map(str::to_owned))
        .collect();
    names.sort();
    let read = |name: String| {
        let about = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let log = fs::read_to_string(folder().join(format!("{name}.jsonl"))).unwrap();
        (name, serde_json::from_str(&about).unwrap(), log)
    };
    names.into_iter().map(read).collect()
}

fn records(log: &str) -> Vec<Record> {
    let read = |(line, seq): (&str, u64)| {
        let (at, event): (Timestamp, Event) = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&(at, &event)).unwrap(), line, "it is written differently now");
        Record { seq, at, event }
    };
    log.lines().zip(1..).map(read).collect()
}

#[test]
fn stored_logs_replay_to_their_summary_and_are_written_the_same_way() {
    for (name, about, log) in logs() {
        let graph = setup::graph(&about["definition"]);
        let execution = Execution::replay(graph, records(&log)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shown(&execution.summary()), about["summary"], "{name}");
    }
}

#[test]
fn every_kind_of_event_stands_in_a_stored_log() {
    let mut found = BTreeSet::new();
    for (_, _, log) in logs() {
        for record in records(&log) {
            let name = EVENTS[kind(&record.event)];
            let written = serde_json::to_value(&record.event).unwrap();
            assert!(written.get(name).is_some(), "{name} is written as {written}");
            found.insert(name);
        }
    }
    let missing: Vec<&str> = EVENTS.into_iter().filter(|name| !found.contains(name)).collect();
    assert!(missing.is_empty(), "no stored log holds {missing:?}; see the head of this file");
}

#[test]
fn the_scripts_of_the_stored_logs_still_lead_to_the_same_events() {
    // No promise to stored executions, which never decide again; but a change of decisions should be meant.
    let stored = logs();
    for (name, _, world) in samples::samples() {
        let (_, _, log) = stored.iter().find(|(stored, _, _)| stored == name).unwrap();
        let kinds = |records: &[Record]| records.iter().map(|record| EVENTS[kind(&record.event)]).collect::<Vec<_>>();
        assert_eq!(kinds(&records(log)), kinds(&world.log), "{name}: if that is meant, store it under a new name");
    }
}
