use super::*;

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_767_225_600_000_000);

fn triggers(triggers: Value) -> (Vec<NewTrigger>, Vec<Diagnostic>) {
    let steps = json!([{ "id": "a", "type": "tool", "tool": "text.count" }]);
    let (definition, found) = Definition::parse(&json!({ "name": "x", "triggers": triggers, "steps": steps }));
    assert!(found.iter().all(|found| !found.is_error()), "{found:#?}");
    read(&definition, NOW)
}

#[track_caller]
fn refused(config: Value, kind: &str, field: &str, said: &str) {
    let (_, found) = triggers(json!([{ "type": kind, "config": config }]));
    let at = format!("/triggers/0/config{field}");
    let hit = found.iter().find(|found| found.is_error() && found.field == at && found.message.contains(said));
    assert!(hit.is_some(), "nothing at {at} says {said:?}: {found:#?}");
}

fn webhook(config: &Value) -> WebhookConfig {
    match TriggerConfig::stored(TriggerType::Webhook, &Json::from_value(config.clone())) {
        Ok(TriggerConfig::Webhook(webhook)) => webhook,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_fault_of_a_schedule_is_told_with_its_place() {
    refused(json!({}), "cron", "/schedule", "missing");
    refused(json!({ "schedule": "61 * * * *" }), "cron", "/schedule", "character 1");
    refused(json!({ "schedule": "0 0 30 2 *" }), "cron", "/schedule", "no date");
    refused(json!({ "schedule": "@daily", "timezone": "Mars/Olympus" }), "cron", "/timezone", "Mars/Olympus");
    refused(json!({ "schedule": "@daily", "overlap": "queue" }), "cron", "/overlap", "queue_one");
    refused(json!({ "schedule": "@daily", "catch_up": 3 }), "cron", "/catch_up", "run_once");
    refused(json!({ "schedule": "@daily", "input": [1] }), "cron", "/input", "an object");
}

#[test]
fn several_problems_are_told_at_once() {
    let config = json!({ "schedule": "x", "overlap": "x", "catch_up": "x", "input": "x" });
    let (_, found) = triggers(json!([{ "type": "cron", "config": config }, { "type": "event" }]));
    assert_eq!(found.iter().filter(|found| found.is_error()).count(), 5, "{found:#?}");
}

#[test]
fn a_definition_holds_no_secret() {
    refused(json!({ "path": "a", "auth": { "secret": "s3cr3t" } }), "webhook", "/auth/secret", "weir triggers secret");
    let (_, found) = triggers(json!([{ "type": "webhook", "config": { "auth": { "secret": "s3cr3t" } } }]));
    assert!(!format!("{found:?}").contains("s3cr3t"));
}

#[test]
fn a10_paths_are_plain() {
    for path in ["support", "/support", "a/b-c/d_1", "0"] {
        assert!(webhook(&json!({ "path": path })).path.is_some(), "{path}");
    }
    for path in ["", "/", "a//b", "../etc", "a/..", "A", "a b", "%2e", "-a", "a/", "é", "//a", &"a".repeat(129)] {
        refused(json!({ "path": path }), "webhook", "/path", "cannot be a path");
    }
}

#[test]
fn that_anybody_may_send_has_to_be_said() {
    let scheme = |config: Value| webhook(&config).scheme;
    assert_eq!(scheme(json!({})), Scheme::Bearer);
    assert_eq!(scheme(json!({ "auth_required": true })), Scheme::Bearer);
    assert_eq!(scheme(json!({ "auth_required": false })), Scheme::None);
    assert_eq!(scheme(json!({ "auth": { "scheme": "none" } })), Scheme::None);
    assert_eq!(scheme(json!({ "auth": { "scheme": "github" } })), Scheme::Github);
    refused(
        json!({ "auth_required": true, "auth": { "scheme": "none" } }),
        "webhook",
        "/auth_required",
        "take one away",
    );
    refused(
        json!({ "auth_required": false, "auth": { "scheme": "stripe" } }),
        "webhook",
        "/auth_required",
        "take one away",
    );
}

#[test]
fn an_answer_waits_as_long_as_it_is_told() {
    let respond = |config: Value| webhook(&config).respond;
    let sync = |seconds| Respond::Sync { timeout: std::time::Duration::from_secs(seconds) };
    assert_eq!(respond(json!({})), Respond::Async);
    assert_eq!(respond(json!({ "respond": "sync" })), sync(30));
    assert_eq!(respond(json!({ "respond": { "mode": "sync", "timeout_seconds": 5 } })), sync(5));
    refused(json!({ "respond": { "timeout_seconds": 61 } }), "webhook", "/respond/timeout_seconds", "60");
    refused(json!({ "respond": "later" }), "webhook", "/respond", "async");
    refused(json!({ "body_limit_bytes": 26 << 20 }), "webhook", "/body_limit_bytes", "26214400");
    refused(json!({ "dedupe_header": "a:b" }), "webhook", "/dedupe_header", "header");
}

#[test]
fn filters_are_members_or_conditions() {
    let filter = |filter: Value| {
        let config = Json::from_value(json!({ "event_type": "t", "event_filter": filter }));
        match TriggerConfig::stored(TriggerType::Event, &config) {
            Ok(TriggerConfig::Event(event)) => event.filter.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let input = json!({ "final": true, "n": 1.0, "deep": { "a": [1] } });
    let passes = |value: Value| filter(value).passes(&input, &json!({ "type": "event", "source": "/a" }));
    assert!(passes(json!({ "final": true })) && passes(json!({ "n": 1, "deep": { "a": [1.0] } })));
    assert!(!passes(json!({ "final": "true" })) && !passes(json!({ "missing": null })));
    assert!(passes(json!({ "field": "$.input.n", "operator": "gte", "value": 1 })));
    assert!(passes(json!({ "all": [{ "field": "$.trigger.source", "operator": "eq", "value": "/a" }] })));
    assert!(!passes(json!({ "not": { "field": "$.input.final", "operator": "exists" } })));
    refused(
        json!({ "event_type": "t", "event_filter": { "field": "$.steps.a", "operator": "exists" } }),
        "event",
        "/event_filter/field",
        "$.input",
    );
    refused(json!({ "event_type": "t", "event_filter": [1] }), "event", "/event_filter", "an object");
    refused(json!({ "event_type": " " }), "event", "/event_type", "hold something");
}

#[test]
fn completions_name_an_agent_or_a_workflow() {
    let read = |config: Value| TriggerConfig::stored(TriggerType::AgentCompletion, &Json::from_value(config));
    let Ok(TriggerConfig::AgentCompletion(config)) = read(json!({ "agent_id": "drafter", "status": ["failed"] }))
    else {
        panic!("it is good")
    };
    assert_eq!(config.statuses, [Status::Failed]);
    refused(json!({}), "agent_completion", "", "agent_id");
    refused(json!({ "agent_id": "a", "status": "done" }), "agent_completion", "/status", "completed");
    refused(json!({ "agent_id": "a", "status": ["done"] }), "agent_completion", "/status", "completed");
}

#[test]
fn triggers_are_known_by_their_id_or_by_their_number() {
    let (found, _) = triggers(json!([
        { "type": "cron", "config": { "schedule": "@daily" } },
        { "type": "manual" },
        { "type": "cron", "id": "hourly", "enabled": false, "config": { "schedule": "@hourly" } },
        { "type": "cron", "config": { "schedule": "@weekly" } },
    ]));
    let keys: Vec<_> = found.iter().map(|trigger| trigger.key.as_str()).collect();
    assert_eq!(keys, ["cron#1", "manual#1", "hourly", "cron#2"]);
    assert!(!found[2].enabled && found[0].enabled);
    assert_eq!(found[0].next_at, Some(Timestamp(NOW.0 + 86_400_000_000)));
}

#[test]
fn two_webhooks_of_a_workflow_have_two_paths() {
    let (_, found) = triggers(json!([
        { "type": "webhook", "config": { "path": "a" } },
        { "type": "webhook", "config": { "path": "/a" } },
    ]));
    assert!(found.iter().any(|found| found.field == "/triggers/1/config/path"), "{found:#?}");
}

#[test]
fn an_input_that_the_schema_refuses_is_warned_of() {
    let (definition, _) = Definition::parse(&json!({
        "name": "x",
        "input_schema": { "type": "object", "required": ["n"] },
        "trigger": { "type": "cron", "config": { "schedule": "@daily" } },
        "steps": [{ "id": "a", "type": "tool", "tool": "text.count" }],
    }));
    let (_, found) = read(&definition, NOW);
    assert!(found.iter().any(|found| !found.is_error() && found.field == "/trigger/config/input"), "{found:#?}");
}
