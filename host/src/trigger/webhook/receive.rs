//! What becomes of a request: verified, read, filtered, and one execution for all copies of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use weir_engine::{id::Timestamp, json::Json};

use super::{
    ContentError, Endpoint, Headers, Webhooks,
    content::{self, Content},
    delivery::{clipped, companions, draft, refused, with},
    verify,
};
use crate::{
    driver::Finished,
    secrets::Masker,
    store::{self, AuditEntry, DeliveryRow, DeliveryVerdict, NewDelivery, OccurrenceStatus, StoreError},
    trigger::{FireError, Firing, config::Respond},
};

/// Bodies larger than this are hashed and parsed beside the tasks that answer others.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// A request to a webhook.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: &'static str,
    /// Its headers.
    pub headers: Headers,
    /// Its query as it came.
    pub query: Option<String>,
    /// Its body's bytes as they came.
    pub body: Bytes,
}

/// What became of a request that was taken.
#[derive(Debug)]
pub enum Received {
    /// It started an execution.
    Started {
        /// The delivery.
        delivery_id: Arc<str>,
        /// The execution.
        execution_id: Arc<str>,
        /// How it ended, where the trigger waits for that and it came in time.
        finished: Option<Box<Finished>>,
    },
    /// It is a copy of a delivery that started an execution before.
    Duplicate {
        /// That execution.
        execution_id: Arc<str>,
    },
    /// The trigger's filter did not let it pass.
    Filtered {
        /// The delivery.
        delivery_id: Arc<str>,
    },
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It may come from anybody.
    #[error("could not verify the request")]
    Refused,
    /// The trigger, or its workflow, is switched off.
    #[error("could not take the request: the trigger or its workflow is switched off, switch it on")]
    Disabled,
    /// Its body cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The first delivery with its id started nothing.
    #[error("could not take the request: the first delivery with this id failed ({reason}); mend that, and resend it")]
    FailedBefore {
        /// Why.
        reason: String,
    },
    /// It started nothing.
    #[error(transparent)]
    Fire(#[from] FireError),
}

/// Why a delivery was not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// There is no such delivery.
    #[error("could not find delivery {0:?}; they are kept for a week")]
    NotFound(String),
    /// The trigger is gone, or takes no webhooks any more.
    #[error("could not resend the delivery: its trigger is gone")]
    TriggerGone,
    /// Its body was not kept.
    #[error("could not resend the delivery: it is {0}, so its body was not kept")]
    NoBody(&'static str),
    /// It was not taken.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Webhooks {
    /// Takes a request. An execution that it starts is on disk when this answers, together with the delivery.
    ///
    /// # Errors
    /// It is not taken; what will not change by itself is written down as a delivery.
    pub async fn receive(&self, endpoint: &Arc<Endpoint>, request: Request) -> Result<Received, ReceiveError> {
        let at = store::now();
        let draft = draft(&self.0.masker, endpoint, &request.headers, request.query.as_deref(), at);
        let key = match self.verified(endpoint, &request, at).await {
            Ok(key) => key,
            Err(refusal) => {
                self.note(refused(draft, refusal.to_string())).await;
                return Err(ReceiveError::Refused);
            }
        };
        let delivery_key = key.map(|key| self.0.masker.mask_text(&key).into());
        let draft = NewDelivery { delivery_key, ..draft };
        let content_type = request.headers.content_type().map(str::to_owned);
        let wait = match endpoint.config.respond {
            Respond::Async => None,
            Respond::Sync { timeout } => Some(timeout),
        };
        let work = Work { sent: Sent { content_type, method: request.method }, wait, audit: None };
        self.take(endpoint, draft, request.body, work).await
    }

    /// Writes down that a request was refused before its body was read.
    pub async fn refused(&self, endpoint: &Endpoint, headers: &Headers, query: Option<&str>, reason: &str) {
        self.note(refused(draft(&self.0.masker, endpoint, headers, query, store::now()), reason.to_owned())).await;
    }

    /// Takes a stored delivery once more, as if it were new: it is not verified again, and not held for a copy.
    ///
    /// # Errors
    /// It is gone or was refused; or it is not taken.
    pub async fn resend(&self, id: &str, actor: &str) -> Result<Received, ResendError> {
        let row = self.0.store.delivery(id).await?.ok_or_else(|| ResendError::NotFound(id.to_owned()))?;
        let trigger = self.0.store.trigger(&row.trigger_id).await?.filter(|trigger| trigger.path.is_some());
        let endpoint = Arc::new(self.read(trigger.ok_or(ResendError::TriggerGone)?).await?);
        let DeliveryRow { id: first, verdict, headers, query, body, delivery_key, .. } = row;
        let body = body.ok_or(ResendError::NoBody(verdict.as_str()))?;
        let delivery = NewDelivery {
            delivery_key,
            resent_from: Some(Arc::clone(&first)),
            headers: headers.clone(),
            query,
            ..draft(&self.0.masker, &endpoint, &Headers::default(), None, store::now())
        };
        let content_type = headers.value().get("content-type").and_then(Value::as_str).map(str::to_owned);
        let audit = AuditEntry::done(actor, "delivery.resend", &*first).with(json!({ "delivery_id": *delivery.id }));
        let work = Work { sent: Sent { content_type, method: "POST" }, wait: None, audit: Some(audit) };
        let body = Bytes::copy_from_slice(body.as_bytes());
        Ok(self.take(&endpoint, delivery, body, work).await?)
    }

    /// The sender's id of a request that comes from who knows a secret.
    async fn verified(
        &self,
        endpoint: &Arc<Endpoint>,
        request: &Request,
        at: Timestamp,
    ) -> Result<Option<String>, verify::Refusal> {
        if request.body.len() <= INLINE_BYTES_MAX {
            return checked(endpoint, request, at);
        }
        let (endpoint, request) = (Arc::clone(endpoint), request.clone());
        blocking(move || checked(&endpoint, &request, at)).await
    }

    async fn content(
        &self,
        endpoint: &Arc<Endpoint>,
        delivery: &NewDelivery,
        body: Bytes,
        sent: &Sent,
    ) -> Result<Read, ContentError> {
        if body.len() <= INLINE_BYTES_MAX {
            return read_now(endpoint, delivery, body, sent, &self.0.masker);
        }
        let (endpoint, delivery, sent) = (Arc::clone(endpoint), delivery.clone(), sent.clone());
        let masker = self.0.masker.clone();
        blocking(move || read_now(&endpoint, &delivery, body, &sent, &masker)).await
    }

    async fn take(
        &self,
        endpoint: &Arc<Endpoint>,
        delivery: NewDelivery,
        body: Bytes,
        work: Work,
    ) -> Result<Received, ReceiveError> {
        if !endpoint.is_on() {
            self.note(refused(delivery, "the trigger or its workflow is switched off".to_owned())).await;
            return Err(ReceiveError::Disabled);
        }
        let (Content { input, body }, trigger) = match self.content(endpoint, &delivery, body, &work.sent).await {
            Ok(Read { content, trigger }) => (content, trigger),
            Err(error) => {
                self.note(refused(delivery, error.to_string())).await;
                return Err(error.into());
            }
        };
        let delivery = NewDelivery { body: Some(body), ..delivery };
        let filter = endpoint.config.filter.as_ref();
        if filter.is_some_and(|filter| !filter.passes(input.value(), trigger.value())) {
            let (delivery_id, delivery) = (Arc::clone(&delivery.id), with(delivery, DeliveryVerdict::Filtered));
            self.0.store.metrics().delivery(delivery.verdict.as_str());
            self.0.store.record_delivery(delivery).await.map_err(FireError::from)?;
            return Ok(Received::Filtered { delivery_id });
        }
        self.fire(endpoint, delivery, input, trigger, work).await
    }

    async fn fire(
        &self,
        endpoint: &Endpoint,
        delivery: NewDelivery,
        input: Json,
        trigger: Json,
        work: Work,
    ) -> Result<Received, ReceiveError> {
        // What is resent is news, though its sender's id is known.
        let key = delivery.delivery_key.as_ref().filter(|_| delivery.resent_from.is_none()).unwrap_or(&delivery.id);
        let firing = Firing {
            key: key.to_string(),
            scheduled_for: None,
            input,
            trigger,
            moved: None,
            wait: work.wait,
            companions: companions(delivery.clone(), work.audit),
        };
        let key = firing.key.clone();
        match self.0.triggers.fire(&endpoint.trigger, firing).await {
            Ok(fired) => {
                self.0.store.metrics().delivery(DeliveryVerdict::Started.as_str());
                let (execution_id, finished) = (fired.execution_id, fired.finished);
                Ok(Received::Started { delivery_id: delivery.id, execution_id, finished })
            }
            Err(FireError::Taken { execution_id: Some(execution_id) }) => {
                let copy = NewDelivery { body: None, execution_id: Some(Arc::clone(&execution_id)), ..delivery };
                self.note(with(copy, DeliveryVerdict::Duplicate)).await;
                Ok(Received::Duplicate { execution_id })
            }
            Err(FireError::Taken { execution_id: None }) => Err(self.failed_before(endpoint, delivery, &key).await),
            Err(error) => {
                if !error.is_for_now() {
                    let reason = Some(clipped(error.to_string()));
                    self.note(NewDelivery { reason, ..with(delivery, DeliveryVerdict::Failed) }).await;
                }
                Err(error.into())
            }
        }
    }

    /// A copy of a delivery that started nothing is answered as that one was.
    async fn failed_before(&self, endpoint: &Endpoint, delivery: NewDelivery, key: &str) -> ReceiveError {
        let known = match self.0.store.occurrence(&endpoint.trigger.id, key).await {
            Ok(known) => known,
            Err(error) => return FireError::from(error).into(),
        };
        let known = known.filter(|known| known.status != OccurrenceStatus::Fired);
        let reason = known.and_then(|known| known.reason).unwrap_or_else(|| "nobody knows why".to_owned());
        let copy = NewDelivery { body: None, reason: Some(clipped(reason.clone())), ..delivery };
        self.note(with(copy, DeliveryVerdict::Duplicate)).await;
        ReceiveError::FailedBefore { reason }
    }

    /// Writes down a delivery that started nothing, if there is room for it. Its sender is answered all the same.
    async fn note(&self, delivery: NewDelivery) {
        self.0.store.metrics().delivery(delivery.verdict.as_str());
        let Some(left_out) = self.0.refusals.admit(&delivery.trigger_id, delivery.received_at) else { return };
        let reason = delivery.reason.as_deref().map(|reason| self.0.masker.mask_cut(reason).into_owned());
        let reason = match (reason, left_out) {
            (reason, 0) => reason,
            (reason, n) => Some(format!("{} ({n} more before it are not listed)", reason.unwrap_or_default())),
        };
        let trigger_id = Arc::clone(&delivery.trigger_id);
        if let Err(error) = self.0.store.record_delivery(NewDelivery { reason, ..delivery }).await {
            tracing::warn!(trigger.id = &*trigger_id, %error, "could not write down a delivery of trigger {trigger_id}");
        }
    }
}

/// How a request is to be dealt with.
struct Work {
    sent: Sent,
    wait: Option<Duration>,
    audit: Option<AuditEntry>,
}

/// How a request came.
#[derive(Clone)]
struct Sent {
    content_type: Option<String>,
    method: &'static str,
}

/// A request that was read.
struct Read {
    content: Content,
    trigger: Json,
}

/// What `$.trigger` shows of a delivery.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(rename = "type")]
    trigger_type: &'static str,
    id: &'a str,
    key: &'a str,
    path: Option<&'a str>,
    method: &'static str,
    headers: &'a Json,
    query: Value,
    delivery_id: Option<&'a str>,
}

