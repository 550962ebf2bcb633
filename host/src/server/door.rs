//! The way in: every request passes it, whatever route it asks for, and here it is found out who asks.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, header},
    response::IntoResponse as _,
};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::{
    App, accept, auth,
    error::{ApiError, Code},
    gate::Who,
    request_id::RequestId,
    router::Route,
};
use crate::{identity::Principal, store};

/// Finds out who asks and hands on to the routes. Each route has its own gate behind this door.
#[derive(Clone)]
pub(super) struct Door {
    app: App,
    router: Router,
}

/// The line of the table that a request was led to, noted by that line's gate.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched(Arc<OnceLock<&'static Route>>);

impl Matched {
    pub(super) fn note(&self, route: &'static Route) {
        // A request is led to one line.
        let _ = self.0.set(route);
    }
}

/// Marks a request that a page of another site made in a user's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct CrossOrigin;

impl accept::Handler for Door {
    async fn handle(&self, mut request: Request<Incoming>, from: SocketAddr) -> Response<Body> {
        let (begun, matched) = (Instant::now(), Matched::default());
        request.extensions_mut().insert(matched.clone());
        let mut response = if self.app.network.is_for_us(&request) {
            self.recognize(&mut request, from);
            self.route(request).await
        } else {
            misdirected().into_response()
        };
        let headers = response.headers_mut();
        if !headers.contains_key(RequestId::HEADER) {
            headers.insert(RequestId::HEADER, RequestId::next().value());
        }
        let route = matched.0.get().map(|route| (route.path, route.method));
        self.app.store.metrics().http_request(route, response.status().as_u16(), begun.elapsed());
        response
    }
}

impl Door {
    pub(super) fn new(app: App, router: Router) -> Self {
        Self { app, router }
    }

    /// Notes where a request comes from and, if they are known, who sends it.
    fn recognize(&self, request: &mut Request<Incoming>, from: SocketAddr) {
        let peer = self.app.network.peer(from.ip(), request.headers());
        request.extensions_mut().insert(peer);
        if request.headers().contains_key(header::AUTHORIZATION) {
            if let Some(principal) = self.by_token(request.headers()) {
                request.extensions_mut().insert(Who(principal));
            }
        } else if let Some(cookie) = auth::session_cookie(request.headers())
            && let Some(principal) = self.app.accounts.by_session(cookie, store::now())
        {
            // The browser sends the cookie along for whatever page makes the request.
            let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            if changes && self.app.network.is_own_page(request) != Some(true) {
                request.extensions_mut().insert(CrossOrigin);
            } else {
                request.extensions_mut().insert(Who(principal));
            }
        }
    }

    fn by_token(&self, headers: &HeaderMap) -> Option<Arc<Principal>> {
        self.app.accounts.by_token(auth::bearer(headers)?, store::now())
    }

    /// What may change something runs to its end, also when its client goes away meanwhile: nothing is cut off between a
    /// write and what follows from it.
    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let is_safe = request.method().is_safe();
        let answer = answered(self.router.clone(), request);
        if is_safe {
            return answer.await;
        }
        let Ok(place) = Arc::clone(&self.app.changes).acquire_owned().await else {
            return ApiError::new(Code::Unavailable, "the host stops").into_response();
        };
        let whole = tokio::spawn(async move {
            let response = answer.await;
            drop(place);
            response
        });
        whole.await.unwrap_or_else(|error| ApiError::internal(error).into_response())
    }
}

async fn answered(router: Router, request: Request<Incoming>) -> Response<Body> {
    let answer = router.oneshot(request.map(Body::new));
    match std::panic::AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => ApiError::internal(anyhow::anyhow!("a handler panicked")).into_response(),
    }
}

fn misdirected() -> Response<Body> {
    let detail = "the request's Host is not a name of this host; if it should be, add it to allowed_hosts";
    let mut response = ApiError::new(Code::Misdirected, detail).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
