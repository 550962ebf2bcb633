//! What running calls ask their execution for: room for effects, leave for tools, and that what came of them is written.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;
use weir_engine::{
    execution::{self, Execution, Input, Verdict},
    failure::{Failure, FailureCode},
    id::{CallId, EffectId},
    json::Json,
    limits::{Amounts, Ledger, Limits, Room},
};

use super::Task;
use crate::{
    driver::pools::Open,
    models::Prepared,
    store::{self, Companion},
};

/// A running call wants to begin effects: all of them, or none.
pub(in crate::driver) struct Begin {
    pub(in crate::driver) call: CallId,
    /// The limits of the agents that it runs in, below those of the step, outermost first.
    pub(in crate::driver) within: Vec<(EffectId, Limits)>,
    pub(in crate::driver) ask: Ask,
    /// What is written with the room that is promised.
    pub(in crate::driver) companions: Vec<Companion>,
    /// Whether the answer waits until that is on disk.
    pub(in crate::driver) waits: bool,
}

/// What effects may need.
pub(in crate::driver) enum Ask {
    /// One that costs nothing.
    Nothing(EffectId),
    /// Each of these.
    Each(Vec<(EffectId, Amounts)>),
    /// A request to a model, with an answer as long as there is room for.
    Model { effect: EffectId, prepared: Arc<Prepared> },
}

/// Effects may begin.
#[derive(Debug, Clone, Copy)]
pub(in crate::driver) struct Admission {
    /// The longest answer of a model.
    pub(in crate::driver) max_tokens: u64,
    /// What was promised.
    pub(in crate::driver) reserved: Amounts,
}

/// An effect is over.
pub(in crate::driver) struct End {
    pub(in crate::driver) call: CallId,
    pub(in crate::driver) effect: EffectId,
    pub(in crate::driver) used: Amounts,
    pub(in crate::driver) companions: Vec<Companion>,
    pub(in crate::driver) waits: bool,
}

impl Task {
    pub(super) fn on_begin(&mut self, begin: Begin, reply: oneshot::Sender<Result<Admission, Failure>>) {
        let Begin { call, within, ask, companions, waits } = begin;
        let pools = self.draws.pools(&self.execution);
        // Nobody else draws from what this execution shares until it has what it needs.
        let mut open = self.draws.open(&pools);
        let (asked, max_tokens) = match self.needed(call, &within, &ask, &mut open) {
            Ok(needed) => needed,
            // A limit of an agent inside the step, or a price that nobody knows: the agent is told.
            Err(failure) => {
                self.count_limit(&failure);
                return drop(reply.send(Err(failure)));
            }
        };
        let new: Vec<(EffectId, Amounts)> =
            asked.iter().filter(|(effect, _)| !self.execution.is_admitted(call, effect)).cloned().collect();
        let total = new.iter().fold(Amounts::NONE, |total, (_, amounts)| total.plus(amounts));
        let room = self.execution.room(call).at_most(&self.draws.room(&mut open, store::now()));
        let fits = Ledger::default().admits(&room.limits(), &total).is_ok();
        if fits {
            for (effect, amounts) in new {
                self.feed_in(&mut open, Input::Reserve { call, effect, amounts });
            }
        } else if let Some((effect, _)) = new.into_iter().next() {
            // All of them or none: the engine says which limit is in the way, and what follows.
            self.feed_in(&mut open, Input::Reserve { call, effect, amounts: total });
        }
        drop(open);
        // Else the call is over or parked, and its future is dropped at the next reconcile.
        if asked.iter().all(|(effect, _)| self.execution.is_admitted(call, effect)) {
            self.companions.extend(companions);
            let admission = Admission { max_tokens, reserved: total };
            self.tell(waits, move || _ = reply.send(Ok(admission)));
        }
    }

    /// Feeds while nobody else draws from what the execution shares.
    fn feed_in(&mut self, open: &mut Open<'_>, input: Input) {
        let records = self.draws.step_in(open, &mut self.execution, input, store::now());
        self.take(records);
    }

    /// Counts the limit that an agent is told of: the step goes on, so its end does not tell.
    fn count_limit(&self, failure: &Failure) {
        let details = failure.details.as_ref().map(Json::value);
        if let Some(limit) = details.and_then(|details| details.get("limit")?.as_str()) {
            self.inner.store.metrics().limit_hit(limit);
        }
    }

    /// What the effects take, and how long a model's answer may be.
    fn needed(
        &self,
        call: CallId,
        within: &[(EffectId, Limits)],
        ask: &Ask,
        open: &mut Open<'_>,
    ) -> Result<(Vec<(EffectId, Amounts)>, u64), Failure> {
        match ask {
            Ask::Nothing(effect) => Ok((vec![(effect.clone(), Amounts::NONE)], 0)),
            Ask::Each(each) => {
                let total = each.iter().fold(Amounts::NONE, |total, (_, amounts)| total.plus(amounts));
                admitted_within(&self.execution, call, within, &total)?;
                Ok((each.clone(), 0))
            }
            Ask::Model { effect, prepared } => {
                self.check_price(call, prepared, open)?;
                let shared = self.draws.room(open, store::now());
                let room = room(&self.execution, call, within).at_most(&shared);
                let max_tokens = longest(prepared, &room);
                let amounts = prepared.reservation(max_tokens);
                admitted_within(&self.execution, call, within, &amounts)?;
                Ok((vec![(effect.clone(), amounts)], max_tokens))
            }
        }
    }

