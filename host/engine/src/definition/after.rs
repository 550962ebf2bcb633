//! Reads what follows a step: jumps, retries, failures, and the time that a person has.

use serde_json::Value;

use super::{
    diagnostic::{DiagnosticCode, Diagnostics, Place},
    fields::{Fields, shown, wrong_type},
    steps::{Destination, OnErrorDefinition},
};
use crate::graph::Retry;

/// The most characters of a destination that are kept for messages.
const DESTINATION_CHARACTERS_MAX: usize = 256;
/// A person is waited for ten years at most.
const TIMEOUT_MINUTES_MAX: f64 = 10.0 * 366.0 * 24.0 * 60.0;
const MILLISECONDS_PER_MINUTE: f64 = 60e3;

pub(super) fn destination(fields: &mut Fields<'_>, name: &'static str, diagnostics: &mut Diagnostics) -> Destination {
    match fields.raw(name) {
        None => Destination::Following,
        Some(value) => destination_of(value, &fields.place.at(name), diagnostics),
    }
}

fn destination_of(value: &Value, place: &Place, diagnostics: &mut Diagnostics) -> Destination {
    if value.is_null() {
        return Destination::End;
    }
    match value.as_str() {
        Some("$end") => Destination::End,
        Some(id) => Destination::Step(id.chars().take(DESTINATION_CHARACTERS_MAX).collect()),
        None => {
            wrong_type(diagnostics, place, "a step's id, `\"$end\"` or null", value);
            Destination::Following
        }
    }
}

pub(super) fn retry(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Retry> {
    let value = fields.value("retry")?;
    let mut inner = Fields::open(value, fields.place.at("retry"), diagnostics)?;
    let day_ms = 24 * 3_600 * 1_000;
    if inner.value("max_attempts").is_none() {
        inner.missing("max_attempts", diagnostics);
    }
    let retry = Retry {
        max_attempts: inner.small("max_attempts", 1, 100, diagnostics).unwrap_or(1),
        initial_interval_ms: inner.whole("initial_interval_ms", 0, day_ms, diagnostics).unwrap_or(1_000),
        backoff: backoff(&mut inner, diagnostics),
        max_interval_ms: inner.whole("max_interval_ms", 0, day_ms, diagnostics).unwrap_or(60_000),
    };
    inner.close(diagnostics);
    Some(retry)
}

fn backoff(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> f64 {
    let Some(value) = fields.value("backoff") else { return 2.0 };
    value.as_f64().filter(|factor| (1.0..=100.0).contains(factor)).unwrap_or_else(|| {
        let message = format!("`backoff` must be a number from 1 to 100, not {}", shown(value));
        diagnostics.error(&fields.place.at("backoff"), DiagnosticCode::InvalidValue, message);
        2.0
    })
}

pub(super) fn on_error(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> OnErrorDefinition {
    let place = fields.place.at("on_error");
    match fields.value("on_error") {
        None => OnErrorDefinition::Fail,
        Some(Value::String(word)) if word == "fail" => OnErrorDefinition::Fail,
        Some(Value::String(word)) if word == "continue" => OnErrorDefinition::Continue,
        Some(Value::Object(members)) if members.len() == 1 && members.contains_key("goto") => {
            OnErrorDefinition::Goto(destination_of(&members["goto"], &place.at("goto"), diagnostics))
        }
        Some(other) => {
            let message = format!(
                "`on_error` must be \"fail\", \"continue\" or {{\"goto\": \"<step id>\"}}, not {}",
                shown(other)
            );
            diagnostics.error(&place, DiagnosticCode::InvalidValue, message);
            OnErrorDefinition::Fail
        }
    }
}

/// The time that a person has, in milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and TIMEOUT_MINUTES_MAX")]
pub(super) fn timeout(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let value = fields.value("timeout_minutes")?;
    let minutes = value.as_f64().filter(|minutes| (0.0..=TIMEOUT_MINUTES_MAX).contains(minutes));
    if minutes.is_none() {
        let message =
            format!("`timeout_minutes` must be a number from 0 to {TIMEOUT_MINUTES_MAX}, not {}", shown(value));
        diagnostics.error(&fields.place.at("timeout_minutes"), DiagnosticCode::InvalidValue, message);
    }
    minutes.map(|minutes| (minutes * MILLISECONDS_PER_MINUTE).round() as u64)
}
