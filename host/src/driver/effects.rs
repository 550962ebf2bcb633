//! What running calls ask the host to do: models, tools, HTTP, the plugin's own store.
//!
//! Each effect has a row in the journal before it begins, and its answer there before the plugin gets it. A call that is
//! made again after a stop (of the host, at a limit, for a question) runs from its beginning and is answered from there,
//! up to where it was: nothing is paid for twice that was answered once. What was under way has no answer; it is done again
//! under the same idempotency key, and a request to a model asks for room again.

pub mod http;
pub mod kv;
mod leave;
mod loops;
mod masked_answer;
mod model;
mod observe;
mod reach;
mod tools;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::sync::{OnceCell, mpsc, oneshot};
use weir_engine::{
    definition::AgentTool,
    execution::Verdict,
    failure::{Failure, FailureCode},
    graph::Target,
    id::{CallId, EffectId, Timestamp},
    json::Json,
    limits::{Amounts, Limits, Room},
};

pub(super) use self::leave::edited;
use self::{http::HttpCaps, loops::Loops};
use super::{
    Inner, lock,
    task::{Admission, Ask, Begin, End, News},
};
use crate::{
    grants::Granted,
    hex::sha256_hex,
    runtime::{CallHost, Effect, HttpAnswer, HttpRequest, PluginCall},
    spans::Trace,
    store::{self, Companion, EffectBegun, EffectEnded, EffectKey, EffectKind, JournalRow},
};

/// Where the numbers of looks at the budget begin: apart, so that the others have none missing for people.
const BUDGETS_FROM: u32 = 1 << 29;
/// The number of the look at the list of tools, apart for the same reason.
const TOOLS_AT: u32 = 1 << 28;

/// What all effects of one call share, those of the tools and agents that it calls included.
pub(super) struct Shared {
    pub(super) inner: Arc<Inner>,
    pub(super) execution_id: Arc<str>,
    pub(super) workflow_id: Arc<str>,
    /// What each name that a step lists resolved to.
    pub(super) targets: Arc<BTreeMap<String, Arc<Target>>>,
    pub(super) call: CallId,
    pub(super) generation: u32,
    /// Whether the journal may know something of this call.
    pub(super) resumes: bool,
    pub(super) news: mpsc::Sender<News>,
    pub(super) deadline: Timestamp,
    /// What the guardrails around the step allow one call.
    pub(super) fuel: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    /// Where it is told what the execution does.
    pub(super) trace: Option<Trace>,
}

/// One running call of a plugin: the step's own, or one that it made.
pub(super) struct Running {
    shared: Arc<Shared>,
    /// Which effect this call is; [`EffectId::CALL`] for the step's own.
    at: EffectId,
    target: Arc<Target>,
    template: PluginCall,
    tools: Vec<Callable>,
    /// The tools as the call was first told of them.
    listed: OnceCell<Json>,
    /// The tools that its model asked for last, and that were not called yet.
    wanted: Mutex<Vec<Wanted>>,
    /// The limits of the agents around it that are below the step's, outermost first.
    within: Vec<(EffectId, Limits)>,
    /// How many effects it has asked for.
    asked: AtomicU32,
    /// How often it has asked for the same: the logical calls that idempotency keys name.
    same: Mutex<HashMap<String, u32>>,
    loops: Mutex<Loops>,
    /// What it has sent over HTTP.
    caps: HttpCaps,
    /// How many answers it has let stream.
    streams: AtomicU32,
    /// How often it has looked at what is left to spend.
    looks: AtomicU32,
    /// Why the call cannot go on, whatever its plugin answers.
    fatal: Mutex<Option<Failure>>,
}

/// A tool, or another agent, that an agent may call.
struct Callable {
    name: String,
    target: Arc<Target>,
    terms: AgentTool,
    /// Whether its plugin asks for it and was granted it, and not the step's author listed it.
    is_granted: bool,
}

/// A tool that a model wants called.
struct Wanted {
    /// The model's own name for the call.
    id: String,
    tool: String,
    input: Json,
}

/// The host of one running call.
pub(super) struct EffectHost(pub(super) Arc<Running>);

/// What came of an effect.
struct Done {
    result: Result<Json, Failure>,
    used: Amounts,
    details: Option<Json>,
    /// What is written with it.
    companions: Vec<Companion>,
}

