//! Signed webhooks to the durable 202, beside the same start asked for directly.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::json;
use weir_host::webhook_signature::{self, SigningSecret};

use super::{Bench, execute};
use crate::{
    client::Api,
    load::{self, Load, Loaded, Requests},
    process::Snapshot,
    report::progress,
    server::Server,
    workload,
};

/// How many connections, and the names of what is measured over so many.
const LEVELS: [(usize, [&str; 5]); 3] = [
    (1, ["webhook_c1_per_s", "webhook_c1_p50_ms", "webhook_c1_p99_ms", "execute_c1_per_s", "webhook_c1_cost"]),
    (32, ["webhook_c32_per_s", "webhook_c32_p50_ms", "webhook_c32_p99_ms", "execute_c32_per_s", "webhook_c32_cost"]),
    (
        256,
        ["webhook_c256_per_s", "webhook_c256_p50_ms", "webhook_c256_p99_ms", "execute_c256_per_s", "webhook_c256_cost"],
    ),
];
/// The secret that both sides know.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

impl Bench {
    /// Measures webhooks over 1, 32 and 256 connections, each between two halves of direct starts.
    pub(crate) async fn measure_webhooks(&mut self) -> Result<()> {
        let data = self.folder()?;
        let server = self.installed_server(data.path()).await?;
        self.save_hook(&server).await?;
        let secret = SigningSecret::parse(SECRET).context("reading the webhook's secret")?;
        for (connections, [per_s, p50, p99, direct, cost]) in LEVELS {
            let count = self.webhooks_at(connections);
            let before = self.direct(&server, connections, count / 2).await?;
            progress(&format!("{count} signed webhooks over {connections} connections …"));
            let requests = Requests::Each((0..count).map(|n| signed(&server.api, &secret, connections, n)).collect());
            let started = Snapshot::take(server.pid)?;
            let loaded = self.load(&server, connections, requests, "execution_id").await?;
            let activity = Snapshot::take(server.pid)?.since(&started);
            let after = self.direct(&server, connections, count / 2).await?;
            let plain = (before.per_second() + after.per_second()) / 2.0;
            self.report.add(direct, plain, "1/s");
            self.report.add_beside(per_s, loaded.per_second(), "1/s", plain);
            self.report.add(p50, loaded.quantile_ms(0.5), "ms");
            self.report.add(p99, loaded.quantile_ms(0.99), "ms");
            self.report.add(cost, plain / loaded.per_second(), "×");
            self.report.hint(format!("webhooks at {connections}: {}", activity.profile(loaded.count())));
        }
        server.stop().await
    }

    fn webhooks_at(&self, connections: usize) -> usize {
        let chains = if connections == 1 { self.sizes.chains_at_1 } else { self.sizes.chains_at_32 };
        (chains / 2).max(2)
    }

    /// A workflow with a webhook, whose secret is set by hand.
    async fn save_hook(&self, server: &Server) -> Result<()> {
        let trigger = json!({ "type": "webhook", "id": "hook",
            "config": { "path": "bench", "auth": { "scheme": "standard_webhooks" } } });
        let step = json!({ "id": "say", "type": "tool", "tool": "echo.echo",
            "tool_args": { "message": "$.input.message" } });
        let definition = json!({ "name": "hooked", "trigger": trigger, "steps": [step] });
        server.api.post("/api/workflows", &definition).await?;
        let listed = server.api.get("/api/triggers?workflow=hooked").await?;
        let id = listed["items"][0]["id"].as_str().context("finding the webhook")?.to_owned();
        server.api.post(&format!("/api/triggers/{id}/secrets"), &json!({ "secret": SECRET })).await?;
        Ok(())
    }

    /// The same workflow, started directly.
    async fn direct(&self, server: &Server, connections: usize, count: usize) -> Result<Loaded> {
        let request = execute(&server.api, "hooked", false, &workload::message_body());
        self.load(server, connections, Requests::Same(request, count), "execution_id").await
    }

    async fn load(
        &self,
        server: &Server,
        connections: usize,
        requests: Requests,
        expect: &'static str,
    ) -> Result<Loaded> {
        let time_max = self.sizes.time_max;
        load::run(&server.api, Load { connections, requests, time_max, expect, keep: false }).await
    }
}

/// One signed delivery that no other has the id of.
fn signed(api: &Api, secret: &SigningSecret, level: usize, number: usize) -> Vec<u8> {
    let body = workload::message();
    let id = format!("msg_{level}_{number}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let timestamp = i64::try_from(now).unwrap_or_default();
    let signature = webhook_signature::sign(secret, &id, timestamp, body.as_bytes());
    let mut request = format!(
        "POST /webhooks/bench HTTP/1.1\r\nhost: {}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\n\
         webhook-signature: {signature}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        api.address,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}
