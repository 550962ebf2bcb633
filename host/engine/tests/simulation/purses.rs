//! G1: agents in branches and loops that call agents, which ask models and call tools, in any order, with pauses, questions,
//! retries, lost answers and crashes: after every event everything that has limits (an agent that was called, a step, the
//! steps around it, the execution) has spent and promised no more than they allow, and what the engine knows is what its log
//! adds up to.

use serde_json::{Value, json};
use weir_engine::{
    event::{Event, Record},
    execution::{Ask, Input},
    failure::FailureCode,
    id::{CallId, EffectId},
    json::Json,
    limits::{Amounts, Ledger, Limits},
};

use super::{report_seed, seeds};
use crate::support::{
    books::{Books, check},
    dice::{Dice, hash},
    plan::Plan,
    setup,
    world::{World, decided_by, failure, success},
};

const ROUNDS: usize = 160;

/// Random limits, some of them none.
fn limits(dice: &mut Dice, generous: u64) -> Value {
    let mut limits = json!({});
    let rows =
        [("request_limit", 6), ("total_tokens_limit", 300), ("input_tokens_limit", 200), ("output_tokens_limit", 200)];
    let more = [("tool_calls_limit", 7), ("max_cost_dollars", 0)];
    for (name, most) in rows.into_iter().chain(more) {
        if dice.chance(30) {
            let value = dice.between(0, most * generous);
            limits[name] = if most == 0 { json!(dice.between(0, 300 * generous) as f64 / 1e6) } else { json!(value) };
        }
    }
    if dice.chance(40) {
        limits["on_exceeded"] = "pause".into();
    }
    limits
}

fn workflow(dice: &mut Dice) -> Value {
    let mut ids = 0;
    let mut agent = |dice: &mut Dice| {
        ids += 1;
        let mut step = json!({ "id": format!("a{ids}"), "type": "agent", "agent": "sim.agent", "agent_prompt": "work",
            "guardrails": limits(dice, 1), "on_error": "continue" });
        if dice.chance(40) {
            step["retry"] = json!({ "max_attempts": 3, "initial_interval_ms": 1 });
        }
        step
    };
    let branches: Vec<Value> = (0..3).map(|_| json!([agent(dice), agent(dice)])).collect();
    let body = [agent(dice)];
    let branch = json!({ "id": "each", "type": "loop", "guardrails": limits(dice, 2), "on_error": "continue",
        "loop_config": { "items_path": "$.input.items", "max_concurrency": 3, "steps": body } });
    let both = json!({ "id": "both", "type": "parallel", "guardrails": limits(dice, 3), "on_error": "continue",
        "parallel_steps": branches.into_iter().chain([json!([branch])]).collect::<Vec<_>>() });
    json!({ "name": "purses", "guardrails": limits(dice, 4), "steps": [both, agent(dice)] })
}

/// A host whose agents do as the dice say.
struct Host {
    dice: Dice,
    seed: u64,
    world: World,
    books: Books,
    /// How many records the books know.
    read: usize,
    refused: u32,
    crashes: u32,
}

impl Host {
    fn feed(&mut self, input: Input) {
        self.world.feed(input);
        self.read();
    }

    /// Takes what is new in the log into the books, and looks at all of them after every event.
    fn read(&mut self) {
        let new: Vec<Record> = self.world.log[self.read..].to_vec();
        self.read = self.world.log.len();
        for record in new {
            self.books.take(&self.world.graph, &record);
            self.books.check();
            if let Event::Reserved { call, effect, .. } = &record.event {
                self.check_agents(*call, effect);
            }
        }
        let (_, ledger) = self.world.live.budget();
        assert_eq!(ledger.settled.plus(&ledger.reserved), self.books.spent(None), "the engine counts something else");
    }

    fn check_agents(&self, call: CallId, effect: &EffectId) {
        for (agent, limits) in self.agents(call, effect) {
            check(&format!("agent {agent} of {call}"), &limits, &self.books.spent_within(call, &agent));
        }
    }

