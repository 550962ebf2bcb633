//! A request to a model through the gateway, and the same by the HTTP client that the gateway uses.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::task::JoinSet;
use weir_host::{
    egress::{
        Egress, EgressConfig, HeaderMap, HostPort, HttpClient, Method, Request,
        header::{self, HeaderValue},
    },
    models::{ChatRequest, Gateway, Keys, Message, ModelConfig, NoKeys, PriceTable, Provider},
};

use super::Bench;
use crate::{
    limits::model,
    numbers::{quantile, us},
};

/// How often each side is measured, in turns, so that what the machine does besides hits both.
const TURNS: usize = 4;
const CONCURRENT: usize = 64;

impl Bench {
    /// Measures requests to models.
    pub(crate) async fn measure_models(&mut self) -> Result<()> {
        let provider = model::Provider::start().await?;
        let target: HostPort = provider.address.to_string().parse().context("reading the model's address")?;
        let egress = Egress::new(EgressConfig { allow: vec![target.clone()], ..EgressConfig::default() });
        let url = format!("http://{target}/v1");
        let config = ModelConfig {
            base_url: Some(url.clone()),
            free: true,
            concurrency: u16::try_from(CONCURRENT)?,
            ..ModelConfig::new(Provider::Openai, "m")
        };
        let keys: Arc<dyn Keys> = Arc::new(NoKeys);
        let models = BTreeMap::from([("m".to_owned(), config)]);
        let gateway = Gateway::new(&models, &PriceTable::default(), &egress, &keys).context("making the gateway")?;
        let client = egress.client(&target, CONCURRENT);
        let bare = Arc::new(Bare { client, url: format!("{url}/chat/completions") });
        // The host's own requests run in tasks on all its threads.
        let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
        for at_once in [1, CONCURRENT] {
            let count = self.sizes.calls / if at_once == 1 { 4 } else { 1 };
            let measured = both(gateway.clone(), Arc::clone(&bare), count / TURNS, at_once);
            let (ours, theirs) = threads.spawn(measured).await.context("measuring")??;
            let names = if at_once == 1 {
                ["model_call_c1_p50_us", "model_call_c1_p99_us"]
            } else {
                ["model_call_c64_p50_us", "model_call_c64_p99_us"]
            };
            for (name, share) in names.into_iter().zip([0.5, 0.99]) {
                self.report.add_beside(name, us(quantile(&ours, share)), "µs", us(quantile(&theirs, share)));
            }
        }
        threads.shutdown_background();
        Ok(())
    }
}

struct Bare {
    client: HttpClient,
    url: String,
}

impl Bare {
    /// Writes about the same document as the gateway, and reads the answer's bytes.
    async fn send(&self, request: &ChatRequest) -> Result<()> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let body = serde_json::to_vec(request).context("writing the request")?.into();
        let request = Request { method: Method::POST, url: self.url.clone(), headers, body };
        let sent = self.client.send(request, 1 << 20).await;
        let answer = sent.map_err(|failure| anyhow!("sending: {}", failure.reason))?.read().await.context("reading")?;
        ensure!(answer.body.ends_with(b"[DONE]\n\n"), "the bare answer is not whole");
        Ok(())
    }
}

/// A conversation of some turns.
fn request() -> ChatRequest {
    let mut request = ChatRequest::question("m", &"What do we know about the invoice? ".repeat(20));
    for _ in 0..3 {
        let content = "We know that it came, and that nobody has paid it. ".repeat(4);
        request.messages.push(Message::Assistant { content, tool_calls: Vec::new() });
        request.messages.push(Message::User { content: "And what else?".repeat(4) });
    }
    request.system = Some("You are a careful clerk. ".repeat(8));
    request
}

/// The ascending times of both sides.
async fn both(
    gateway: Gateway,
    bare: Arc<Bare>,
    count: usize,
    at_once: usize,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let gateway = gateway.clone();
        let through = load(count, at_once, move |request| {
            let gateway = gateway.clone();
            async move { call(&gateway, request).await }
        });
        let through = through.await?;
        let bare = Arc::clone(&bare);
        let directly = load(count, at_once, move |request| {
            let bare = Arc::clone(&bare);
            async move { bare.send(&request).await }
        });
        let directly = directly.await?;
        // The first turn opens the connections.
        if turn > 0 {
            ours.extend(through);
            theirs.extend(directly);
        }
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    Ok((ours, theirs))
}

async fn call(gateway: &Gateway, request: ChatRequest) -> Result<()> {
    let prepared = gateway.prepare(request)?;
    let answer = gateway.send(&prepared, prepared.max_tokens, &mut |_| {}).await?;
    ensure!(answer.text.len() > 100 && answer.usage.is_some(), "the answer is not whole: {answer:?}");
    Ok(())
}

/// The times of so many calls, in so many tasks beside each other.
async fn load<F: Future<Output = Result<()>> + Send + 'static>(
    count: usize,
    at_once: usize,
    one: impl Fn(ChatRequest) -> F + Clone + Send + 'static,
) -> Result<Vec<Duration>> {
    let request = Arc::new(request());
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let (one, request) = (one.clone(), Arc::clone(&request));
        workers.spawn(async move {
            let mut times = Vec::with_capacity(count / at_once);
            for _ in 0..count.div_ceil(at_once) {
                let request = ChatRequest::clone(&request);
                let begun = Instant::now();
                one(request).await?;
                times.push(begun.elapsed());
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        times.extend(worker.context("waiting for a task")??);
    }
    Ok(times)
}
