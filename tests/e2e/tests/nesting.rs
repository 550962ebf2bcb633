//! Steps may be nested 32 deep, however the definition is written; what is nested deeper is told so.

use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use weir_e2e::{Data, host::weir};

use crate::sample;

/// A tool step within so many loops, each over one item.
fn nested(name: &str, loops: usize) -> Value {
    let tool = json!({ "id": "last", "type": "tool", "tool": "echo.run", "tool_args": { "n": "$.input.items[0]" } });
    let step = (0..loops).fold(tool, |inner, n| {
        json!({ "id": format!("l{n}"), "type": "loop", "loop_config": {
            "items_path": "$.input.items", "item_variable": format!("item{n}"), "steps": [inner] } })
    });
    json!({ "name": name, "steps": [step] })
}

/// What is at the bottom of the results of nested loops.
fn bottom(mut output: &Value, loops: usize) -> &Value {
    for n in (0..loops).rev() {
        output = &output[format!("l{n}")]["results"][0];
    }
    output
}

#[tokio::test]
async fn thirty_two_nested_loops_are_saved_and_run() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    host.api.post("/api/workflows", &nested("json", 32)).await?;
    // JSON is YAML too, and is read by the other reader.
    let yaml = nested("yaml", 32).to_string();
    host.api.send(Method::POST, "/api/workflows", "application/yaml", yaml).await?.good()?;
    for name in ["json", "yaml"] {
        let shown = host.api.get(&format!("/api/workflows/{name}")).await?;
        ensure!(shown["definition"] == nested(name, 32), "the definition is not what was saved: {shown}");
        let body = json!({ "input_data": { "items": [7] } });
        let ended = host.api.post(&format!("/api/workflows/{name}/execute?wait=60"), &body).await?;
        ensure!(ended["status"] == "completed", "it ended badly: {ended}");
        ensure!(bottom(&ended["step_outputs"], 32) == &json!({ "last": { "n": 7 } }), "another output: {ended}");
    }
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}

#[tokio::test]
async fn a_thirty_third_loop_is_a_problem_with_its_place() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    let place = format!("/steps/0{}/loop_config/steps", "/loop_config/steps/0".repeat(32));
    let refused = host.api.try_post("/api/workflows", &nested("deep", 33)).await?.refused(422, "invalid_workflow")?;
    let errors = refused["errors"].as_array().context("a refusal without errors")?;
    ensure!(errors.len() == 1 && errors[0]["code"] == "too_deep", "other errors: {errors:?}");
    ensure!(errors[0]["field"] == place && errors[0]["step_id"] == "l0", "another place: {errors:?}");

    let file = data.beside("deep.json");
    std::fs::write(&file, nested("deep", 33).to_string()).context("writing a definition")?;
    let file = file.to_string_lossy();
    let ran = weir(&["validate", "--offline", &file], &[], &data.path()).await?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    ensure!(ran.code != Some(0) && said.contains("nested deeper than 32"), "the command line says {ran:?}");
    Ok(())
}

/// Whatever part of a definition is as deep as it may be, the host answers, and runs it if it saved it.
#[tokio::test]
async fn a6_deep_parts_of_a_definition_do_not_overflow_the_stack() -> Result<()> {
    let data = Data::new()?;
    let host = data.start().await?;
    sample::install_guests(&host).await?;
    let lists = (0..112).fold(json!("$.input.a"), |inner, _| json!([inner]));
    let schema = (0..56).fold(json!(true), |inner, _| json!({ "properties": { "a": inner } }));
    let test = (0..112).fold(json!({ "field": "$.input.a", "operator": "exists" }), |inner, _| json!({ "not": inner }));
    let asking = |part: &str, value: &Value| {
        let mut step = json!({ "id": "ask", "type": "human", "human_config": {} });
        step["human_config"][part] = value.clone();
        step
    };
    let steps = [
        json!({ "id": "tool", "type": "tool", "tool": "echo.run", "tool_args": { "a": lists } }),
        json!({ "id": "agent", "type": "agent", "agent": "echo.act", "agent_prompt": lists }),
        json!({ "id": "agent", "type": "agent", "agent": "echo.act", "agent_config": { "a": lists } }),
        json!({ "id": "test", "type": "condition", "condition": test }),
        json!({ "id": "odd", "type": lists }),
        asking("notification", &lists),
        asking("form_schema", &schema),
        asking("options", &lists),
    ];
    let echo = json!([{ "id": "a", "type": "tool", "tool": "echo.run" }]);
    let mut definitions: Vec<Value> = steps.into_iter().map(|step| json!({ "steps": [step] })).collect();
    for (field, value) in [("input_schema", &schema), ("output", &lists), ("guardrails", &lists), ("triggers", &lists)]
    {
        let mut definition = json!({ "steps": echo.clone() });
        definition[field] = value.clone();
        definitions.push(definition);
    }
    for (n, mut definition) in definitions.into_iter().enumerate() {
        definition["name"] = format!("deep{n}").into();
        for kind in ["application/json", "application/yaml"] {
            let found = host.api.send(Method::POST, "/api/workflows/validate", kind, definition.to_string()).await?;
            found.good().with_context(|| format!("validating {definition}"))?;
        }
        let saved = host.api.try_post("/api/workflows", &definition).await?;
        if saved.status == 201 {
            let body = json!({ "input_data": { "a": 1 } });
            let execute = format!("/api/workflows/deep{n}/execute");
            host.api.post(&execute, &body).await.with_context(|| format!("running {definition}"))?;
        } else {
            saved.refused(422, "invalid_workflow")?;
        }
    }
    ensure!(host.stop().await?.success(), "the host did not stop well");
    Ok(())
}
