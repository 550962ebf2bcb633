use super::*;
use weir_sdk::testing::Host;

fn host() -> Host {
    Host::new().plugin::<text::Plugin>()
}

fn run(message: &str) -> Value {
    host().call::<Plugin>("triage", &json!({ "message": message })).result.unwrap()
}

#[test]
fn messages_are_sorted() {
    for (message, urgency, category, language, needs_human) in [
        ("Hello, where is my parcel? It should have come on Monday.", "normal", "delivery", "en", false),
        ("Thank you so much, the new lamp is wonderful and your team was very friendly.", "low", "praise", "en", false),
        ("The toaster is broken and smoke came out of it. This is dangerous!", "high", "damage", "en", true),
        (
            "I was charged twice for the same invoice. If you do not fix it I will call my lawyer.",
            "high",
            "billing",
            "en",
            true,
        ),
        ("Ich möchte meinen Vertrag kündigen.", "normal", "cancellation", "de", false),
        (
            "Das Paket kam völlig zerstört an, ich bin sehr enttäuscht und verärgert, das ist eine Frechheit!",
            "high",
            "delivery",
            "de",
            true,
        ),
        ("Bonjour, je voudrais un remboursement pour ma commande.", "normal", "refund", "fr", false),
        ("No puedo entrar en mi cuenta, he olvidado la contraseña.", "normal", "account", "es", false),
        ("Do you have this lamp in green as well?", "normal", "question", "en", false),
    ] {
        let output = run(message);
        let found = (&output["urgency"], &output["category"], &output["language"], &output["needs_human"]);
        let expected = (&json!(urgency), &json!(category), &json!(language), &json!(needs_human));
        assert_eq!(found, expected, "{message}: {output}");
    }
}

#[test]
fn tools_are_called_through_the_host() {
    let ran = host().call::<Plugin>("triage", &json!({ "message": "Where is my order?" }));
    let tools: Vec<_> = ran.calls.iter().map(|call| call.tool.as_str()).collect();
    assert_eq!(tools, ["text.detect_language", "text.sentiment", "text.keywords"]);
    assert_eq!(ran.logs.len(), 1);
}

#[test]
fn reasons_say_why() {
    let output = run("My lawyer will hear of this fraud.");
    let reasons = output["reasons"].to_string();
    assert!(reasons.contains("legal steps") && reasons.contains("fraud"), "{reasons}");
}

#[test]
fn configuration_and_customer_count() {
    let config = json!({ "languages": ["en"], "very_negative": -0.1 });
    let ran =
        host().config(config).call::<Plugin>("triage", &json!({ "message": "Ich möchte meinen Vertrag kündigen." }));
    assert_eq!(ran.result.unwrap()["needs_human"], json!(true));
    let input = json!({ "message": "Where is my order?", "subject": "Hello", "priority_customer": true });
    assert_eq!(host().call::<Plugin>("triage", &input).result.unwrap()["urgency"], json!("high"));
}

#[test]
fn what_cannot_be_understood_goes_to_a_person() {
    assert_eq!(run("12345")["needs_human"], json!(true));
    let ran = host().call::<Plugin>("triage", &json!({ "message": "  " }));
    assert_eq!(ran.result.unwrap_err().code(), "invalid_input");
}

#[test]
fn a_tool_that_fails_fails_the_agent() {
    let broken = Host::new().tool("text.detect_language", |_| Err(Failure::unavailable("try later")));
    let ran = broken.call::<Plugin>("triage", &json!({ "message": "Hello" }));
    assert_eq!(ran.result, Err(Failure::unavailable("try later")));
    let ran = Host::new().call::<Plugin>("triage", &json!({ "message": "Hello" }));
    assert_eq!(ran.result.unwrap_err().code(), "denied");
}

#[test]
fn every_word_of_the_rules_can_decide() {
    for rule in rules::URGENT.iter().chain(rules::CATEGORIES) {
        for stem in rule.stems {
            let word = stem.trim_end_matches('*');
            let covers = |other: &&&str| *other != stem && other.strip_suffix('*').is_some_and(|s| word.starts_with(s));
            assert_eq!(rule.stems.iter().find(covers), None, "{stem} of {:?} never decides", rule.name);
        }
    }
}

#[test]
fn the_descriptor_asks_for_the_tools() {
    let descriptor = weir_sdk::testing::describe::<Plugin>();
    assert_eq!(descriptor["name"], json!("triage"));
    assert_eq!(descriptor["agents"][0]["tools"], json!(["text.detect_language", "text.sentiment", "text.keywords"]));
    assert_eq!(descriptor["tools"], json!([]));
}