    fn check_price(&self, call: CallId, prepared: &Prepared, open: &mut Open<'_>) -> Result<(), Failure> {
        if prepared.price.is_some() {
            return Ok(());
        }
        if self.execution.allows_unknown_price(call) && self.draws.allow_unknown_price(open, store::now()) {
            return Ok(());
        }
        let message = format!(
            "could not ask {} {:?}: nobody knows what it costs, and money is limited; configure its price, or set \
             on_unknown_price to \"allow\"",
            prepared.provider(),
            prepared.model()
        );
        let details = json!({ "limit": "max_cost_dollars", "unknown_price_of": prepared.model() });
        Err(Failure::new(FailureCode::GuardrailExceeded, message).with_details(details))
    }

    pub(super) fn on_end(&mut self, end: End, reply: oneshot::Sender<()>) {
        let End { call, effect, used, companions, waits } = end;
        let before = self.execution.seq();
        self.feed(Input::Settle { call, effect, used });
        // Where the call is not open any more, nobody needs to know.
        if self.execution.seq() > before {
            self.companions.extend(companions);
        }
        self.tell(waits, move || _ = reply.send(()));
        self.defer_when_quiet(call);
    }

    /// Whether tools may be called. Where people have still to be asked, they are, and nothing is answered.
    pub(super) fn on_leave(&mut self, call: CallId, asks: Vec<execution::Ask>, reply: oneshot::Sender<Vec<Verdict>>) {
        let verdicts = asks.iter().map(|ask| self.execution.verdict(call, &ask.effect).cloned());
        match verdicts.collect() {
            Some(verdicts) => _ = reply.send(verdicts),
            None => {
                self.asks.entry(call).or_default().extend(asks);
                self.defer_when_quiet(call);
            }
        }
    }

    /// Asks people when nothing else of the call is under way, but for what waits for them: then nothing is lost when the
    /// call is given up, and its other questions are asked with it.
    fn defer_when_quiet(&mut self, call: CallId) {
        let Some(asks) = self.asks.get(&call) else { return };
        let waits = |at: &EffectId| asks.iter().any(|ask| ask.effect.is_within(at));
        if self.execution.under_way(call).all(waits)
            && let Some(asks) = self.asks.remove(&call)
        {
            self.feed(Input::Defer { call, asks });
        }
    }

    pub(super) fn on_room(&mut self, call: CallId, within: &[(EffectId, Limits)], reply: oneshot::Sender<Room>) {
        let pools = self.draws.pools(&self.execution);
        let shared = self.draws.room(&mut self.draws.open(&pools), store::now());
        let _ = reply.send(room(&self.execution, call, within).at_most(&shared));
    }

    /// Tells at once, or when everything up to now is on disk.
    fn tell(&mut self, waits: bool, tell: impl FnOnce() + Send + 'static) {
        if !waits {
            return tell();
        }
        self.reply_when_stored(move |stored| {
            if stored.is_ok() {
                tell();
            }
        });
    }
}

/// What is left for a call in some agents.
fn room(execution: &Execution, call: CallId, within: &[(EffectId, Limits)]) -> Room {
    let inner = within.iter().map(|(effect, limits)| execution.room_within(call, effect, limits));
    inner.fold(execution.room(call), |room, other| room.at_most(&other))
}

/// Whether the agents that a call runs in leave room for more, below the limits of the step.
fn admitted_within(
    execution: &Execution,
    call: CallId,
    within: &[(EffectId, Limits)],
    amounts: &Amounts,
) -> Result<(), Failure> {
    execution.admits_within(call, within, amounts).map_err(|(effect, exceeded)| {
        let (limit, value) = (&exceeded.limit, exceeded.shown());
        let message = format!(
            "the agent would pass its own {limit} = {value}; raise the limit in agent_config.tools, or let it do less"
        );
        let details = json!({ "limit": limit, "value": value, "effect": effect });
        Failure::new(FailureCode::GuardrailExceeded, message).with_details(details)
    })
}

/// The longest answer that there is room for, from 1 to what is wanted. Costs and tokens grow with it, so halving finds
/// it.
fn longest(prepared: &Prepared, room: &Room) -> u64 {
    let limits = room.limits();
    let fits = |max_tokens: u64| Ledger::default().admits(&limits, &prepared.reservation(max_tokens)).is_ok();
    let (mut good, mut bad) = (1, prepared.max_tokens + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}
