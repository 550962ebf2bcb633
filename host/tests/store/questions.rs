//! Questions to people: whose they are, what people are told about them, and links.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{
    event::Event,
    execution::Status,
    id::{CallId, Timestamp},
    json::Json,
};
use weir_host::store::{
    ApprovalFilter, AuditEntry, Companion, LinkRow, Mine, NOTICES_MAX, NoticeId, NoticeKind, NoticeRow, NoticeStatus,
    Reminded, Store, now,
};

use super::made::{append, completed, decided, id, open, question, records, started, voted};

const CALL: CallId = CallId(2);

fn audit() -> AuditEntry {
    AuditEntry::done("admin", "approval.remind", "it")
}

fn begun_by(id: &Arc<str>, actor: &str) -> Event {
    let Event::ExecutionStarted(begun) = started(id, "w") else { panic!("the first event") };
    let trigger = Json::from_value(json!({ "type": "manual", "started_by": actor }));
    Event::ExecutionStarted(Arc::new(weir_engine::event::Started { trigger, ..(*begun).clone() }))
}

/// An execution that ann started, and that asks.
async fn asked(store: &Store, approvers: Value, channels: &[&str], due: Option<i64>) -> Arc<str> {
    let id = id();
    let events = [begun_by(&id, "user:ann"), question(approvers, channels, due)];
    store.append(append(&id, records(1, events), Status::AwaitingHuman)).await.unwrap();
    id
}

async fn mine(store: &Store, person: &str, roles: Option<&[&'static str]>) -> Vec<Arc<str>> {
    let mine = Mine { person: person.to_owned(), roles: roles.map(<[_]>::to_vec) };
    let filter = ApprovalFilter { mine: Some(mine), ..ApprovalFilter::default() };
    let mut found = store.pending_approvals(&filter, None, 50).await.unwrap();
    found.reverse();
    found.into_iter().map(|row| row.execution_id).collect()
}

#[tokio::test]
async fn p4_a_person_is_shown_the_questions_that_they_may_decide() {
    let (_folder, store) = open().await;
    let anyone = asked(&store, json!({}), &[], None).await;
    let bob = asked(&store, json!(["bob"]), &[], None).await;
    let full = json!({ "roles": ["operator"], "users": [], "quorum": 2, "requester_may_decide": true });
    let operators = asked(&store, full, &[], None).await;
    let full = json!({ "roles": [], "users": [], "quorum": 1, "requester_may_decide": false });
    let others = asked(&store, full, &[], None).await;
    let approver: Option<&[&str]> = Some(&["approver"]);
    assert_eq!(mine(&store, "ann", approver).await, std::slice::from_ref(&anyone));
    assert_eq!(mine(&store, "bob", approver).await, [anyone.clone(), bob.clone(), others.clone()]);
    let both: Option<&[&str]> = Some(&["approver", "operator"]);
    assert_eq!(mine(&store, "kim", both).await, [anyone.clone(), operators.clone(), others.clone()]);
    assert_eq!(mine(&store, "admin", None).await, [anyone.clone(), bob.clone(), operators.clone(), others.clone()]);
    let vote = voted(2, "link:kim", "yes");
    store.append(append(&operators, records(3, [vote]), Status::AwaitingHuman)).await.unwrap();
    assert_eq!(mine(&store, "kim", both).await, [anyone, others], "answered already");
    assert_eq!(store.decisions_of(&operators, CALL).await.unwrap().len(), 1);
}

#[tokio::test]
async fn overdue_questions_are_those_that_nobody_decided_in_time() {
    let (_folder, store) = open().await;
    let past = now().0 - 1_000_000;
    let late = asked(&store, json!({}), &[], Some(past)).await;
    let lapsed = asked(&store, json!({}), &[], Some(past + 1)).await;
    let event = Event::StepSkipped { call: CALL, next: weir_engine::event::Next::End };
    store.append(append(&lapsed, records(3, [event]), Status::Running)).await.unwrap();
    let answered = asked(&store, json!({}), &[], Some(past)).await;
    store.append(append(&answered, records(3, [decided(2), completed(2)]), Status::Running)).await.unwrap();
    asked(&store, json!({}), &[], Some(i64::MAX)).await;
    asked(&store, json!({}), &[], None).await;
    let filter = ApprovalFilter { overdue_at: Some(now()), ..ApprovalFilter::default() };
    let first = store.pending_approvals(&filter, None, 1).await.unwrap();
    assert_eq!(first[0].execution_id, lapsed);
    let rest = store.pending_approvals(&filter, Some((&lapsed, CALL)), 50).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.execution_id.clone()).collect::<Vec<_>>(), [late]);
    let other = ApprovalFilter { workflow_id: Some("other".to_owned()), ..filter };
    assert!(store.pending_approvals(&other, None, 50).await.unwrap().is_empty());
}

