//! The parts of the measurement; each has a server of its own, so that none sees what another left behind.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    client::Api,
    load::{self, Load, Loaded, Requests},
    process::{Activity, Snapshot},
    report::{Report, progress},
    server::Server,
    workload,
};

pub(crate) mod agents;
pub(crate) mod calls;
pub(crate) mod chain;
pub(crate) mod grants;
pub(crate) mod hello;
pub(crate) mod loops;
pub(crate) mod models;
pub(crate) mod schedules;
pub(crate) mod waiting;
pub(crate) mod webhooks;

/// How much is done.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    /// Chains one after the other.
    pub(crate) chains_at_1: usize,
    /// Chains, 32 at once.
    pub(crate) chains_at_32: usize,
    /// Chains, 256 at once.
    pub(crate) chains_at_256: usize,
    /// Chains before anything is measured, and in the two measurements of the history's weight.
    pub(crate) warm_up: usize,
    /// Stored step rows before the second of these.
    pub(crate) history_steps: usize,
    /// Items of the long loop.
    pub(crate) items: usize,
    /// How often the loop of 1 000 items runs.
    pub(crate) short_loops: usize,
    /// Executions that wait for a person.
    pub(crate) waiting: usize,
    /// Plugin calls.
    pub(crate) calls: usize,
    /// Synced writes.
    pub(crate) syncs: usize,
    /// No single load takes longer.
    pub(crate) time_max: Duration,
}

/// What every part needs.
pub(crate) struct Bench {
    /// The server's program.
    pub(crate) server: PathBuf,
    /// The component that is called.
    pub(crate) component: PathBuf,
    /// The component of the built-in agent.
    pub(crate) agent: PathBuf,
    /// Where data directories are made: on the disk that is measured.
    pub(crate) folder: PathBuf,
    /// Where all servers log to.
    pub(crate) log: PathBuf,
    /// How much.
    pub(crate) sizes: Sizes,
    /// What came of it.
    pub(crate) report: Report,
}

impl Bench {
    /// A new folder for data.
    pub(crate) fn folder(&self) -> Result<TempDir> {
        tempfile::tempdir_in(&self.folder).context("making a data directory")
    }

    /// A server on a data directory.
    pub(crate) async fn server(&self, data: &Path) -> Result<Server> {
        Server::start(&self.server, data, None, &self.log).await
    }

    /// A server with the plugin and the workflows.
    pub(crate) async fn installed_server(&self, data: &Path) -> Result<Server> {
        let server = self.server(data).await?;
        workload::install(&server.api, &self.component).await?;
        Ok(server)
    }

    /// Starts `count` chains over `connections` connections, each waited for.
    pub(crate) async fn chains(&self, server: &Server, connections: usize, count: usize) -> Result<(Loaded, Activity)> {
        progress(&format!("{count} chains over {connections} connections …"));
        let load = Load {
            connections,
            requests: Requests::Same(execute(&server.api, "chain3", true, &workload::message_body()), count),
            time_max: self.sizes.time_max,
            expect: r#""status":"completed""#,
            keep: false,
        };
        let before = Snapshot::take(server.pid)?;
        let loaded = load::run(&server.api, load).await?;
        Ok((loaded, Snapshot::take(server.pid)?.since(&before)))
    }

    /// Measures the disk.
    pub(crate) fn sync(&self) -> Result<Duration> {
        crate::limits::disk::fdatasync_p50(&self.folder, self.sizes.syncs)
    }
}

/// The request that starts a workflow, and perhaps waits for its end.
pub(crate) fn execute(api: &Api, workflow: &str, wait: bool, body: &str) -> Vec<u8> {
    let query = if wait { "?wait=30" } else { "" };
    api.request("POST", &format!("/api/workflows/{workflow}/execute{query}"), body)
}
