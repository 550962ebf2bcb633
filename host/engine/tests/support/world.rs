//! A host without I/O: it keeps what is in flight, gives the engine its news in any order, kills it and brings it back,
//! and looks at everything after every step.

use std::sync::Arc;

use serde_json::Value;
use weir_engine::{
    event::{Decision, Event, Record, Report},
    execution::{Command, Execution, Input},
    failure::{Failure, FailureCode},
    graph::Graph,
    id::{CallId, Timestamp},
    json::Json,
};

use super::{
    plan::{Answer, HANGING, Plan},
    setup,
    tracker::{Tracker, Visit},
};

/// The most records that one step may answer with: 512 moves, each of them at most as wide as a window.
pub(crate) const RECORDS_MAX: usize = 512 * 65;

/// One execution and everything around it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) graph: Arc<Graph>,
    pub(crate) live: Execution,
    /// Sees only the records, one by one.
    shadow: Execution,
    pub(crate) log: Vec<Record>,
    /// Lengths of the log between two steps, and the time then.
    boundaries: Vec<(usize, Timestamp)>,
    pub(crate) tracker: Tracker,
    pub(crate) now: Timestamp,
    pub(crate) plan: Plan,
    /// Every call that was ever in flight.
    pub(crate) past: Vec<(CallId, u32)>,
}

impl World {
    pub(crate) fn new(definition: &Value, input: Value, plan: Plan) -> Self {
        Self::of(setup::graph(definition), input, plan)
    }

    pub(crate) fn of(graph: Arc<Graph>, input: Value, plan: Plan) -> Self {
        let started = setup::started(&graph, input, setup::EPOCH);
        let (live, log) = Execution::start(graph.clone(), started, setup::EPOCH);
        let shadow = Execution::replay(graph.clone(), log.clone()).unwrap();
        let tracker = Tracker::of(&log);
        let boundaries = vec![(log.len(), setup::EPOCH)];
        let mut world =
            Self { graph, live, shadow, log, boundaries, tracker, now: setup::EPOCH, plan, past: Vec::new() };
        world.check();
        world
    }

    /// Gives news to the engine, and answers how many records followed.
    pub(crate) fn feed(&mut self, input: Input) -> usize {
        let ended = self.live.has_ended();
        let records = self.live.step(input, self.now);
        assert!(!ended || records.is_empty(), "something happened after the end");
        assert!(records.len() <= RECORDS_MAX, "{} records of one step", records.len());
        for record in &records {
            assert_eq!(record.seq, self.shadow.seq() + 1, "the log has no gaps");
            self.shadow.apply(record).unwrap();
            self.tracker.take(record);
        }
        let count = records.len();
        self.log.extend(records);
        self.boundaries.push((self.log.len(), self.now));
        self.check();
        count
    }

    /// What must hold at every moment.
    fn check(&mut self) {
        assert!(self.live == self.shadow, "the replayed state is not the live state");
        assert_eq!(self.live.has_ended(), self.tracker.end.is_some());
        assert_eq!(self.live.summary().paused.is_some(), self.tracker.paused);
        let (limits, ledger) = self.live.budget();
        assert!(!self.live.has_ended() || ledger.reserved.is_none(), "promised for ever: {:?}", ledger.reserved);
        let spent = ledger.settled.plus(&ledger.reserved);
        let tokens = spent.input_tokens + spent.output_tokens;
        let rows = [
            (limits.requests, spent.requests),
            (limits.total_tokens, tokens),
            (limits.tool_calls, spent.tool_calls),
            (limits.cost_microusd, spent.cost_microusd),
            (limits.max_steps, spent.steps),
        ];
        for (limit, spent) in rows {
            assert!(limit.is_none_or(|limit| spent <= limit), "spent {spent} of {limit:?}");
        }
        self.check_commands();
    }

    /// What is in flight is what the log says is open.
    fn check_commands(&mut self) {
        let (mut running, mut questions, mut timers) = (Vec::new(), Vec::new(), 0);
        let commands = self.live.commands();
        for command in &commands {
            match command {
                Command::RunPlugin { call, attempt } => {
                    assert_eq!(self.live.plugin_call(*call).unwrap().attempt, *attempt);
                    running.push((*call, *attempt));
                }
                Command::AskHuman { call, .. } => questions.push(*call),
                Command::SetTimer { .. } => timers += 1,
                Command::Continue => {}
            }
        }
        assert!(timers <= 1, "one timer is enough");
        assert!(!self.live.has_ended() || commands.is_empty(), "commands after the end");
        assert_eq!(running, self.tracker.running());
        let deferred = self.tracker.deferred.keys().copied();
        assert_eq!(questions, self.tracker.questions().into_iter().chain(deferred).collect::<Vec<_>>());
        for pair in running {
            if !self.past.contains(&pair) {
                self.past.push(pair);
            }
        }
    }

