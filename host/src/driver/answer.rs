//! What people answer: to a human step, or to a pause at a limit.

use serde_json::{Value, json};
use weir_engine::{
    event::Decision,
    execution::{Command, Execution, Input},
    id::{CallId, Timestamp},
    json::Json,
    limits::Limits,
};

use super::SignalError;
use crate::{
    schema::{self, SchemaProblem},
    store::Companion,
};

/// The option that raises the limits of a paused execution.
pub const RAISE: &str = "raise";
/// The option that ends a paused execution.
pub const STOP: &str = "stop";
/// The most characters of a comment.
const COMMENT_CHARS_MAX: usize = 10_000;

/// A person's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which question; may be left out where only one is open.
    pub approval_id: Option<CallId>,
    /// What was chosen.
    pub option_id: Option<String>,
    /// Words to go with it.
    pub comment: Option<String>,
    /// The form's data.
    pub data: Option<Json>,
    /// Who answers.
    pub decided_by: String,
    /// What is written with the answer, or not at all.
    pub companions: Vec<Companion>,
}

/// An answer that was taken and is on disk.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The question; `None` for a pause at a limit.
    pub approval_id: Option<CallId>,
    /// The decision as it is stored.
    pub decision: Decision,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The execution cannot be reached.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// Nothing is open: never asked, or no longer.
    #[error("the execution asks nothing at the moment")]
    NothingAsked,
    /// This question is not open: somebody answered, it lapsed, or it never was.
    #[error("question {0} is not open: it was answered, lapsed, or never asked")]
    NotOpen(CallId),
    /// Several questions are open.
    #[error("{} questions are open: name one by approval_id", .0.len())]
    Several(Vec<(CallId, String)>),
    /// The answer does not fit the question.
    #[error("the answer does not fit the question")]
    Unfit(Vec<SchemaProblem>),
}

/// The engine's input for an answer.
pub(super) fn input(execution: &Execution, answer: &Answer, now: Timestamp) -> Result<(Answered, Input), DecideError> {
    let decision = Decision {
        option_id: answer.option_id.clone(),
        comment: answer.comment.clone(),
        data: answer.data.clone(),
        decided_by: answer.decided_by.clone(),
        decided_at: rfc3339(now),
    };
    let mut open = execution.commands().into_iter().filter_map(|command| match command {
        Command::AskHuman { call, path, request, .. } => Some((call, path, request)),
        Command::RunPlugin { .. } | Command::SetTimer { .. } | Command::Continue => None,
    });
    let (call, request) = match answer.approval_id {
        Some(id) => {
            let found = open.find(|(call, ..)| *call == id).ok_or(DecideError::NotOpen(id))?;
            (found.0, found.2)
        }
        None if execution.summary().paused.is_some() => return resume(decision),
        None => only(open.collect())?,
    };
    check(&decision, request.value())?;
    Ok((Answered { approval_id: Some(call), decision: decision.clone() }, Input::Decided { call, decision }))
}

type Open = (CallId, std::sync::Arc<str>, Json);

fn only(mut open: Vec<Open>) -> Result<(CallId, Json), DecideError> {
    match open.len() {
        0 => Err(DecideError::NothingAsked),
        1 => {
            let (call, _, request) = open.remove(0);
            Ok((call, request))
        }
        _ => Err(DecideError::Several(open.into_iter().map(|(call, path, _)| (call, path.to_string())).collect())),
    }
}

/// An answer to a pause: raise the limits that `data` names, or stop.
fn resume(decision: Decision) -> Result<(Answered, Input), DecideError> {
    let decided_by = decision.decided_by.clone();
    let input = match decision.option_id.as_deref() {
        Some(STOP) => Input::Cancel { cancelled_by: decided_by, reason: decision.comment.clone() },
        Some(RAISE) => Input::Resume { limits: raised(decision.data.as_ref())?, decided_by },
        _ => {
            let message = format!("choose {RAISE:?} with the new limits as data, or {STOP:?}");
            return Err(DecideError::Unfit(vec![SchemaProblem::new("/option_id", message)]));
        }
    };
    Ok((Answered { approval_id: None, decision }, input))
}

fn raised(data: Option<&Json>) -> Result<Limits, DecideError> {
    let nothing = json!({});
    let data = data.map_or(&nothing, Json::value);
    let (limits, problems) = weir_engine::definition::parse_guardrails(data, "/data");
    if problems.is_empty() && limits != Limits::default() {
        return Ok(limits);
    }
    let mut problems: Vec<SchemaProblem> =
        problems.into_iter().map(|p| SchemaProblem::new(p.field, p.message)).collect();
    if problems.is_empty() {
        problems.push(SchemaProblem::new("/data", "name at least one guardrail and its new value".to_owned()));
    }
    Err(DecideError::Unfit(problems))
}

/// Whether a decision fits what was asked.
fn check(decision: &Decision, request: &Value) -> Result<(), DecideError> {
    let mut problems = Vec::new();
    let options: Vec<&str> =
        request["options"].as_array().into_iter().flatten().filter_map(|option| option["id"].as_str()).collect();
    let chosen = decision.option_id.as_deref();
    if !options.is_empty() && !chosen.is_some_and(|chosen| options.contains(&chosen)) {
        problems.push(SchemaProblem::new("/option_id", format!("choose one of {}", options.join(", "))));
    }
    if decision.comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
        problems.push(SchemaProblem::new("/comment", format!("at most {COMMENT_CHARS_MAX} characters")));
    }
    if let Some(form) = request.get("form_schema") {
        let data = decision.data.as_ref().map_or(&Value::Null, Json::value);
        problems.extend(schema::problems(form, data).into_iter().map(|problem| problem.within("/data")));
    }
    if problems.is_empty() { Ok(()) } else { Err(DecideError::Unfit(problems)) }
}

fn rfc3339(now: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(now.0).map_or_else(|_| now.0.to_string(), |at| format!("{at:.6}"))
}
