//! What a step says about its agent.

use weir_sdk::prelude::*;

/// Turns where a step says nothing.
const TURNS_DEFAULT: u32 = 20;
/// The most turns that a step may allow.
const TURNS_MAX: u32 = 200;

/// How the agent works. All of it is optional.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AgentConfig {
    /// The model, by the name (alias) that the host's operator gave it.
    #[serde(default = "default_model")]
    pub model: String,
    /// What the model is told about its task and its manners.
    #[serde(default)]
    pub system: Option<String>,
    /// The tools that the model may call. Those that this lists are granted by it; without a list the agent has the
    /// tools that an administrator granted to it.
    #[serde(default)]
    pub tools: Option<Vec<Tool>>,
    /// The JSON Schema of the answer.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// The most model requests, from 1 to 200.
    #[serde(default = "default_turns")]
    #[schemars(range(min = 1, max = 200))]
    pub max_turns: u32,
    /// How freely the model chooses its words: 0 for as little as possible.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// The longest answer of one turn, in tokens.
    #[serde(default)]
    pub max_tokens: Option<u64>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tool {
    /// Its name: `plugin.tool`.
    Name(String),
    /// Its name, and what the host is to do about it, such as asking a person before each call.
    Object {
        /// The name; `agent` where another agent is meant.
        #[serde(alias = "agent")]
        tool: String,
    },
}

impl Tool {
    /// The tool's name, as the step writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Object { tool: name } => name,
        }
    }
}

fn default_model() -> String {
    "default".into()
}

fn default_turns() -> u32 {
    TURNS_DEFAULT
}

impl AgentConfig {
    /// Refuses what no run could satisfy.
    pub(crate) fn check(&self) -> Result<()> {
        if (1..=TURNS_MAX).contains(&self.max_turns) {
            return Ok(());
        }
        Err(Failure::invalid_input(format!("config.max_turns is {}: it must be from 1 to {TURNS_MAX}", self.max_turns)))
    }

    /// The tools that the model may call: those of the list, or all that the host offers to this call.
    pub(crate) fn tools(&self) -> Result<Vec<String>> {
        let offered: Vec<String> = tools::list()?.into_iter().map(|tool| tool.name).collect();
        let Some(listed) = &self.tools else { return Ok(offered) };
        let missing: Vec<&str> =
            listed.iter().map(Tool::name).filter(|name| !offered.iter().any(|found| found == name)).collect();
        if missing.is_empty() {
            return Ok(listed.iter().map(|tool| tool.name().to_owned()).collect());
        }
        Err(Failure::denied(format!(
            "config.tools lists what this call may not use: {}; it may use: {}",
            missing.join(", "),
            offered.join(", ")
        )))
    }
}
