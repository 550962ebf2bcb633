//! Deliveries to be written down, without secrets.

use std::sync::Arc;

use uuid::Uuid;
use weir_engine::id::Timestamp;

use super::{Endpoint, Headers};
use crate::{
    driver::Companions,
    secrets::Masker,
    store::{AuditEntry, Companion, DeliveryVerdict, NewDelivery},
};

/// The most bytes of a reason.
const REASON_BYTES_MAX: usize = 1_000;

/// A delivery of which no more is known than that it came.
pub(super) fn draft(
    masker: &Masker,
    endpoint: &Endpoint,
    headers: &Headers,
    query: Option<&str>,
    at: Timestamp,
) -> NewDelivery {
    NewDelivery {
        id: Uuid::now_v7().to_string().into(),
        trigger_id: Arc::clone(&endpoint.trigger.id),
        delivery_key: None,
        verdict: DeliveryVerdict::Refused,
        reason: None,
        execution_id: None,
        resent_from: None,
        headers: masker.mask_json(headers.shown()),
        query: query.map(|query| masker.mask_text(query).into()),
        body: None,
        received_at: at,
    }
}

pub(super) fn with(delivery: NewDelivery, verdict: DeliveryVerdict) -> NewDelivery {
    NewDelivery { verdict, ..delivery }
}

/// A delivery that is not taken.
pub(super) fn refused(delivery: NewDelivery, reason: String) -> NewDelivery {
    NewDelivery { reason: Some(clipped(reason)), body: None, ..with(delivery, DeliveryVerdict::Refused) }
}

/// What is written with the start.
pub(super) fn companions(delivery: NewDelivery, audit: Option<AuditEntry>) -> Companions {
    Companions::new(move |execution_id| {
        let execution_id = Some(Arc::clone(execution_id));
        let delivery = NewDelivery { execution_id, ..with(delivery.clone(), DeliveryVerdict::Started) };
        let audit = audit.clone().map(Companion::Audit);
        [Companion::Delivery(delivery)].into_iter().chain(audit).collect()
    })
}

pub(super) fn clipped(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}
