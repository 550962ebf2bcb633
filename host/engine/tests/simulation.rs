//! Random workflows, random outcomes in random order, crashes, late and doubled news, cancels, pauses: whatever
//! happens, the replayed state is the live state, no limit is passed, and it ends.

mod cancels;
mod purses;

use serde_json::{Value, json};
use weir_engine::{
    execution::{Ask, Input, Status},
    failure::FailureCode,
    id::{CallId, EffectId, Timestamp},
    json::Json,
    limits::{Amounts, Limits},
};

use crate::support::{
    dice::Dice,
    generator::{Sample, Style, sample},
    plan::Plan,
    setup::try_graph,
    world::{World, decided, decided_by, failure, reassign, success},
};

/// How many seeds to try: `WEIR_SIM_SEEDS`, or `usual`.
pub(crate) fn seeds(usual: u64) -> u64 {
    std::env::var("WEIR_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Says which seed it was, if the test panics while this lives.
pub(crate) struct SeedReport<'d>(u64, &'d Value);

pub(crate) fn report_seed(seed: u64, definition: &Value) -> SeedReport<'_> {
    SeedReport(seed, definition)
}

impl Drop for SeedReport<'_> {
    #[expect(clippy::print_stderr, reason = "the seed of a failing test must be seen")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}\n{}", self.0, self.1);
        }
    }
}

/// What a random execution came to.
struct Ended {
    status: Status,
    was_paused: bool,
    crashes: u32,
}

/// The host, a careless one.
struct Host {
    dice: Dice,
    world: World,
    definition: Value,
    /// How many effects each agent call asked for.
    effects: u32,
    was_paused: bool,
    resumes: u32,
    crashes: u32,
}

/// Jumps back to a question that many must agree on take some thousand rounds.
const ROUNDS_MAX: u32 = 40_000;

impl Host {
    fn run(mut self) -> Ended {
        // At first anything happens; later the host only does what brings the execution to its end.
        for round in 0_u32..ROUNDS_MAX {
            if self.world.live.has_ended() {
                if self.dice.chance(25) {
                    self.world.check_log();
                }
                let status = self.world.live.status();
                assert!(status.is_final());
                return Ended { status, was_paused: self.was_paused, crashes: self.crashes };
            }
            self.was_paused |= self.world.tracker.paused;
            if round < 150 && self.dice.chance(40) { self.anything() } else { self.progress() }
        }
        panic!("it does not end: {:?}", self.world.waiting());
    }

    fn anything(&mut self) {
        match self.dice.below(100) {
            0..10 => {
                self.crashes += 1;
                let lost = self.dice.below(4);
                self.world.crash(lost);
            }
            10..25 => self.stale_news(),
            25..32 => self.foreign_news(),
            32..55 => self.reserve(),
            55..65 => self.settle(),
            65..68 => self.wrong_option(),
            68..70 => self.reassign(),
            70..78 => _ = self.world.feed(Input::TimeReached),
            78..86 => self.wait_a_little(),
            86..88 => self.cancel(),
            88..92 => self.resume(1),
            92..95 => self.fail_something(),
            95..97 => self.defer(),
            97 => self.world.check_log(),
            _ => {}
        }
    }

    fn progress(&mut self) {
        let calls = self.world.answerable();
        let questions = self.world.tracker.questions();
        if !self.world.tracker.deferred.is_empty() && self.dice.chance(40) {
            return self.judge();
        }
        match self.dice.below(10) {
            0..6 if !calls.is_empty() => {
                let (call, attempt) = calls[self.dice.below(calls.len())];
                let input = self.world.outcome(call, attempt);
                assert!(self.world.feed(input) > 0, "the end of a running call is no news");
            }
            6..8 if !questions.is_empty() => {
                let question = questions[self.dice.below(questions.len())];
                self.decide(question);
            }
            // Who raises the limits of a cycle for ever runs for ever.
            8 if self.world.tracker.paused && self.resumes < 4 => self.resume(2),
            8 if self.world.tracker.paused => self.cancel(),
            9 if calls.is_empty() => _ = self.world.pass_time(),
            _ if self.world.has_more() => {
                assert!(self.world.feed(Input::Continue) > 0, "there was nothing to go on with");
            }
            _ => {
                let asks = !questions.is_empty() || !self.world.tracker.deferred.is_empty();
                let waits = !calls.is_empty() || asks || self.world.tracker.paused;
                assert!(waits || self.world.due().is_some(), "it waits for nothing");
            }
        }
    }

    /// Whether the same moment has nothing left that could happen by itself.
    fn is_quiet(&self) -> bool {
        !self.world.has_more() && self.world.due().is_none_or(|due| due > self.world.now)
    }