impl Done {
    /// Something that costs nothing.
    fn free(result: Result<Json, Failure>) -> Self {
        Self { result, used: Amounts::NONE, details: None, companions: Vec::new() }
    }
}

/// An effect, as the journal will know it.
struct Entry {
    id: EffectId,
    kind: EffectKind,
    name: String,
    hash: String,
    request: Json,
    /// When it was asked for.
    at: Timestamp,
    /// The name that a model gave to it, where a model wanted it.
    call_id: Option<String>,
}

impl Entry {
    fn new(id: EffectId, kind: EffectKind, name: impl Into<String>, request: &impl Serialize) -> Self {
        let request = serde_json::to_value(request).map_or_else(|_| Json::null(), Json::from_value);
        let hash = sha256_hex(format!("{}\n{}", kind.as_str(), request.text()).as_bytes());
        Self { id, kind, name: name.into(), hash, request, at: store::now(), call_id: None }
    }
}

impl Running {
    /// The call of a step. What an agent may call is what its plugin asks for and was granted, and what the step lists.
    pub(super) fn new(shared: Arc<Shared>, target: Arc<Target>, template: PluginCall, listed: &[AgentTool]) -> Self {
        let tools = callables(&shared, &target, listed);
        Self::of(shared, EffectId::CALL, target, template, tools, Vec::new())
    }

    fn of(
        shared: Arc<Shared>,
        at: EffectId,
        target: Arc<Target>,
        template: PluginCall,
        tools: Vec<Callable>,
        within: Vec<(EffectId, Limits)>,
    ) -> Self {
        Self {
            shared,
            at,
            target,
            template,
            tools,
            listed: OnceCell::new(),
            wanted: Mutex::default(),
            within,
            asked: AtomicU32::new(0),
            same: Mutex::default(),
            loops: Mutex::default(),
            caps: HttpCaps::default(),
            streams: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            fatal: Mutex::default(),
        }
    }

    /// Why the call cannot go on, whatever its plugin answers.
    pub(super) fn fatal(&self) -> Option<Failure> {
        lock(&self.fatal).clone()
    }

    fn doom(&self, failure: Failure) -> Failure {
        lock(&self.fatal).get_or_insert(failure).clone()
    }

    fn granted(&self) -> Arc<Granted> {
        self.shared.inner.store.grants().of(&self.target.digest)
    }

