//! Whether a log is one that the promise allows: nothing that ended begins again, and nothing comes twice.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result, bail, ensure};

use crate::api::{Api, Event};

/// What a legal log tells.
#[derive(Debug, Default, Clone, Copy)]
pub struct Told {
    /// Steps that were completed.
    pub completed: u32,
    /// Calls that a stop of the host interrupted.
    pub interrupted: u32,
    /// Answers of people.
    pub decided: u32,
}

/// An open visit of a step.
struct Visit {
    is_open: bool,
    attempt: u64,
    /// The attempt that is scheduled but has not begun.
    scheduled: Option<u64>,
    decided: bool,
}

/// Reads the whole log of an execution.
///
/// # Errors
/// The connection broke.
pub async fn read(api: &Api, execution: &str) -> Result<Vec<Event>> {
    let events = api.all(&format!("/api/executions/{execution}/events?format=json")).await?;
    events.into_iter().map(Event::read).collect()
}

/// Checks the whole log of an execution that has ended.
///
/// # Errors
/// Says which event should not be there.
pub fn check(events: &[Event]) -> Result<Told> {
    let mut checker = Checker::default();
    for (index, event) in events.iter().enumerate() {
        ensure!(event.seq == index as u64 + 1, "event {} stands at place {}", event.seq, index + 1);
        ensure!((event.kind == "execution_started") == (index == 0), "event {} is {}", event.seq, event.kind);
        ensure!(
            event.is_end() == (index + 1 == events.len()),
            "event {} of {} is {}",
            event.seq,
            events.len(),
            event.kind
        );
        checker.see(event).with_context(|| format!("at event {}: {event:?}", event.seq))?;
    }
    ensure!(!events.is_empty(), "the log is empty");
    Ok(checker.told)
}

#[derive(Default)]
struct Checker {
    visits: HashMap<u64, Visit>,
    places: HashSet<(u64, String, u64)>,
    paths: HashSet<String>,
    scopes: HashSet<(u64, u64)>,
    /// Questions about tools, and whether they were decided.
    questions: HashMap<u64, bool>,
    told: Told,
}

impl Checker {
    fn see(&mut self, event: &Event) -> Result<()> {
        match event.kind.as_str() {
            "step_started" => self.started(event),
            "scope_opened" => {
                let place = (number(event, "call")?, number(event, "index")?);
                ensure!(self.scopes.insert(place), "this scope was opened before");
                self.open(event).map(|_| ())
            }
            "retry_scheduled" => {
                let attempt = number(event, "attempt")?;
                let visit = self.open(event)?;
                ensure!(attempt == visit.attempt + 1, "attempt {attempt} follows {}", visit.attempt);
                visit.scheduled = Some(attempt);
                Ok(())
            }
            "attempt_started" => {
                let attempt = number(event, "attempt")?;
                let visit = self.open(event)?;
                ensure!(visit.scheduled.take() == Some(attempt), "attempt {attempt} was not scheduled");
                visit.attempt = attempt;
                Ok(())
            }
            "call_interrupted" => {
                let attempt = number(event, "attempt")?;
                self.told.interrupted += 1;
                let visit = self.open(event)?;
                ensure!(attempt == visit.attempt + 1, "attempt {attempt} follows {}", visit.attempt);
                visit.attempt = attempt;
                Ok(())
            }
            "deferred" => {
                self.open(event)?;
                self.questions.insert(event.seq, false);
                Ok(())
            }
            "decided" => {
                self.told.decided += 1;
                if let Some(decided) = self.questions.get_mut(&number(event, "call")?) {
                    ensure!(!std::mem::replace(decided, true), "this was decided before");
                    return Ok(());
                }
                let visit = self.open(event)?;
                ensure!(!visit.decided, "this was decided before");
                visit.decided = true;
                Ok(())
            }
            "step_completed" | "step_failed" | "step_cancelled" | "step_skipped" => {
                self.told.completed += u32::from(event.kind == "step_completed");
                self.open(event)?.is_open = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn started(&mut self, event: &Event) -> Result<()> {
        let step = event.data["step"].as_str().context("a step without an id")?.to_owned();
        let place = (number(event, "scope")?, step, number(event, "visit")?);
        ensure!(self.places.insert(place), "this visit began before");
        let path = event.data["path"].as_str().context("a step without a path")?.to_owned();
        ensure!(self.paths.insert(path), "this path was taken before");
        let visit = Visit { is_open: true, attempt: 0, scheduled: None, decided: false };
        self.visits.insert(event.seq, visit);
        Ok(())
    }

    /// The visit that an event is about, which must be open.
    fn open(&mut self, event: &Event) -> Result<&mut Visit> {
        let call = number(event, "call")?;
        match self.visits.get_mut(&call) {
            Some(visit) if visit.is_open => Ok(visit),
            Some(_) => bail!("call {call} had ended"),
            None => bail!("call {call} never began"),
        }
    }
}

fn number(event: &Event, member: &str) -> Result<u64> {
    event.data[member].as_u64().with_context(|| format!("no number {member} in {}", event.data))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn log(events: &[(&str, Value)]) -> Vec<Event> {
        let numbered = events.iter().zip(1..);
        numbered.map(|((kind, data), seq)| Event { seq, kind: (*kind).to_owned(), data: data.clone() }).collect()
    }

    fn around(middle: &[(&str, Value)]) -> Vec<Event> {
        let mut events = vec![("execution_started", json!({}))];
        events.push(("step_started", json!({ "scope": 0, "step": "a", "visit": 1, "path": "a" })));
        events.extend(middle.iter().cloned());
        events.push(("execution_completed", json!({})));
        log(&events)
    }

    #[test]
    fn a_legal_log_is_counted() {
        let done = ("step_completed", json!({ "call": 2 }));
        let told = check(&around(&[
            ("call_interrupted", json!({ "call": 2, "attempt": 1 })),
            ("retry_scheduled", json!({ "call": 2, "attempt": 2 })),
            ("attempt_started", json!({ "call": 2, "attempt": 2 })),
            done,
        ]));
        let told = told.unwrap();
        assert_eq!((told.completed, told.interrupted, told.decided), (1, 1, 0));
    }

    #[test]
    fn what_the_promise_forbids_is_noticed() {
        let done = ("step_completed", json!({ "call": 2 }));
        let again = ("step_started", json!({ "scope": 0, "step": "a", "visit": 1, "path": "a" }));
        let decided = ("decided", json!({ "call": 2 }));
        let (asks, allowed) = (("deferred", json!({ "call": 2 })), ("decided", json!({ "call": 3 })));
        let forbidden = [
            vec![done.clone(), done.clone()],
            vec![done.clone(), again],
            vec![done.clone(), ("call_interrupted", json!({ "call": 2, "attempt": 1 }))],
            vec![("call_interrupted", json!({ "call": 2, "attempt": 2 }))],
            vec![("attempt_started", json!({ "call": 2, "attempt": 1 }))],
            vec![decided.clone(), decided],
            vec![asks.clone(), allowed.clone(), allowed],
            vec![done.clone(), asks],
            vec![("step_completed", json!({ "call": 7 }))],
            vec![("execution_completed", json!({}))],
        ];
        for middle in forbidden {
            assert!(check(&around(&middle)).is_err(), "{middle:?}");
        }
        let mut gap = around(&[done]);
        gap.remove(1);
        assert!(check(&gap).is_err());
        assert!(check(&[]).is_err());
    }
}
