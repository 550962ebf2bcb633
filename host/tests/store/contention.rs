//! Many writers at once.

use std::sync::Arc;

use weir_engine::{event::Event, execution::Status, id::CallId};
use weir_host::store::{NewWorkflow, StoreError};

use super::made::{append, begun, chain, id, open, records, tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_lose_nothing_and_meet_no_lock() {
    const TASKS: usize = 50;
    const APPENDS: u64 = 200;
    let (_folder, store) = open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            let id = id();
            store.append(begun(&id, "w", Status::Running)).await.unwrap();
            for seq in 2..=APPENDS {
                let event = Event::AttemptStarted { call: CallId(2), attempt: 1 };
                let event = if seq == 2 { tool("a") } else { event };
                store.append(append(&id, records(seq, [event]), Status::Running)).await.unwrap();
            }
            id
        });
    }
    let ids = tasks.join_all().await;
    assert_eq!(ids.len(), TASKS);
    for id in ids {
        assert_eq!(store.load(&id).await.unwrap().len() as u64, APPENDS);
        assert_eq!(store.execution(&id).await.unwrap().unwrap().last_seq, APPENDS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_conflict_does_not_fail_its_neighbours() {
    let (_folder, store) = open().await;
    let taken = id();
    store.append(chain(&taken, "w")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (store, taken) = (store.clone(), Arc::clone(&taken));
        tasks.spawn(async move {
            let own = id();
            let wrong = n % 10 == 0;
            (store.append(chain(if wrong { &taken } else { &own }, "w")).await, wrong, own)
        });
    }
    for (result, wrong, id) in tasks.join_all().await {
        let conflict = matches!(result, Err(StoreError::Conflict { .. }));
        assert_eq!((conflict, result.is_ok()), (wrong, !wrong));
        assert_eq!(store.execution(&id).await.unwrap().is_some(), !wrong);
    }
}

#[tokio::test]
async fn appends_of_one_execution_that_wait_together_keep_their_order() {
    let (_folder, store) = open().await;
    let id = id();
    let first = store.append(begun(&id, "w", Status::Running));
    let second = store.append(append(&id, records(2, [tool("a")]), Status::Running));
    let third = store.append(append(&id, records(3, [tool("b")]), Status::Completed));
    let (first, second, third) = tokio::join!(first, second, third);
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(store.load(&id).await.unwrap().len(), 3);
    assert_eq!(store.execution(&id).await.unwrap().unwrap().status, Status::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_are_saved_between_appends() {
    let (_folder, store) = open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        tasks.spawn(async move {
            let definition = weir_engine::json::Json::parse("{}").unwrap();
            let new = NewWorkflow {
                name: format!("w{}", n / 2),
                description: None,
                active: true,
                definition,
                triggers: Vec::new(),
                expected_version: None,
                owner: None,
                entries: Vec::new(),
            };
            let saved = store.create_workflow(new).await;
            store.append(chain(&id(), "w")).await.unwrap();
            saved.is_ok()
        });
    }
    let saved = tasks.join_all().await.into_iter().filter(|saved| *saved).count();
    assert_eq!(saved, 20, "of two workflows with one name, one is saved");
}
