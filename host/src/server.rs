//! The HTTP API: the only part that knows HTTP. It reads requests, asks the driver, the store and the runtime, and shows
//! what they answer.

use std::{
    net::IpAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{Request, Response},
    response::IntoResponse as _,
};
use tokio::{
    net::TcpListener,
    sync::{RwLock, Semaphore},
};

use self::{
    act::{Act, Ledger},
    door::Door,
    error::{ApiError, Code, FieldProblem},
    gate::Who,
    idempotency::InFlight,
    network::Network,
    shutdown::Shutdown,
};
use crate::{
    accounts::{Accounts, throttle::Throttle},
    driver::{CurrentWorkflow, Driver},
    models::Gateway,
    runtime::Runtime,
    secrets::Secrets,
    store::Store,
    trigger::{Triggers, webhook::Webhooks},
};

mod accept;
mod act;
mod approval_page;
pub mod auth;
pub mod body;
mod door;
pub mod error;
mod gate;
mod guardrails;
mod idempotency;
mod live;
pub mod network;
pub mod openapi;
mod part_error;
mod query;
mod request_id;
pub mod router;
mod routes;
mod schemas;
pub mod shutdown;
pub mod view;

/// The most event streams at a time.
pub const STREAMS_MAX: usize = 256;
/// The most plugins that are uploaded at a time; each holds up to 64 MiB.
const UPLOADS_MAX: usize = 2;
/// How much memory bodies may take together that are larger than what every request may send, in MiB.
const LARGE_BODIES_MIB_MAX: usize = 100;
/// How large the bodies of webhooks may be together that are worked on at a time, in KiB: reading and storing one takes
/// several times its size. A larger one has its turn alone.
const WORK_KIB_MAX: usize = 4 * 1024;
/// Requests with wrong credentials that an address has in [`WRONG_WINDOW`] before it is told to wait. Tokens are too long
/// to be guessed, so the right one passes even then: nobody can lock out others who share an address.
const WRONG_CREDENTIALS: u32 = 100;
const WRONG_WINDOW: Duration = Duration::from_secs(15 * 60);
/// Links that do not exist which an address may try in [`WRONG_WINDOW`]. The right one passes even then.
const WRONG_LINKS: u32 = 50;
/// The most addresses whose wrong credentials are counted.
const COUNTED_MAX: usize = 10_000;

/// What every handler works with. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// The parts of the host that the API shows, and what it keeps itself.
pub struct Inner {
    parts: AppParts,
    /// Whether recovery is done.
    ready: AtomicBool,
    /// Places for event streams.
    streams: Arc<Semaphore>,
    /// Places for uploads.
    uploads: Semaphore,
    /// Room for the bodies of webhooks that take more than others, in MiB.
    large_bodies: Arc<Semaphore>,
    /// Turns to work on the bodies of webhooks, in KiB.
    work: Semaphore,
    /// Wrong credentials, by address.
    strangers: Throttle<IpAddr>,
    /// Links that do not exist, by address.
    wrong_links: Throttle<IpAddr>,
    /// Whoever decides by a link shares it, whoever takes one back has it alone: what was taken back decides nothing.
    links: RwLock<()>,
    /// How much of what is refused is written down.
    ledger: Ledger,
    /// Idempotency keys whose first request is being answered.
    in_flight: InFlight,
    /// Places for requests that may change something: they stay under way when their connections are gone.
    changes: Arc<Semaphore>,
}

/// What an [`App`] is made of.
pub struct AppParts {
    /// Logs, workflows, plugins.
    pub store: Store,
    /// Runs executions.
    pub driver: Driver,
    /// Starts executions by themselves.
    pub triggers: Triggers,
    /// Takes what comes in at webhooks.
    pub webhooks: Webhooks,
    /// Keeps people's secrets, and masks all.
    pub secrets: Secrets,
    /// Language models.
    pub models: Gateway,
    /// Runs plugins.
    pub runtime: Arc<Runtime>,
    /// Knows who may come in.
    pub accounts: Accounts,
    /// Knows where requests come from.
    pub network: Network,
    /// The most connections from one address.
    pub connections_per_address: usize,
    /// What links to this host begin with.
    pub public_url: Arc<str>,
    /// Whether everybody may read the metrics.
    pub metrics_public: bool,
    /// Whether workflows are changed by their owners alone.
    pub owners_only: bool,
    /// Tells when the host stops.
    pub shutdown: Shutdown,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Deref for Inner {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.parts
    }
}

