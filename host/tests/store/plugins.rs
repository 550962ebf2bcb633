//! Plugins and their files.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use weir_engine::{
    event::{Event, Started},
    execution::Status,
    graph::{Target, Wants},
    json::Json,
};
use weir_host::store::{NewPlugin, Store, StoreError, StoreOptions};

use super::made::{append, ended, id, open, records, started};

fn new(name: &str, version: &str, bytes: &'static [u8]) -> NewPlugin {
    NewPlugin {
        name: name.to_owned(),
        version: version.to_owned(),
        digest: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        descriptor: Json::from_value(json!({"name": name, "version": version})),
        imports: vec!["weir:plugin/log@0.1.0".to_owned()],
        bytes: bytes::Bytes::from_static(bytes),
        installed_by: "admin".to_owned(),
    }
}

#[tokio::test]
async fn a_version_is_installed_once_and_never_changes() {
    let (_folder, store) = open().await;
    let first = store.install_plugin(new("text", "0.1.0", b"one")).await.unwrap();
    assert!(first.new && first.plugin.enabled);
    let again = store.install_plugin(new("text", "0.1.0", b"one")).await.unwrap();
    assert_eq!((again.new, &again.plugin), (false, &first.plugin));
    let other = store.install_plugin(new("text", "0.1.0", b"two")).await.unwrap_err();
    assert!(matches!(other, StoreError::VersionTaken { .. }), "{other:?}");
    let path = store.plugin_path(&first.plugin.digest).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"one");
    let mut lying = new("text", "0.2.0", b"three");
    lying.digest = "0".repeat(64);
    assert!(store.install_plugin(lying).await.is_err());
    let mut climbing = new("text", "0.2.0", b"three");
    climbing.digest = "../../up".to_owned();
    assert!(store.install_plugin(climbing).await.is_err());
    assert_eq!(store.plugins().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_highest_enabled_version_is_the_one() {
    let (_folder, store) = open().await;
    for (version, bytes) in [("0.10.0", b"a"), ("0.9.0", b"b"), ("0.11.0-rc.1", b"c")] {
        store.install_plugin(new("text", version, bytes)).await.unwrap();
    }
    let current = async || store.plugin("text", None).await.unwrap().unwrap().version.to_string();
    assert_eq!(current().await, "0.11.0-rc.1");
    store.set_plugin_enabled("text", "0.11.0-rc.1", false).await.unwrap();
    assert_eq!(current().await, "0.10.0");
    let offered = store.enabled_plugins().await.unwrap();
    assert_eq!(offered.iter().map(|plugin| &*plugin.version).collect::<Vec<_>>(), ["0.10.0", "0.9.0"]);
    assert!(store.plugin("text", Some("7.0.0")).await.unwrap().is_none());
    assert!(matches!(store.set_plugin_enabled("no", "1.0.0", true).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_plugin_is_deleted_when_nothing_unfinished_uses_it() {
    let (_folder, store) = open().await;
    let plugin = store.install_plugin(new("text", "0.1.0", b"one")).await.unwrap().plugin;
    let (digest, name) = (plugin.digest.to_string(), "detect".to_owned());
    let (own, version) = ("text".to_owned(), "0.1.0".to_owned());
    let target = Target {
        plugin: own,
        version,
        digest,
        name,
        agent: false,
        wants: Wants::default(),
        tools: std::collections::BTreeMap::default(),
    };
    let id = id();
    let Event::ExecutionStarted(pinned) = started(&id, "w") else { unreachable!() };
    let pinned =
        Started { targets: Arc::new([("text.detect".to_owned(), Arc::new(target))].into()), ..(*pinned).clone() };
    let start = Event::ExecutionStarted(Arc::new(pinned));
    store.append(append(&id, records(1, [start]), Status::Running)).await.unwrap();
    let used = store.delete_plugin("text", "0.1.0").await.unwrap_err();
    assert!(matches!(used, StoreError::InUse { executions: 1, .. }), "{used:?}");
    store.append(append(&id, records(2, [ended()]), Status::Completed)).await.unwrap();
    store.delete_plugin("text", "0.1.0").await.unwrap();
    assert!(!store.plugin_path(&plugin.digest).unwrap().exists());
    assert!(matches!(store.delete_plugin("text", "0.1.0").await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn what_a_crash_left_behind_is_swept_at_the_next_start() {
    let (folder, store) = open().await;
    let plugin = store.install_plugin(new("text", "0.1.0", b"one")).await.unwrap().plugin;
    let kept = store.plugin_path(&plugin.digest).unwrap();
    let orphan = store.plugin_path(&"ab".repeat(32)).unwrap();
    let half = folder.path().join("plugins/.new-123");
    let foreign = folder.path().join("plugins/notes.txt");
    for path in [&orphan, &half, &foreign] {
        std::fs::write(path, b"x").unwrap();
    }
    store.close().await;
    let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
    assert_eq!([&kept, &orphan, &half, &foreign].map(|path| path.exists()), [true, false, false, true]);
    assert_eq!(store.plugins().await.unwrap().len(), 1);
}
