//! Deliveries and secrets of webhooks: what came in, what became of it, and what proves where it comes from.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::workflows::PageQuery;
use crate::{
    server::{
        App,
        act::Act,
        body::Fields,
        error::{ApiError, Code, Problem},
        query::{Names, Query, uuid},
        view::{DeliveryView, Page, SecretAddedView, SecretView},
    },
    store::TriggerRow,
    trigger::webhook::{Received, ResendError, SecretError},
    vault::Secret,
};

/// Lists what came in at a trigger, newest first, without bodies.
#[utoipa::path(get, path = "/api/triggers/{trigger}/deliveries", tag = "webhooks",
    params(("trigger" = String, Path, description = "its id"), PageQuery),
    responses((status = 200, description = "a page of deliveries", body = Page<DeliveryView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Names(trigger): Names<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DeliveryView>>, ApiError> {
    let paging = query.paging();
    let limit = paging.limit()?;
    let before = paging.cursor(uuid)?;
    let trigger = known(&app, &trigger).await?;
    let rows = app.store.deliveries(&trigger.id, before.as_deref(), limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.id.to_string(), DeliveryView::from)))
}

/// Shows a delivery with its body.
#[utoipa::path(get, path = "/api/deliveries/{delivery}", tag = "webhooks",
    params(("delivery" = String, Path, description = "its id")),
    responses((status = 200, description = "the delivery", body = DeliveryView)))]
pub(crate) async fn show(
    State(app): State<App>,
    Names(delivery): Names<String>,
) -> Result<Json<DeliveryView>, ApiError> {
    let id = uuid(&delivery).ok_or_else(no_delivery)?;
    let row = app.store.delivery(&id).await?.ok_or_else(no_delivery)?;
    Ok(Json(row.into()))
}

/// What became of a delivery that was sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resent {
    /// The new delivery.
    delivery_id: String,
    /// The execution that it started; null where the trigger's filter did not let it pass.
    execution_id: Option<String>,
    /// `running` or `filtered`.
    status: &'static str,
}

/// Takes a stored delivery once more, as if it were new.
#[utoipa::path(post, path = "/api/deliveries/{delivery}/resend", tag = "webhooks",
    params(("delivery" = String, Path, description = "its id")),
    responses(
        (status = 202, description = "it was taken", body = Resent),
        (status = 409, description = "its body was not kept, or its trigger is gone or switched off", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn resend(
    State(app): State<App>,
    act: Act,
    Names(delivery): Names<String>,
) -> Result<(StatusCode, Json<Resent>), ApiError> {
    let id = uuid(&delivery).ok_or_else(no_delivery)?;
    let (delivery_id, execution_id, status) = match app.webhooks.resend(&id, &act.actor()).await? {
        Received::Started { delivery_id, execution_id, .. } => (delivery_id, Some(execution_id), "running"),
        Received::Filtered { delivery_id } => (delivery_id, None, "filtered"),
        // The key of what is resent is new.
        Received::Duplicate { execution_id } => (id.into(), Some(execution_id), "duplicate"),
    };
    let execution_id = execution_id.map(|id| id.to_string());
    Ok((StatusCode::ACCEPTED, Json(Resent { delivery_id: delivery_id.to_string(), execution_id, status })))
}

/// Lists the secrets of a trigger, without their values.
#[utoipa::path(get, path = "/api/triggers/{trigger}/secrets", tag = "webhooks",
    params(("trigger" = String, Path, description = "its id")),
    responses((status = 200, description = "its secrets, the oldest first", body = Page<SecretView>)))]
pub(crate) async fn secrets(
    State(app): State<App>,
    Names(trigger): Names<String>,
) -> Result<Json<Page<SecretView>>, ApiError> {
    let trigger = known(&app, &trigger).await?;
    let items = app.webhooks.secrets(&trigger.id).await?.into_iter().map(SecretView::from).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// A secret to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretBody {
    /// Its value, where the sender gives one; default: one is made.
    #[serde(default)]
    secret: Option<String>,
}

/// Adds a secret to a trigger, in force at once beside the others. The answer is the only one that shows it.
#[utoipa::path(post, path = "/api/triggers/{trigger}/secrets", tag = "webhooks",
    params(("trigger" = String, Path, description = "its id")), request_body = SecretBody,
    responses(
        (status = 201, description = "it is in force", body = SecretAddedView),
        (status = 409, description = "there are too many, or the trigger needs none", body = Problem, content_type = "application/problem+json"),
    ))]
pub(crate) async fn add_secret(
    State(app): State<App>,
    act: Act,
    Names(trigger): Names<String>,
    Fields(body): Fields<SecretBody>,
) -> Result<(StatusCode, Json<SecretAddedView>), ApiError> {
    let trigger = known(&app, &trigger).await?;
    app.workflow_to_change(&act, &trigger.workflow_id).await?;
    let made = app.webhooks.add_secret(&trigger, body.secret.map(Secret::new), &act.actor()).await?;
    Ok((StatusCode::CREATED, Json(SecretAddedView { id: made.id, secret: made.secret.reveal().to_owned() })))
}

/// Takes a secret away from a trigger: from now on it proves nothing.
#[utoipa::path(delete, path = "/api/triggers/{trigger}/secrets/{secret}", tag = "webhooks",
    params(("trigger" = String, Path, description = "the trigger's id"), ("secret" = String, Path, description = "the secret's id")),
    responses((status = 204, description = "it is gone")))]
pub(crate) async fn delete_secret(
    State(app): State<App>,
    act: Act,
    Names((trigger, secret)): Names<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let trigger = known(&app, &trigger).await?;
    app.workflow_to_change(&act, &trigger.workflow_id).await?;
    let missing = || ApiError::new(Code::SecretNotFound, "the trigger has no such secret");
    let secret = uuid(&secret).ok_or_else(missing)?;
    app.webhooks.delete_secret(&trigger.id, &secret, &act.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn known(app: &App, trigger: &str) -> Result<TriggerRow, ApiError> {
    let missing = || ApiError::new(Code::TriggerNotFound, "there is no such trigger");
    let id = uuid(trigger).ok_or_else(missing)?;
    app.store.trigger(&id).await?.ok_or_else(missing)
}

fn no_delivery() -> ApiError {
    ApiError::new(Code::DeliveryNotFound, "there is no such delivery; they are kept for a week")
}

impl From<ResendError> for ApiError {
    fn from(error: ResendError) -> Self {
        let detail = error.to_string();
        match error {
            ResendError::NotFound(_) => no_delivery(),
            ResendError::TriggerGone | ResendError::NoBody(_) => Self::new(Code::NotResendable, detail),
            ResendError::Receive(error) => error.into(),
            ResendError::Store(error) => error.into(),
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        let detail = error.to_string();
        match error {
            SecretError::NoWebhook(_) | SecretError::NoScheme => Self::new(Code::NoSecretNeeded, detail),
            SecretError::Unfit { .. } | SecretError::Vault(_) => Self::new(Code::InvalidFields, detail),
            SecretError::Store(error) => error.into(),
        }
    }
}
