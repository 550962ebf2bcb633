//! Requests over HTTP, and the plugin's own store: what a running call does outside by itself.

use std::sync::Arc;

use serde_json::json;
use weir_engine::{
    failure::{Failure, FailureCode},
    id::EffectId,
    json::Json,
};

use super::{
    Done, Entry, Running,
    http::{Way, plain_headers},
    kv::{self, Decided, Owner},
    masked_answer::MaskedAnswer,
};
use crate::{
    driver::task::Ask,
    egress::{Egress, HeaderMap, HostPort},
    grants::Granted,
    runtime::{HttpAnswer, HttpRequest, KvOperation},
    secrets::Masker,
    store::{Companion, EffectKind},
};

impl Running {
    /// Sends a request and records the answer.
    pub(super) async fn send_http(&self, id: EffectId, request: HttpRequest) -> Result<Json, Failure> {
        let entry = Entry::new(id, EffectKind::Http, shown(&request), &request);
        let key = self.idempotency_key(&entry.hash);
        let sent = async {
            let granted = self.granted();
            let result = match self.way(&granted, &key) {
                Ok(way) => way.send(&request, |url, headers| self.filled(&granted, url, headers)).await,
                Err(failure) => Err(failure),
            };
            Done::free(result)
        };
        self.recorded(&entry, sent).await
    }

    /// Sends a request whose answer streams. That it was sent is recorded, and the head of the answer.
    pub(super) async fn open_http(&self, id: EffectId, request: HttpRequest) -> Result<Box<dyn HttpAnswer>, Failure> {
        let entry = Entry::new(id, EffectKind::Stream, shown(&request), &request);
        let key = self.idempotency_key(&entry.hash);
        self.begin(Ask::Nothing(entry.id.clone()), &[&entry], true).await?;
        let granted = self.granted();
        let opened = match self.way(&granted, &key) {
            Ok(way) => way.open(&request, |url, headers| self.filled(&granted, url, headers)).await,
            Err(failure) => Err(failure),
        };
        let result = opened.as_ref().map(|answer| Json::from_value(json!({ "status": answer.status() })));
        let result = result.map_err(Clone::clone);
        self.end(&entry.id, Done::free(result), true).await?;
        let masker = &self.shared.inner.config.masker;
        opened.map(|answer| Box::new(MaskedAnswer::new(answer, masker)) as Box<dyn HttpAnswer>)
    }

    fn way<'w>(&'w self, granted: &'w Arc<Granted>, idempotency_key: &'w str) -> Result<Way<'w>, Failure> {
        Ok(Way { egress: self.egress()?, granted, caps: &self.caps, idempotency_key })
    }

    fn egress(&self) -> Result<&Egress, Failure> {
        let no_way = || Failure::new(FailureCode::Denied, "this host sends no requests for plugins");
        self.shared.inner.config.reach.egress.as_ref().ok_or_else(no_way)
    }

    fn filled(&self, granted: &Granted, url: &str, headers: &[(String, String)]) -> Result<HeaderMap, Failure> {
        match &self.shared.inner.config.reach.secrets {
            Some(secrets) => secrets.fill(|name| granted.secret(name), url, headers),
            None => plain_headers(url, headers),
        }
    }

    /// Does something with the plugin's own documents. What it writes is stored together with the record of its answer.
    pub(super) async fn use_kv(&self, id: EffectId, operation: KvOperation) -> Result<Json, Failure> {
        let operation = masked(operation, &self.shared.inner.config.masker);
        let entry = Entry::new(id, EffectKind::Kv, about(&operation), &operation);
        if let Some(known) = self.known(&entry).await? {
            return known;
        }
        // What comes to nothing outside needs no row on disk before it begins.
        self.begin(Ask::Nothing(entry.id.clone()), &[&entry], false).await?;
        let plugin: Arc<str> = self.target.plugin.as_str().into();
        let owner = Owner { plugin: &plugin, workflow_id: Some(&self.shared.workflow_id) };
        let done = match kv::decide(&self.shared.inner.store, &self.granted(), owner, &operation).await {
            Ok(Decided { answer, write }) => {
                let companions = write.into_iter().map(Companion::Kv).collect();
                Done { companions, ..Done::free(Ok(answer)) }
            }
            Err(failure) => Done::free(Err(failure)),
        };
        self.end(&entry.id, done, true).await
    }
}

/// A request by method and host: what it is for people, without what may be secret in its path.
fn shown(request: &HttpRequest) -> String {
    let target = url::Url::parse(&request.url).ok().as_ref().and_then(HostPort::of_url);
    let target = target.map_or_else(|| "?".to_owned(), |target| target.to_string());
    format!("{:.20} {target}", request.method)
}

/// An operation's name and key.
fn about(operation: &KvOperation) -> String {
    let (name, key) = match operation {
        KvOperation::Get { key, .. } => ("get", key),
        KvOperation::Set { key, .. } => ("set", key),
        KvOperation::Delete { key, .. } => ("delete", key),
        KvOperation::CompareAndSet { key, .. } => ("compare_and_set", key),
        KvOperation::Keys { prefix, .. } => ("keys", prefix),
    };
    format!("{name} {key:.200}")
}

/// The same operation, writing no secrets.
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