    /// The agents that an effect runs in, outermost first, with limits of their own that follow from the seed.
    fn agents(&self, call: CallId, effect: &EffectId) -> Vec<(EffectId, Limits)> {
        let text = effect.to_string();
        let ends = text.match_indices('/').map(|(end, _)| &text[..end]);
        let agents = ends.map(|agent| {
            let mut dice = Dice::new(hash(self.seed, &[&call.to_string(), agent]));
            let some = |dice: &mut Dice, most: u64| dice.chance(50).then(|| dice.between(0, most));
            let limits = Limits {
                requests: some(&mut dice, 3),
                total_tokens: some(&mut dice, 150),
                tool_calls: some(&mut dice, 4),
                cost_microusd: some(&mut dice, 150),
                ..Limits::default()
            };
            (agent.parse().unwrap(), limits)
        });
        agents.collect()
    }

    fn some_effect(&mut self) -> EffectId {
        let depth = self.dice.between(1, 3);
        (0..depth).fold(EffectId::CALL, |at, _| at.child(u32::try_from(self.dice.between(1, 3)).unwrap()))
    }

    fn some_amounts(&mut self) -> Amounts {
        if self.dice.chance(40) {
            return Amounts::TOOL_CALL;
        }
        Amounts {
            requests: 1,
            input_tokens: self.dice.between(1, 60),
            output_tokens: self.dice.between(1, 60),
            cost_microusd: self.dice.between(0, 90),
            ..Amounts::NONE
        }
    }

    /// A running call begins some effects beside each other, as a driver does: all of them or none.
    fn begin(&mut self) {
        let running = self.world.tracker.running();
        let Some((call, _)) = self.dice.pick(&running).copied() else { return };
        let first = self.some_effect();
        let count = if self.dice.chance(30) { 3 } else { 1 };
        let amounts = if count == 1 { self.some_amounts() } else { Amounts::TOOL_CALL };
        let around: EffectId = first.to_string().rsplit_once('/').map_or(EffectId::CALL, |(at, _)| at.parse().unwrap());
        let beside = (1..=count).map(|n| if count == 1 { first.clone() } else { around.child(n) });
        let new: Vec<EffectId> = beside.filter(|effect| !self.world.live.is_admitted(call, effect)).collect();
        let total = new.iter().fold(Amounts::NONE, |total, _| total.plus(&amounts));
        let within = self.agents(call, &first);
        if let Err((agent, exceeded)) = self.world.live.admits_within(call, &within, &total) {
            assert!(first.is_within(agent) && !exceeded.limit.is_empty());
            self.refused += 1;
            return;
        }
        if Ledger::default().admits(&self.world.live.room(call).limits(), &total).is_ok() {
            for effect in &new {
                self.feed(Input::Reserve { call, effect: effect.clone(), amounts });
                assert!(self.world.live.is_admitted(call, effect), "there is room, and it was refused");
            }
        } else if let Some(effect) = new.into_iter().next() {
            self.feed(Input::Reserve { call, effect: effect.clone(), amounts: total });
            assert!(!self.world.live.is_admitted(call, &effect), "there is no room, and it was admitted");
        }
    }

    /// What is under way ends with what it used, or with all that it was promised.
    fn settle(&mut self) {
        let promised = self.promised();
        let Some((call, effect, amounts)) = self.dice.pick(&promised).cloned() else { return };
        let part = |dice: &mut Dice, most: u64| dice.between(0, most);
        let used = match self.dice.below(3) {
            0 => amounts,
            1 => Amounts::NONE,
            _ => Amounts {
                input_tokens: part(&mut self.dice, amounts.input_tokens),
                output_tokens: part(&mut self.dice, amounts.output_tokens),
                cost_microusd: part(&mut self.dice, amounts.cost_microusd),
                ..amounts
            },
        };
        self.feed(Input::Settle { call, effect, used });
    }

    /// What is under way, by the log.
    fn promised(&self) -> Vec<(CallId, EffectId, Amounts)> {
        let mut promised = Vec::<(CallId, EffectId, Amounts)>::new();
        for record in &self.world.log {
            let (Event::Reserved { call, effect, .. } | Event::Settled { call, effect, .. }) = &record.event else {
                continue;
            };
            promised.retain(|(of, at, _)| (of, at) != (call, effect));
            if let Event::Reserved { amounts, .. } = &record.event {
                promised.push((*call, effect.clone(), *amounts));
            }
        }
        promised
    }

