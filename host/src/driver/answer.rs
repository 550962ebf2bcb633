//! What people answer: to a human step, or to a pause at a limit.

mod permit;
mod raise;

use serde_json::Value;
use weir_engine::{
    approvers::Approvers,
    event::Decision,
    execution::{Command, Execution, Input, Question},
    id::{CallId, Timestamp},
    json::Json,
    limits::Limits,
};

pub use self::permit::may_decide;
use super::{SignalError, effects::edited};
use crate::{
    identity::{Principal, Role},
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
    pub decided_by: Principal,
    /// Whether an administrator asked this very person, whomever the question names.
    pub invited: bool,
    /// SHA-256, in hex, of the question as the person saw it; the answer counts for that one alone.
    pub request_digest: Option<String>,
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
    /// How many more people must choose the same before it is decided; 0 once it is.
    pub missing: u32,
}

/// Others are to be asked.
#[derive(Debug, Clone)]
pub struct Reassign {
    /// Which question.
    pub approval_id: CallId,
    /// Whoever has one of these roles may decide.
    pub roles: Vec<String>,
    /// Whoever has one of these names may decide. Where nobody is named at all, every approver may.
    pub users: Vec<String>,
    /// Who says so; they must be allowed to decide the question themselves.
    pub principal: Principal,
    /// What is written with it, or not at all.
    pub companions: Vec<Companion>,
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
    /// It is not for this person to decide.
    #[error("you may not decide this: {0}")]
    NotAllowed(String),
    /// This person answered before; the question waits for others.
    #[error("you answered this before: it waits for others")]
    Voted(CallId, Box<Decision>),
    /// The question is not the one that the person saw.
    #[error("the question is another than the one that was shown: look at it again; its digest is {0}")]
    Changed(String),
}

/// The engine's input for an answer; what is raised stays within the host's `ceilings`.
pub(super) fn input(
    execution: &Execution,
    answer: &Answer,
    ceilings: &Limits,
    now: Timestamp,
) -> Result<(Answered, Input), DecideError> {
    goes_on(execution)?;
    let decision = Decision {
        option_id: answer.option_id.clone(),
        comment: answer.comment.clone(),
        data: answer.data.clone(),
        decided_by: answer.decided_by.actor(),
        decided_at: rfc3339(now),
        request_digest: None,
    };
    let call = match answer.approval_id {
        Some(call) => call,
        None if execution.summary().paused.is_some() => return resume(decision, &answer.decided_by, ceilings),
        None => only(execution)?,
    };
    let question = execution.question(call).ok_or(DecideError::NotOpen(call))?;
    may_decide(&question.approvers, requester(execution), &answer.decided_by, answer.invited)?;
    if let Some(vote) = question.vote_of(&decision.decided_by) {
        return Err(DecideError::Voted(call, Box::new(vote.clone())));
    }
    let digest = question.digest();
    if answer.request_digest.as_ref().is_some_and(|seen| *seen != digest) {
        return Err(DecideError::Changed(digest));
    }
    check(&decision, question.request.value())?;
    let missing = missing(&question, &decision);
    let decision = Decision { request_digest: Some(digest), ..decision };
    let answered = Answered { approval_id: Some(call), decision: decision.clone(), missing };
    Ok((answered, Input::Decided { call, decision }))
}

/// How many more must choose the same after this answer.
fn missing(question: &Question<'_>, decision: &Decision) -> u32 {
    let agreeing = question.votes.iter().filter(|vote| vote.option_id == decision.option_id).count() + 1;
    question.approvers.quorum.saturating_sub(u32::try_from(agreeing).unwrap_or(u32::MAX))
}

/// The engine's input for others to be asked, and who they are.
pub(super) fn reassign_input(execution: &Execution, reassign: &Reassign) -> Result<(Approvers, Input), DecideError> {
    goes_on(execution)?;
    let call = reassign.approval_id;
    let question = execution.question(call).ok_or(DecideError::NotOpen(call))?;
    may_decide(&question.approvers, requester(execution), &reassign.principal, false)?;
    let approvers = question.approvers.reassigned(reassign.roles.clone(), reassign.users.clone());
    if !approvers.are_enough() {
        let message = format!("{} different people must agree: name as many, or a role", approvers.quorum);
        return Err(DecideError::Unfit(vec![SchemaProblem::new("/users", message)]));
    }
    let (roles, users) = (approvers.roles.clone(), approvers.users.clone());
    Ok((approvers, Input::Reassign { call, roles, users, reassigned_by: reassign.principal.actor() }))
}

/// Whether there can be an answer: an execution that has ended and is still in memory says what one says that is not.
fn goes_on(execution: &Execution) -> Result<(), SignalError> {
    if execution.has_ended() { Err(SignalError::Ended(execution.status())) } else { Ok(()) }
}

/// Who started the execution, where somebody did.
fn requester(execution: &Execution) -> Option<&str> {
    execution.started().trigger.value()["started_by"].as_str()
}

/// The one question that is open.
fn only(execution: &Execution) -> Result<CallId, DecideError> {
    let open = execution.commands().into_iter().filter_map(|command| match command {
        Command::AskHuman { call, path, .. } => Some((call, path.to_string())),
        Command::RunPlugin { .. } | Command::SetTimer { .. } | Command::Continue => None,
    });
    match open.collect::<Vec<_>>() {
        open if open.is_empty() => Err(DecideError::NothingAsked),
        open if open.len() == 1 => Ok(open[0].0),
        open => Err(DecideError::Several(open)),
    }
}

/// An answer to a pause: raise the limits that `data` names, or stop. Whoever lets an execution spend more, or ends it,
/// must be allowed to run executions, too.
fn resume(decision: Decision, principal: &Principal, ceilings: &Limits) -> Result<(Answered, Input), DecideError> {
    if !(principal.may(Role::Approver) && principal.may(Role::Operator)) {
        let needed = "a pause at a limit needs the roles \"approver\" and \"operator\"";
        return Err(DecideError::NotAllowed(needed.to_owned()));
    }
    let decided_by = decision.decided_by.clone();
    let input = match decision.option_id.as_deref() {
        Some(STOP) => Input::Cancel { cancelled_by: decided_by, reason: decision.comment.clone() },
        Some(RAISE) => Input::Resume { limits: raise::limits(decision.data.as_ref(), ceilings)?, decided_by },
        _ => {
            let message = format!("choose {RAISE:?} with the new limits as data, or {STOP:?}");
            return Err(DecideError::Unfit(vec![SchemaProblem::new("/option_id", message)]));
        }
    };
    Ok((Answered { approval_id: None, decision, missing: 0 }, input))
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
    if let Some(arguments) = edited(request, chosen) {
        let data = decision.data.as_ref().map_or(&Value::Null, Json::value);
        problems.extend(schema::problems(arguments, data).into_iter().map(|problem| problem.within("/data")));
    }
    if problems.is_empty() { Ok(()) } else { Err(DecideError::Unfit(problems)) }
}

fn rfc3339(now: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(now.0).map_or_else(|_| now.0.to_string(), |at| format!("{at:.6}"))
}
