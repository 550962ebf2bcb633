//! The guardrails that a caller sends along: names and units of the workflow format.

use utoipa::ToSchema;
use weir_engine::{definition::parse_guardrails, json::Json, limits::Limits};

use super::error::{ApiError, Code, FieldProblem};

/// Limits for one execution. They tighten those of the workflow; a looser value changes nothing.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it documents what the engine reads")]
pub(crate) struct Guardrails {
    /// Model requests.
    request_limit: Option<u64>,
    /// Input and output tokens together.
    total_tokens_limit: Option<u64>,
    /// Tokens sent to models.
    input_tokens_limit: Option<u64>,
    /// Tokens that models answer with.
    output_tokens_limit: Option<u64>,
    /// Tool calls, of steps and of agents.
    tool_calls_limit: Option<u64>,
    /// Money, in US dollars.
    max_cost_dollars: Option<f64>,
    /// Wall time from the start, in seconds.
    timeout_seconds: Option<f64>,
    /// Visits of steps.
    max_steps: Option<u64>,
    /// Fuel of one plugin call.
    fuel_limit: Option<u64>,
    /// Memory of one plugin call, in MiB.
    memory_limit_mb: Option<f64>,
    /// `fail` or `pause`.
    on_exceeded: Option<String>,
    /// `fail` or `allow`.
    on_unknown_price: Option<String>,
}

/// The limits in the engine's units.
///
/// # Errors
/// [`Code::InvalidGuardrails`] with every field that is unknown or has no sound value.
pub(super) fn limits(guardrails: Option<&Json>) -> Result<Limits, ApiError> {
    guardrails.map_or_else(|| Ok(Limits::default()), |guardrails| limits_at(guardrails, "/guardrails"))
}

/// The limits in the engine's units; `pointer` is where they stand in the body.
///
/// # Errors
/// [`Code::InvalidGuardrails`] with every field that is unknown or has no sound value.
pub(super) fn limits_at(guardrails: &Json, pointer: &str) -> Result<Limits, ApiError> {
    let (limits, diagnostics) = parse_guardrails(guardrails.value(), pointer);
    let problems: Vec<_> = diagnostics.into_iter().map(FieldProblem::from).collect();
    if problems.is_empty() {
        return Ok(limits);
    }
    let detail = "the guardrails are not acceptable; see errors";
    Err(ApiError::new(Code::InvalidGuardrails, detail).with_errors(problems))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn senseless_and_unknown_fields_are_all_named() {
        let json = Json::from_value(json!({"max_cost_dollars": -1, "timeout_seconds": "x", "tool_call_limit": 1}));
        let error = format!("{:?}", limits(Some(&json)).unwrap_err());
        for field in ["max_cost_dollars", "timeout_seconds", "tool_call_limit"] {
            assert!(error.contains(&format!("/guardrails/{field}")), "{error}");
        }
        assert_eq!(limits(None).unwrap(), Limits::default());
    }
}
