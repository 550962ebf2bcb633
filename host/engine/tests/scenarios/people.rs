//! Several people, other people, and what they were shown.

use serde_json::{Value, json};
use weir_engine::{event::Event, execution::Input, id::CallId};

use super::{tool, world};
use crate::support::world::{World, decided_by, reassign};

fn asking(approvers: &Value) -> World {
    let options = json!([{ "id": "yes", "label": "Yes" }, { "id": "no", "label": "No", "next_step": null }]);
    let config = json!({ "notification": "?", "options": options, "approvers": approvers });
    world(json!([{ "id": "h", "type": "human", "human_config": config }, tool("after")]))
}

fn choose(world: &mut World, person: &str, option: &str) -> usize {
    let call = CallId(2);
    world.feed(decided_by(person, call, Some(option.to_owned())))
}

#[test]
fn p4_a_quorum_of_two_takes_two_people_who_choose_the_same() {
    let mut world = asking(&json!({ "quorum": 2 }));
    assert_eq!(choose(&mut world, "user:pat", "yes"), 1);
    assert_eq!(choose(&mut world, "user:pat", "yes"), 0, "one person counts once");
    assert_eq!(choose(&mut world, "link:pat", "no"), 0, "a link is its user");
    assert_eq!(choose(&mut world, "user:kim", "no"), 1, "who disagrees decides nothing");
    world.crash(0);
    assert!(choose(&mut world, "user:sam", "yes") > 1);
    assert_eq!(world.waiting(), ["after"]);
    let output = world.fates("h")[0].1;
    assert_eq!((&output["option_id"], &output["decided_by"]), (&json!("yes"), &json!("user:sam")));
    let people: Vec<&Value> = output["decisions"].as_array().unwrap().iter().map(|d| &d["decided_by"]).collect();
    assert_eq!(people, ["user:pat", "user:kim", "user:sam"]);
    assert_eq!(choose(&mut world, "user:alex", "yes"), 0, "a vote after the end");
}

#[test]
fn p1_a_decision_is_bound_to_the_digest_of_what_was_shown() {
    let mut world = asking(&json!({}));
    let digest = world.live.question(CallId(2)).unwrap().digest();
    choose(&mut world, "user:pat", "yes");
    let decided = world.log.iter().find_map(|record| match &record.event {
        Event::Decided { decision, .. } => decision.request_digest.clone(),
        _ => None,
    });
    assert_eq!(decided.as_deref(), Some(&*digest));
    assert_eq!(world.fates("h")[0].1.get("decisions"), None, "one decision needs no list");
}

#[test]
fn p1_who_may_decide_is_part_of_what_is_shown() {
    let digest = |approvers: Value| asking(&approvers).live.question(CallId(2)).unwrap().digest();
    assert_eq!(digest(json!({})), digest(json!({ "quorum": 1 })));
    assert_ne!(digest(json!({})), digest(json!({ "quorum": 2 })));
    assert_ne!(digest(json!({})), digest(json!({ "users": ["pat"] })));
}

#[test]
fn others_can_be_asked_and_as_many_must_agree() {
    let mut world = asking(&json!({ "users": ["pat", "sam"], "quorum": 2, "requester_may_decide": false }));
    let call = CallId(2);
    let to = |users: &[&str]| Input::Reassign {
        call,
        roles: Vec::new(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        reassigned_by: "kim".to_owned(),
    };
    assert_eq!(world.feed(to(&["alex"])), 0, "one is too few");
    assert_eq!(world.feed(to(&["alex", "robin"])), 1);
    world.crash(0);
    let question = world.live.question(call).unwrap();
    assert_eq!(question.approvers.users, ["alex", "robin"]);
    assert_eq!((question.approvers.quorum, question.approvers.requester_may_decide), (2, false));
    choose(&mut world, "user:alex", "no");
    choose(&mut world, "user:robin", "no");
    assert_eq!(world.feed(reassign(call)), 0, "nothing is asked any more");
    assert!(world.live.has_ended());
}

#[test]
fn p5_nobody_answers_and_the_step_fails_where_the_author_says_nothing() {
    let mut world = world(json!([{ "id": "h", "type": "human", "human_config": {
        "notification": "?", "timeout_minutes": 1, "options": [{ "id": "yes" }], "approvers": { "quorum": 2 } } }]));
    world.decide("h", Some("yes"));
    world.pass_time();
    assert_eq!(world.fates("h"), [("failed", &json!("approval_timeout"))]);
}
