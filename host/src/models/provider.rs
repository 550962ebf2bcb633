//! Asks a provider: sends what its protocol makes of a request, reads what streams back, tries again.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use super::{
    Attempt, Key, KeySource, Keys, Model, ModelAnswer, ModelConfig, ModelError, OnDelta, Prepared, Problem, Provider,
    frames::Frames,
    heard::{Heard, Whole, said},
    protocol::{self, Asked},
    retry,
};
use crate::egress::{
    Answer, ClientFailure, Egress, EgressError, HeaderMap, HostPort, HttpClient, Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};

/// The most bytes of an answer, with everything that a provider puts around its text.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most bytes that are read of what a provider says about an error.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// How long the end of an answer is waited for of which nothing is missing.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// The version of Anthropic's protocol.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A provider's API for one alias.
pub(super) struct Service {
    client: HttpClient,
    keys: Arc<dyn Keys>,
    target: HostPort,
    url: String,
    key: KeyAt,
}

enum KeyAt {
    Nowhere,
    Here(Key),
    Secret(String),
}

/// Why one try came to nothing.
struct Failed {
    problem: Problem,
    status: Option<u16>,
    /// Whether the same may go well in a moment, and has cost nothing.
    may_pass: bool,
    /// How long the provider asks to wait.
    wait: Option<Duration>,
    may_have_cost: bool,
}

impl Failed {
    /// Nothing was sent, and nothing will be.
    fn before(problem: Problem) -> Self {
        Self { problem, status: None, may_pass: false, wait: None, may_have_cost: false }
    }

    /// The provider had the request, and we have no answer.
    fn after(problem: Problem) -> Self {
        Self { may_have_cost: true, ..Self::before(problem) }
    }
}

impl Service {
    pub(super) fn new(config: &ModelConfig, egress: &Egress, keys: Arc<dyn Keys>) -> Result<Self, Problem> {
        let (base, target) = config.base()?;
        let key = match &config.key {
            None => KeyAt::Nowhere,
            Some(KeySource::Secret(name)) => KeyAt::Secret(name.clone()),
            Some(KeySource::Env(name)) => {
                let missing = || Problem::invalid(format!("key: the environment variable {name} is not set"));
                KeyAt::Here(Key::new(config.key_of_environment().ok_or_else(missing)?))
            }
        };
        let client = egress.client(&target, config.concurrency.into());
        Ok(Self { client, keys, url: url(config, &base), target, key })
    }

