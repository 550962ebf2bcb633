//! The loop of one execution: news in, events out, and in flight exactly what the engine asks for.
//!
//! Calls of plugins without powers are pure computations, so they run ahead of the commit; their events ride on a
//! later append. Everything that is seen outside (answers, live events) waits for the commit.

mod effects;
mod people;

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::Instant,
};
use weir_engine::{
    approvers::Approvers,
    event::Record,
    execution::{self, Command, Execution, Input, Verdict},
    failure::Failure,
    id::{CallId, EffectId, Seq, Timestamp},
    limits::{Limits, Room},
};

pub(super) use self::effects::{Admission, Ask, Begin, End};

use super::{
    Ended, Finished, Inner, SignalError,
    answer::{Answer, Answered, DecideError, Reassign},
    delivery::Place,
    flight::{Flight, Landed},
    observe::Observed,
    outbox::Outbox,
    perform,
    pools::Draws,
    timers,
};
use crate::store::{self, Append, Companion, StoreError};

/// Events that may wait in memory before they are appended though more could be decided, and their bytes.
const PENDING_MAX: usize = 512;
const PENDING_BYTES_MAX: usize = 4 << 20;
/// News that may wait for one execution.
pub(super) const NEWS_QUEUE: usize = 256;
/// An execution that waits for less than this stays in memory.
const SHORT_WAIT: Duration = Duration::from_millis(500);

/// What an execution is told.
pub(super) enum News {
    /// A person answered.
    Answer { answer: Answer, reply: oneshot::Sender<Result<Answered, DecideError>> },
    /// Others are to be asked.
    Reassign { reassign: Reassign, reply: oneshot::Sender<Result<Approvers, DecideError>> },
    /// Somebody stops it.
    Cancel {
        cancelled_by: String,
        reason: Option<String>,
        companions: Vec<Companion>,
        reply: oneshot::Sender<Result<(), SignalError>>,
    },
    /// Its time may have come.
    Wake { reply: oneshot::Sender<()> },
    /// A running call wants to begin effects.
    Begin { begin: Box<Begin>, reply: oneshot::Sender<Result<Admission, Failure>> },
    /// An effect is over.
    End { end: Box<End>, reply: oneshot::Sender<()> },
    /// A running call wants to call tools that people must allow.
    Leave { call: CallId, asks: Vec<execution::Ask>, reply: oneshot::Sender<Vec<Verdict>> },
    /// A running call wants to know what is left.
    Room { call: CallId, within: Vec<(EffectId, Limits)>, reply: oneshot::Sender<Room> },
}

/// A reply that is due once the events up to `seq` are on disk.
struct Reply {
    seq: Seq,
    send: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// The way for news.
type Way = (mpsc::Sender<News>, mpsc::Receiver<News>);

type Appending = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// One execution in memory.
pub(super) struct Task {
    inner: Arc<Inner>,
    id: Arc<str>,
    execution: Execution,
    /// What it draws from what it shares with others.
    draws: Draws,
    started_at: Timestamp,
    flight: Flight,
    /// Decided and applied, not yet handed to the store; and about how many bytes that is.
    pending: Vec<Record>,
    pending_bytes: usize,
    /// What is written with them.
    companions: Vec<Companion>,
    /// What people will be asked for running calls when all else of them is over.
    asks: BTreeMap<CallId, Vec<execution::Ask>>,
    /// The number of the last event on disk.
    stored: Seq,
    /// With the store.
    appending: Option<(Arc<Vec<Record>>, Appending)>,
    replies: Vec<Reply>,
    observed: Observed,
    ended: Option<oneshot::Sender<Box<Finished>>>,
    /// Given up when the task ends, however that may be.
    place: Option<Place>,
    /// Whether it was loaded from its log.
    resumed: bool,
    sender: mpsc::Sender<News>,
    receiver: mpsc::Receiver<News>,
    stop_at: Option<Instant>,
    _room: OwnedSemaphorePermit,
}

/// How a task ends.
enum Exit {
    /// Ended, or idle with everything on disk.
    Done,
    /// The store refused; what is on disk is the truth.
    Failed(StoreError),
}

impl Task {
    pub(super) fn new(
        inner: Arc<Inner>,
        id: Arc<str>,
        (execution, draws): (Execution, Draws),
        room: OwnedSemaphorePermit,
    ) -> Self {
        let observed = Observed::of(inner.config.spans.of(execution.started()));
        let (sender, receiver) = mpsc::channel(NEWS_QUEUE);
        Self {
            inner,
            id,
            execution,
            draws,
            started_at: store::now(),
            flight: Flight::default(),
            pending: Vec::new(),
            pending_bytes: 0,
            companions: Vec::new(),
            asks: BTreeMap::new(),
            stored: 0,
            appending: None,
            replies: Vec::new(),
            observed,
            ended: None,
            place: None,
            resumed: false,
            sender,
            receiver,
            stop_at: None,
            _room: room,
        }
    }

