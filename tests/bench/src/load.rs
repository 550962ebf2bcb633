//! A bounded load: so many connections, so many requests, so much time at most.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::task::LocalSet;

use crate::client::{Api, Connection};

/// What is sent.
pub(crate) enum Requests {
    /// The same request so many times.
    Same(Vec<u8>, usize),
    /// Each of these once.
    Each(Vec<Vec<u8>>),
}

impl Requests {
    fn get(&self, index: usize) -> Option<&[u8]> {
        match self {
            Self::Same(request, count) => (index < *count).then_some(request.as_slice()),
            Self::Each(requests) => requests.get(index).map(Vec::as_slice),
        }
    }
}

/// A load to put on a server.
pub(crate) struct Load {
    /// How many connections; each has one request under way.
    pub(crate) connections: usize,
    /// What they send.
    pub(crate) requests: Requests,
    /// No request begins later than this.
    pub(crate) time_max: Duration,
    /// A text that every answer must hold.
    pub(crate) expect: &'static str,
    /// Whether the answers' bodies are kept.
    pub(crate) keep: bool,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Loaded {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Of every request, ascending.
    latencies: Vec<Duration>,
    /// The bodies, if they were to be kept.
    pub(crate) bodies: Vec<Vec<u8>>,
    next: usize,
}

impl Loaded {
    /// How many requests were answered.
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// Answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        crate::numbers::float(self.count()) / self.elapsed.as_secs_f64()
    }

    /// The latency, in milliseconds, that `share` of the requests kept to.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        crate::numbers::quantile(&self.latencies, share).as_secs_f64() * 1e3
    }
}

/// Runs a load to its end; every answer is checked.
pub(crate) async fn run(api: &Api, load: Load) -> Result<Loaded> {
    let mut connections = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        connections.push(Connection::open(api.address).await?);
    }
    let loaded = Rc::new(RefCell::new(Loaded::default()));
    let load = Rc::new(load);
    let tasks = LocalSet::new();
    let start = Instant::now();
    let handles: Vec<_> = connections
        .into_iter()
        .map(|connection| tasks.spawn_local(drive(connection, load.clone(), loaded.clone(), start)))
        .collect();
    tasks.await;
    for handle in handles {
        handle.await.context("waiting for a connection of the load")??;
    }
    let mut loaded = loaded.take();
    ensure!(loaded.count() > 0, "no request was answered");
    loaded.elapsed = start.elapsed();
    loaded.latencies.sort_unstable();
    Ok(loaded)
}

async fn drive(mut connection: Connection, load: Rc<Load>, loaded: Rc<RefCell<Loaded>>, start: Instant) -> Result<()> {
    while start.elapsed() < load.time_max {
        let index = {
            let mut loaded = loaded.borrow_mut();
            loaded.next += 1;
            loaded.next - 1
        };
        let Some(request) = load.requests.get(index) else { break };
        let sent = Instant::now();
        let answer = connection.send(request).await?;
        let latency = sent.elapsed();
        let good = (200..300).contains(&answer.status) && answer.holds(load.expect);
        ensure!(good, "a request of the load was answered with {}", answer.excerpt());
        let mut loaded = loaded.borrow_mut();
        loaded.latencies.push(latency);
        if load.keep {
            loaded.bodies.push(answer.body.to_vec());
        }
    }
    Ok(())
}
