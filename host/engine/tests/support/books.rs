//! Who spent what, kept by somebody who reads nothing but the log: every account is added up anew from what each effect was
//! promised and has used.

use std::collections::BTreeMap;

use weir_engine::{
    event::{Event, Record, StepType, Work},
    graph::Graph,
    id::{CallId, EffectId, ScopeId},
    limits::{Amounts, Limits},
};

/// One visit of a step.
#[derive(Debug, Clone)]
struct Account {
    /// The visit around it.
    around: Option<CallId>,
    limits: Limits,
    is_open: bool,
    /// Spent by itself, effects of former attempts included.
    spent: Amounts,
    /// What each effect of this attempt was promised, and what it has used.
    effects: BTreeMap<EffectId, (Option<Amounts>, Amounts)>,
}

/// All accounts of one execution.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    limits: Limits,
    accounts: BTreeMap<CallId, Account>,
    scopes: BTreeMap<ScopeId, CallId>,
    /// Whose limit the open pause is about (a visit's, or the execution's), and the calls that wait for its end.
    pause: Option<(Option<CallId>, Vec<CallId>)>,
}

impl Books {
    pub(crate) fn of(graph: &Graph, log: &[Record]) -> Self {
        let mut books =
            Self { limits: graph.limits.clone(), accounts: BTreeMap::new(), scopes: BTreeMap::new(), pause: None };
        log.iter().for_each(|record| books.take(graph, record));
        books
    }

    pub(crate) fn take(&mut self, graph: &Graph, record: &Record) {
        match &record.event {
            Event::StepStarted { .. } => self.opened(graph, record),
            Event::ScopeOpened { call, .. } => _ = self.scopes.insert(ScopeId(record.seq), *call),
            Event::Reserved { call, effect, amounts } => {
                let promised = &mut self.open(*call).effects.entry(effect.clone()).or_default().0;
                assert!(promised.replace(*amounts).is_none(), "{effect} of {call} was promised twice");
            }
            Event::Settled { call, effect, used } => {
                let (promised, spent) = self.open(*call).effects.get_mut(effect).expect("what is settled was promised");
                assert!(promised.take().is_some(), "{effect} of {call} was settled twice");
                *spent = spent.plus(used);
            }
            // Nobody sees any more what became of requests that may have been paid for.
            Event::CallInterrupted { call, .. } | Event::Deferred { call, .. } => self.open(*call).lose_requests(),
            Event::Paused { call, holder, .. } => {
                self.pause.get_or_insert((*holder, Vec::new())).1.extend(*call);
                call.iter().for_each(|call| self.open(*call).lose_requests());
            }
            Event::Resumed { limits, .. } => match self.pause.take().expect("only a pause ends").0 {
                Some(holder) => self.open(holder).limits = limits.clone(),
                None => self.limits = limits.clone(),
            },
            // Whatever still meets a limit pauses again.
            Event::ScopeCancelled { .. } => self.pause = None,
            Event::RetryScheduled { call, .. } => self.open(*call).close(),
            Event::StepCompleted { call, .. }
            | Event::StepSkipped { call, .. }
            | Event::StepFailed { call, .. }
            | Event::StepCancelled { call } => {
                let account = self.open(*call);
                account.close();
                account.is_open = false;
                // A pause that was about it is over.
                self.pause.take_if(|(holder, waiting)| *holder == Some(*call) || waiting.contains(call));
            }
            _ => {}
        }
    }

    fn opened(&mut self, graph: &Graph, record: &Record) {
        let Event::StepStarted { scope, step, kind, work, .. } = &record.event else { return };
        let is_tool = *kind == StepType::Tool && matches!(work, Work::Call { .. });
        let spent = if is_tool { Amounts::STEP.plus(&Amounts::TOOL_CALL) } else { Amounts::STEP };
        let limits = graph.steps[graph.by_id[step]].limits.clone();
        let around = self.scopes.get(scope).copied();
        let account = Account { around, limits, is_open: true, spent, effects: BTreeMap::new() };
        self.accounts.insert(CallId(record.seq), account);
    }

    fn open(&mut self, call: CallId) -> &mut Account {
        self.accounts.get_mut(&call).filter(|account| account.is_open).expect("only open visits spend")
    }

    /// Settled and reserved by a visit and all visits inside it; by the whole execution for `None`.
    pub(crate) fn spent(&self, of: Option<CallId>) -> Amounts {
        let inside = |call: CallId| {
            let around = std::iter::successors(Some(call), |call| self.accounts[call].around);
            of.is_none_or(|of| around.into_iter().any(|around| around == of))
        };
        let accounts = self.accounts.iter().filter(|(call, _)| inside(**call));
        accounts.fold(Amounts::NONE, |sum, (_, account)| sum.plus(&account.total(&EffectId::CALL)))
    }

    /// Settled and reserved by what an effect asked for in its turn.
    pub(crate) fn spent_within(&self, call: CallId, effect: &EffectId) -> Amounts {
        self.accounts[&call].inside(effect)
    }

    /// Whether every account is within its limits.
    pub(crate) fn check(&self) {
        check("the execution", &self.limits, &self.spent(None));
        for (call, account) in &self.accounts {
            check(&format!("visit {call}"), &account.limits, &self.spent(Some(*call)));
        }
    }
}

impl Account {
    fn lose_requests(&mut self) {
        for (promised, used) in self.effects.values_mut() {
            if let Some(lost) = promised.take_if(|promised| promised.requests > 0) {
                *used = used.plus(&lost);
            }
        }
    }

    /// What was promised is spent, and effects begin anew.
    fn close(&mut self) {
        self.spent = self.total(&EffectId::CALL);
        self.effects.clear();
    }

    fn total(&self, effect: &EffectId) -> Amounts {
        self.spent.plus(&self.inside(effect))
    }

    fn inside(&self, effect: &EffectId) -> Amounts {
        let inside = self.effects.iter().filter(|(at, _)| at.is_within(effect));
        inside.fold(Amounts::NONE, |sum, (_, (promised, used))| sum.plus(used).plus(&promised.unwrap_or_default()))
    }
}

/// Whether so much may be spent.
pub(crate) fn check(whose: &str, limits: &Limits, spent: &Amounts) {
    let rows = [
        ("requests", limits.requests, spent.requests),
        ("input tokens", limits.input_tokens, spent.input_tokens),
        ("output tokens", limits.output_tokens, spent.output_tokens),
        ("tokens", limits.total_tokens, spent.input_tokens + spent.output_tokens),
        ("tool calls", limits.tool_calls, spent.tool_calls),
        ("microdollars", limits.cost_microusd, spent.cost_microusd),
        ("steps", limits.max_steps, spent.steps),
    ];
    for (what, limit, spent) in rows {
        assert!(limit.is_none_or(|limit| spent <= limit), "{whose}: {spent} {what} of {limit:?}");
    }
}
