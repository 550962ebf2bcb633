//! Appending and reading logs; opening and closing.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use weir_engine::{
    event::Event,
    execution::Status,
    id::{CallId, Timestamp},
    json::Json,
};
use weir_host::store::{ExecutionFilter, Store, StoreError, StoreOptions};

use super::made::{BEGIN, append, begun, chain, completed, id, open, records, started, tool};

#[tokio::test]
async fn a_log_is_read_as_it_was_appended() {
    let (_folder, store) = open().await;
    let (one, other) = (id(), id());
    let whole = chain(&one, "w");
    store.append(whole.clone()).await.unwrap();
    store.append(chain(&other, "w")).await.unwrap();
    assert_eq!(store.load(&one).await.unwrap(), *whole.records);
    let found = store.execution_with_documents(&one).await.unwrap().unwrap();
    assert_eq!((found.row.status, found.row.last_seq, found.row.workflow_version), (Status::Completed, 8, 3));
    assert_eq!(&*found.row.workflow_name, "Ünï \"quoted\" 🦀");
    assert_eq!(found.row.trigger_source, "manual");
    assert_eq!((found.row.usage.steps, found.row.usage.tool_calls), (3, 2));
    assert_eq!(found.row.completed_at, Some(Timestamp(BEGIN + 8000)));
    assert_eq!(found.input.value()["text"], "hello \u{0} there");
    assert_eq!(found.output, Some(Json::from_value(json!({"done": true}))));
    assert!(store.load("nothing").await.unwrap().is_empty());
    assert!(store.execution("nothing").await.unwrap().is_none());
}