/// The sender's id of a request that comes from who knows a secret.
fn checked(endpoint: &Endpoint, request: &Request, at: Timestamp) -> Result<Option<String>, verify::Refusal> {
    let Endpoint { config, secrets, .. } = endpoint;
    let known = match verify::verify(config.scheme, secrets, &request.headers, &request.body, at) {
        verify::Verdict::Accepted { delivery_id } => delivery_id,
        verify::Verdict::Refused(refusal) => return Err(refusal),
    };
    let named = config.dedupe_header.as_deref().map(|name| verify::named(&request.headers, name)).transpose()?;
    Ok(named.flatten().or(known))
}

fn read_now(
    endpoint: &Endpoint,
    delivery: &NewDelivery,
    body: Bytes,
    sent: &Sent,
    masker: &Masker,
) -> Result<Read, ContentError> {
    let content = content::read(sent.content_type.as_deref(), content::text(body)?, masker)?;
    let trigger = &endpoint.trigger;
    let shown = Shown {
        trigger_type: trigger.trigger_type.as_str(),
        id: &trigger.id,
        key: &trigger.key,
        path: trigger.path.as_deref(),
        method: sent.method,
        headers: &delivery.headers,
        query: content::pairs(delivery.query.as_deref().unwrap_or_default().as_bytes())?,
        delivery_id: delivery.delivery_key.as_deref(),
    };
    Ok(Read { content, trigger: Json::of(&shown) })
}

/// Runs what takes long on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
