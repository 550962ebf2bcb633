//! What a step gives its agent: tools, and agents that it may call like tools, each perhaps under conditions.

use serde_json::Value;

use super::{
    approvers,
    diagnostic::{DiagnosticCode, Diagnostics, Place},
    fields::{Fields, too_many, wrong_type},
    guardrails,
};
use crate::{
    limits::Limits,
    tool_grant::{ToolApproval, ToolGrant, ms_of_minutes},
};

/// The most tools that one step may give its agent.
const TOOLS_MAX: usize = 64;
const NAME_CHARACTERS_MAX: usize = 256;

/// A tool, or another agent, that an agent may call.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentTool {
    /// Its name as written, and who must allow each call.
    pub grant: ToolGrant,
    /// What one call of an agent may use of the budget around it.
    pub limits: Limits,
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
        return Some(AgentTool { grant: ToolGrant::new(name), limits: Limits::default() });
    }
    if !value.is_object() {
        wrong_type(diagnostics, &place, "the name of a tool, or an object with its name", value);
        return None;
    }
    let mut fields = Fields::open(value, place, diagnostics)?;
    let tool = fields.text("tool", NAME_CHARACTERS_MAX, diagnostics);
    let name = fields.text("agent", NAME_CHARACTERS_MAX, diagnostics).or(tool);
    let approval = fields.word("approval", &[("required", Some(ToolApproval::Required)), ("none", None)], diagnostics);
    let approvers = fields.value("approvers").is_some().then(|| approvers::read(&mut fields, diagnostics));
    let timeout_ms = timeout_ms(&mut fields, diagnostics);
    let limits = guardrails::at(&mut fields, diagnostics);
    if name.is_none() {
        fields.missing("tool", diagnostics);
    }
    fields.close(diagnostics);
    let grant = ToolGrant { tool: name?.to_owned(), approval: approval.flatten(), approvers, timeout_ms };
    Some(AgentTool { grant, limits })
}

fn timeout_ms(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let value = fields.value("timeout_minutes")?;
    let timeout_ms = value.as_f64().filter(|minutes| *minutes > 0.0).and_then(ms_of_minutes);
    if timeout_ms.is_none() {
        let message = "`timeout_minutes` must be a number above 0, at most 366 days";
        diagnostics.error(&fields.place.at("timeout_minutes"), DiagnosticCode::InvalidValue, message);
    }
    timeout_ms
}