#[tokio::test]
async fn reading_goes_on_across_chunks_wherever_it_begins() {
    let (_folder, store) = open().await;
    let id = id();
    store.append(begun(&id, "w", Status::Running)).await.unwrap();
    // Chunks of one append begin at 2, 514 and 1026.
    let attempts = |from: u32| (from..from + 1100).map(|attempt| Event::AttemptStarted { call: CallId(2), attempt });
    store.append(append(&id, records(2, attempts(0)), Status::Running)).await.unwrap();
    store.append(append(&id, records(1102, attempts(1100)), Status::Running)).await.unwrap();
    let all = store.load(&id).await.unwrap();
    assert_eq!(all.len(), 2201);
    for (after, limit) in [(0, 1), (0, 3), (1, 512), (512, 3), (513, 3), (1100, 5), (1101, 5), (2200, 9), (2201, 9)] {
        let some = store.load_from(&id, after, limit).await.unwrap();
        let skipped = usize::try_from(after).unwrap();
        let expected: Vec<_> = all.iter().skip(skipped).take(limit).cloned().collect();
        assert_eq!(some, expected, "{limit} after {after}");
    }
    let mut seen = Vec::new();
    while let Some(last) = Some(seen.len() as u64) {
        let more = store.load_from(&id, last, 100).await.unwrap();
        if more.is_empty() {
            break;
        }
        seen.extend(more);
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn large_events_are_read_in_parts() {
    let (_folder, store) = open().await;
    let id = id();
    store.append(begun(&id, "w", Status::Running)).await.unwrap();
    let large = Json::from_value("x".repeat(6 << 20).into());
    let events = (0..4).map(|_| Event::ExecutionCompleted { output: large.clone(), skipped: Vec::new() });
    store.append(append(&id, records(2, events), Status::Completed)).await.unwrap();
    assert_eq!(store.load_from(&id, 0, 100).await.unwrap().len(), 4, "a read ends after 16 MiB");
    assert_eq!(store.load(&id).await.unwrap().len(), 5);
}

#[tokio::test]
async fn an_append_that_does_not_go_on_from_the_log_is_refused() {
    let (_folder, store) = open().await;
    let one = id();
    store.append(begun(&one, "w", Status::Running)).await.unwrap();
    store.append(append(&one, records(2, [tool("a"), completed(2)]), Status::Running)).await.unwrap();
    let before = store.execution(&one).await.unwrap();
    let other = id();
    let wrong = [
        begun(&one, "w", Status::Running),
        append(&one, records(2, [tool("b")]), Status::Running),
        append(&one, records(3, [tool("b")]), Status::Running),
        append(&one, records(5, [tool("b")]), Status::Running),
        append(&one, records(4, [started(&one, "w")]), Status::Running),
        append(&other, records(1, [tool("b")]), Status::Running),
        append(&other, records(2, [tool("b")]), Status::Running),
        append(&one, records(0, [tool("b")]), Status::Running),
    ];
    for wrong in wrong {
        let text = format!("{:?}", wrong.records);
        let error = store.append(wrong).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{text}: {error:?}");
    }
    assert_eq!(store.load(&one).await.unwrap().len(), 3);
    assert_eq!(store.execution(&one).await.unwrap(), before);
    store.append(append(&one, records(4, [tool("b")]), Status::Running)).await.unwrap();
    store.append(append(&one, Vec::new(), Status::Running)).await.unwrap();
}

#[tokio::test]
async fn a_second_host_is_refused_by_name_and_welcome_after_the_first() {
    let (folder, store) = open().await;
    let options = StoreOptions::new(folder.path());
    let error = Store::open(options.clone()).await.unwrap_err();
    let StoreError::AlreadyOpen { pid, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*pid, std::process::id().to_string());
    assert!(error.to_string().contains("in use by another host"));
    let id = id();
    store.append(chain(&id, "w")).await.unwrap();
    store.close().await;
    store.close().await;
    assert!(matches!(store.append(chain(&id, "w")).await, Err(StoreError::Closed)));
    assert!(matches!(store.execution(&id).await, Err(StoreError::Closed)));
    let store = Store::open(options).await.unwrap();
    assert_eq!(store.load(&id).await.unwrap().len(), 8);
}

#[tokio::test]
async fn the_data_directory_is_private() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    let store = Store::open(StoreOptions::new(&folder)).await.unwrap();
    store.append(chain(&id(), "w")).await.unwrap();
    let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("plugins")), (0o700, 0o700));
    for name in ["weir.db", "weir.db-wal", "lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(StoreOptions::new(file.path().join("data"))).await.unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn executions_are_listed_newest_first_page_by_page() {
    let (_folder, store) = open().await;
    let mut ids = Vec::new();
    for n in 0..30 {
        let id = id();
        let status = if n % 3 == 0 { Status::Running } else { Status::Completed };
        let made = if n % 3 == 0 { begun(&id, "even", status) } else { chain(&id, "odd") };
        store.append(made).await.unwrap();
        ids.push((id, status));
    }
    ids.reverse();
    let expect = |status: Option<Status>| {
        let all = ids.iter().filter(|(_, own)| status.is_none_or(|status| status == *own));
        all.map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    for (status, workflow_id) in [
        (None, None),
        (Some(Status::Running), None),
        (Some(Status::Completed), None),
        (Some(Status::Running), Some("even")),
    ] {
        let filter =
            ExecutionFilter { status, workflow_id: workflow_id.map(str::to_owned), ..ExecutionFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = store.executions(&filter, seen.last().map(|id: &std::sync::Arc<str>| &**id), 7).await.unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|row| row.id));
        }
        assert_eq!(seen, expect(status), "{filter:?}");
    }
    let prefix = ExecutionFilter { id_prefix: Some(ids[4].0.to_string()), ..ExecutionFilter::default() };
    assert_eq!(store.executions(&prefix, None, 9).await.unwrap().len(), 1);
    let none = ExecutionFilter { workflow_id: Some("other".to_owned()), ..ExecutionFilter::default() };
    assert!(store.executions(&none, None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_waits_is_known_without_its_log() {
    let (_folder, store) = open().await;
    let (running, waiting, late, done) = (id(), id(), id(), id());
    store.append(begun(&running, "w", Status::Running)).await.unwrap();
    for (id, wake_at) in [(&waiting, 5), (&late, 9)] {
        let mut idle = begun(id, "w", Status::AwaitingHuman);
        (idle.summary.idle, idle.summary.wake_at) = (true, Some(Timestamp(wake_at)));
        store.append(idle).await.unwrap();
    }
    let mut ended = chain(&done, "w");
    (ended.summary.idle, ended.summary.wake_at) = (true, Some(Timestamp(1)));
    store.append(ended).await.unwrap();
    let mut unfinished = store.unfinished().await.unwrap();
    unfinished.sort_by(|a, b| a.id.cmp(&b.id));
    let seen: Vec<_> = unfinished.iter().map(|u| (&u.id, u.idle, u.wake_at)).collect();
    let expected = [(&running, false, None), (&waiting, true, Some(Timestamp(5))), (&late, true, Some(Timestamp(9)))];
    assert_eq!(seen, expected);
}
