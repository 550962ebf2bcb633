//! What is sent: in each protocol, with the right key, and in turn.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use weir_engine::failure::FailureCode;
use weir_host::models::{ChatRequest, KeySource, Message, Micros, ModelConfig, NoKeys, PriceConfig, Provider, ToolUse};

use super::{OneKey, WIRES, ask, body, everything, gateway, gateway_with, hello, model_at, speech};
use crate::peer::{Peer, Said};

/// What a provider is sent for a request with everything in it.
async fn sent(provider: Provider, model: &str) -> (String, Value) {
    let peer = Peer::answering(move |_| speech::stream(provider, &speech::hello(provider))).await;
    let config = ModelConfig { model: model.to_owned(), ..model_at(provider, &peer) };
    ask(&gateway(config, peer.allowed()), everything()).await.0.unwrap();
    let asked = peer.asked().remove(0);
    (asked.lines().next().unwrap().to_owned(), body(&asked))
}

#[tokio::test]
async fn openai_is_asked_in_its_own_words() {
    let (line, body) = sent(Provider::Openai, "some::model-high").await;
    assert_eq!(line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(body["model"], "some::model-high", "a name is a name");
    assert_eq!(body.get("reasoning_effort"), None);
    assert_eq!((&body["stream"], &body["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
    assert_eq!((&body["max_tokens"], &body["temperature"], &body["seed"]), (&json!(77), &json!(0.5), &json!(7)));
    assert_eq!((&body["top_p"], &body["stop"]), (&json!(0.9), &json!(["END"])));
    assert_eq!(body["tools"][0]["function"]["name"], "text__count");
    let format = &body["response_format"]["json_schema"];
    assert_eq!((&format["schema"]["properties"]["n"]["type"], &format["strict"]), (&json!("integer"), &json!(false)));
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages[0], json!({"role": "system", "content": "be brief"}));
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], "{\"text\":\"a\"}");
    assert_eq!(messages[3], json!({"role": "tool", "content": "{\"count\":1}", "tool_call_id": "c1"}));
}

#[tokio::test]
async fn anthropic_is_asked_in_its_own_words() {
    let (line, body) = sent(Provider::Anthropic, "some-model-high").await;
    assert_eq!(line, "POST /v1/messages HTTP/1.1");
    assert_eq!((&body["model"], &body["system"]), (&json!("some-model-high"), &json!("be brief")));
    assert_eq!((&body["max_tokens"], &body["stream"]), (&json!(77), &json!(true)));
    assert_eq!(body["tools"][0]["name"], "text__count");
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"text": "a"}));
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], "c1");
    let format = &body["output_config"]["format"];
    assert_eq!((&format["type"], &format["schema"]["additionalProperties"]), (&json!("json_schema"), &json!(false)));
}

