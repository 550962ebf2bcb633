//! An agent at work: with a script as its model, or with a real one where the environment names one.

use std::path::Path;

use serde_json::{Value, json};

use super::{files, input_of, is_definition, read_input};
use crate::{
    cli::{
        out::{Ink, Out, text_of},
        progress::{self, Asked},
    },
    client::{Client, segment},
    config::Config,
    models::{ModelConfig, Provider},
};

/// The example that shows an agent: it is not the one that a demo runs first.
pub(super) const EXAMPLE: &str = "ask_agent";
/// The alias that the example's agent names.
const ALIAS: &str = "default";
/// What the script answers from, below the directory of the workflows.
const SCRIPT: &str = "scripts/demo.yaml";

/// Gives the demo a model: that of the environment, or a script where there is none.
///
/// # Errors
/// The environment names a model that cannot be used.
pub(super) fn add_model(
    config: &mut Config,
    workflows: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<()> {
    config.add_model_of_environment(variable)?;
    let script = workflows.join(SCRIPT);
    if !config.models.contains_key(ALIAS) && script.exists() {
        let model = ModelConfig { script: Some(script), ..ModelConfig::new(Provider::Scripted, "") };
        config.models.insert(ALIAS.to_owned(), model);
    }
    Ok(())
}

/// Whether a definition is the example of an agent.
pub(super) fn is_example(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == EXAMPLE)
}

/// Runs the example and says which model answered, and what it took. Nothing happens where there is none.
pub(super) async fn show(client: &Client, workflows: &Path, out: Out) -> anyhow::Result<()> {
    let definition = files(workflows, is_definition)?.into_iter().find(|path| is_example(path));
    let Some(input) = definition.and_then(|path| input_of(&path)) else { return Ok(()) };
    let models = client.get("/api/models").await?;
    let mut known = models["items"].as_array().into_iter().flatten();
    let Some(model) = known.find(|model| model["alias"] == ALIAS) else { return Ok(()) };
    let provider = text_of(model, "provider");
    out.say(&format!("\n{}", out.ink(Ink::Strong, &format!("running {EXAMPLE} with a model ({provider})"))));
    let body = json!({ "input_data": read_input(&input)? });
    let started = client.post(&format!("/api/workflows/{}/execute", segment(EXAMPLE)), body).await?;
    let execution = progress::follow(client, &text_of(&started, "execution_id"), out, &Asked::Leave).await?;
    out.say(&format!("\n{}", progress::result(out, &execution)));
    out.say(&format!("  {}", taken(&execution["usage"])));
    if provider == Provider::Scripted.as_str() {
        out.say("  the model is a script; with WEIR_MODEL_URL=http://localhost:11434/v1 WEIR_MODEL_NAME=qwen3:8b it is real");
    }
    Ok(())
}

fn taken(usage: &Value) -> String {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    format!(
        "it took {} model requests, {} tool calls, {} input and {} output tokens",
        count("requests"),
        count("tool_calls"),
        count("input_tokens"),
        count("output_tokens")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_has_a_script_where_the_environment_names_no_model() {
        let directory = tempfile::tempdir().unwrap();
        let model_of = |variables: &[(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
            let mut config = Config::default();
            add_model(&mut config, directory.path(), find).unwrap();
            config.models.remove(ALIAS).map(|model| model.provider)
        };
        assert_eq!(model_of(&[]), None, "there is no script");
        std::fs::create_dir(directory.path().join("scripts")).unwrap();
        std::fs::write(directory.path().join(SCRIPT), "rules: []").unwrap();
        assert_eq!(model_of(&[]), Some(Provider::Scripted));
        let real = [("WEIR_MODEL_URL", "http://localhost:11434/v1"), ("WEIR_MODEL_NAME", "qwen3")];
        assert_eq!(model_of(&real), Some(Provider::Openai));
    }
}