    fn defer(&mut self) {
        let running = self.world.tracker.running();
        let Some((call, _)) = self.dice.pick(&running).copied() else { return };
        let request = json!({ "options": [{ "id": "approve" }, { "id": "reject" }] });
        let ask = Ask { effect: self.some_effect(), request: Json::from_value(request), due: None };
        self.feed(Input::Defer { call, asks: vec![ask] });
    }

    fn judge(&mut self) {
        let questions: Vec<CallId> = self.world.tracker.deferred.keys().copied().collect();
        if let Some(question) = self.dice.pick(&questions).copied() {
            self.feed(decided_by("pat", question, Some("approve".to_owned())));
        }
    }

    fn end_call(&mut self) {
        let running = self.world.tracker.running();
        let Some((call, attempt)) = self.dice.pick(&running).copied() else { return };
        let fails = self.dice.chance(30);
        let code = FailureCode::Unavailable;
        self.feed(if fails { failure(call, attempt, code) } else { success(call, attempt, json!(1)) });
    }

    fn raise(&mut self) {
        if self.world.tracker.paused {
            let more = |dice: &mut Dice| Some(dice.between(1, 1000));
            let limits = Limits {
                requests: more(&mut self.dice),
                total_tokens: more(&mut self.dice),
                tool_calls: more(&mut self.dice),
                cost_microusd: more(&mut self.dice),
                ..Limits::default()
            };
            self.feed(Input::Resume { limits, decided_by: "pat".to_owned() });
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        let lost = self.dice.below(4);
        self.world.crash(lost);
        self.books = Books::of(&self.world.graph, &self.world.log);
        self.read = self.world.log.len();
        self.books.check();
        self.world.check_log();
    }

    fn run(&mut self) {
        for _ in 0..ROUNDS {
            match self.dice.below(100) {
                0..50 => self.begin(),
                50..70 => self.settle(),
                70..75 => self.crash(),
                75..79 => self.defer(),
                79..85 => self.judge(),
                85..90 => self.end_call(),
                90..94 => self.raise(),
                94..97 => {
                    self.world.pass_time();
                    self.read();
                }
                _ if self.world.has_more() => self.feed(Input::Continue),
                _ => {}
            }
            if self.world.live.has_ended() {
                break;
            }
        }
        self.feed(Input::Cancel { cancelled_by: "pat".to_owned(), reason: None });
        assert!(self.world.live.budget().1.reserved.is_none(), "something is promised for ever");
    }
}

#[test]
fn g1_every_purse_holds_in_any_order_of_things() {
    let (mut refused, mut crashes, mut promised, mut paused, mut nested) = (0, 0, 0, 0, 0);
    let runs = seeds(1_500);
    for seed in 0..runs {
        let mut dice = Dice::new(seed ^ 0x6717);
        let definition = workflow(&mut dice);
        let _report = report_seed(seed, &definition);
        let graph = setup::graph(&definition);
        let world = World::of(graph.clone(), json!({ "items": [1, 2, 3, 4] }), Plan { seed, failing_percent: 0 });
        let books = Books::of(&graph, &world.log);
        let read = world.log.len();
        let mut host = Host { dice, seed, world, books, read, refused: 0, crashes: 0 };
        host.run();
        let count = |of: &dyn Fn(&Event) -> bool| host.world.log.iter().filter(|record| of(&record.event)).count();
        promised += count(&|event| matches!(event, Event::Reserved { .. }));
        nested += count(&|event| matches!(event, Event::Reserved { effect, .. } if effect.depth() > 1));
        paused += count(&|event| matches!(event, Event::Paused { .. }));
        (refused, crashes) = (refused + u64::from(host.refused), crashes + u64::from(host.crashes));
    }
    // Nothing is shown by executions in which nothing is refused.
    let runs = usize::try_from(runs).unwrap();
    assert!(
        promised > runs * 5 && nested > runs * 2,
        "{promised} promises, {nested} of them of agents that were called"
    );
    assert!(paused > runs / 4 && refused > runs as u64, "{paused} pauses, {refused} refusals");
    assert!(crashes > runs as u64, "{crashes} crashes");
}