    /// Sends and, where it is worth it, sends again.
    pub(super) async fn send(
        &self,
        model: &Model,
        prepared: &Prepared,
        max_tokens: u64,
        deadline: Instant,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelAnswer, ModelError> {
        let mut attempts: Vec<Attempt> = Vec::new();
        for tries in 1.. {
            let late = |_| Err(Failed::after(Problem::timeout(self.too_late(model))));
            let tried = timeout_at(deadline, self.attempt(model, prepared, max_tokens, on_delta)).await;
            let failed = match tried.unwrap_or_else(late) {
                Ok(whole) => {
                    attempts.push(Attempt::answered());
                    return Ok(answer(model, whole, attempts));
                }
                Err(failed) => failed,
            };
            let wait = retry::wait(tries, failed.wait, rand::random());
            let again = failed.may_pass && tries <= model.config.retries.into() && Instant::now() + wait < deadline;
            let wait_ms = again.then(|| wait.as_millis().try_into().unwrap_or(u64::MAX));
            attempts.push(Attempt { status: failed.status, why: Some(failed.problem.to_string()), wait_ms });
            if !again {
                let (problem, may_have_cost) = (failed.problem, failed.may_have_cost);
                return Err(ModelError { alias: model.alias.clone(), problem, attempts, may_have_cost });
            }
            sleep(wait).await;
        }
        Err(ModelError::new(&model.alias, Problem::unavailable("nothing was tried")))
    }

    fn too_late(&self, model: &Model) -> String {
        format!("{} gave no whole answer within {} s", self.target, model.config.timeout_seconds)
    }

    /// One request and its answer.
    async fn attempt(
        &self,
        model: &Model,
        prepared: &Prepared,
        max_tokens: u64,
        on_delta: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Whole, Failed> {
        let asked = Asked { config: &model.config, request: &prepared.request, names: &prepared.names, max_tokens };
        let headers = self.headers(model.config.provider)?;
        let request = Request { method: Method::POST, url: self.url.clone(), headers, body: asked.body().into() };
        let sent = self.client.send(request, ANSWER_BYTES_MAX).await;
        let answer = sent.map_err(|failure| self.of_client(&failure))?;
        if !answer.status.is_success() {
            return Err(self.refused(model, answer).await);
        }
        let heard = self.hear(model.config.provider, answer, on_delta).await?;
        heard.finish(&prepared.names).map_err(Failed::after)
    }

    /// Reads an answer as it comes, up to its end or a reason why it will never be one.
    async fn hear(
        &self,
        provider: Provider,
        mut answer: Answer,
        on_delta: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Heard, Failed> {
        let (mut heard, mut frames) = (Heard::default(), Frames::new(protocol::framing(provider)));
        while !heard.is_decided() {
            let chunk = answer.chunk().await.map_err(|error| self.broken(&error, &heard))?;
            let is_end = chunk.is_none();
            let fed = match chunk {
                Some(bytes) => frames.feed(&bytes, |frame| protocol::read(provider, &mut heard, frame)),
                None => frames.finish(|frame| protocol::read(provider, &mut heard, frame)),
            };
            if let Err(error) = fed {
                heard.fail(Problem::failed(format!("the provider sent what is no answer: {error}")));
            }
            if let Some(delta) = heard.take_delta() {
                on_delta(&delta);
            }
            if is_end {
                return Ok(heard);
            }
        }
        if heard.is_whole {
            read_out(answer);
        }
        Ok(heard)
    }

    /// The answer broke off.
    fn broken(&self, error: &EgressError, heard: &Heard) -> Failed {
        Failed::after(if matches!(error, EgressError::TooLarge { .. }) {
            Problem::too_large(format!("broke off: an answer may have {ANSWER_BYTES_MAX} bytes at most"))
        } else if heard.is_begun {
            Problem::failed(format!("the answer broke off before its end: {}", error.cause()))
        } else {
            self.lost(&error.cause())
        })
    }

    fn lost(&self, reason: &str) -> Problem {
        Problem::unavailable(format!("the connection to {} broke: {reason}", self.target))
    }

    fn of_client(&self, failure: &ClientFailure) -> Failed {
        if failure.is_refusal {
            return Failed::before(Problem::denied(failure.reason.clone()));
        }
        if failure.is_unsent {
            let problem = Problem::unavailable(format!("could not connect to {}: {}", self.target, failure.reason));
            return Failed { may_pass: true, ..Failed::before(problem) };
        }
        // The request may have been understood and be worked on: sending it again could pay for it twice.
        Failed::after(self.lost(&failure.reason))
    }

    fn headers(&self, provider: Provider) -> Result<HeaderMap, Failed> {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if provider == Provider::Anthropic {
            headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(ANTHROPIC_VERSION));
        }
        if let Some(key) = self.key()? {
            let key = key.reveal();
            let (name, text) = match provider {
                Provider::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
                Provider::Gemini => (HeaderName::from_static("x-goog-api-key"), key.to_owned()),
                Provider::Openai | Provider::Ollama | Provider::Scripted => (AUTHORIZATION, format!("Bearer {key}")),
            };
            let unfit = |_| Failed::before(Problem::denied("the key has characters that no header can carry"));
            let mut value = HeaderValue::try_from(text).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn key(&self) -> Result<Option<Key>, Failed> {
        match &self.key {
            KeyAt::Nowhere => Ok(None),
            KeyAt::Here(key) => Ok(Some(key.clone())),
            KeyAt::Secret(name) => self.keys.key(name, &self.target).map(Some).ok_or_else(|| {
                let target = &self.target;
                let reason = format!("there is no secret {name:?} that is bound to {target}; store the provider's key");
                Failed::before(Problem::denied(reason))
            }),
        }
    }

    /// The provider answered, and not with an answer of the model.
    async fn refused(&self, model: &Model, answer: Answer) -> Failed {
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let wait = retry::asked(header("retry-after-ms"), header("retry-after"), Timestamp::now());
        let status = answer.status.as_u16();
        let body = beginning(answer).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|_| body.into());
        // Gemini wraps what streams into a list.
        let first = body.get(0).unwrap_or(&body);
        let text = self.clean(&said(first.get("error").unwrap_or(first)));
        let reason = format!("{} answered with status {status}: {text}", self.target);
        let problem = match status {
            401 | 403 => Problem::denied(format!("{reason}; look at the key of models.{}", model.alias)),
            300..=399 => Problem::denied(format!("{} redirects, which is never followed; set base_url", self.target)),
            _ if retry::is_passing(status) => Problem::unavailable(reason),
            400..=499 => Problem::invalid(reason),
            _ => Problem::failed(reason),
        };
        let may_pass = retry::is_passing(status);
        Failed { status: Some(status), may_pass, wait, ..Failed::before(problem) }
    }

    /// A text without the key, should somebody have put it there.
    fn clean(&self, text: &str) -> String {
        match self.key() {
            Ok(Some(key)) if !key.reveal().is_empty() => text.replace(key.reveal(), "…"),
            Ok(_) | Err(_) => text.to_owned(),
        }
    }
}

/// Where the requests of a model go.
fn url(config: &ModelConfig, base: &Url) -> String {
    let base = base.as_str().trim_end_matches('/');
    match config.provider {
        Provider::Openai | Provider::Scripted => format!("{base}/chat/completions"),
        Provider::Anthropic => format!("{base}/messages"),
        Provider::Ollama => format!("{base}/api/chat"),
        Provider::Gemini => {
            let model: String = form_urlencoded::byte_serialize(config.model.as_bytes()).collect();
            format!("{base}/models/{model}:streamGenerateContent?alt=sse")
        }
    }
}

/// Waits beside everything else for the end of an answer of which nothing is missing: its connection can be used again
/// only then, and some servers send the end by itself.
fn read_out(mut answer: Answer) {
    if answer.is_over() || matches!(answer.chunk().now_or_never(), Some(Ok(None))) {
        return;
    }
    tokio::spawn(async move {
        let rest = async { while let Ok(Some(_)) = answer.chunk().await {} };
        timeout(END_TIMEOUT, rest).await.ok();
    });
}

/// As much of an answer as is worth reading, or as came.
async fn beginning(mut answer: Answer) -> String {
    let mut body = Vec::new();
    while body.len() < ERROR_BYTES_MAX
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn answer(model: &Model, whole: Whole, attempts: Vec<Attempt>) -> ModelAnswer {
    ModelAnswer {
        text: whole.text,
        tool_calls: whole.tool_calls,
        stop: whole.stop,
        usage: whole.usage,
        provider: model.config.provider.as_str().to_owned(),
        model: model.config.model.clone(),
        response_model: whole.response_model,
        attempts,
        latency_ms: 0,
    }
}
