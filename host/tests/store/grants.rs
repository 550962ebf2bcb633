//! What plugins are granted: carried over to new versions, changed at once, kept over a restart.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use weir_engine::json::Json;
use weir_host::{
    grants::{Asks, GrantStatus, Granted},
    store::{AuditEntry, AuditFilter, FirstGrant, GrantRow, NewPlugin, PluginRow, Store, StoreError, StoreOptions},
};

use super::made::open;

fn asking(version: &str, asks: &Value) -> NewPlugin {
    let bytes = bytes::Bytes::from(version.to_owned());
    NewPlugin {
        name: "web".to_owned(),
        version: version.to_owned(),
        digest: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        descriptor: Json::from_value(json!({ "name": "web", "version": version, "asks": asks })),
        imports: Vec::new(),
        bytes,
        installed_by: "installer".to_owned(),
    }
}

fn granted(granted: &Value) -> Granted {
    Granted::read(granted).unwrap()
}

async fn install(store: &Store, version: &str, asks: &Value) -> PluginRow {
    store.install_plugin(asking(version, asks)).await.unwrap().plugin
}

async fn row(store: &Store, plugin: &PluginRow) -> GrantRow {
    let row = store.grant_row(&plugin.digest).await.unwrap().unwrap();
    assert_eq!(store.grants().of(&plugin.digest), row.granted, "memory and disk hold the same");
    row
}

async fn status(store: &Store, plugin: &PluginRow) -> GrantStatus {
    row(store, plugin).await.status(&Asks::of_installed(plugin.descriptor.value()))
}

#[tokio::test]
async fn a_plugin_is_granted_nothing_until_somebody_decides() {
    let (folder, store) = open().await;
    let plugin = install(&store, "1.0.0", &json!({ "models": ["fast", "smart"], "kv": true })).await;
    assert_eq!(status(&store, &plugin).await, GrantStatus::Pending);
    assert!(store.grants().of(&plugin.digest).is_nothing());
    let less = granted(&json!({ "models": ["fast"] }));
    let decided = store.grant(&plugin, less.clone(), "admin".to_owned()).await.unwrap();
    assert!(decided.decided && decided.granted_by.as_deref() == Some("admin"));
    assert_eq!(status(&store, &plugin).await, GrantStatus::Partly);
    store.close().await;
    let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
    assert_eq!(*store.grants().of(&plugin.digest), less, "it is known after a restart");
    assert_eq!(row(&store, &plugin).await, decided);
    let plain = install(&store, "0.1.0", &json!({})).await;
    assert_eq!(status(&store, &plain).await, GrantStatus::NothingAsked);
}

#[tokio::test]
async fn a_new_version_keeps_what_it_asks_for_and_waits_for_the_rest() {
    let (_folder, store) = open().await;
    let old = install(&store, "1.0.0", &json!({ "models": ["fast", "smart"], "hosts": ["a.example"] })).await;
    store.grant(&old, granted(&json!({ "models": ["fast"], "hosts": ["a.example"] })), "ann".to_owned()).await.unwrap();

    let same = install(&store, "1.1.0", &json!({ "models": ["fast", "smart"], "hosts": ["a.example"] })).await;
    let kept = row(&store, &same).await;
    assert_eq!((&kept.granted, kept.carried_from.as_deref()), (&row(&store, &old).await.granted, Some("1.0.0")));
    assert_eq!(kept.granted_by.as_deref(), Some("ann"));
    assert_eq!(status(&store, &same).await, GrantStatus::Partly, "what was decided stays decided");

    let more = install(&store, "2.0.0", &json!({ "models": ["*"], "secrets": ["key"] })).await;
    assert_eq!(*row(&store, &more).await.granted, granted(&json!({ "models": ["fast"] })));
    assert_eq!(status(&store, &more).await, GrantStatus::Pending);

    let fewer = install(&store, "2.1.0", &json!({ "models": ["fast"] })).await;
    assert_eq!(status(&store, &fewer).await, GrantStatus::Granted, "it has all that it asks for");

    let none = install(&store, "3.0.0", &json!({})).await;
    assert!(store.grants().of(&none.digest).is_nothing());
    let back = install(&store, "3.1.0", &json!({ "models": ["fast"] })).await;
    assert!(store.grants().of(&back.digest).is_nothing(), "what was given up is not there again by itself");
    assert_eq!(status(&store, &back).await, GrantStatus::Pending);
}