#[tokio::test]
async fn notices_are_written_with_their_question_and_each_is_sent_or_given_up() {
    let (_folder, store) = open().await;
    let id = asked(&store, json!({}), &["ui", "mail", "chat", "mail"], None).await;
    store.notice_written().await;
    asked(&store, json!({}), &[], None).await;
    let all = store.notices(None, None, 50).await.unwrap();
    let seen: Vec<_> = all.iter().map(|row| (&*row.channel, row.status)).collect();
    use NoticeStatus::{Dead, Pending, Sent};
    assert_eq!(seen, [("ui", Sent), ("chat", Pending), ("mail", Pending), ("ui", Sent)]);
    let due = store.notices_due(now(), 10).await.unwrap();
    assert_eq!(due.len(), 2);
    let dead = NoticeRow { status: Dead, attempts: 8, next_at: None, last_error: Some("no".into()), ..due[0].clone() };
    store.update_notice(dead.clone()).await.unwrap();
    let later = Timestamp(now().0 + 60_000_000);
    let again = NoticeRow { attempts: 1, next_at: Some(later), ..due[1].clone() };
    store.update_notice(again).await.unwrap();
    assert_eq!(store.next_notice().await.unwrap(), Some(later));
    assert_eq!(store.notices(Some(Dead), None, 10).await.unwrap(), std::slice::from_ref(&dead));
    assert!(store.retry_notice(dead.id.clone(), audit()).await.unwrap());
    assert!(!store.retry_notice(dead.id, audit()).await.unwrap(), "it is under way again");
    assert_eq!(store.notices_due(now(), 10).await.unwrap()[0].attempts, 0);
    let before = NoticeId { execution_id: id, call: CALL, ordinal: 2 };
    assert_eq!(store.notices(None, Some(&before), 50).await.unwrap().len(), 2);
}

#[tokio::test]
async fn reminders_are_counted_and_only_for_open_questions() {
    let (_folder, store) = open().await;
    let id = asked(&store, json!({}), &["mail"], None).await;
    let channels = || vec!["ui".to_owned(), "mail".to_owned()];
    let remind = || store.remind(id.clone(), CALL, channels(), audit());
    assert_eq!(remind().await.unwrap(), Reminded::Notices(2));
    let all = store.notices(None, None, 50).await.unwrap();
    assert_eq!((all[0].kind, all[0].status), (NoticeKind::Reminder, NoticeStatus::Pending));
    for _ in 0..(NOTICES_MAX - 3) / 2 {
        remind().await.unwrap();
    }
    assert_eq!(remind().await.unwrap(), Reminded::TooOften);
    store.append(append(&id, records(3, [decided(2), completed(2)]), Status::Running)).await.unwrap();
    assert_eq!(remind().await.unwrap(), Reminded::Closed);
}

#[tokio::test]
async fn p2_a_link_is_found_by_its_hash_and_used_with_the_decision() {
    let (_folder, store) = open().await;
    let id = asked(&store, json!({}), &[], None).await;
    let link = LinkRow {
        hash: [7; 32],
        execution_id: id.clone(),
        call: CALL,
        request_digest: "d".into(),
        option_id: None,
        name: "bob".into(),
        owner: "user:bob".into(),
        made_by: "admin".into(),
        created_at: now(),
        expires_at: Timestamp(now().0 + 1_000_000),
        used_at: None,
        revoked_at: None,
    };
    assert!(store.make_link(link.clone(), audit()).await.unwrap());
    assert_eq!(store.link(&[7; 32]).await.unwrap(), Some(link));
    assert_eq!(store.link(&[8; 32]).await.unwrap(), None);
    let mut decision = append(&id, records(3, [decided(2), completed(2)]), Status::Running);
    decision.companions = vec![Companion::LinkUsed([7; 32])];
    store.append(decision).await.unwrap();
    assert!(store.link(&[7; 32]).await.unwrap().unwrap().used_at.is_some());
}
