//! The limits that an answer to a pause raises.

use serde_json::json;
use weir_engine::{
    definition::parse_guardrails,
    json::Json,
    limits::{Limits, shown},
};

use super::DecideError;
use crate::schema::SchemaProblem;

/// The new limits that `data` names, none of them above the host's ceiling.
///
/// # Errors
/// [`DecideError::Unfit`] with every field that is unknown, has no sound value, cannot be raised, or is raised too far.
pub(super) fn limits(data: Option<&Json>, ceilings: &Limits) -> Result<Limits, DecideError> {
    let nothing = json!({});
    let (limits, unread) = parse_guardrails(data.map_or(&nothing, Json::value), "/data");
    let mut problems: Vec<_> = unread.into_iter().map(|p| SchemaProblem::new(p.field, p.message)).collect();
    if problems.is_empty() && limits == Limits::default() {
        problems.push(SchemaProblem::new("/data", "name at least one guardrail and its new value".to_owned()));
    }
    problems.extend(fixed(&limits));
    problems.extend(too_high(&limits, ceilings));
    if problems.is_empty() { Ok(limits) } else { Err(DecideError::Unfit(problems)) }
}

/// Guardrails that are fixed when an execution starts: nothing waits at them, so raising them would do nothing.
fn fixed(limits: &Limits) -> impl Iterator<Item = SchemaProblem> {
    let rows = [
        ("timeout_seconds", limits.timeout_ms.is_some()),
        ("fuel_limit", limits.fuel.is_some()),
        ("memory_limit_mb", limits.memory_bytes.is_some()),
        ("on_exceeded", limits.on_exceeded.is_some()),
        ("on_unknown_price", limits.on_unknown_price.is_some()),
    ];
    rows.into_iter().filter(|(_, named)| *named).map(|(name, _)| {
        let message = format!("`{name}` is fixed when an execution starts: it cannot be raised");
        SchemaProblem::new(format!("/data/{name}"), message)
    })
}

/// Guardrails above what the host lets any execution have.
fn too_high(limits: &Limits, ceilings: &Limits) -> impl Iterator<Item = SchemaProblem> {
    let rows = limits.quantities().into_iter().zip(ceilings.quantities());
    rows.filter_map(|((name, new), (_, ceiling))| {
        let ceiling = ceiling.filter(|ceiling| new.is_some_and(|new| new > *ceiling))?;
        let message = format!("`{name}` can be raised to {} on this host", shown(name, ceiling));
        Some(SchemaProblem::new(format!("/data/{name}"), message))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fields(data: Value, ceilings: &Limits) -> Vec<(String, String)> {
        match limits(Some(&Json::from_value(data)), ceilings) {
            Err(DecideError::Unfit(problems)) => problems.into_iter().map(|p| (p.field, p.message)).collect(),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_raised_is_named() {
        let data = json!({ "timeout_seconds": 9, "fuel_limit": 9, "memory_limit_mb": 9, "tool_calls_limit": 9 });
        let found = fields(data, &Limits::default());
        let names: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(names, ["/data/timeout_seconds", "/data/fuel_limit", "/data/memory_limit_mb"]);
        assert_eq!(fields(json!({ "on_exceeded": "pause" }), &Limits::default())[0].0, "/data/on_exceeded");
        assert_eq!(fields(json!({}), &Limits::default())[0].0, "/data");
    }

    #[test]
    fn nothing_is_raised_above_the_hosts_ceiling() {
        let ceilings = Limits { max_steps: Some(10), cost_microusd: Some(2_500_000), ..Limits::default() };
        let found = fields(json!({ "max_steps": 11, "max_cost_dollars": 3, "tool_calls_limit": 1 }), &ceilings);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(
            found[0],
            ("/data/max_cost_dollars".into(), "`max_cost_dollars` can be raised to 2.5 on this host".into())
        );
        assert_eq!(found[1], ("/data/max_steps".into(), "`max_steps` can be raised to 10 on this host".into()));
        let most = limits(Some(&json!({ "max_steps": 10, "max_cost_dollars": 2.5 }).into()), &ceilings).unwrap();
        assert_eq!((most.max_steps, most.cost_microusd), (Some(10), Some(2_500_000)));
    }
}
