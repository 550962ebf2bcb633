//! Asks a provider: builds what is sent, sends it, reads what streams back, tries again.

mod request;
mod tap;

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use genai::{
    Headers, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    resolver::{AuthData, Endpoint},
};
use jiff::Timestamp;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout_at},
};
use url::Url;

use self::tap::Tap;
use super::{
    Attempt, Key, KeySource, Keys, Model, ModelAnswer, ModelConfig, ModelError, OnDelta, Prepared, Problem, Provider,
    heard::{Whole, said, short},
    retry,
};
use crate::egress::{ClientFailure, Egress, EgressError, HostPort};

/// The version of Anthropic's protocol.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A provider's API for one alias.
pub(super) struct Service {
    egress: Egress,
    keys: Arc<dyn Keys>,
    target: HostPort,
    base: Url,
    key: KeyAt,
    connections: usize,
    /// Made at the first request: it reads the machine's certificates.
    client: OnceCell<genai::Client>,
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
    pub(super) fn new(config: &ModelConfig, egress: Egress, keys: Arc<dyn Keys>) -> Result<Self, Problem> {
        let (base, target) = config.base()?;
        let key = match &config.key {
            None => KeyAt::Nowhere,
            Some(KeySource::Secret(name)) => KeyAt::Secret(name.clone()),
            Some(KeySource::Env(name)) => {
                let missing = || Problem::invalid(format!("key: the environment variable {name} is not set"));
                KeyAt::Here(Key::new(config.key_of_environment().ok_or_else(missing)?))
            }
        };
        let connections = config.concurrency.into();
        Ok(Self { egress, keys, target, base, key, connections, client: OnceCell::new() })
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
        let client = self.client().await?;
        if self.target.address().is_some() {
            self.egress.checked(&self.target).await.map_err(|e| self.unsent(&e))?;
        }
        let tap = Arc::new(Tap::new(model.config.provider));
        let options = request::options(&model.config, &prepared.request, max_tokens, Arc::clone(&tap));
        let request = request::chat(model.config.provider, prepared);
        let target = self.service_target(&model.config)?;
        let begun = client.exec_chat_stream(target, request, Some(&options)).await;
        let mut stream = begun.map_err(|error| self.failed(model, &error, 0))?.stream;
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                () = tap.hopeless() => None,
            };
            if let Some(delta) = tap.take_delta() {
                on_delta(&delta);
            }
            // What was heard counts, not what the library made of it.
            if event.is_none() || tap.is_decided() {
                return tap.finish(&prepared.names).map_err(Failed::after);
            }
            if let Some(Err(error)) = event {
                return Err(self.failed(model, &error, tap.bytes()));
            }
        }
    }

    async fn client(&self) -> Result<&genai::Client, Failed> {
        let made = self.client.get_or_try_init(|| async {
            let http = self.egress.client(&self.target, self.connections).await?;
            let client = genai::Client::builder().with_reqwest(http).build();
            client.map_err(|e| EgressError::Url { reason: e.to_string() })
        });
        made.await.map_err(|error: EgressError| self.unsent(&error))
    }

    fn unsent(&self, error: &EgressError) -> Failed {
        self.of_client(&ClientFailure::of(error))
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
        Failed::after(Problem::unavailable(format!("the connection to {} broke: {}", self.target, failure.reason)))
    }

    /// Where the request goes: our own URL and headers, so that nothing of the environment or of a model's name is read
    /// into them.
    fn service_target(&self, config: &ModelConfig) -> Result<ServiceTarget, Failed> {
        let kind = match config.provider {
            Provider::Openai | Provider::Scripted => AdapterKind::OpenAI,
            Provider::Anthropic => AdapterKind::Anthropic,
            Provider::Gemini => AdapterKind::Gemini,
            Provider::Ollama => AdapterKind::Ollama,
        };
        let auth = AuthData::RequestOverride { url: self.url(config), headers: self.headers(config.provider)? };
        let endpoint = Endpoint::from_owned(format!("{}/", self.base.as_str().trim_end_matches('/')));
        Ok(ServiceTarget { endpoint, auth, model: ModelIden::new(kind, config.model.clone()) })
    }

    fn url(&self, config: &ModelConfig) -> String {
        let base = self.base.as_str().trim_end_matches('/');
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

    fn headers(&self, provider: Provider) -> Result<Headers, Failed> {
        let key = self.key()?;
        let key = key.as_ref().map(Key::reveal);
        let mut headers: Vec<(&str, String)> = Vec::new();
        match provider {
            Provider::Anthropic => {
                headers.push(("anthropic-version", ANTHROPIC_VERSION.to_owned()));
                headers.extend(key.map(|key| ("x-api-key", key.to_owned())));
            }
            Provider::Gemini => headers.extend(key.map(|key| ("x-goog-api-key", key.to_owned()))),
            Provider::Openai | Provider::Ollama | Provider::Scripted => {
                headers.extend(key.map(|key| ("authorization", format!("Bearer {key}"))));
            }
        }
        Ok(Headers::from(headers))
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

    /// What an error of the library comes down to.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's other errors are many, and mean the same to us")]
    fn failed(&self, model: &Model, error: &genai::Error, heard_bytes: usize) -> Failed {
        match error {
            genai::Error::HttpError { status, body, headers, .. } => {
                let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
                let wait = retry::asked(header("retry-after-ms"), header("retry-after"), Timestamp::now());
                self.refused(model, status.as_u16(), body, wait)
            }
            genai::Error::WebStream { error, .. } => match error.downcast_ref::<genai::Error>() {
                Some(inner) => self.failed(model, inner, heard_bytes),
                None if heard_bytes > 0 => {
                    let reason = ClientFailure::of(&**error).reason;
                    Failed::after(Problem::failed(format!("the answer broke off before its end: {reason}")))
                }
                None => self.of_client(&ClientFailure::of(&**error)),
            },
            genai::Error::ChatResponse { body, .. } => {
                Failed::after(Problem::failed(format!("the provider broke off: {}", said(body))))
            }
            other => Failed::after(Problem::failed(self.clean(&short(&other.to_string())))),
        }
    }

    /// The provider answered, and not with an answer of the model.
    fn refused(&self, model: &Model, status: u16, body: &str, wait: Option<Duration>) -> Failed {
        let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| body.into());
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
