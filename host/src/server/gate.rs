//! The gate before each handler: nobody passes who may not, and nothing runs before the host is ready.
//!
//! The gate belongs to the route that was matched, so there is no second reading of the path that could differ from the
//! router's.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{Request, Response, request::Parts},
    response::IntoResponse as _,
};
use futures_util::future::Either;
use tower::{Layer, Service};

use super::{
    App, auth,
    error::{ApiError, Code},
    router::{Access, Route},
};
use crate::identity::{Principal, Role};

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

    /// Why a request may not pass.
    fn refuses(&self, who: Option<&Who>) -> Option<Response<Body>> {
        let needed = match self.route.access {
            Access::Open => return None,
            Access::Public => None,
            Access::Needs(role) => match who {
                None => return Some(auth::refusal()),
                Some(who) => (!who.0.may(role)).then_some(role),
            },
        };
        if !self.app.is_ready() {
            return Some(starting().into_response());
        }
        needed.map(|role| forbidden(role).into_response())
    }
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

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.gate.refuses(request.extensions().get::<Who>()) {
            Some(refusal) => Either::Left(ready(Ok(refusal))),
            None => Either::Right(self.inner.call(request)),
        }
    }
}
