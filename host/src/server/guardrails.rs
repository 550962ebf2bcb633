//! The guardrails that a caller sends along: names and units of the workflow format.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_engine::limits::{Limits, OnExceeded, OnUnknownPrice};

use super::error::{ApiError, Code, FieldProblem};

/// Limits for one execution. They tighten those of the workflow; a looser value changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guardrails {
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
    #[schema(value_type = Option<String>)]
    on_exceeded: Option<OnExceeded>,
    /// `fail` or `allow`.
    #[schema(value_type = Option<String>)]
    on_unknown_price: Option<OnUnknownPrice>,
}

impl Guardrails {
    /// The limits in the engine's units.
    ///
    /// # Errors
    /// [`Code::InvalidGuardrails`] with every number that makes no sense.
    pub(super) fn limits(&self) -> Result<Limits, ApiError> {
        let mut problems = Vec::new();
        let mut scaled = |name: &str, value: Option<f64>, factor: f64| match value {
            Some(value) => scale(value, factor).or_else(|| {
                let message = format!("{name} must be zero or more, and not beyond all measure");
                problems.push(FieldProblem::new(format!("/guardrails/{name}"), "invalid_guardrail", message));
                None
            }),
            None => None,
        };
        let limits = Limits {
            requests: self.request_limit,
            total_tokens: self.total_tokens_limit,
            input_tokens: self.input_tokens_limit,
            output_tokens: self.output_tokens_limit,
            tool_calls: self.tool_calls_limit,
            cost_microusd: scaled("max_cost_dollars", self.max_cost_dollars, 1e6),
            timeout_ms: scaled("timeout_seconds", self.timeout_seconds, 1e3),
            max_steps: self.max_steps,
            fuel: self.fuel_limit,
            memory_bytes: scaled("memory_limit_mb", self.memory_limit_mb, 1024.0 * 1024.0),
            on_exceeded: self.on_exceeded,
            on_unknown_price: self.on_unknown_price,
        };
        if problems.is_empty() {
            return Ok(limits);
        }
        let detail = "some guardrails have no sound value; see errors";
        Err(ApiError::new(Code::InvalidGuardrails, detail).with_errors(problems))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 0 and 2^53")]
fn scale(value: f64, factor: f64) -> Option<u64> {
    const MAX: f64 = 9_007_199_254_740_992.0;
    let scaled = (value * factor).round();
    (value >= 0.0 && scaled <= MAX).then_some(scaled as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_the_engine() {
        let guardrails = Guardrails {
            max_cost_dollars: Some(0.5),
            timeout_seconds: Some(1.5),
            memory_limit_mb: Some(2.0),
            ..Guardrails::default()
        };
        let limits = guardrails.limits().unwrap();
        assert_eq!(limits.cost_microusd, Some(500_000));
        assert_eq!(limits.timeout_ms, Some(1_500));
        assert_eq!(limits.memory_bytes, Some(2 * 1024 * 1024));
    }

    #[test]
    fn senseless_numbers_are_all_named() {
        let guardrails =
            Guardrails { max_cost_dollars: Some(-1.0), timeout_seconds: Some(1e300), ..Guardrails::default() };
        let error = format!("{:?}", guardrails.limits().unwrap_err());
        assert!(error.contains("max_cost_dollars") && error.contains("timeout_seconds"), "{error}");
    }
}