    /// When the next timer is due.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.live.commands().iter().find_map(|command| match command {
            Command::SetTimer { due } => Some(*due),
            _ => None,
        })
    }

    pub(crate) fn has_more(&self) -> bool {
        self.live.commands().contains(&Command::Continue)
    }

    /// The calls that will be answered.
    pub(crate) fn answerable(&self) -> Vec<(CallId, u32)> {
        let hangs = |visit: &Visit| visit.path.rsplit('.').next().unwrap().starts_with(HANGING);
        self.tracker.running().into_iter().filter(|(call, _)| !hangs(&self.tracker.open[call])).collect()
    }

    /// The news that the plan has for a call that runs.
    pub(crate) fn outcome(&self, call: CallId, attempt: u32) -> Input {
        let visit = &self.tracker.open[&call];
        match self.plan.call(visit.moment(), visit.input().value()) {
            Ok(output) => success(call, attempt, output),
            Err(code) => failure(call, attempt, code),
        }
    }

    /// What the plan says that a person will do.
    pub(crate) fn answer(&self, call: CallId) -> Answer {
        let visit = &self.tracker.open[&call];
        let (options, due) = visit.question().unwrap();
        self.plan.answer(visit.moment(), &options, due.is_some(), visit.quorum())
    }

    /// The next planned answer of a question that is answered.
    pub(crate) fn next_vote(&self, call: CallId) -> Option<Input> {
        let votes = match self.answer(call) {
            Answer::Choose(votes) => votes,
            Answer::Lapse => return None,
        };
        let (person, option) = votes.into_iter().nth(self.tracker.open[&call].votes.len())?;
        Some(decided_by(person, call, option))
    }

    /// Lets time pass until the next timer.
    pub(crate) fn pass_time(&mut self) -> bool {
        let Some(due) = self.due() else { return false };
        self.now = self.now.max(due);
        self.feed(Input::TimeReached);
        true
    }

    /// The host dies; what the last `lost` steps decided was not committed, and time is no more than it was then.
    pub(crate) fn crash(&mut self, lost: usize) {
        let keep = self.boundaries.len().saturating_sub(lost).max(1);
        let earliest = self.boundaries.iter().position(|(_, at)| *at == self.now).unwrap_or(self.boundaries.len() - 1);
        self.boundaries.truncate(keep.max(earliest + 1));
        self.log.truncate(self.boundaries.last().unwrap().0);
        let live = Execution::replay(self.graph.clone(), self.log.clone()).unwrap();
        (self.shadow, self.live) = (live.clone(), live);
        self.tracker = Tracker::of(&self.log);
        self.check();
        self.feed(Input::Recovered);
    }

    /// The whole log, encoded and read again, leads to the same state.
    pub(crate) fn check_log(&self) {
        let read = |record: &Record| {
            let text = serde_json::to_string(&record.event).unwrap();
            let event: Event = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), text);
            Record { event, ..record.clone() }
        };
        let replayed = Execution::replay(self.graph.clone(), self.log.iter().map(read)).unwrap();
        assert!(replayed == self.live, "the stored log does not lead to the live state");
    }

    /// Answers everything as planned until nothing is left to answer.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.has_more() {
                self.feed(Input::Continue);
            } else if let Some((call, attempt)) = self.answerable().first().copied() {
                let input = self.outcome(call, attempt);
                self.feed(input);
            } else {
                return;
            }
        }
        panic!("it does not settle");
    }

    /// The calls that wait for news, by path.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let running = self.tracker.running().into_iter().map(|(call, _)| call);
        running.chain(self.tracker.questions()).map(|call| self.tracker.open[&call].path.clone()).collect()
    }

    /// The open call of the step at `path`.
    pub(crate) fn call(&self, path: &str) -> CallId {
        let found = self.tracker.open.iter().find(|(_, visit)| visit.path == path);
        *found.unwrap_or_else(|| panic!("{path} is not open, but {:?}", self.waiting())).0
    }

    pub(crate) fn succeed(&mut self, path: &str, output: Value) {
        let call = self.call(path);
        let attempt = self.tracker.open[&call].attempt;
        self.feed(success(call, attempt, output));
    }

    pub(crate) fn fail(&mut self, path: &str, code: FailureCode) {
        let call = self.call(path);
        let attempt = self.tracker.open[&call].attempt;
        self.feed(failure(call, attempt, code));
    }

    pub(crate) fn decide(&mut self, path: &str, option: Option<&str>) -> usize {
        let call = self.call(path);
        self.feed(decided(call, option.map(str::to_owned)))
    }

    /// How the visits of the step at `path` ended.
    pub(crate) fn fates(&self, path: &str) -> Vec<(&'static str, &Value)> {
        let fates = self.tracker.fates.iter().filter(|(at, _, _)| at == path);
        fates.map(|(_, fate, value)| (*fate, value)).collect()
    }

    /// The execution's output, once it completed.
    pub(crate) fn output(&self) -> Value {
        self.live.summary().output.map_or(Value::Null, |output| output.value().clone())
    }
}

pub(crate) fn success(call: CallId, attempt: u32, output: Value) -> Input {
    Input::CallSucceeded { call, attempt, output: output.into(), report: Report::default() }
}

pub(crate) fn failure(call: CallId, attempt: u32, code: FailureCode) -> Input {
    Input::CallFailed { call, attempt, failure: Failure::new(code, "as planned"), report: Report::default() }
}

pub(crate) fn decided(call: CallId, option_id: Option<String>) -> Input {
    decided_by("pat", call, option_id)
}

pub(crate) fn decided_by(person: &str, call: CallId, option_id: Option<String>) -> Input {
    let decision = Decision {
        option_id,
        comment: Some("looks good".to_owned()),
        data: Some(Json::from(serde_json::json!({ "seen": true }))),
        decided_by: person.to_owned(),
        decided_at: "2026-11-22T16:00:00Z".to_owned(),
        request_digest: None,
    };
    Input::Decided { call, decision }
}

pub(crate) fn reassign(call: CallId) -> Input {
    Input::Reassign { call, roles: vec!["admin".to_owned()], users: Vec::new(), reassigned_by: "kim".to_owned() }
}
