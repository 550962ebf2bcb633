//! Notices to anybody's URL, signed as Standard Webhooks has it.

use serde_json::{Value, json};
use weir_engine::id::Timestamp;

use super::{
    Notice, SendError, WebhookChannel,
    notice::{rfc3339, seconds},
    post, secret,
};
use crate::{
    egress::Egress,
    webhook_signature::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign},
};

/// Posts a notice. Id and body are the same each time that it is sent, time and signature are not.
pub(super) async fn send(
    egress: &Egress,
    channel: &WebhookChannel,
    notice: &Notice,
    sent_at: Timestamp,
) -> Result<(), SendError> {
    let text = secret::read(channel.secret.as_ref(), channel.secret_file.as_deref()).await?;
    let secret = SigningSecret::parse(&text).map_err(|error| SendError::lasting(&error.to_string()))?;
    let (body, timestamp) = (post::body(&payload(notice)), seconds(sent_at));
    let signed = [
        (ID_HEADER, notice.id.clone()),
        (TIMESTAMP_HEADER, timestamp.to_string()),
        (SIGNATURE_HEADER, sign(&secret, &notice.id, timestamp, &body)),
    ];
    post::post(egress, channel.url.clone(), body, signed).await
}

fn payload(notice: &Notice) -> Value {
    let approval = &notice.approval;
    json!({
        "type": notice.kind.event_type(),
        "timestamp": rfc3339(notice.at),
        "data": {
            "title": notice.title_line(),
            "text": notice.body(),
            "link": notice.link,
            "approval": {
                "id": approval.id,
                "workflow": approval.workflow,
                "execution_id": approval.execution_id,
                "step_id": approval.step_id,
                "options": notice.options(),
                "due": approval.due.map(rfc3339),
            },
        },
    })
}
