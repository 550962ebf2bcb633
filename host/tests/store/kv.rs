//! Documents of plugins.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use weir_engine::{
    execution::Status,
    failure::{Failure, FailureCode},
    json::Json,
};
use weir_host::{
    driver::effects::kv::{Decided, KEYS_MAX, Owner, decide},
    grants::Granted,
    runtime::{KvOperation, KvSpace},
    store::{Companion, KvPlace, Store},
};

use super::made;

/// A plugin in a workflow.
struct Plugin<'a> {
    store: &'a Store,
    name: Arc<str>,
    workflow_id: Arc<str>,
    granted: Granted,
}

impl<'a> Plugin<'a> {
    fn new(store: &'a Store, name: &str, workflow_id: &str, kv: Value) -> Self {
        let granted = Granted::read(&json!({ "kv": kv })).unwrap();
        Self { store, name: name.into(), workflow_id: workflow_id.into(), granted }
    }

    async fn decide(&self, operation: &KvOperation) -> Result<Decided, Failure> {
        let owner = Owner { plugin: &self.name, workflow_id: Some(&self.workflow_id) };
        decide(self.store, &self.granted, owner, operation).await
    }

    /// The answer, once what was written is stored.
    async fn perform(&self, operation: KvOperation) -> Result<Value, Failure> {
        let decided = self.decide(&operation).await?;
        if let Some(write) = decided.write {
            let mut append = made::begun(&made::id(), &self.workflow_id, Status::Running);
            append.companions.push(Companion::Kv(write));
            self.store.append(append).await.unwrap();
        }
        Ok(decided.answer.value().clone())
    }

    async fn set(&self, space: KvSpace, key: &str, value: Value) -> Result<Value, Failure> {
        self.perform(KvOperation::Set { space, key: key.to_owned(), value: Json::from_value(value) }).await
    }

    async fn get(&self, space: KvSpace, key: &str) -> Value {
        self.perform(KvOperation::Get { space, key: key.to_owned() }).await.unwrap()
    }

    async fn swap(&self, key: &str, expected: Option<Value>, value: Option<Value>) -> bool {
        let [expected, value] = [expected, value].map(|value| value.map(Json::from_value));
        let (space, key) = (KvSpace::Plugin, key.to_owned());
        let operation = KvOperation::CompareAndSet { space, key, expected, value };
        self.perform(operation).await.unwrap().as_bool().unwrap()
    }
}

#[tokio::test]
async fn h22_documents_are_seen_by_their_plugin_and_workflow_only() {
    let (_folder, store) = made::open().await;
    let mine = Plugin::new(&store, "a", "w1", json!(true));
    for space in [KvSpace::Plugin, KvSpace::Workflow] {
        mine.set(space, "key", json!({ "of": "mine \u{0} 🦀" })).await.unwrap();
    }
    let entry = json!({ "value": { "of": "mine \u{0} 🦀" } });
    let elsewhere = Plugin::new(&store, "a", "w2", json!(true));
    assert_eq!(elsewhere.get(KvSpace::Plugin, "key").await, entry);
    assert_eq!(elsewhere.get(KvSpace::Workflow, "key").await, Value::Null);
    for other in ["b", "A", "a2", "a\u{0}"] {
        let other = Plugin::new(&store, other, "w1", json!(true));
        for space in [KvSpace::Plugin, KvSpace::Workflow] {
            assert_eq!(other.get(space, "key").await, Value::Null);
            let keys = KvOperation::Keys { space, prefix: String::new(), after: None };
            assert_eq!(other.perform(keys).await.unwrap(), json!([]));
        }
    }
    // The space of all workflows cannot be named by a workflow.
    let trick = Plugin::new(&store, "a", "", json!(true));
    let failure = trick.set(KvSpace::Workflow, "key", json!(1)).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidInput);
    assert_eq!(mine.get(KvSpace::Workflow, "key").await, entry);
}

#[tokio::test]
async fn without_a_grant_there_is_no_store() {
    let (_folder, store) = made::open().await;
    let nobody = Plugin { granted: Granted::default(), ..Plugin::new(&store, "a", "w", json!(true)) };
    let failure = nobody.set(KvSpace::Plugin, "key", json!(1)).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::Denied);
}

#[tokio::test]
async fn comparing_and_setting_is_one_thing() {
    let (_folder, store) = made::open().await;
    let plugin = Plugin::new(&store, "a", "w", json!(true));
    assert!(plugin.swap("n", None, Some(json!(0))).await);
    assert!(!plugin.swap("n", None, Some(json!(0))).await);
    // Each counts one further; whoever came too late looks again.
    let count = |_| async {
        loop {
            let present = plugin.get(KvSpace::Plugin, "n").await["value"].as_u64().unwrap();
            if plugin.swap("n", Some(json!(present)), Some(json!(present + 1))).await {
                break;
            }
        }
    };
    join_all((0..20).map(count)).await;
    assert_eq!(plugin.get(KvSpace::Plugin, "n").await, json!({ "value": 20 }));
    assert!(plugin.swap("n", Some(json!(20)), None).await);
    assert!(plugin.swap("n", None, None).await);
    assert_eq!(plugin.get(KvSpace::Plugin, "n").await, Value::Null);
}