#[tokio::test]
async fn the_models_of_openai_that_reason_have_another_name_for_the_room_of_an_answer() {
    for (model, name) in [
        ("gpt-5-mini", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("gpt-oss:20b", "max_tokens"),
        ("olmo", "max_tokens"),
    ] {
        let (_, body) = sent(Provider::Openai, model).await;
        assert_eq!(body[name], 77, "{model}");
        assert!(body.get("max_tokens").is_none() || body.get("max_completion_tokens").is_none(), "{model}");
    }
}

#[tokio::test]
async fn the_answers_of_tools_come_in_one_turn() {
    for provider in [Provider::Anthropic, Provider::Gemini] {
        let peer = Peer::answering(move |_| speech::stream(provider, &speech::hello(provider))).await;
        let called = |id: &str| ToolUse {
            id: id.to_owned(),
            tool: "text.count".to_owned(),
            input: json!([1]).into(),
            signature: None,
        };
        let answered = |id: &str| Message::Tool { tool_call_id: id.to_owned(), content: "7".to_owned() };
        let messages = vec![
            Message::User { content: "hello".to_owned() },
            Message::Assistant {
                content: "well".to_owned(),
                tool_calls: vec![called("a"), called("call#text__count#1")],
            },
            answered("a"),
            answered("call#text__count#1"),
            Message::Assistant { content: String::new(), tool_calls: Vec::new() },
            Message::User { content: "and?".to_owned() },
        ];
        let config = ModelConfig { model: "gemini-3-pro".to_owned(), ..model_at(provider, &peer) };
        ask(&gateway(config, peer.allowed()), ChatRequest { messages, ..hello() }).await.0.unwrap();
        let body = body(&peer.asked()[0]);
        if provider == Provider::Anthropic {
            let turns = body["messages"].as_array().unwrap();
            assert_eq!(turns[1]["content"][1]["input"], json!({}), "what the model got wrong");
            let kinds: Value =
                turns[2]["content"].as_array().unwrap().iter().map(|said| said["type"].clone()).collect();
            assert_eq!((turns.len(), kinds), (3, json!(["tool_result", "tool_result", "text"])));
        } else {
            let turns = body["contents"].as_array().unwrap();
            let calls = turns[1]["parts"].as_array().unwrap();
            assert_eq!((turns.len(), calls[0]["text"].as_str()), (3, Some("well")));
            assert_eq!((&calls[1]["functionCall"]["id"], calls[2]["functionCall"].get("id")), (&json!("a"), None));
            assert_eq!(calls[1]["thoughtSignature"], "skip_thought_signature_validator");
            assert_eq!(calls[2].get("thoughtSignature"), None);
            let answer = json!({"id": "a", "name": "text__count", "response": {"output": 7}});
            assert_eq!(turns[2]["parts"][0]["functionResponse"], answer);
            assert_eq!(turns[2]["parts"][2]["text"], "and?");
        }
    }
}

#[tokio::test]
async fn gemini_is_asked_in_its_own_words() {
    let (line, body) = sent(Provider::Gemini, "some-model").await;
    assert_eq!(line, "POST /v1/models/some-model:streamGenerateContent?alt=sse HTTP/1.1");
    assert_eq!(body["systemInstruction"]["parts"][0]["text"], "be brief");
    assert_eq!(body["generationConfig"]["maxOutputTokens"], 77);
    assert_eq!(body["generationConfig"]["responseJsonSchema"]["type"], "object");
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["name"], "text__count");
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["args"], json!({"text": "a"}));
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["name"], "text__count");
}

#[tokio::test]
async fn ollama_is_asked_in_its_own_words() {
    let (line, body) = sent(Provider::Ollama, "qwen3:8b").await;
    assert_eq!(line, "POST /v1/api/chat HTTP/1.1");
    assert_eq!((&body["model"], &body["options"]["num_predict"]), (&json!("qwen3:8b"), &json!(77)));
    assert_eq!(body["format"]["properties"]["n"]["type"], "integer");
    let system = body["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("be brief") && system.contains("\"integer\""), "{system}");
    assert_eq!(body["tools"][0]["function"]["name"], "text__count");
    assert_eq!(body["messages"][3], json!({"role": "tool", "content": "{\"count\":1}", "tool_name": "text__count"}));
}

