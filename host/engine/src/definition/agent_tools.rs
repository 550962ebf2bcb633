//! What a step gives its agent: tools, and agents that it may call like tools, each perhaps under conditions.

use serde_json::Value;

use super::{
    approvers,
    diagnostic::{DiagnosticCode, Diagnostics, Place},
    fields::{Fields, too_many, wrong_type},
    guardrails,
};
use crate::{approvers::Approvers, limits::Limits};

/// The most tools that one step may give its agent.
const TOOLS_MAX: usize = 64;
const NAME_CHARACTERS_MAX: usize = 256;
const MS_PER_MINUTE: f64 = 60_000.0;
/// A year: no question waits for longer.
const MINUTES_MAX: f64 = 525_600.0;
/// How long somebody may think about a tool's call, unless the author says otherwise: a day.
pub const APPROVAL_TIMEOUT_MS: u64 = 24 * 3_600_000;

/// A tool, or another agent, that an agent may call.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentTool {
    /// Its name as written.
    pub name: String,
    /// Who must allow each call; `None`: nobody.
    pub approval: Option<ToolApproval>,
    /// What one call of an agent may use of the budget around it.
    pub limits: Limits,
}

/// Who must allow each call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolApproval {
    /// Those who may.
    pub approvers: Approvers,
    /// How long they have; what nobody allows in time is not allowed.
    pub timeout_ms: u64,
}

/// Reads the member `tools` of an `agent_config`: names, or objects with a name and conditions.
pub(crate) fn read(
    config: &serde_json::Map<String, Value>,
    place: &Place,
    diagnostics: &mut Diagnostics,
) -> Vec<AgentTool> {
    let Some(tools) = config.get("tools").and_then(Value::as_array) else { return Vec::new() };
    let place = place.at("tools");
    if tools.len() > TOOLS_MAX {
        too_many(diagnostics, &place, "tools", TOOLS_MAX);
    }
    let tools = tools.iter().take(TOOLS_MAX).enumerate();
    tools.filter_map(|(index, tool)| agent_tool(tool, place.at(index), diagnostics)).collect()
}

/// Reads the member `guardrails` of an `agent_config`.
pub(crate) fn limits(config: &serde_json::Map<String, Value>, place: &Place, diagnostics: &mut Diagnostics) -> Limits {
    guardrails::at(&mut Fields::of(config, place.clone()), diagnostics)
}

fn agent_tool(value: &Value, place: Place, diagnostics: &mut Diagnostics) -> Option<AgentTool> {
    if let Some(name) = value.as_str() {
        return Some(AgentTool { name: name.to_owned(), approval: None, limits: Limits::default() });
    }
    if !value.is_object() {
        wrong_type(diagnostics, &place, "the name of a tool, or an object with its name", value);
        return None;
    }
    let mut fields = Fields::open(value, place, diagnostics)?;
    let tool = fields.text("tool", NAME_CHARACTERS_MAX, diagnostics);
    let name = fields.text("agent", NAME_CHARACTERS_MAX, diagnostics).or(tool);
    let approval = approval(&mut fields, diagnostics);
    let limits = guardrails::at(&mut fields, diagnostics);
    if name.is_none() {
        fields.missing("tool", diagnostics);
    }
    fields.close(diagnostics);
    Some(AgentTool { name: name?.to_owned(), approval, limits })
}

fn approval(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<ToolApproval> {
    let is_required = fields.word("approval", &[("required", true), ("none", false)], diagnostics);
    let approvers = approvers::read(fields, diagnostics);
    let timeout_ms = timeout_ms(fields, diagnostics).unwrap_or(APPROVAL_TIMEOUT_MS);
    is_required.unwrap_or_default().then_some(ToolApproval { approvers, timeout_ms })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a year")]
fn timeout_ms(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let value = fields.value("timeout_minutes")?;
    let minutes = value.as_f64().filter(|minutes| *minutes > 0.0 && *minutes <= MINUTES_MAX);
    if minutes.is_none() {
        let message = "`timeout_minutes` must be a number above 0, at most a year";
        diagnostics.error(&fields.place.at("timeout_minutes"), DiagnosticCode::InvalidValue, message);
    }
    minutes.map(|minutes| (minutes * MS_PER_MINUTE).ceil() as u64)
}