    /// A new execution: its first records, what is written with them, and who waits for its start and its end.
    pub(super) fn begin(
        &mut self,
        records: Vec<Record>,
        companions: Vec<Companion>,
        stored: oneshot::Sender<Result<(), StoreError>>,
        ended: Option<oneshot::Sender<Box<Finished>>>,
    ) {
        if let Some(first) = records.first() {
            self.started_at = first.at;
        }
        self.take(records);
        self.companions = companions;
        self.ended = ended;
        let send = Box::new(|result| _ = stored.send(result));
        self.replies.push(Reply { seq: 1, send });
        // Its id is new, so its place is free.
        self.place = Place::take(&self.inner, self.id.clone(), &self.sender).ok();
    }

    /// An execution that was loaded from its log, and the place and the way for news that were taken for it before.
    pub(super) fn resume(&mut self, observed: Observed, place: Place, (sender, receiver): Way) {
        (self.place, self.sender, self.receiver, self.observed) = (Some(place), sender, receiver, observed);
        self.stored = self.execution.seq();
        self.resumed = true;
    }

    /// Runs until the execution ends, waits for something far away, or the store refuses.
    pub(super) async fn run(mut self) {
        let exit = self.work().await;
        self.place = None;
        // Whoever still sends is answered by a dropped reply, and tries again.
        self.receiver.close();
        while self.receiver.try_recv().is_ok() {}
        match exit {
            Exit::Done => self.leave(),
            Exit::Failed(error) => self.give_up(&error),
        }
    }

    fn leave(&self) {
        self.inner.crashes.forget(&self.id);
        if let Some(due) = self.execution.summary().wake_at {
            self.inner.timers.set(due, self.id.clone());
        }
    }

    /// Memory is ahead of the log: what is in memory is dropped, and the execution goes on from its log. One that is not
    /// in the log at all was refused to whoever starts it, and has never been.
    fn give_up(&mut self, error: &StoreError) {
        if self.stored > 0 || !matches!(error, StoreError::Conflict { .. }) {
            tracing::error!(execution.id = %self.id, %error, "could not append to execution {}", self.id);
        }
        for reply in self.replies.drain(..) {
            (reply.send)(Err(error.clone()));
        }
        if self.stored > 0 {
            self.inner.timers.set(store::now().plus_ms(1_000), self.id.clone());
        }
    }

    async fn work(&mut self) -> Exit {
        let mut stopping = self.inner.stopping.subscribe();
        if self.resumed {
            self.feed(Input::Recovered);
        }
        loop {
            // A long chain of quick calls lets others run, too.
            tokio::task::consume_budget().await;
            self.reconcile();
            if self.has_room() {
                if let Some(landed) = self.flight.landed_now() {
                    self.on_landed(landed);
                    continue;
                }
                if self.execution.commands().contains(&Command::Continue) {
                    self.feed(Input::Continue);
                    continue;
                }
            }
            self.flush();
            if self.appending.is_none() && self.is_over() {
                return Exit::Done;
            }
            let timer = self.timer();
            let stop_at = self.stop_at;
            tokio::select! {
                biased;
                result = appended(&mut self.appending) => {
                    if let Err(error) = self.on_appended(result) {
                        return Exit::Failed(error);
                    }
                }
                landed = self.flight.landed(), if self.has_room() => self.on_landed(landed),
                Some(news) = self.receiver.recv() => self.on_news(news),
                () = sleep_until(timer) => self.feed(Input::TimeReached),
                () = sleep_until(stop_at), if !self.flight.is_empty() => self.flight = Flight::default(),
                Ok(_) = stopping.wait_for(|stop| *stop), if self.stop_at.is_none() => {
                    self.stop_at = Some(Instant::now() + self.inner.config.stop_grace);
                }
            }
        }
    }

    /// Makes what is in flight equal to what the engine asks for.
    fn reconcile(&mut self) {
        let commands = self.execution.commands();
        let mut asked: Vec<(CallId, u32)> = Vec::new();
        for command in &commands {
            if let Command::RunPlugin { call, attempt } = command {
                asked.push((*call, *attempt));
            }
        }
        if !self.flight.is_empty() {
            self.flight.retain(|call, attempt| asked.contains(&(call, attempt)));
        }
        if !self.asks.is_empty() {
            let flight = &self.flight;
            self.asks.retain(|call, _| asked.iter().any(|(of, attempt)| of == call && flight.contains(*of, *attempt)));
        }
        if self.stop_at.is_some() {
            return;
        }
        let alone = asked.len() == 1;
        for key in asked {
            if self.flight.contains(key.0, key.1) {
                continue;
            }
            if let Some(call) = self.execution.plugin_call(key.0) {
                let call = perform::call(&self.inner, &self.execution, call, self.sender.clone());
                self.flight.launch(key, call, alone);
            }
        }
    }

