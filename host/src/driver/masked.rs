//! Keeps secrets out of logs of executions: what comes in, what plugins answer and what people say is masked before it is stored, shown,
//! or given to the next plugin.

use std::borrow::Cow;

use super::{Answer, StartExecution};
use crate::{runtime::CallOutcome, secrets::Masker};

/// A start without secrets.
pub(super) fn start(start: StartExecution, masker: &Masker) -> StartExecution {
    StartExecution { input: masker.mask_json(start.input), trigger: masker.mask_json(start.trigger), ..start }
}

/// A person's answer without secrets.
pub(super) fn answer(answer: Answer, masker: &Masker) -> Answer {
    let comment = answer.comment.map(|comment| masker.mask_text(&comment).into_owned());
    Answer { comment, data: answer.data.map(|data| masker.mask_json(data)), ..answer }
}

/// What a call answered, logged and said about its failure, without secrets.
pub(crate) fn outcome(outcome: CallOutcome, masker: &Masker) -> CallOutcome {
    let result = match outcome.result {
        Ok(output) => Ok(masker.mask_json(output)),
        Err(failure) => Err(masker.mask_failure(failure)),
    };
    let mut report = outcome.report;
    let lines = report.logs.iter_mut().map(|line| &mut line.message).chain(&mut report.warnings);
    for line in lines {
        if let Cow::Owned(masked) = masker.mask_cut(line) {
            *line = masked;
        }
    }
    CallOutcome { result, report }
}
