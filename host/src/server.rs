//! The HTTP API: the only part that knows HTTP. It reads requests, asks the driver, the store and the runtime, and shows
//! what they answer.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response},
    response::IntoResponse as _,
};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tokio::{net::TcpListener, sync::Semaphore};
use tower::ServiceExt as _;

use self::{
    auth::Guard,
    error::{ApiError, Code},
    gate::Who,
    request_id::RequestId,
    shutdown::Shutdown,
};
use crate::{
    driver::{CurrentWorkflow, Driver},
    runtime::Runtime,
    store::Store,
    trigger::{Triggers, webhook::Webhooks},
};

mod accept;
pub mod auth;
pub mod body;
pub mod error;
mod gate;
mod guardrails;
mod live;
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

/// What every handler works with. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of the host that the API shows.
pub struct Parts {
    /// Logs, workflows, plugins.
    pub store: Store,
    /// Runs executions.
    pub driver: Driver,
    /// Starts executions by themselves.
    pub triggers: Triggers,
    /// Takes what comes in at webhooks.
    pub webhooks: Webhooks,
    /// Runs plugins.
    pub runtime: Arc<Runtime>,
    /// Knows the token.
    pub guard: Guard,
    /// Tells when the host stops.
    pub shutdown: Shutdown,
    /// Whether recovery is done.
    ready: AtomicBool,
    /// Places for event streams.
    streams: Arc<Semaphore>,
    /// Places for uploads.
    uploads: Semaphore,
    /// Room for the bodies of webhooks that take more than others, in MiB.
    large_bodies: Arc<Semaphore>,
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
    /// Runs plugins.
    pub runtime: Arc<Runtime>,
    /// Knows the token.
    pub guard: Guard,
    /// Tells when the host stops.
    pub shutdown: Shutdown,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// The API over these parts; not ready until [`App::set_ready`].
    #[must_use]
    pub fn new(parts: AppParts) -> Self {
        let AppParts { store, driver, triggers, webhooks, runtime, guard, shutdown } = parts;
        Self(Arc::new(Parts {
            store,
            driver,
            triggers,
            webhooks,
            runtime,
            guard,
            shutdown,
            ready: AtomicBool::new(false),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            uploads: Semaphore::new(UPLOADS_MAX),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MIB_MAX)),
        }))
    }

    /// The live workflow with this id or name, and its newest version.
    async fn workflow(&self, id_or_name: &str) -> Result<Arc<CurrentWorkflow>, ApiError> {
        self.driver.current(id_or_name).await?.ok_or_else(|| {
            let name: String = id_or_name.chars().take(128).collect();
            let detail = format!("there is no workflow {name:?}; GET /api/workflows lists them");
            ApiError::new(Code::WorkflowNotFound, detail)
        })
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
    let router = router::router(app.clone());
    accept::serve(listener, Door { app, router }, shutdown).await;
}

/// The way in: everything passes it, and here it is found out who asks. Each route has its own gate behind it.
#[derive(Clone)]
struct Door {
    app: App,
    router: Router,
}

impl accept::Handler for Door {
    async fn handle(&self, mut request: Request<Incoming>) -> Response<Body> {
        if let Some(principal) = self.app.guard.principal(request.headers()) {
            request.extensions_mut().insert(Who(principal));
        }
        let mut response = self.route(request).await;
        let headers = response.headers_mut();
        if !headers.contains_key(RequestId::HEADER) {
            headers.insert(RequestId::HEADER, RequestId::next().value());
        }
        response
    }
}

impl Door {
    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let answer = self.router.clone().oneshot(request.map(Body::new));
        match std::panic::AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => ApiError::internal(anyhow::anyhow!("a handler panicked")).into_response(),
        }
    }
}

/// The answer to a path that leads nowhere; strangers do not learn that it does.
async fn no_route(who: Option<Who>, method: Method) -> Response<Body> {
    let detail = format!("there is nothing to {method} at this path; see /api/openapi.json");
    who.map_or_else(auth::refusal, |_| ApiError::new(Code::RouteNotFound, detail).into_response())
}

/// The answer to a method that a path does not have.
async fn no_method(who: Option<Who>, method: Method) -> Response<Body> {
    let detail = format!("this path has no {method}; the header `allow` lists what it has");
    who.map_or_else(auth::refusal, |_| ApiError::new(Code::MethodNotAllowed, detail).into_response())
}
