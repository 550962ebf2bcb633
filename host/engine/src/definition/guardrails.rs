//! Guardrails as authors and callers write them.

use serde_json::Value;

use super::{
    diagnostic::{Diagnostic, DiagnosticCode, Diagnostics, Place},
    fields::{Fields, shown, whole},
};
use crate::limits::{Limits, MICRODOLLARS_PER_DOLLAR, OnExceeded, OnUnknownPrice};

/// No limit is larger than this: it fits every integer and every float on its way.
const AMOUNT_MAX: u64 = 1 << 53;
const MILLISECONDS_PER_SECOND: f64 = 1e3;
const BYTES_PER_MEGABYTE: f64 = 1024.0 * 1024.0;

/// Reads guardrails that come without a definition: a caller's own, in a request to execute. Fields that are not known
/// are errors here, since a limit that is misspelt must not be dropped in silence.
#[must_use]
pub fn parse_guardrails(value: &Value, pointer: &str) -> (Limits, Vec<Diagnostic>) {
    let mut diagnostics = Diagnostics::default();
    let place = Place { pointer: pointer.to_owned(), step_id: None };
    let limits = guardrails(value, place, &mut diagnostics);
    let mut list = diagnostics.finish();
    for diagnostic in &mut list {
        diagnostic.severity = super::Severity::Error;
    }
    (limits, list)
}

/// Reads the member `guardrails` of a definition or a step.
pub(super) fn at(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Limits {
    let place = fields.place.at("guardrails");
    fields.value("guardrails").map(|value| guardrails(value, place, diagnostics)).unwrap_or_default()
}

fn guardrails(value: &Value, place: Place, diagnostics: &mut Diagnostics) -> Limits {
    if value.is_null() {
        return Limits::default();
    }
    let Some(mut fields) = Fields::open(value, place, diagnostics) else { return Limits::default() };
    let limits = Limits {
        requests: count(&mut fields, "request_limit", diagnostics),
        total_tokens: count(&mut fields, "total_tokens_limit", diagnostics),
        input_tokens: count(&mut fields, "input_tokens_limit", diagnostics),
        output_tokens: count(&mut fields, "output_tokens_limit", diagnostics),
        tool_calls: count(&mut fields, "tool_calls_limit", diagnostics),
        cost_microusd: amount(&mut fields, "max_cost_dollars", f64::from(MICRODOLLARS_PER_DOLLAR), diagnostics),
        timeout_ms: amount(&mut fields, "timeout_seconds", MILLISECONDS_PER_SECOND, diagnostics),
        max_steps: count(&mut fields, "max_steps", diagnostics),
        fuel: count(&mut fields, "fuel_limit", diagnostics),
        memory_bytes: amount(&mut fields, "memory_limit_mb", BYTES_PER_MEGABYTE, diagnostics),
        on_exceeded: fields.word(
            "on_exceeded",
            &[("fail", OnExceeded::Fail), ("pause", OnExceeded::Pause)],
            diagnostics,
        ),
        on_unknown_price: fields.word(
            "on_unknown_price",
            &[("fail", OnUnknownPrice::Fail), ("allow", OnUnknownPrice::Allow)],
            diagnostics,
        ),
    };
    fields.close(diagnostics);
    limits
}

fn count(fields: &mut Fields<'_>, name: &'static str, diagnostics: &mut Diagnostics) -> Option<u64> {
    let value = fields.value(name)?;
    let count = whole(value).filter(|count| *count <= AMOUNT_MAX);
    if count.is_none() {
        refuse(fields, name, "a whole number from 0", value, diagnostics);
    }
    count
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and AMOUNT_MAX")]
#[expect(clippy::cast_precision_loss, reason = "AMOUNT_MAX is a power of two")]
fn amount(fields: &mut Fields<'_>, name: &'static str, unit: f64, diagnostics: &mut Diagnostics) -> Option<u64> {
    let value = fields.value(name)?;
    let amount = value.as_f64().filter(|amount| *amount >= 0.0).map(|amount| (amount * unit).round());
    let amount = amount.filter(|amount| *amount <= AMOUNT_MAX as f64).map(|amount| amount as u64);
    if amount.is_none() {
        refuse(fields, name, "a number from 0", value, diagnostics);
    }
    amount
}

fn refuse(fields: &Fields<'_>, name: &str, wanted: &str, found: &Value, diagnostics: &mut Diagnostics) {
    let message = format!("`{name}` must be {wanted}, not {}", shown(found));
    diagnostics.error(&fields.place.at(name), DiagnosticCode::InvalidGuardrail, message);
}