    fn stale_news(&mut self) {
        let Some((call, attempt)) = self.dice.pick(&self.world.past).copied() else { return };
        if self.is_quiet() && !self.world.tracker.running().contains(&(call, attempt)) {
            assert_eq!(self.world.feed(success(call, attempt, Value::Null)), 0, "late news counted");
            assert_eq!(self.world.feed(failure(call, attempt, FailureCode::Failed)), 0, "late news counted");
        }
    }

    /// News about calls that never were.
    fn foreign_news(&mut self) {
        if !self.is_quiet() {
            return;
        }
        let call = CallId(self.dice.between(0, 60));
        let used = Amounts::TOOL_CALL;
        if !self.world.tracker.open.contains_key(&call) {
            for input in [
                success(call, 0, Value::Null),
                decided(call, None),
                Input::Settle { call, effect: EffectId::CALL.child(1), used },
            ] {
                assert_eq!(self.world.feed(input), 0, "foreign news counted");
            }
            assert_eq!(
                self.world.feed(Input::Reserve { call, effect: EffectId::CALL.child(1), amounts: used }),
                0,
                "a stranger got room"
            );
        }
    }

    fn amounts(&mut self) -> Amounts {
        Amounts {
            requests: self.dice.between(0, 1),
            input_tokens: self.dice.between(0, 90),
            output_tokens: self.dice.between(0, 50),
            tool_calls: self.dice.between(0, 3),
            cost_microusd: self.dice.between(0, 60),
            steps: 0,
        }
    }

    fn reserve(&mut self) {
        let running = self.world.tracker.running();
        let Some((call, _)) = self.dice.pick(&running).copied() else { return };
        self.effects = self.effects % 4 + 1;
        let (n, amounts) = (self.effects, self.amounts());
        let known = self.world.live.is_admitted(call, &EffectId::CALL.child(n));
        let count = self.world.feed(Input::Reserve { call, effect: EffectId::CALL.child(n), amounts });
        assert!(known || count > 0, "nobody answered");
        assert!(
            !known
                || !self.is_quiet()
                || self.world.live.is_admitted(call, &EffectId::CALL.child(n))
                || self.world.live.has_ended()
        );
    }

    /// Effects settle at most what they were promised; the engine knows how much that was, and counts no more.
    fn settle(&mut self) {
        let open: Vec<CallId> = self.world.tracker.open.keys().copied().collect();
        if let Some(call) = self.dice.pick(&open).copied() {
            let n = u32::try_from(self.dice.between(1, 4)).unwrap();
            self.world.feed(Input::Settle { call, effect: EffectId::CALL.child(n), used: Amounts::NONE });
            assert!(self.world.live.has_ended() || !self.is_quiet() || self.settled_twice(call, n));
        }
    }

    fn settled_twice(&mut self, call: CallId, n: u32) -> bool {
        self.world.feed(Input::Settle { call, effect: EffectId::CALL.child(n), used: Amounts::TOOL_CALL }) == 0
    }

    fn decide(&mut self, call: CallId) {
        let (options, _) = self.world.tracker.open[&call].question().unwrap();
        let option = self.dice.pick(&options).cloned();
        let person = ["pat", "sam", "alex", "robin", "kim"][self.dice.below(5)];
        let again = self.world.tracker.open[&call].votes.iter().any(|voter| voter == person);
        let quiet = self.is_quiet();
        let count = self.world.feed(decided_by(person, call, option));
        assert!(again || count > 0, "a good answer is ignored");
        assert!(!again || !quiet || count == 0, "one person counted twice");
    }

    /// A running call asks people about tools.
    fn defer(&mut self) {
        let running = self.world.tracker.running();
        let Some((call, _)) = self.dice.pick(&running).copied() else { return };
        let quorum = self.dice.between(1, 2);
        let due = self.dice.chance(50).then(|| self.world.now.plus_ms(self.dice.between(1, 90_000)));
        let request = json!({
            "notification": "may it?", "options": [{ "id": "approve" }, { "id": "reject" }],
            "approvers": { "roles": [], "users": [], "quorum": quorum, "requester_may_decide": true },
        });
        let ask = |n| Ask { effect: EffectId::CALL.child(n), request: Json::from_value(request.clone()), due };
        let asks = (0..self.dice.between(1, 2)).map(|n| ask(u32::try_from(n).unwrap() + 5)).collect();
        self.world.feed(Input::Defer { call, asks });
    }

