//! What running calls do outside of the host, and what they keep in it: requests over HTTP, and documents.

use std::sync::{Arc, atomic::Ordering};

use serde_json::json;
use url::Url;
use weir_engine::{
    failure::{Failure, FailureCode},
    id::EffectId,
    json::Json,
    limits::Amounts,
};

use super::{
    Done, Entry, Running,
    http::{Way, plain_headers},
    kv::{Decided, Owner, decide},
    masked_answer::MaskedAnswer,
};
use crate::{
    driver::task::Ask,
    egress::{Egress, HeaderMap},
    grants::Granted,
    runtime::{HttpAnswer, HttpRequest, KvOperation},
    secrets::{Masker, Secrets},
    store::EffectKind,
};

/// Where the numbers of answers that stream begin. They are counted apart: languages' libraries begin requests beside each
/// other, in no order that a later run would keep.
const STREAMS_FROM: u32 = 1 << 30;

impl Running {
    /// Sends a request whose whole answer is recorded.
    pub(super) async fn send_request(&self, id: EffectId, request: HttpRequest) -> Result<Json, Failure> {
        let entry = Entry::new(id, EffectKind::Http, name(&request), &request);
        let key = self.idempotency_key(&entry.hash);
        if let Some(known) = self.known(&entry).await? {
            self.caps.sent_before();
            return known;
        }
        self.begin(Ask::Nothing(entry.id.clone()), &[&entry], true).await?;
        let (egress, secrets) = self.outside();
        let result = match egress {
            Some(egress) => {
                let granted = self.granted();
                let way = Way { egress, granted: &granted, caps: &self.caps, idempotency_key: &key };
                way.send(&request, |url, headers| filled(secrets, &granted, url, headers)).await
            }
            None => Err(no_way_out()),
        };
        self.end(&entry, Done::free(result), true).await
    }

    /// Sends a request whose answer streams. That it was sent is recorded, and with which status it was answered.
    pub(super) async fn stream_request(&self, request: HttpRequest) -> Result<Box<dyn HttpAnswer>, Failure> {
        let number = STREAMS_FROM.saturating_add(self.streams.fetch_add(1, Ordering::Relaxed));
        let entry = Entry::new(self.at.child(number), EffectKind::Stream, name(&request), &request);
        let key = self.idempotency_key(&entry.hash);
        self.begin(Ask::Nothing(entry.id.clone()), &[&entry], true).await?;
        let answer = self.opened(&request, &key).await;
        let told = match &answer {
            Ok(answer) => Ok(Json::from_value(json!({ "status": answer.status() }))),
            Err(failure) => Err(failure.clone()),
        };
        self.end(&entry, Done::free(told), true).await?;
        Ok(Box::new(MaskedAnswer::new(answer?, &self.shared.inner.config.masker)))
    }

    async fn opened(&self, request: &HttpRequest, key: &str) -> Result<Box<dyn HttpAnswer>, Failure> {
        let (egress, secrets) = self.outside();
        let egress = egress.ok_or_else(no_way_out)?;
        let granted = self.granted();
        let way = Way { egress, granted: &granted, caps: &self.caps, idempotency_key: key };
        way.open(request, |url, headers| filled(secrets, &granted, url, headers)).await
    }

    fn outside(&self) -> (Option<&Egress>, Option<&Secrets>) {
        let reach = &self.shared.inner.config.reach;
        (reach.egress.as_ref(), reach.secrets.as_ref())
    }

    /// Reads or writes documents of the plugin. What is written goes with the row that says so.
    pub(super) async fn work_on_documents(&self, id: EffectId, operation: KvOperation) -> Result<Json, Failure> {
        let operation = masked(operation, &self.shared.inner.config.masker);
        let entry = Entry::new(id, EffectKind::Kv, operation.name(), &operation);
        if let Some(known) = self.known(&entry).await? {
            return known;
        }
        // Nothing comes of it before its answer is stored, and with that its row.
        self.begin(Ask::Nothing(entry.id.clone()), &[&entry], false).await?;
        let (plugin, granted) = (Arc::from(&*self.target.plugin), self.granted());
        let owner = Owner { plugin: &plugin, workflow_id: Some(&self.shared.workflow_id) };
        let done = match decide(&self.shared.inner.store, &granted, owner, &operation).await {
            Ok(Decided { answer, write }) => {
                let companions = write.map(crate::store::Companion::Kv).into_iter().collect();
                Done { result: Ok(answer), used: Amounts::NONE, details: None, companions }
            }
            Err(failure) => Done::free(Err(failure)),
        };
        self.end(&entry, done, true).await
    }
}

/// The same operation, which writes no secrets.
fn masked(operation: KvOperation, masker: &Masker) -> KvOperation {
    match operation {
        KvOperation::Set { space, key, value } => KvOperation::Set { space, key, value: masker.mask_json(value) },
        KvOperation::CompareAndSet { space, key, expected, value } => {
            let value = value.map(|value| masker.mask_json(value));
            KvOperation::CompareAndSet { space, key, expected, value }
        }
        other @ (KvOperation::Get { .. } | KvOperation::Delete { .. } | KvOperation::Keys { .. }) => other,
    }
}

/// What a request is called: its method and where it goes, without what may be secret.
fn name(request: &HttpRequest) -> String {
    let url = Url::parse(&request.url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
    let port = url.as_ref().and_then(Url::port).map(|port| format!(":{port}")).unwrap_or_default();
    format!("{:.20} {host:.253}{port}", request.method)
}

/// The headers of a request, with the secrets that they name.
fn filled(
    secrets: Option<&Secrets>,
    granted: &Granted,
    url: &str,
    headers: &[(String, String)],
) -> Result<HeaderMap, Failure> {
    match secrets {
        Some(secrets) => secrets.fill(|name| granted.secret(name), url, headers),
        None => plain_headers(url, headers),
    }
}

fn no_way_out() -> Failure {
    Failure::new(FailureCode::Denied, "could not send a request: this host lets nothing out")
}