    fn on_landed(&mut self, landed: Landed) {
        let Landed { call, attempt, result, report } = landed;
        self.feed(match result {
            Ok(output) => Input::CallSucceeded { call, attempt, output, report },
            Err(failure) => Input::CallFailed { call, attempt, failure, report },
        });
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Wake { reply } => {
                self.feed(Input::TimeReached);
                let _ = reply.send(());
            }
            News::Begin { begin, reply } => self.on_begin(*begin, reply),
            News::End { end, reply } => self.on_end(*end, reply),
            News::Leave { call, asks, reply } => self.on_leave(call, asks, reply),
            News::Room { call, within, reply } => self.on_room(call, &within, reply),
            News::Cancel { cancelled_by, reason, companions, reply } => {
                self.on_cancel(Input::Cancel { cancelled_by, reason }, companions, reply);
            }
            News::Answer { answer, reply } => self.on_answer(answer, reply),
            News::Reassign { reassign, reply } => self.on_reassign(reassign, reply),
        }
    }

    fn reply_when_stored(&mut self, send: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        if self.stored >= self.execution.seq() {
            return send(Ok(()));
        }
        self.replies.push(Reply { seq: self.execution.seq(), send: Box::new(send) });
    }

    fn feed(&mut self, input: Input) {
        let records = self.draws.step(&mut self.execution, input, store::now());
        self.take(records);
    }

    /// Keeps what was decided until it is appended.
    fn take(&mut self, records: Vec<Record>) {
        self.pending_bytes += records.iter().map(|record| record.event.bytes()).sum::<usize>();
        if self.pending.is_empty() {
            self.pending = records;
        } else {
            self.pending.extend(records);
        }
    }

    /// Whether more may be decided before the store has taken what is pending.
    fn has_room(&self) -> bool {
        self.pending.len() < PENDING_MAX && self.pending_bytes < PENDING_BYTES_MAX
    }

    /// Hands what is pending to the store, one append at a time.
    fn flush(&mut self) {
        if self.pending.is_empty() || self.appending.is_some() {
            return;
        }
        let records = Arc::new(std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        let summary = self.execution.summary();
        let mut companions = std::mem::take(&mut self.companions);
        companions.extend(self.draws.save());
        let mut append = Append { execution_id: self.id.clone(), records: records.clone(), summary, companions };
        let inner = self.inner.clone();
        let outbox = Outbox::of(&inner.store, &self.execution);
        let appending = async move {
            if let Some(outbox) = outbox {
                append.companions.extend(outbox.companions(&inner.store, &append.records).await?);
            }
            inner.append(append).await
        };
        self.appending = Some((records, Box::pin(appending)));
    }

    fn on_appended(&mut self, (records, result): (Arc<Vec<Record>>, Result<(), StoreError>)) -> Result<(), StoreError> {
        result?;
        self.stored = records.last().map_or(self.stored, |record| record.seq);
        self.draws.saved();
        let stored = self.stored;
        self.observed.committed(self.inner.store.metrics(), &self.execution, &records);
        self.inner.live.publish(&self.id, &records);
        let (due, rest) = std::mem::take(&mut self.replies).into_iter().partition(|reply| reply.seq <= stored);
        self.replies = rest;
        let due: Vec<Reply> = due;
        for reply in due {
            (reply.send)(Ok(()));
        }
        if self.execution.has_ended() && self.pending.is_empty() {
            self.on_ended(records.last().map_or_else(store::now, |record| record.at));
        }
        Ok(())
    }

    /// The end is on disk.
    fn on_ended(&mut self, ended_at: Timestamp) {
        self.inner.ended.tell(Ended { started: self.execution.started(), status: self.execution.status() });
        if let Some(ended) = self.ended.take() {
            let _ = ended.send(Box::new(Finished::of(&self.execution, self.started_at, ended_at)));
        }
    }

    /// Whether the task has nothing left to do: the end, a stop of the host, or a long wait.
    fn is_over(&self) -> bool {
        if !self.pending.is_empty() || !self.receiver.is_empty() {
            return false;
        }
        let summary = self.execution.summary();
        let waits = summary.idle && summary.wake_at.is_none_or(|due| timers::until(due, store::now()) > SHORT_WAIT);
        summary.status.is_final() || waits || (self.stop_at.is_some() && self.flight.is_empty())
    }

    /// When the engine wants to be told that its time has come.
    fn timer(&self) -> Option<Instant> {
        let due = self.execution.summary().wake_at?;
        Instant::now().checked_add(timers::until(due, store::now()))
    }
}

async fn appended(appending: &mut Option<(Arc<Vec<Record>>, Appending)>) -> (Arc<Vec<Record>>, Result<(), StoreError>) {
    let Some((_, future)) = appending else { return pending().await };
    let result = future.await;
    let records = appending.take().map(|(records, _)| records).unwrap_or_default();
    (records, result)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}