    /// The numbers of the next `count` effects.
    fn next(&self, count: usize) -> impl Iterator<Item = EffectId> + '_ {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let first = self.asked.fetch_add(count, Ordering::Relaxed);
        (first..first.saturating_add(count)).map(|n| self.at.child(n + 1))
    }

    /// The name of a logical effect for systems that can recognise repeats: the same in every attempt, and another for
    /// every time that the same is asked for.
    fn idempotency_key(&self, hash: &str) -> String {
        let mut same = lock(&self.same);
        let count = same.entry(hash.to_owned()).or_default();
        *count += 1;
        format!("{}/{:.16}-{count}", self.template.idempotency_key, hash)
    }

    fn key(&self, id: &EffectId) -> EffectKey {
        let Shared { execution_id, call, generation, .. } = &*self.shared;
        EffectKey { execution_id: execution_id.clone(), call: *call, generation: *generation, effect: id.clone() }
    }

    /// What the journal has of an effect. An answer for something else means that the plugin does not do the same again.
    async fn known(&self, entry: &Entry) -> Result<Option<Result<Json, Failure>>, Failure> {
        if let Some(fatal) = self.fatal() {
            return Err(fatal);
        }
        if !self.shared.resumes {
            return Ok(None);
        }
        let row = self.shared.inner.store.journal_row(&self.key(&entry.id)).await.map_err(|error| {
            tracing::error!(execution.id = %self.shared.execution_id, %error, "could not read the journal");
            Failure::new(FailureCode::Interrupted, "the journal cannot be read at the moment")
        })?;
        let Some(row) = row else { return Ok(None) };
        if *row.request_hash != *entry.hash {
            return Err(self.doom(diverged(entry, &row)));
        }
        if row.ended.is_some() {
            self.observe_replay(entry);
        }
        Ok(row.ended.map(|ended| match &*ended.outcome {
            OK => Ok(ended.answer),
            _ => Err(serde_json::from_str(ended.answer.text()).unwrap_or_else(|_| unreadable(&entry.id))),
        }))
    }

    fn begun(&self, entry: &Entry) -> Companion {
        let Entry { id, kind, name, hash, request, at: _, call_id: _ } = entry;
        Companion::EffectBegun(EffectBegun {
            key: self.key(id),
            kind: *kind,
            name: self.shared.inner.config.masker.mask_text(name).into_owned(),
            request_hash: hash.clone(),
            request: self.shared.inner.config.masker.mask_json(request.clone()),
            at: store::now(),
        })
    }

    fn ended(&self, id: &EffectId, result: &Result<Json, Failure>, details: Option<Json>) -> Companion {
        let (outcome, answer) = match result {
            Ok(answer) => (OK, answer.clone()),
            Err(failure) => (failure.code.as_str(), Json::from_value(serde_json::json!(failure))),
        };
        Companion::EffectEnded(EffectEnded { key: self.key(id), outcome, answer, details, at: store::now() })
    }

    /// Asks for room and writes the rows of what begins; answers when that is on disk. Where there is no room in the step
    /// or the execution, it never answers: the call is given up.
    async fn begin(&self, ask: Ask, entries: &[&Entry], waits: bool) -> Result<Admission, Failure> {
        let companions = entries.iter().map(|entry| self.begun(entry)).collect();
        let begin = Begin { call: self.shared.call, within: self.within.clone(), ask, companions, waits };
        self.ask(|reply| News::Begin { begin: Box::new(begin), reply }).await
    }

    /// Writes what came of an effect, and answers it when that is on disk. Secrets are masked before anybody sees them.
    async fn end(&self, entry: &Entry, done: Done, waits: bool) -> Result<Json, Failure> {
        let (id, inner) = (&entry.id, &self.shared.inner);
        let result = match done.result {
            Ok(answer) => Ok(inner.config.masker.mask_json(answer)),
            Err(failure) => Err(inner.config.masker.mask_failure(failure)),
        };
        let details = done.details.map(|details| inner.config.masker.mask_json(details));
        self.observe(entry, &result, details.as_ref());
        let mut companions = done.companions;
        companions.push(self.ended(id, &result, details));
        let end = End { call: self.shared.call, effect: id.clone(), used: done.used, companions, waits };
        self.ask(|reply| News::End { end: Box::new(end), reply }).await;
        result
    }

    /// Does something, once: `perform` begins when its row is on disk.
    async fn recorded(&self, entry: &Entry, perform: impl Future<Output = Done> + Send) -> Result<Json, Failure> {
        if let Some(known) = self.known(entry).await? {
            return known;
        }
        self.begin(Ask::Nothing(entry.id.clone()), &[entry], true).await?;
        self.end(entry, perform.await, true).await
    }

    /// Writes down what was not done, and why.
    async fn refused(&self, entry: &Entry, failure: Failure) -> Result<Json, Failure> {
        self.recorded(entry, std::future::ready(Done::free(Err(failure)))).await
    }

    /// Asks the execution's task. Where the task is gone, so is this call, soon: it waits for that.
    async fn ask<T>(&self, news: impl FnOnce(oneshot::Sender<T>) -> News) -> T {
        let (reply, answered) = oneshot::channel();
        if self.shared.news.send(news(reply)).await.is_ok()
            && let Ok(answer) = answered.await
        {
            return answer;
        }
        std::future::pending().await
    }

    async fn room(&self) -> Room {
        let (call, within) = (self.shared.call, self.within.clone());
        self.ask(|reply| News::Room { call, within, reply }).await
    }

    /// What is left to spend, recorded: an agent decides by it, and must decide the same when it runs again.
    async fn look_at_budget(&self, id: EffectId) -> Room {
        let entry = Entry::new(id, EffectKind::Budget, "budget", &());
        let read = |answer: Json| serde_json::from_str(answer.text()).unwrap_or(Room::NONE);
        match self.known(&entry).await {
            Ok(Some(Ok(known))) => return read(known),
            // The call is doomed, or the next effect says what is wrong.
            Ok(Some(Err(_))) | Err(_) => return Room::NONE,
            Ok(None) => {}
        }
        let room = self.room().await;
        let answer = serde_json::to_value(room).map_or_else(|_| Json::null(), Json::from_value);
        // The next effect that matters outside waits until this is on disk, too.
        if self.begin(Ask::Nothing(entry.id.clone()), &[&entry], false).await.is_ok() {
            drop(self.end(&entry, Done::free(Ok(answer)), false).await);
        }
        room
    }

    /// The tools that the call may use, recorded when it first asks: an agent decides by them, and must decide the same
    /// when it runs again, whatever was granted or taken away meanwhile.
    async fn tools_listed(&self) -> Json {
        self.listed.get_or_init(|| self.look_at_tools()).await.clone()
    }

    async fn look_at_tools(&self) -> Json {
        let entry = Entry::new(self.at.child(TOOLS_AT), EffectKind::Tools, "tools", &());
        if let Ok(Some(Ok(known))) = self.known(&entry).await {
            return known;
        }
        let shown = Json::from_value(self.tools_shown());
        // The next effect that matters outside waits until this is on disk, too.
        if self.begin(Ask::Nothing(entry.id.clone()), &[&entry], false).await.is_ok() {
            drop(self.end(&entry, Done::free(Ok(shown.clone())), false).await);
        }
        shown
    }

    async fn verdicts(&self, asks: Vec<weir_engine::execution::Ask>) -> Vec<Verdict> {
        let call = self.shared.call;
        self.ask(|reply| News::Leave { call, asks, reply }).await
    }
}

