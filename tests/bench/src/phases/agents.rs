//! An agent of fifty turns, each a request to a model and, but for the last, a call of a tool: how long its effects take, and
//! what a host does again that is killed half-way.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Bench;
use crate::{
    client::{Connection, encode},
    limits::model::{HELD_TURN, Provider, Seen, TURNS},
    numbers::{float, ms, quantile, us},
    report::progress,
    server::Server,
};

/// Model requests and tool calls of one run.
const EFFECTS: usize = 2 * TURNS - 1;
/// How often the agent runs undisturbed.
const RUNS: usize = 10;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Bench {
    /// Measures the agent.
    pub(crate) async fn measure_agents(&mut self) -> Result<()> {
        let provider = Provider::start().await?;
        let data = self.folder()?;
        let settings = data.path().join("settings.json");
        fs::write(&settings, config(&provider)).context("writing settings")?;
        let server = self.start_agents(data.path(), &settings).await?;
        for component in [&self.component, &self.agent] {
            let bytes = fs::read(component).with_context(|| format!("reading {}", component.display()))?;
            server.api.upload(&bytes).await?;
        }
        for model in ["plain", "held"] {
            server.api.post("/api/workflows", &workflow(model)).await?;
        }
        self.undisturbed(&server, &provider).await?;
        self.killed(server, data.path(), &settings, &provider).await
    }

    async fn start_agents(&self, data: &Path, settings: &Path) -> Result<Server> {
        Server::start(&self.server, data, Some(settings), &self.log).await
    }

    /// What an effect costs besides the model's own time, beside the two writes that record it.
    async fn undisturbed(&mut self, server: &Server, provider: &Provider) -> Result<()> {
        progress(&format!("{RUNS} times an agent of {TURNS} turns …"));
        let synced = self.sync()?;
        let model = model_alone(provider).await?;
        let mut runs = Vec::with_capacity(RUNS);
        for run in 0..=RUNS {
            let began = Instant::now();
            let ended = server.api.post("/api/workflows/plain/execute?wait=30", &json!({ "input_data": {} })).await?;
            check(&ended)?;
            // The first run compiles and connects.
            if run > 0 {
                runs.push(began.elapsed());
            }
        }
        runs.sort_unstable();
        let run = quantile(&runs, 0.5);
        let own = run.saturating_sub(model * u32::try_from(TURNS)?);
        self.report.add("agent50_ms", ms(run), "ms");
        self.report.add_beside("agent_effect_us", us(own) / float(EFFECTS), "µs", us(2 * synced.min(self.sync()?)));
        Ok(())
    }

    /// Kills the host while it waits for an answer of the model, half-way, and sees what is done once more.
    async fn killed(&mut self, server: Server, data: &Path, settings: &Path, provider: &Provider) -> Result<()> {
        let accepted = server.api.post("/api/workflows/held/execute", &json!({ "input_data": {} })).await?;
        let id = accepted["execution_id"].as_str().context("finding the execution's id")?.to_owned();
        until_asked(provider, HELD_TURN + 1).await?;
        server.crash().await?;
        let began = Instant::now();
        let server = self.start_agents(data, settings).await?;
        until_asked(provider, HELD_TURN + 2).await?;
        self.report.add("agent50_recovery_ms", ms(began.elapsed()), "ms");
        let ended = ended(&server, &id).await?;
        check(&ended)?;
        let models = seen(provider).await?.answered.saturating_sub(TURNS);
        let tools = ended["usage"]["tool_calls"].as_u64().context("reading how many tools were called")?;
        let tools = usize::try_from(tools)?.saturating_sub(TURNS - 1);
        self.report.add("agent50_repeated", float(models + tools), "");
        server.stop().await
    }
}

fn config(provider: &Provider) -> String {
    let address = provider.address;
    let model = |way: &str| json!({ "provider": "openai", "model": "m", "base_url": format!("http://{address}/{way}"), "free": true });
    json!({
        "models": { "plain": model("plain"), "held": model("held") },
        "egress": { "allow": [address.to_string()] }
    })
    .to_string()
}

fn workflow(model: &str) -> Value {
    json!({
        "name": model,
        "guardrails": { "request_limit": 1000, "tool_calls_limit": 1000, "timeout_seconds": 600 },
        "steps": [{
            "id": "work",
            "type": "agent",
            "agent": "agent.agent",
            "agent_prompt": "Do it all.",
            "agent_config": { "model": model, "tools": ["echo.echo"], "max_turns": 100 }
        }]
    })
}

/// What the model and the way to it take, without the host: the median.
async fn model_alone(provider: &Provider) -> Result<Duration> {
    let mut connection = Connection::open(provider.address).await?;
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Do it all." }] }).to_string();
    let request = encode("POST", "/plain/chat/completions", "", "application/json", body.as_bytes());
    let mut times = Vec::new();
    for _ in 0..1000 {
        let began = Instant::now();
        ensure!(connection.send(&request).await?.holds("[DONE]"), "the model gave no answer");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(quantile(&times, 0.5))
}

async fn seen(provider: &Provider) -> Result<Seen> {
    let mut connection = Connection::open(provider.address).await?;
    let answer = connection.send(&encode("GET", "/seen", "", "application/json", b"")).await?;
    serde_json::from_slice(answer.body).context("reading what the model counted")
}

async fn until_asked(provider: &Provider, count: usize) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if seen(provider).await?.asked >= count {
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
    bail!("the model was not asked {count} times within {} s", PATIENCE.as_secs())
}

async fn ended(server: &Server, id: &str) -> Result<Value> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let execution = server.api.get(&format!("/api/executions/{id}")).await?;
        if execution["completed_at"].is_string() {
            return Ok(execution);
        }
        sleep(Duration::from_millis(10)).await;
    }
    bail!("the agent has not ended after {} s", PATIENCE.as_secs())
}

fn check(ended: &Value) -> Result<()> {
    ensure!(ended["status"] == "completed" && ended["output"]["result"] == "all is done", "the agent ended as {ended}");
    Ok(())
}