#[tokio::test]
async fn d2_a_key_goes_where_it_is_bound_to_and_is_told_to_nobody() {
    for provider in WIRES {
        let said = speech::status("400 Bad Request", "", &json!({"error": {"message": "bad key sk-the-key"}}));
        let peer = Peer::answering(move |_| said.clone()).await;
        let model = ModelConfig { key: Some(KeySource::Secret("provider".to_owned())), ..model_at(provider, &peer) };
        let keys = OneKey("provider", peer.address.to_string().parse().unwrap());
        let bound = gateway_with(model.clone(), peer.allowed(), Arc::new(keys)).unwrap();
        let error = ask(&bound, hello()).await.0.unwrap_err();
        let asked = peer.asked().remove(0);
        let header = match provider {
            Provider::Anthropic => "x-api-key: sk-the-key",
            Provider::Gemini => "x-goog-api-key: sk-the-key",
            Provider::Openai | Provider::Ollama | Provider::Scripted => "authorization: Bearer sk-the-key",
        };
        assert!(asked.contains(header), "{provider:?}: {asked}");
        let told = format!("{error} {error:?} {bound:?} {:?}", error.failure());
        assert!(!told.contains("sk-the-key"), "{told}");

        let elsewhere = OneKey("provider", "api.example:443".parse().unwrap());
        let unbound = gateway_with(model, peer.allowed(), Arc::new(elsewhere)).unwrap();
        let error = ask(&unbound, hello()).await.0.unwrap_err();
        assert_eq!(error.failure().code, FailureCode::Denied, "{error}");
        assert_eq!(peer.asked().len(), 1, "nothing is sent without the key");
    }
}

#[tokio::test]
async fn a_key_of_the_environment_must_be_there() {
    let peer = Peer::saying("").await;
    let key = Some(KeySource::Env("WEIR_TEST_NO_SUCH_KEY".to_owned()));
    let model = ModelConfig { key, ..model_at(Provider::Openai, &peer) };
    let problem = gateway_with(model, peer.allowed(), Arc::new(NoKeys)).unwrap_err().to_string();
    assert!(problem.contains("models.fast: key:") && problem.contains("WEIR_TEST_NO_SUCH_KEY"), "{problem}");
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_there_are_places() {
    let peer = Peer::answering(|_| Said::Silent(Vec::new())).await;
    let model = ModelConfig { concurrency: 2, timeout_seconds: 1, ..model_at(Provider::Openai, &peer) };
    let gateway = gateway(model, peer.allowed());
    let asking = (0..5).map(|_| ask(&gateway, hello()));
    let errors = futures_util::future::join_all(asking).await.into_iter().map(|(answer, _)| answer.unwrap_err());
    let waited = errors.filter(|error| error.failure().code == FailureCode::Unavailable).count();
    assert_eq!((waited, peer.asked().len()), (3, 2));
}

#[tokio::test]
async fn a_dropped_call_ends_its_connection() {
    let mut peer = Peer::answering(|_| Said::Silent(Vec::new())).await;
    let gateway = gateway(model_at(Provider::Openai, &peer), peer.allowed());
    let asking = tokio::time::timeout(Duration::from_millis(200), ask(&gateway, hello())).await;
    assert!(asking.is_err());
    peer.ended(1).await;
}

#[tokio::test]
async fn an_answer_has_as_many_tokens_as_are_left() {
    let peer = Peer::answering(|_| speech::stream(Provider::Openai, &speech::hello(Provider::Openai))).await;
    let dollar = Micros::new(1_000_000);
    let price = Some(PriceConfig { input: dollar, cached_input: None, output: dollar });
    let gateway = gateway(ModelConfig { price, max_tokens: 50, ..model_at(Provider::Openai, &peer) }, peer.allowed());
    let prepared = gateway.prepare(ChatRequest { max_tokens: Some(1000), ..hello() }).unwrap();
    assert_eq!(prepared.max_tokens, 50, "what the alias allows");
    let reserved = prepared.reservation(20);
    assert_eq!(reserved.cost_microusd, reserved.input_tokens + 20);
    assert_eq!(prepared.max_tokens_for(reserved.cost_microusd), Some(20));
    assert_eq!(prepared.max_tokens_for(reserved.input_tokens), None);
    let answer = gateway.send(&prepared, 20, &mut |_| {}).await.unwrap();
    assert_eq!(body(&peer.asked()[0])["max_tokens"], 20);
    let settled = prepared.settle(answer.usage.as_ref(), &reserved);
    assert_eq!((settled.requests, settled.input_tokens, settled.output_tokens, settled.cost_microusd), (1, 11, 2, 13));
}
