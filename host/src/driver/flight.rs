//! The calls of one execution that are in flight: what was started, by the call and attempt that asked for it.

use std::{collections::BTreeMap, future::Future, pin::Pin, task::Poll};

use futures_util::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::task::JoinHandle;
use weir_engine::{event::Report, failure::Failure, id::CallId, json::Json};

/// How a call ended.
pub(super) struct Landed {
    pub(super) call: CallId,
    pub(super) attempt: u32,
    pub(super) result: Result<Json, Failure>,
    pub(super) report: Report,
}

type Call = Pin<Box<dyn Future<Output = Landed> + Send>>;

/// Calls in flight. A call that is taken out is dropped, and the guest with it.
#[derive(Default)]
pub(super) struct Flight {
    calls: FuturesUnordered<Cancellable>,
    open: BTreeMap<(CallId, u32), tokio::sync::oneshot::Sender<()>>,
}

/// A call that ends without a result when its handle is dropped.
struct Cancellable {
    call: Call,
    kept: tokio::sync::oneshot::Receiver<()>,
}

impl Future for Cancellable {
    type Output = Option<Landed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        if self.kept.poll_unpin(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.call.poll_unpin(cx).map(Some)
    }
}

impl Flight {
    pub(super) fn contains(&self, call: CallId, attempt: u32) -> bool {
        self.open.contains_key(&(call, attempt))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Puts a call in flight. Calls beside each other get tasks of their own, so that they use every core; a lone one
    /// runs in the execution's own task, which saves the way there and back.
    pub(super) fn launch(&mut self, key: (CallId, u32), call: Call, alone: bool) {
        let (handle, kept) = tokio::sync::oneshot::channel();
        let call = if alone { call } else { spawned(key, call) };
        self.open.insert(key, handle);
        self.calls.push(Cancellable { call, kept });
    }

    /// Keeps only the calls that are still asked for.
    pub(super) fn retain(&mut self, asked: impl Fn(CallId, u32) -> bool) {
        self.open.retain(|(call, attempt), _| asked(*call, *attempt));
    }

    /// The next call that ends; never resolves while none is in flight.
    pub(super) async fn landed(&mut self) -> Landed {
        loop {
            match self.calls.next().await {
                Some(Some(landed)) if self.open.remove(&(landed.call, landed.attempt)).is_some() => return landed,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// A call that has ended already, if there is one.
    pub(super) fn landed_now(&mut self) -> Option<Landed> {
        if self.open.is_empty() { None } else { self.landed().now_or_never() }
    }
}

/// A call in a task of its own, which is stopped when the call is dropped.
fn spawned((call_id, attempt): (CallId, u32), call: Call) -> Call {
    struct StopOnDrop(JoinHandle<Landed>);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = StopOnDrop(tokio::spawn(call));
    Box::pin(async move {
        match (&mut task.0).await {
            Ok(landed) => landed,
            Err(error) => {
                tracing::error!(%error, "the task of a plugin call failed");
                let failure = Failure::new(weir_engine::failure::FailureCode::Internal, "the host failed in this call");
                Landed { call: call_id, attempt, result: Err(failure), report: Report::default() }
            }
        }
    })
}