/// The outcome of what went well.
const OK: &str = "ok";

fn diverged(entry: &Entry, row: &JournalRow) -> Failure {
    let message = format!(
        "effect {} was {} {:?} before the stop, and is {} {:?} now: a plugin must ask for the same in the same order when \
         it runs again",
        entry.id,
        row.kind.as_str(),
        row.name,
        entry.kind.as_str(),
        entry.name
    );
    Failure::new(FailureCode::Nondeterministic, message)
}

fn unreadable(id: &EffectId) -> Failure {
    Failure::new(FailureCode::Internal, format!("the recorded failure of effect {id} cannot be read"))
}

fn callables(shared: &Shared, target: &Target, listed: &[AgentTool]) -> Vec<Callable> {
    if !target.agent {
        return Vec::new();
    }
    let granted = shared.inner.store.grants().of(&target.digest);
    let own = target.tools.iter().filter_map(|(name, target)| {
        let terms = AgentTool { grant: granted.tool(name)?.clone(), limits: Limits::default() };
        Some(Callable { name: name.clone(), target: Arc::new(target.clone()), terms, is_granted: true })
    });
    let listed = listed.iter().filter_map(|terms| {
        let name = terms.grant.tool.clone();
        let target = shared.targets.get(&name)?.clone();
        Some(Callable { target, name, terms: terms.clone(), is_granted: false })
    });
    own.chain(listed).collect()
}

impl CallHost for EffectHost {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        let running = self.0.clone();
        match effect {
            Effect::Tools(calls) => {
                let ids: Vec<EffectId> = running.next(calls.len()).collect();
                Box::pin(async move { running.call_tools(ids, calls).await })
            }
            Effect::Model(turn) => {
                let id = running.next(1).next().unwrap_or_default();
                Box::pin(async move { running.ask_model(id, turn).await })
            }
            Effect::Http(request) => {
                let id = running.next(1).next().unwrap_or_default();
                Box::pin(async move { running.send_request(id, request).await })
            }
            Effect::Kv(operation) => {
                let id = running.next(1).next().unwrap_or_default();
                Box::pin(async move { running.work_on_documents(id, operation).await })
            }
        }
    }

    fn tools(&self) -> BoxFuture<'static, Json> {
        let running = self.0.clone();
        Box::pin(async move { running.tools_listed().await })
    }

    fn budget(&self) -> BoxFuture<'static, Room> {
        let running = self.0.clone();
        let number = BUDGETS_FROM.saturating_add(running.looks.fetch_add(1, Ordering::Relaxed));
        let id = running.at.child(number);
        Box::pin(async move { running.look_at_budget(id).await })
    }

    fn open_http(&self, request: HttpRequest) -> BoxFuture<'static, Result<Box<dyn HttpAnswer>, Failure>> {
        let running = self.0.clone();
        Box::pin(async move { running.stream_request(request).await })
    }
}
