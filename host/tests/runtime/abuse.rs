//! Guests beside neighbours, and calls that are given up.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use weir_engine::{failure::Failure, json::Json};
use weir_host::runtime::{CallHost, Effect};

use super::support::{each, perform, request, run, shared};

/// Answers only after being asked several times.
struct Hesitating;

impl CallHost for Hesitating {
    fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
        each(effect, |call| async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok(call.input)
        })
    }
}

/// A call may be dropped at each point where it waits; the runtime works on afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn h10_a_call_may_be_dropped_at_any_point() {
    let mut call = request("h10_agent", "4").await;
    call.agent = true;
    // The first one waits until the component is compiled, which takes longer than all that follow.
    shared().call(call.clone(), Arc::new(Hesitating)).await.result.unwrap();
    let mut finished = 0;
    for polls in (0..24).cycle().take(3_000) {
        let mut running = pin!(shared().call(call.clone(), Arc::new(Hesitating)));
        let mut context = Context::from_waker(Waker::noop());
        finished += u32::from((0..polls).any(|_| matches!(running.as_mut().poll(&mut context), Poll::Ready(_))));
    }
    assert!(finished > 0 && finished < 3_000, "{finished} calls came to their end");
    assert_eq!(run("echo", "1").await.result.unwrap().text(), "1");
}

/// Hostile guests run beside well-behaved ones: those all answer.
#[tokio::test(flavor = "multi_thread")]
async fn neighbours_of_hostile_guests_keep_answering() {
    let hostile = [
        ("h1_spin", "null"),
        ("h2_memory_fill", "null"),
        ("h3_memory_bomb", "null"),
        ("h5_recursion", "null"),
        ("h6_giant_output", "\"huge\""),
        ("h7_log_flood", "1000000"),
        ("h8_host_call_flood", "\"large\""),
        ("h9_sleep", "null"),
        ("h11_trap", "\"panic\""),
        ("h13_handles", "null"),
    ];
    let mut attacks = Vec::new();
    for (name, input) in hostile {
        let mut call = request(name, input).await;
        call.timeout = Duration::from_millis(500);
        attacks.push(perform(call));
    }
    let neighbour = request("echo", "[1]").await;
    let neighbours = (0..10).map(|_| async {
        for _ in 0..20 {
            assert_eq!(perform(neighbour.clone()).await.result.unwrap().text(), "[1]");
        }
    });
    let (ended, _) = futures_util::future::join(join_all(attacks), join_all(neighbours)).await;
    assert!(ended.iter().all(|outcome| outcome.result.is_err()));
}

/// Agents that fill all their slots leave the tools' slots alone, so the tools that they wait for can run.
#[tokio::test(flavor = "multi_thread")]
async fn agents_that_wait_for_tools_do_not_block_them() {
    struct Nested(weir_host::runtime::PluginCall);
    impl CallHost for Nested {
        fn effect(&self, effect: Effect) -> BoxFuture<'static, Result<Json, Failure>> {
            each(effect, |asked| {
                let mut call = self.0.clone();
                call.input = asked.input;
                async move { shared().call(call, Arc::new(Hesitating)).await.result }
            })
        }
    }
    let host = Arc::new(Nested(request("echo", "null").await));
    let mut agent = request("h10_agent", "3").await;
    agent.agent = true;
    let agents = (0..40).map(|_| shared().call(agent.clone(), host.clone()));
    for outcome in join_all(agents).await {
        assert_eq!(outcome.result.unwrap().text(), "[0,1,2]");
    }
}
