//! The gate before each handler: nobody passes who may not, nothing runs before the host is ready, and what is refused or
//! fails is written down.
//!
//! The gate belongs to the route that was matched, so there is no second reading of the path that could differ from the
//! router's.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{Extensions, HeaderMap, Request, Response, StatusCode, header, request::Parts},
    response::IntoResponse as _,
};
use futures_util::future::{BoxFuture, Either};
use tower::{Layer, Service};

use super::{
    App,
    act::{self, Attempt},
    auth,
    door::{CrossOrigin, Matched},
    error::{ApiError, Code},
    network::Peer,
    router::{Access, Route},
    routes::metrics,
};
use crate::{
    accounts::AccountError,
    identity::{Principal, Role},
    store::Outcome,
};

/// Who asks. As an extractor it is there on every route that needs a role.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Arc<Principal>);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::new(Code::Unauthorized, "this needs to know who asks; send a token");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// Puts a gate before a route.
#[derive(Clone)]
pub(super) struct Gate {
    app: App,
    route: &'static Route,
}

impl Gate {
    pub(super) fn new(app: &App, route: &'static Route) -> Self {
        Self { app: app.clone(), route }
    }

    /// Whether an operator lets everybody read what this route shows.
    fn is_opened(&self) -> bool {
        self.app.metrics_public && self.route.path == metrics::PATH
    }

    /// Why a request may not pass.
    fn refuses(&self, request: &Request<Body>) -> Option<Response<Body>> {
        let (needed, who) = match self.route.access {
            Access::Open => return None,
            Access::Public => (None, None),
            Access::Needs(_) if self.is_opened() => (None, None),
            Access::Needs(role) => match request.extensions().get::<Who>() {
                None => return Some(stranger(&self.app, request.headers(), request.extensions())),
                who => (Some(role), who),
            },
        };
        if !self.app.is_ready() {
            return Some(starting().into_response());
        }
        let missing = needed.filter(|role| !who.is_some_and(|who| who.0.may(*role)));
        missing.map(|role| forbidden(role).into_response())
    }
}

/// The answer to somebody who is not known: always the same, unless they keep trying, or a page of another site asks.
pub(super) fn stranger(app: &App, headers: &HeaderMap, extensions: &Extensions) -> Response<Body> {
    if extensions.get::<CrossOrigin>().is_some() {
        return cross_origin().into_response();
    }
    let has_tried = headers.contains_key(header::AUTHORIZATION) || auth::session_cookie(headers).is_some();
    if has_tried
        && let Some(peer) = extensions.get::<Peer>()
        && let Err(wait) = app.strangers.take(&peer.counted_as(), Instant::now())
    {
        return ApiError::from(AccountError::Throttled(wait)).into_response();
    }
    auth::refusal()
}

/// The answer to a page of another site.
pub(super) fn cross_origin() -> ApiError {
    let detail = "a request with a session must come from a page of this host; if the page is yours, add its origin to \
                  allowed_origins";
    ApiError::new(Code::CrossOrigin, detail)
}

/// The answer while the host starts.
pub(super) fn starting() -> ApiError {
    ApiError::new(Code::Unavailable, "the host is starting and recovers its executions; try again")
}

fn forbidden(role: Role) -> ApiError {
    let detail = format!("this needs the role {:?}, which you do not have; an admin can give it", role.as_str());
    ApiError::new(Code::Forbidden, detail).with_details(serde_json::json!({ "role": role }))
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// A handler behind its gate.
#[derive(Clone)]
pub(super) struct Gated<S> {
    gate: Gate,
    inner: S,
}

type Answer = Result<Response<Body>, Infallible>;

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Either<Ready<Answer>, S::Future>, BoxFuture<'static, Answer>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(matched) = request.extensions().get::<Matched>() {
            matched.note(self.gate.route);
        }
        let refusal = self.gate.refuses(&request);
        let Some(name) = self.gate.route.act else {
            return Either::Left(match refusal {
                Some(refusal) => Either::Left(ready(Ok(refusal))),
                None => Either::Right(self.inner.call(request)),
            });
        };
        let (app, attempt) = (self.gate.app.clone(), Attempt::new(&request, name));
        if let Some(response) = refusal {
            return Either::Right(Box::pin(async move {
                let row = attempt.row(&app, Outcome::Refused, &response);
                act::write(app.store.clone(), row).await;
                Ok(response)
            }));
        }
        request.extensions_mut().insert(attempt.act());
        let answer = self.inner.call(request);
        Either::Right(Box::pin(async move {
            let response = answer.await?;
            if let Some(outcome) = outcome(response.status()) {
                let row = attempt.row(&app, outcome, &response);
                act::write(app.store.clone(), row).await;
            }
            Ok(response)
        }))
    }
}

/// What became of an act that its handler did not do. A role lets people in; whether they may do this very thing, the
/// handler may know alone.
fn outcome(status: StatusCode) -> Option<Outcome> {
    match status {
        StatusCode::FORBIDDEN => Some(Outcome::Refused),
        status if status.is_client_error() || status.is_server_error() => Some(Outcome::Failed),
        _ => None,
    }
}