impl App {
    /// The API over these parts; not ready until [`App::set_ready`].
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            ready: AtomicBool::new(false),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            uploads: Semaphore::new(UPLOADS_MAX),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MIB_MAX)),
            work: Semaphore::new(WORK_KIB_MAX),
            strangers: Throttle::new(WRONG_CREDENTIALS, WRONG_WINDOW, COUNTED_MAX),
            wrong_links: Throttle::new(WRONG_LINKS, WRONG_WINDOW, COUNTED_MAX),
            links: RwLock::default(),
            ledger: Ledger::default(),
            in_flight: InFlight::default(),
            changes: Arc::new(Semaphore::new(accept::CONNECTIONS_MAX)),
        }))
    }

    /// What links to this host begin with.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The live workflow with this id or name, and its newest version.
    async fn workflow(&self, id_or_name: &str) -> Result<Arc<CurrentWorkflow>, ApiError> {
        self.driver.current(id_or_name).await?.ok_or_else(|| {
            let name: String = id_or_name.chars().take(128).collect();
            let detail = format!("there is no workflow {name:?}; GET /api/workflows lists them");
            ApiError::new(Code::WorkflowNotFound, detail)
        })
    }

    /// What is wrong with a name that holds a secret's value: names are kept and shown.
    fn secret_in(&self, field: &str, name: &str) -> Option<FieldProblem> {
        let secret = self.secrets.masker().find(name)?;
        let message = format!("the name holds the value of secret `{secret}`, and names are shown: choose another");
        Some(FieldProblem::new(field, "secret_value", message))
    }

    /// Refuses a name that holds a secret's value.
    fn check_name(&self, field: &str, name: &str) -> Result<(), ApiError> {
        let Some(problem) = self.secret_in(field, name) else { return Ok(()) };
        Err(ApiError::new(Code::InvalidFields, problem.message.clone()).with_errors(vec![problem]))
    }

    /// The live workflow with this id or name, if whoever acts may change it.
    async fn workflow_to_change(&self, act: &Act, id_or_name: &str) -> Result<Arc<CurrentWorkflow>, ApiError> {
        let workflow = self.workflow(id_or_name).await?;
        let owner = workflow.row.owner.as_ref();
        if !self.owners_only || act.is_admin() || owner.is_some_and(|owner| *owner.id == *act.actor_id()) {
            return Ok(workflow);
        }
        let owner = owner.map_or("nobody", |owner| &owner.name);
        let detail = format!(
            "on this host a workflow is changed by its owner alone, which is {owner} here, or by somebody with the role \
             \"admin\""
        );
        Err(ApiError::new(Code::Forbidden, detail))
    }

    /// Recovery is done: requests are answered from now on.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether recovery is done.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

/// Serves the API on `listener` until the stop begins and the requests under way have ended.
pub async fn serve(listener: TcpListener, app: App) {
    let shutdown = app.shutdown.clone();
    let limits = accept::Limits { per_address: app.connections_per_address, network: app.network.clone() };
    let router = router::router(app.clone());
    accept::serve(listener, Door::new(app, router), limits, shutdown).await;
}

/// The answer to a path that leads nowhere; strangers do not learn that it does.
async fn no_route(State(app): State<App>, who: Option<Who>, request: Request<Body>) -> Response<Body> {
    if who.is_none() {
        return gate::stranger(&app, request.headers(), request.extensions());
    }
    let detail = format!("there is nothing to {} at this path; see /api/openapi.json", request.method());
    ApiError::new(Code::RouteNotFound, detail).into_response()
}

/// The answer to a method that a path does not have.
async fn no_method(State(app): State<App>, who: Option<Who>, request: Request<Body>) -> Response<Body> {
    if who.is_none() {
        return gate::stranger(&app, request.headers(), request.extensions());
    }
    let detail = format!("this path has no {}; the header `allow` lists what it has", request.method());
    ApiError::new(Code::MethodNotAllowed, detail).into_response()
}
