//! R21: an execution that is cancelled, at whatever moment, has ended: nothing of it starts or goes on.

use serde_json::Value;
use weir_engine::{
    execution::{Input, Status},
    failure::FailureCode,
    id::{CallId, EffectId},
    limits::{Amounts, Limits},
};

use super::{Host, host, report_seed};
use crate::support::world::{World, decided, failure, success};

/// How many executions are cancelled.
const CANCELS: u32 = 1_000;
/// Before the cancel so many things happen at most.
const MOVES_MAX: u64 = 120;

/// What was open when the cancel came.
#[derive(Default)]
struct Met {
    calls: u32,
    questions: u32,
    retries: u32,
    branches: u32,
    pauses: u32,
}

impl Met {
    fn see(&mut self, world: &World) {
        let tracker = &world.tracker;
        let (calls, questions) = (tracker.running().len(), tracker.questions().len() + tracker.deferred.len());
        self.calls += u32::from(calls > 0);
        self.questions += u32::from(questions > 0);
        self.branches += u32::from(calls + questions > 1);
        self.pauses += u32::from(world.tracker.paused);
        self.retries += u32::from(calls + questions == 0 && world.due().is_some());
    }

    /// Nothing is shown by executions that are all cancelled at the same point.
    fn assert_varied(&self) {
        let counts = [self.calls, self.questions, self.branches, self.pauses, self.retries];
        let named = "calls, questions, branches, pauses, retries";
        assert!(counts.iter().all(|count| *count >= CANCELS / 200), "{named}: {counts:?}");
    }
}

/// The host goes on for a random while; says whether the execution has not ended by then.
fn go_on(host: &mut Host) -> bool {
    for _ in 0..host.dice.between(0, MOVES_MAX) {
        if host.world.live.has_ended() {
            return false;
        }
        if host.dice.chance(40) { host.anything() } else { host.progress() }
    }
    !host.world.live.has_ended()
}

/// All news there can be about calls that ever were, and the passing of time.
fn late_news(world: &World) -> Vec<Input> {
    let past = world.past.iter().flat_map(|(call, attempt)| {
        let (call, attempt) = (*call, *attempt);
        let used = Amounts::TOOL_CALL;
        [
            success(call, attempt, Value::Null),
            failure(call, attempt, FailureCode::Failed),
            success(call, attempt + 1, Value::Null),
            decided(call, None),
            Input::Reserve { call, effect: EffectId::CALL.child(1), amounts: used },
            Input::Settle { call, effect: EffectId::CALL.child(1), used },
        ]
    });
    let questions = (1..=world.live.seq()).map(|seq| decided(CallId(seq), Some("yes".to_owned())));
    let limits = Limits { max_steps: Some(1_000_000), ..Limits::default() };
    let others = [
        Input::Continue,
        Input::TimeReached,
        Input::Recovered,
        Input::Resume { limits, decided_by: "pat".to_owned() },
        Input::Cancel { cancelled_by: "sam".to_owned(), reason: None },
    ];
    past.chain(questions).chain(others).collect()
}

/// Nothing is in flight, nothing is open, and no news changes that; the same after a restart.
fn assert_over(world: &mut World) {
    for _ in 0..2 {
        assert_eq!(world.live.status(), Status::Cancelled);
        assert!(world.live.commands().is_empty() && world.tracker.open.is_empty());
        world.now.0 += 1_000_000_000_000;
        for news in late_news(world) {
            assert_eq!(world.feed(news), 0, "something happened after a cancel");
        }
        world.check_log();
        world.crash(0);
    }
}

#[test]
fn r21_cancelled_at_any_moment_an_execution_is_over() {
    let (mut met, mut cancels, mut seed) = (Met::default(), 0, 1_u64 << 40);
    while cancels < CANCELS {
        seed += 1;
        assert!(seed - (1 << 40) < u64::from(CANCELS) * 20, "too few executions live long enough: {cancels}");
        let Some(mut host) = host(seed) else { continue };
        let definition = host.definition.clone();
        let _report = report_seed(seed, &definition);
        if !go_on(&mut host) {
            continue;
        }
        met.see(&host.world);
        host.cancel();
        assert_over(&mut host.world);
        cancels += 1;
    }
    met.assert_varied();
}

/// The last answer and a cancel come at the same moment: whichever is first counts, and the other is no news.
#[test]
fn r21_of_a_cancel_and_the_last_answer_one_wins() {
    let (mut races, mut seed) = (0, 1_u64 << 41);
    while races < CANCELS {
        seed += 1;
        assert!(seed - (1 << 41) < u64::from(CANCELS) * 20, "too few executions end with an answer: {races}");
        let Some(mut host) = host(seed) else { continue };
        let definition = host.definition.clone();
        let _report = report_seed(seed, &definition);
        while let Some((input, before)) = last_answer(&mut host) {
            let (mut answered, mut cancelled) = (before.clone(), before);
            answered.feed(input.clone());
            if !answered.live.has_ended() {
                host.world = answered;
                continue;
            }
            let status = answered.live.status();
            let cancel = Input::Cancel { cancelled_by: "pat".to_owned(), reason: None };
            assert_eq!(answered.feed(cancel.clone()), 0, "cancelled after its end");
            assert_eq!(answered.live.status(), status);
            assert!(cancelled.feed(cancel) > 0);
            assert_eq!(cancelled.feed(input), 0, "answered after a cancel");
            assert_over(&mut cancelled);
            races += 1;
            break;
        }
    }
}

/// The next answer to a call, and the world before it; none where the execution waits for something else, or ended.
fn last_answer(host: &mut Host) -> Option<(Input, World)> {
    while host.world.has_more() {
        host.world.feed(Input::Continue);
    }
    let calls = host.world.answerable();
    let (call, attempt) = *calls.first()?;
    Some((host.world.outcome(call, attempt), host.world.clone()))
}
