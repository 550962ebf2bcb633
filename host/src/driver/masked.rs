//! Keeps secrets out of logs of executions: what comes in, what plugins answer and what people say is masked before it
//! is stored, shown, or given to the next plugin. A definition, which cannot be masked without being another one, is
//! refused.

use std::borrow::Cow;

use serde_json::Value;
use weir_engine::definition::{Diagnostic, DiagnosticCode, Diagnostics, Place};

use super::{Answer, StartExecution};
use crate::{
    runtime::CallOutcome,
    secrets::{self, Masker},
};

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
        let instead = if secrets::is_name(&name) {
            format!("in a header of a request write {{{{secret:{name}}}}} in its place")
        } else {
            "take it out".to_owned()
        };
        let message = format!(
            "it holds the value of secret `{name}`, which everybody who may read the workflow would see: {instead}"
        );
        diagnostics.error(at, DiagnosticCode::SecretValue, message);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vault::Secret;

    #[test]
    fn d3_each_place_of_a_definition_that_holds_a_secret_is_named() {
        let masker = Masker::default();
        masker.learn("search-key", &Secret::new("12345678"));
        masker.learn("trigger/1", &Secret::new("whsec_abcdef"));
        let definition =
            json!({ "a/b": ["x", 12_345_678, { "c": "Bearer 12345678" }], "12345678": 1, "d": "whsec_abcdef" });
        let found = held(&definition, &masker);
        let places: Vec<&str> = found.iter().map(|diagnostic| diagnostic.field.as_str()).collect();
        assert_eq!(places, ["/a~1b/1", "/a~1b/2/c", "", "/d"]);
        assert!(found.iter().all(|diagnostic| diagnostic.is_error() && diagnostic.code == DiagnosticCode::SecretValue));
        assert!(found[1].message.contains("write {{secret:search-key}}") && found[3].message.contains("take it out"));
        assert!(held(&json!({ "a": [1, null, true, "1234567"] }), &masker).is_empty());
    }
}
