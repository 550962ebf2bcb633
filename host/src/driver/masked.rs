//! Keeps secrets out of logs of executions: what comes in, what plugins answer and what people say is masked before it
//! is stored, shown, or given to the next plugin. A definition, which cannot be masked without being another one, is
//! refused.

use std::borrow::Cow;

use serde_json::Value;
use weir_engine::definition::{Diagnostic, DiagnosticCode, Diagnostics, Place};

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

/// The places of a definition that hold a secret's value: everybody who may read it would see the value.
pub(super) fn held(definition: &Value, masker: &Masker) -> Vec<Diagnostic> {
    let mut diagnostics = Diagnostics::default();
    find_secrets(definition, &Place::default(), masker, &mut diagnostics);
    diagnostics.finish()
}

fn find_secrets(value: &Value, at: &Place, masker: &Masker, diagnostics: &mut Diagnostics) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => refuse_secret(&number.to_string(), at, masker, diagnostics),
        Value::String(text) => refuse_secret(text, at, masker, diagnostics),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| find_secrets(item, &at.at(n), masker, diagnostics));
        }
        Value::Object(members) => {
            for (key, member) in members {
                match masker.find(key) {
                    Some(_) => refuse_secret(key, at, masker, diagnostics),
                    None => find_secrets(member, &at.at(key), masker, diagnostics),
                }
            }
        }
    }
}

fn refuse_secret(text: &str, at: &Place, masker: &Masker, diagnostics: &mut Diagnostics) {
    if let Some(name) = masker.find(text) {
        let message = format!(
            "it holds the value of secret `{name}`, which everybody who may read the workflow would see: take it out; in a \
             header of a request, a plugin names a secret as {{{{secret:NAME}}}}"
        );
        diagnostics.error(at, DiagnosticCode::SecretValue, message);
    }
}
