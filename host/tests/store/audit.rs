//! The audit log, and what is written with an append or not at all.

use std::sync::Arc;

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use weir_engine::execution::Status;
use weir_host::store::{AuditEntry, AuditFilter, Companion, IdempotencyKey, Store, StoreError, StoreOptions};

use super::made;

fn entry(object: &str) -> AuditEntry {
    AuditEntry::done("user:alice", "execution.cancel", object).with(json!({ "reason": "enough" }))
}

fn key(execution: &Arc<str>) -> Companion {
    let (principal, key) = ("user:alice".to_owned(), "order-7".to_owned());
    Companion::IdempotencyKey(IdempotencyKey {
        principal,
        key,
        request_digest: "d".to_owned(),
        execution_id: execution.clone(),
    })
}

#[tokio::test]
async fn an_append_and_its_companions_are_stored_together_or_not_at_all() {
    let (_folder, store) = made::open().await;
    let (first, second) = (made::id(), made::id());
    let mut append = made::begun(&first, "w", Status::Running);
    append.companions = vec![key(&first), Companion::Audit(entry(&first))];
    store.append(append).await.unwrap();
    let mut append = made::begun(&second, "w", Status::Running);
    append.companions = vec![Companion::Audit(entry(&second)), key(&second)];
    let refused = store.append(append).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert!(store.load(&second).await.unwrap().is_empty());
    assert_eq!(store.idempotency_key("user:alice", "order-7").await.unwrap().unwrap().execution_id, first);
    let rows = store.audit_rows(&AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.object.as_deref().unwrap()).collect::<Vec<_>>(), [&*first]);
}

#[tokio::test]
async fn companions_of_many_appends_at_once_make_one_chain() {
    let (_folder, store) = made::open().await;
    let appends = (0..100).map(|_| {
        let (store, id) = (store.clone(), made::id());
        async move {
            let mut append = made::begun(&id, "w", Status::Running);
            append.companions = vec![Companion::Audit(entry(&id))];
            store.append(append).await
        }
    });
    let results = futures_util::future::join_all(appends).await;
    assert!(results.iter().all(Result::is_ok));
    let verified = store.verify_audit().await.unwrap();
    assert_eq!((verified.rows, verified.broken_at), (100, None));
}

#[tokio::test]
async fn d4_a_changed_or_missing_row_breaks_the_chain() {
    let (folder, store) = made::open().await;
    for n in 0..10 {
        store.audit(entry(&n.to_string())).await.unwrap();
    }
    let head = store.verify_audit().await.unwrap();
    assert_eq!((head.rows, head.broken_at), (10, None));
    store.close().await;
    let url = format!("sqlite://{}", folder.path().join("weir.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    assert!(sqlx::raw_sql("UPDATE audit SET actor = 'user:bob'").execute(&mut connection).await.is_err());
    assert!(sqlx::raw_sql("DELETE FROM audit WHERE seq = 4").execute(&mut connection).await.is_err());
    for (damage, broken_at) in
        [("UPDATE audit SET actor = 'user:bob' WHERE seq = 7", 7), ("DELETE FROM audit WHERE seq = 4", 4)]
    {
        let triggers = "DROP TRIGGER IF EXISTS audit_is_never_changed; DROP TRIGGER IF EXISTS audit_is_never_deleted";
        sqlx::raw_sql(triggers).execute(&mut connection).await.unwrap();
        sqlx::raw_sql(damage).execute(&mut connection).await.unwrap();
        let store = Store::open(StoreOptions::new(folder.path())).await.unwrap();
        assert_eq!(store.verify_audit().await.unwrap().broken_at, Some(broken_at), "{damage}");
        store.close().await;
    }
}
