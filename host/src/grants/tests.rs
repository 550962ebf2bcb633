//! What is asked, granted, and carried over.

use serde_json::{Value, json};

use super::*;

fn asks(asks: Value) -> Asks {
    Asks::of_descriptor(&json!({ "asks": asks })).unwrap()
}

fn granted(granted: Value) -> Granted {
    Granted::read(&granted).unwrap()
}

fn target(text: &str) -> HostPort {
    text.parse().unwrap()
}

fn shown(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Much of everything.
fn much() -> Value {
    json!({
        "hosts": ["docs.example.com", { "host": "*.example.org:8443", "methods": ["POST", "GET"] }],
        "models": ["fast", "smart"],
        "tools": ["text.count", "data.parse@1.0.0"],
        "secrets": ["search-key"],
        "kv": true,
    })
}

#[test]
fn what_is_asked_is_written_out() {
    let written = json!({
        "hosts": [
            { "host": "docs.example.com", "methods": ["GET", "HEAD"] },
            { "host": "*.example.org:8443", "methods": ["POST", "GET"] },
        ],
        "models": ["fast", "smart"],
        "tools": [{ "tool": "data.parse@1.0.0" }, { "tool": "text.count" }],
        "secrets": ["search-key"],
        "kv": { "bytes": 1_048_576 },
    });
    assert_eq!(shown(&asks(much())), written);
    assert_eq!(shown(&granted(written.clone())), written, "what is written is read as the same");
    let nothing = json!({ "hosts": [], "models": [], "tools": [], "secrets": [], "kv": null });
    assert_eq!(shown(&Asks::default()), nothing);
    assert!(asks(nothing).is_nothing() && asks(json!({ "kv": false })).is_nothing());
}

#[test]
fn the_tools_of_agents_are_asked_for() {
    let agents = json!([{ "tools": ["text.count"] }, { "tools": ["text.count", "data.parse", 7, "No Tool"] }, 7]);
    let asks = Asks::of_descriptor(&json!({ "asks": { "tools": ["text.spell"] }, "agents": agents })).unwrap();
    let tools: Vec<&str> = asks.powers().tools.iter().map(|tool| tool.tool.as_str()).collect();
    assert_eq!(tools, ["data.parse", "text.count", "text.spell"]);
}

#[test]
fn all_problems_are_told_at_once() {
    let many: Vec<String> = (0..65).map(|n| format!("m{n}")).collect();
    let bad = json!({
        "hosts": ["", "a b", { "host": "a.example", "methods": ["CONNECT", "get", 7] }, { "methods": [] }, 7, "**"],
        "models": many,
        "tools": ["not a tool", { "tool": "a.b", "approval": "required" }, "x.y", "x.y"],
        "secrets": ["Upper", ""],
        "kv": { "bytes": 0 },
        "files": ["/"],
    });
    let problems = Asks::of_descriptor(&json!({ "asks": bad })).unwrap_err();
    let places: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
    for place in [
        "asks",
        "asks/hosts/0",
        "asks/hosts/1",
        "asks/hosts/2/methods/0",
        "asks/hosts/2/methods/1",
        "asks/hosts/2/methods/2",
        "asks/hosts/3/host",
        "asks/hosts/4",
        "asks/hosts/5",
        "asks/models",
        "asks/tools/0",
        "asks/tools/1",
        "asks/tools/3",
        "asks/secrets/0",
        "asks/secrets/1",
        "asks/kv/bytes",
    ] {
        assert!(places.contains(&place), "{place} is not in {problems:#?}");
    }
    assert!(Granted::read(&json!([])).is_err() && Granted::read(&json!({ "kv": { "bytes": 1_u64 << 40 } })).is_err());
}

#[test]
fn only_what_is_granted_is_allowed() {
    let granted = granted(much());
    assert!(granted.http(&Method::GET, &target("docs.example.com:443")));
    assert!(!granted.http(&Method::POST, &target("docs.example.com:443")), "not with this method");
    assert!(!granted.http(&Method::GET, &target("docs.example.com:8080")), "not on this port");
    assert!(granted.http(&Method::POST, &target("a.example.org:8443")));
    assert!(!granted.http(&Method::GET, &target("example.org:8443")), "only below it");
    assert!(granted.model("fast") && !granted.model("default") && !granted.model("fas"));
    assert!(granted.tool("text.count").is_some() && granted.tool("count").is_none());
    assert!(granted.secret("search-key") && !granted.secret("search"));
    assert_eq!(granted.kv(), Some(KvGrant { bytes: 1 << 20 }));
    let nothing = Granted::default();
    assert!(nothing.is_nothing() && !nothing.http(&Method::GET, &target("docs.example.com:443")));
    assert!(!nothing.model("fast") && nothing.tool("text.count").is_none() && nothing.kv().is_none());
    assert!(!nothing.allows_host(&target("docs.example.com:443")));
}

#[test]
fn a_star_grants_whatever_is_named() {
    let all = granted(json!({ "hosts": [{ "host": "*", "methods": ["*"] }], "models": ["*"], "secrets": ["*", "x"] }));
    assert!(all.http(&Method::DELETE, &target("10.0.0.5:8080")) && all.model("any") && all.secret("any"));
    assert!(all.allows_host(&target("10.0.0.5:8080")));
    assert_eq!(shown(&all)["secrets"], json!(["*"]));
    let less = granted(json!({ "hosts": ["a.example"], "models": ["fast"] }));
    assert!(less.beyond(&asks(shown(&all))).is_empty());
    let beyond: Vec<String> = all.beyond(&asks(shown(&less))).into_iter().map(|problem| problem.message).collect();
    assert_eq!(beyond, ["host * with * is not asked for", "model * is not asked for", "secret * is not asked for"]);
}

#[test]
fn what_exceeds_the_asked_is_named() {
    let asked = asks(much());
    assert!(Granted::all(&asked).beyond(&asked).is_empty() && !asked.exceeds(&Granted::all(&asked)));
    let more = granted(json!({
        "hosts": ["docs.example.com", { "host": "docs.example.com:443", "methods": ["GET", "POST"] }, "x.example"],
        "models": ["fast", "huge"],
        "tools": ["text.count", "text.spell"],
        "secrets": ["other"],
        "kv": { "bytes": 1_048_577 },
    }));
    let beyond: Vec<(String, String)> = more.beyond(&asked).into_iter().map(|p| (p.place, p.message)).collect();
    let expected = [
        ("hosts/1", "host docs.example.com:443 with POST is not asked for"),
        ("hosts/2", "host x.example with GET, HEAD is not asked for"),
        ("models/1", "model huge is not asked for"),
        ("tools/1", "tool text.spell is not asked for"),
        ("secrets/0", "secret other is not asked for"),
        ("kv", "a store of 1048577 bytes is not asked for"),
    ];
    assert_eq!(beyond, expected.map(|(place, message)| (place.to_owned(), message.to_owned())));
}

#[test]
fn a_version_that_asks_for_no_more_keeps_its_grants() {
    let terms = json!({ "hosts": [{ "host": "x.example.org:8443", "methods": ["GET"] }], "models": ["fast"], "kv": { "bytes": 5 },
        "tools": [{ "tool": "text.count", "approval": "required", "approvers": ["admin"], "timeout_minutes": 5 }] });
    let old = granted(terms);
    assert_eq!(old.carried_over(&asks(much())), old, "narrower hosts, less room and terms stay");
    assert!(old.tool("text.count").unwrap().needs_approval());
}

#[test]
fn a_version_that_asks_for_other_things_keeps_what_both_have() {
    let old = granted(much());
    let asked = asks(json!({
        "hosts": [{ "host": "*", "methods": ["GET", "DELETE"] }],
        "models": ["*"],
        "tools": ["text.count", "text.spell"],
        "kv": { "bytes": 10 },
    }));
    let kept = old.carried_over(&asked);
    let expected = json!({
        "hosts": [
            { "host": "docs.example.com", "methods": ["GET"] },
            { "host": "*.example.org:8443", "methods": ["GET"] },
        ],
        "models": ["fast", "smart"],
        "tools": [{ "tool": "text.count" }],
        "secrets": [],
        "kv": { "bytes": 10 },
    });
    assert_eq!(shown(&kept), expected);
    assert!(kept.beyond(&asked).is_empty() && asked.exceeds(&kept));
    assert!(old.carried_over(&Asks::default()).is_nothing());
}

#[test]
fn the_most_that_is_carried_over_is_read_again() {
    let list = |host: &dyn Fn(usize) -> String| (0..64).map(host).collect::<Vec<_>>();
    let old = granted(json!({ "hosts": list(&|n| format!("*.a{}.example:{}", n % 22, [80, 443, 8080][n % 3])) }));
    let asked = asks(json!({ "hosts": list(&|n| format!("x{n}.a{}.example", n % 22)) }));
    let kept = old.carried_over(&asked);
    assert!(!kept.is_nothing());
    assert_eq!(Granted::read(&shown(&kept)).unwrap(), kept);
}

#[test]
fn the_status_tells_whether_somebody_has_to_decide() {
    let (asked, some) = (asks(much()), granted(json!({ "models": ["fast"] })));
    let status = |granted: &Granted, decided| GrantStatus::of(&asked, granted, decided).as_str();
    assert_eq!(status(&Granted::default(), false), "pending");
    assert_eq!(status(&some, false), "pending");
    assert_eq!(status(&some, true), "partly");
    assert_eq!(status(&Granted::default(), true), "partly");
    assert_eq!(status(&Granted::all(&asked), false), "granted");
    assert_eq!(GrantStatus::of(&Asks::default(), &Granted::default(), false), GrantStatus::NothingAsked);
}

#[test]
fn who_may_answer_is_read_strictly() {
    let read = |approvers: Value| Granted::read(&json!({ "tools": [{ "tool": "a.b", "approvers": approvers }] }));
    assert!(read(json!(["approver", "pat"])).is_ok() && read(json!({ "users": ["a", "b"], "quorum": 2 })).is_ok());
    for wrong in [json!({ "users": ["a"], "quorum": 2 }), json!({ "roles": ["king"] }), json!([7]), json!("admin")] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_version_that_is_not_known_may_nothing() {
    let grants = Grants::default();
    assert!(grants.of("x").is_nothing());
    grants.set("x".into(), std::sync::Arc::new(granted(much())));
    assert!(grants.of("x").model("fast") && grants.of("y").is_nothing());
    grants.remove("x");
    assert!(grants.of("x").is_nothing());
}