    fn judge(&mut self) {
        let questions: Vec<CallId> = self.world.tracker.deferred.keys().copied().collect();
        let Some(question) = self.dice.pick(&questions).copied() else { return };
        let option = self.dice.pick(&self.world.tracker.deferred[&question].options).cloned();
        let person = ["pat", "sam", "alex"][self.dice.below(3)];
        let again = self.world.tracker.deferred[&question].voters.iter().any(|voter| voter == person);
        let count = self.world.feed(decided_by(person, question, option));
        assert!(again || count > 0, "a good answer is ignored");
    }

    fn wrong_option(&mut self) {
        let Some(call) = self.dice.pick(&self.world.tracker.questions()).copied() else { return };
        let (options, _) = self.world.tracker.open[&call].question().unwrap();
        if self.is_quiet() && !options.is_empty() {
            assert_eq!(self.world.feed(decided(call, Some("no such option".to_owned()))), 0);
            assert_eq!(self.world.feed(decided(call, None)), 0);
        }
    }

    fn reassign(&mut self) {
        let Some(call) = self.dice.pick(&self.world.tracker.questions()).copied() else { return };
        self.world.feed(reassign(call));
        if self.is_quiet() && self.world.tracker.open.contains_key(&call) {
            assert_eq!(self.world.feed(reassign(call)), 0, "the same people are asked already");
        }
    }

    fn wait_a_little(&mut self) {
        self.world.now = Timestamp(self.world.now.0 + i64::try_from(self.dice.between(1, 60_000)).unwrap());
        self.world.feed(Input::TimeReached);
    }

    fn fail_something(&mut self) {
        if let Some((call, attempt)) = self.dice.pick(&self.world.tracker.running()).copied() {
            assert!(self.world.feed(failure(call, attempt, FailureCode::FuelExhausted)) > 0);
        }
    }

    fn cancel(&mut self) {
        self.world.feed(Input::Cancel { cancelled_by: "pat".to_owned(), reason: None });
        assert!(self.world.live.has_ended());
    }

    fn resume(&mut self, more: u64) {
        self.resumes += 1;
        let was_paused = self.world.tracker.paused;
        let quiet = self.is_quiet();
        let raised = |old: Option<u64>| old.map(|old| old + more * 20);
        let limits = self.world.live.budget().0.clone();
        let limits = Limits {
            requests: raised(limits.requests).or(Some(more)),
            total_tokens: raised(limits.total_tokens).or(Some(more * 100)),
            tool_calls: raised(limits.tool_calls).or(Some(more)),
            cost_microusd: raised(limits.cost_microusd).or(Some(more * 100)),
            max_steps: raised(limits.max_steps).or(Some(more)),
            ..Limits::default()
        };
        let count = self.world.feed(Input::Resume { limits, decided_by: "pat".to_owned() });
        assert!(was_paused || !quiet || count == 0, "resumed what was not paused");
    }
}

/// A careless host with a random workflow, if that is sound.
fn host(seed: u64) -> Option<Host> {
    let mut dice = Dice::new(seed);
    let style = if dice.chance(80) { Style::Wild } else { Style::Confluent };
    let Sample { definition, input } = sample(&mut dice, style);
    let graph = try_graph(&definition).ok()?;
    let report = report_seed(seed, &definition);
    let plan = Plan { seed, failing_percent: dice.between(0, 40) };
    let world = World::of(graph, input, plan);
    drop(report);
    Some(Host { dice, world, definition, effects: 0, was_paused: false, resumes: 0, crashes: 0 })
}

fn run(seed: u64) -> Option<Ended> {
    let host = host(seed)?;
    let definition = host.definition.clone();
    let _report = report_seed(seed, &definition);
    Some(host.run())
}

#[test]
fn any_workflow_in_any_order_with_crashes_replays_keeps_its_limits_and_ends() {
    let wanted = seeds(20_000);
    let (mut by_status, mut crashes, mut paused, mut runs, mut seed) = ([0_u64; 4], 0, 0, 0, 1 << 32);
    while runs < wanted {
        seed += 1;
        assert!(seed - (1 << 32) < wanted * 3 + 100, "too few of the random workflows are sound: {runs}");
        let Some(ended) = run(seed) else { continue };
        runs += 1;
        crashes += u64::from(ended.crashes);
        paused += u64::from(ended.was_paused);
        let finals = [Status::Completed, Status::Failed, Status::Timeout, Status::Cancelled];
        by_status[finals.iter().position(|status| *status == ended.status).unwrap()] += 1;
    }
    // Nothing is shown by executions that all go the same way.
    assert!(by_status.iter().all(|count| *count > runs / 200), "one-sided: {by_status:?}");
    assert!(crashes > runs / 4 && paused > runs / 200, "{crashes} crashes, {paused} pauses in {runs}");
}