#[tokio::test]
async fn an_append_that_is_refused_writes_no_document_and_ends_the_turn() {
    let (_folder, store) = made::open().await;
    let plugin = Plugin::new(&store, "a", "w", json!(true));
    let (space, key) = (KvSpace::Plugin, "key".to_owned());
    let operation = KvOperation::Set { space, key, value: Json::from_value(json!(1)) };
    let id = made::id();
    store.append(made::begun(&id, "w", Status::Running)).await.unwrap();
    let mut again = made::begun(&id, "w", Status::Running);
    again.companions.push(Companion::Kv(plugin.decide(&operation).await.unwrap().write.unwrap()));
    assert!(store.append(again).await.is_err());
    assert_eq!(plugin.get(space, "key").await, Value::Null);
    plugin.perform(operation).await.unwrap();
    assert_eq!(plugin.get(space, "key").await, json!({ "value": 1 }));
}

#[tokio::test]
async fn room_is_counted_in_bytes_over_all_workflows() {
    let (_folder, store) = made::open().await;
    let (first, second) = (
        Plugin::new(&store, "a", "w1", json!({ "bytes": 2048 })),
        Plugin::new(&store, "a", "w2", json!({ "bytes": 2048 })),
    );
    let half = json!("x".repeat(1000));
    first.set(KvSpace::Workflow, "k", half.clone()).await.unwrap();
    second.set(KvSpace::Workflow, "k", half.clone()).await.unwrap();
    let failure = first.set(KvSpace::Plugin, "k", half.clone()).await.unwrap_err();
    assert!(failure.code == FailureCode::Failed && failure.message.contains("granted are 2048"), "{failure:?}");
    // What takes the place of something else needs no room of its own.
    first.set(KvSpace::Workflow, "k", json!("y".repeat(1000))).await.unwrap();
    let place = KvPlace { plugin: "a".into(), workflow_id: Some("w1".into()) };
    let usage = store.kv_usage(&place).await.unwrap();
    assert_eq!((usage.keys, usage.plugin_bytes), (1, 2 * 1003));
    // Whoever has more than is granted by now can still write less.
    let less = Plugin::new(&store, "a", "w1", json!({ "bytes": 1024 }));
    less.set(KvSpace::Workflow, "k", json!("z")).await.unwrap();
    assert_eq!(store.kv_usage(&place).await.unwrap().plugin_bytes, 1003 + 4);
}

#[tokio::test]
async fn keys_are_few_short_and_listed_in_pages() {
    let (_folder, store) = made::open().await;
    let plugin = Plugin::new(&store, "a", "w", json!({ "bytes": 10_000_000 }));
    let mut append = made::begun(&made::id(), "w", Status::Running);
    let turn = store.kv_turn(&plugin.name).await;
    let place = KvPlace { plugin: "a".into(), workflow_id: None };
    append.companions.extend((0..KEYS_MAX).map(|n| {
        let value = Some(Json::from_value(json!(n)));
        Companion::Kv(weir_host::store::KvWrite {
            place: place.clone(),
            key: format!("k{n:05}"),
            value,
            turn: turn.clone(),
        })
    }));
    drop(turn);
    store.append(append).await.unwrap();
    let failure = plugin.set(KvSpace::Plugin, "one more", json!(1)).await.unwrap_err();
    assert!(failure.message.contains("the most is 10000"), "{failure:?}");
    plugin.set(KvSpace::Plugin, "k00000", json!("again")).await.unwrap();
    plugin.set(KvSpace::Workflow, "another space", json!(1)).await.unwrap();

    let keys = |prefix: &str, after: Option<&str>| KvOperation::Keys {
        space: KvSpace::Plugin,
        prefix: prefix.to_owned(),
        after: after.map(str::to_owned),
    };
    let page = plugin.perform(keys("", None)).await.unwrap();
    assert_eq!((page.as_array().unwrap().len(), &page[999]), (1_000, &json!("k00999")));
    let page = plugin.perform(keys("k0000", Some("k00007"))).await.unwrap();
    assert_eq!(page, json!(["k00008", "k00009"]));
    assert_eq!(plugin.perform(keys("k1", Some("k0"))).await.unwrap(), json!([]));
    for key in ["", "a\nb", "a\u{0}", &"k".repeat(513)] {
        let failure = plugin.set(KvSpace::Plugin, key, json!(1)).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::InvalidInput, "{key:?}");
    }
    let failure = plugin.set(KvSpace::Plugin, "k00001", json!("x".repeat(64 << 10))).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::InvalidInput);
}
