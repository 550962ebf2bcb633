//! The provider `scripted` behind the same gateway.

use std::path::PathBuf;

use weir_engine::failure::FailureCode;
use weir_host::{
    egress::EgressConfig,
    models::{Gateway, ModelConfig, PriceView, Provider, StopReason},
};

use super::{ask, gateway, hello};

fn scripted(rules: &str) -> (Gateway, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let script: PathBuf = directory.path().join("rules.yaml");
    std::fs::write(&script, rules).unwrap();
    let model = ModelConfig { script: Some(script), ..ModelConfig::new(Provider::Scripted, "demo") };
    (gateway(model, EgressConfig::default()), directory)
}

#[tokio::test]
async fn a_script_is_a_provider_like_others_and_says_what_it_is() {
    let (gateway, _directory) = scripted(
        "rules: [{when: {contains: hell}, delay_ms: 1, answer: {text: 'you said {{last}}', tool_calls: [{tool: a.b}]}}]",
    );
    let (answer, heard) = ask(&gateway, hello()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), heard.len()), ("you said hello", 3));
    assert_eq!((answer.provider.as_str(), answer.model.as_str()), ("scripted", "demo"));
    assert_eq!((answer.stop, answer.tool_calls[0].tool.as_str()), (StopReason::ToolCalls, "a.b"));
    assert!(answer.latency_ms >= 1);
    let prepared = gateway.prepare(hello()).unwrap();
    assert!(answer.usage.unwrap().input_tokens.unwrap() <= prepared.input_tokens_max);
    assert_eq!(gateway.views()[0].price, PriceView::Free);
}

#[tokio::test]
async fn a_script_fails_as_providers_do() {
    let (gateway, _directory) = scripted(
        "rules: [{when: {equals: x}, answer: {}}, {when: {glob: 'he*'}, fail: {status: 503, message: tired}}]",
    );
    let error = ask(&gateway, hello()).await.0.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::Unavailable);
    assert!(error.to_string().contains("status 503: tired"), "{error}");
    let (gateway, _directory) = scripted("rules: []");
    let error = ask(&gateway, hello()).await.0.unwrap_err();
    assert_eq!(error.failure().code, FailureCode::Failed);
}

#[test]
fn an_alias_that_is_not_there_is_told_with_those_that_are() {
    let (gateway, _directory) = scripted("rules: []");
    let request = weir_host::models::ChatRequest::question("smart", "hello");
    let error = gateway.prepare(request).unwrap_err();
    assert_eq!(error.failure().code, FailureCode::InvalidInput);
    assert!(error.to_string().contains("there are: fast"), "{error}");
}
