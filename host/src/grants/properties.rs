//! Whatever is asked and granted: what comes out means what both mean, and never more than is asked for.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Asks, Granted};
use crate::egress::{HostPort, Method};

const HOSTS: [&str; 12] = [
    "*",
    "a.example",
    "*.example",
    "*.a.example",
    "x.a.example",
    "a.example:80",
    "a.example:443",
    "*.a.example:8080",
    "10.0.0.5",
    "10.0.0.5:8080",
    "[fd00::1]",
    "[fd00::1]:443",
];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "*"];
const NAMES: [&str; 4] = ["a", "b", "c", "*"];
const TOOLS: [&str; 3] = ["text.count", "text.count@1.0.0", "count"];

fn powers() -> impl Strategy<Value = Value> {
    let host = (select(&HOSTS), vec(select(&METHODS), 0..3))
        .prop_map(|(host, methods)| json!({ "host": host, "methods": methods }));
    let tools = proptest::sample::subsequence(TOOLS.to_vec(), 0..=3);
    let kv = proptest::option::of(1_u64..100);
    (vec(host, 0..5), vec(select(&NAMES), 0..3), tools, vec(select(&NAMES), 0..3), kv).prop_map(
        |(hosts, models, tools, secrets, kv)| {
            let kv = kv.map(|bytes| json!({ "bytes": bytes }));
            json!({ "hosts": hosts, "models": models, "tools": tools, "secrets": secrets, "kv": kv })
        },
    )
}

/// What a check can be asked for.
fn effects() -> Vec<(Method, HostPort)> {
    let hosts = ["a.example", "x.a.example", "y.x.a.example", "example", "10.0.0.5", "[fd00::1]", "b.other"];
    let ports = [80, 443, 8080, 1];
    let targets = hosts.iter().flat_map(|host| ports.map(|port| format!("{host}:{port}").parse().unwrap()));
    let with_methods = |target: HostPort| [Method::GET, Method::POST, Method::PATCH].map(|m| (m, target.clone()));
    targets.flat_map(with_methods).collect()
}

proptest! {
    #[test]
    fn what_is_carried_over_is_what_both_mean(old in powers(), new in powers()) {
        let old = Granted::read(&old).unwrap();
        let asks = Asks::of_descriptor(&json!({ "asks": new })).unwrap();
        let all = Granted::all(&asks);
        let kept = old.carried_over(&asks);
        for (method, target) in effects() {
            let both = old.http(&method, &target) && all.http(&method, &target);
            prop_assert_eq!(kept.http(&method, &target), both, "{} {}", method, target);
        }
        for name in ["a", "b", "c", "d"] {
            prop_assert_eq!(kept.model(name), old.model(name) && all.model(name));
            prop_assert_eq!(kept.secret(name), old.secret(name) && all.secret(name));
        }
        for tool in TOOLS {
            prop_assert_eq!(kept.tool(tool).is_some(), old.tool(tool).is_some() && all.tool(tool).is_some());
        }
        prop_assert_eq!(kept.kv().is_some(), old.kv().is_some() && all.kv().is_some());
        prop_assert!(kept.beyond(&asks).is_empty());
        let written = serde_json::to_value(&kept).unwrap();
        prop_assert_eq!(Granted::read(&written).unwrap(), kept);
    }

    #[test]
    fn what_does_not_exceed_allows_nothing_more(granted in powers(), asked in powers()) {
        let granted = Granted::read(&granted).unwrap();
        let asks = Asks::of_descriptor(&json!({ "asks": asked })).unwrap();
        let all = Granted::all(&asks);
        prop_assert!(all.beyond(&asks).is_empty() && !asks.exceeds(&all));
        if granted.beyond(&asks).is_empty() {
            for (method, target) in effects() {
                prop_assert!(!granted.http(&method, &target) || all.http(&method, &target), "{} {}", method, target);
            }
            for name in ["a", "b", "c", "d"] {
                prop_assert!(!granted.model(name) || all.model(name));
                prop_assert!(!granted.secret(name) || all.secret(name));
            }
        }
    }

    #[test]
    fn any_text_is_a_host_or_a_problem(text in "\\PC{0,40}") {
        let asks = Asks::of_descriptor(&json!({ "asks": { "hosts": [text] } }));
        if let Ok(asks) = asks {
            let written = serde_json::to_value(&asks).unwrap();
            prop_assert_eq!(Asks::of_descriptor(&json!({ "asks": written })).unwrap(), asks);
        }
    }
}