#[tokio::test]
async fn whoever_installs_may_grant_all() {
    let (_folder, store) = open().await;
    let asks = json!({ "models": ["fast"], "tools": ["text.count"] });
    let new = asking("1.0.0", &asks);
    let plugin = store.install_plugin_with(new.clone(), FirstGrant::All).await.unwrap().plugin;
    assert_eq!(status(&store, &plugin).await, GrantStatus::Granted);
    assert_eq!(row(&store, &plugin).await.granted_by.as_deref(), Some("installer"));
    store.grant(&plugin, Granted::default(), "admin".to_owned()).await.unwrap();
    store.install_plugin(new.clone()).await.unwrap();
    assert_eq!(
        status(&store, &plugin).await,
        GrantStatus::Partly,
        "an installation that changes nothing grants nothing"
    );
    let again = store.install_plugin_with(new, FirstGrant::All).await.unwrap();
    assert!(!again.new);
    assert_eq!(status(&store, &plugin).await, GrantStatus::Granted);
}

#[tokio::test]
async fn what_is_granted_goes_with_the_version_and_into_the_audit_log() {
    let (_folder, store) = open().await;
    let plugin = install(&store, "1.0.0", &json!({ "models": ["fast"] })).await;
    let entry = AuditEntry::done("admin", "plugin.grant", "web@1.0.0");
    let all = granted(&json!({ "models": ["fast"] }));
    store.audited(entry).grant(&plugin, all.clone(), "admin".to_owned()).await.unwrap();
    let held = store.grants().of(&plugin.digest);
    assert!(held.model("fast"));
    assert_eq!(store.audit_rows(&AuditFilter::default(), None, 10).await.unwrap().len(), 1);
    store.delete_plugin("web", "1.0.0").await.unwrap();
    assert!(store.grants().of(&plugin.digest).is_nothing() && store.grant_row(&plugin.digest).await.unwrap().is_none());
    let entry = AuditEntry::done("admin", "plugin.grant", "web@1.0.0");
    let gone = store.audited(entry).grant(&plugin, all, "admin".to_owned()).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
    assert!(store.grants().of(&plugin.digest).is_nothing(), "what failed is not in memory");
    assert_eq!(store.audit_rows(&AuditFilter::default(), None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_at_the_same_time_leave_memory_as_the_disk() {
    let (_folder, store) = open().await;
    let names: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    let plugin = Arc::new(install(&store, "1.0.0", &json!({ "models": names })).await);
    let mut deciding = tokio::task::JoinSet::new();
    for name in names {
        let (store, plugin) = (store.clone(), Arc::clone(&plugin));
        deciding.spawn(async move { store.grant(&plugin, granted(&json!({ "models": [name] })), name).await });
    }
    while let Some(decided) = deciding.join_next().await {
        decided.unwrap().unwrap();
    }
    row(&store, &plugin).await;
}

#[tokio::test]
async fn a_decision_counts_though_whoever_made_it_is_gone() {
    let (_folder, store) = open().await;
    let plugin = install(&store, "1.0.0", &json!({ "models": ["fast"] })).await;
    let all = granted(&json!({ "models": ["fast"] }));
    store.grant(&plugin, all, "admin".to_owned()).await.unwrap();
    // One poll hands the decision over; then its caller goes.
    tokio::select! {
        biased;
        decided = store.grant(&plugin, Granted::default(), "admin".to_owned()) => panic!("too early: {decided:?}"),
        () = std::future::ready(()) => {}
    }
    let revoked = async {
        while !store.grants().of(&plugin.digest).is_nothing() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), revoked).await.unwrap();
    assert!(row(&store, &plugin).await.granted.is_nothing());
}
