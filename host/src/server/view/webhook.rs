//! Deliveries and secrets of webhooks as clients see them.

use serde::Serialize;
use utoipa::ToSchema;
use weir_engine::json::Json;

use super::Time;
use crate::{
    store::DeliveryRow,
    trigger::webhook::{MadeSecret, SecretInfo},
};

/// A request that came in at a webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// The trigger.
    pub trigger_id: String,
    /// The sender's id of it; copies have the same.
    pub delivery_key: Option<String>,
    /// `started`, `duplicate`, `filtered`, `refused` or `failed`.
    pub verdict: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// What it started, or what the first of its copies did.
    pub execution_id: Option<String>,
    /// The delivery that it repeats.
    pub resent_from: Option<String>,
    /// Its headers, without credentials.
    #[schema(value_type = Object)]
    pub headers: Json,
    /// Its query as it came.
    pub query: Option<String>,
    /// The bytes of its body; null where it was not kept.
    pub body_bytes: Option<u64>,
    /// Its body; null in lists, and where it was not kept.
    pub body: Option<String>,
    /// When it came in.
    pub received_at: Time,
}

/// A secret without its value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SecretView {
    /// Its id.
    pub id: String,
    /// When it was added.
    pub created_at: Time,
    /// Who added it.
    pub created_by: String,
}

/// A secret that was added: the only answer that shows its value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SecretAddedView {
    /// Its id.
    pub id: String,
    /// Its value.
    pub secret: String,
}

/// A secret that was made for a trigger when its workflow was saved: the only answer that shows its value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SecretMadeView {
    /// The trigger.
    pub trigger_id: String,
    /// The secret's id.
    pub id: String,
    /// Its value.
    pub secret: String,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
        Self {
            id: row.id.to_string(),
            trigger_id: row.trigger_id.to_string(),
            delivery_key: text(row.delivery_key),
            verdict: row.verdict.as_str(),
            reason: row.reason,
            execution_id: text(row.execution_id),
            resent_from: text(row.resent_from),
            headers: row.headers,
            query: text(row.query),
            body_bytes: row.body_bytes,
            body: text(row.body),
            received_at: Time(row.received_at),
        }
    }
}

impl From<MadeSecret> for SecretMadeView {
    fn from(made: MadeSecret) -> Self {
        Self { trigger_id: made.trigger_id.to_string(), id: made.id, secret: made.secret.reveal().to_owned() }
    }
}

impl From<SecretInfo> for SecretView {
    fn from(info: SecretInfo) -> Self {
        Self { id: info.id.to_string(), created_at: Time(info.created_at), created_by: info.created_by }
    }
}
