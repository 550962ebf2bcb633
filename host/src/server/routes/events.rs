//! Events: taken as CloudEvents 1.0, listed, shown.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::{
    server::{
        App,
        act::Act,
        body::EventsBody,
        error::{ApiError, Code},
        query::{Names, Paging, Query},
        view::{BusEventView, Page},
    },
    store::{BACKLOG_MAX, BusEventFilter},
};

/// The most characters of a filter.
const FILTER_CHARACTERS_MAX: usize = 1_024;

/// What became of the events of a request. They are durable, and each starts what waits for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsAccepted {
    /// How many were new.
    accepted: u64,
    /// How many had been stored before, with the same source and id: they start nothing again.
    duplicates: u64,
}

/// Which events to list. Everything that is given must hold.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those of this type, exactly.
    r#type: Option<String>,
    /// Only those of this source.
    source: Option<String>,
    /// Items of a page: 1 to 199, default 50.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Takes events (CloudEvents 1.0): one in the structured mode (`application/cloudevents+json`), up to 100 in a batch
/// (`application/cloudevents-batch+json`), or one in the binary mode (`ce-` headers, any body). All are stored, or none.
#[utoipa::path(post, path = "/api/events", tag = "events",
    request_body(content = Object, content_type = "application/cloudevents+json", description = "an event"),
    responses((status = 202, description = "they are durable", body = EventsAccepted)))]
pub(crate) async fn send(
    State(app): State<App>,
    act: Act,
    EventsBody(mut events): EventsBody,
) -> Result<Response, ApiError> {
    let masker = app.secrets.masker();
    for event in &mut events {
        event.event = masker.mask_json(event.event.clone());
        let named = [&mut event.id, &mut event.source, &mut event.event_type];
        for text in named.into_iter().chain(&mut event.subject) {
            *text = masker.mask_text(text).into_owned();
        }
    }
    if app.store.backlog().await? >= BACKLOG_MAX {
        let detail = format!("{BACKLOG_MAX} events wait to be dispatched; send again later");
        return Err(ApiError::new(Code::Unavailable, detail));
    }
    let first = events.first().map(|event| format!("{} {}", event.source, event.id)).unwrap_or_default();
    let entry = act.done(first).with(json!({ "events": events.len() }));
    let accepted = app.store.audited(entry).accept_events(&events).await?;
    let duplicates = (events.len() as u64).saturating_sub(accepted);
    Ok((StatusCode::ACCEPTED, Json(EventsAccepted { accepted, duplicates })).into_response())
}

/// Lists events, newest first: all that came from outside, and the host's own (source `weir:host`) that a trigger waited
/// for when they happened.
#[utoipa::path(get, path = "/api/events", tag = "events", params(ListQuery),
    responses((status = 200, description = "a page of events", body = Page<BusEventView>)))]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<BusEventView>>, ApiError> {
    let paging = Paging::new(query.limit, query.cursor);
    let limit = paging.limit()?;
    let before = paging.cursor(|cursor| cursor.parse().ok())?;
    let filter = BusEventFilter { event_type: text("type", query.r#type)?, source: text("source", query.source)? };
    let rows = app.store.bus_events(&filter, before, limit + 1).await?;
    Ok(Json(Page::new(rows, limit, |row| row.seq.to_string(), BusEventView::from)))
}

fn text(name: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    if text.as_ref().is_some_and(|text| text.is_empty() || text.chars().count() > FILTER_CHARACTERS_MAX) {
        return Err(ApiError::query(name, format!("it must have 1 to {FILTER_CHARACTERS_MAX} characters")));
    }
    Ok(text)
}

/// Shows an event.
#[utoipa::path(get, path = "/api/events/{seq}", tag = "events", params(("seq" = u64, Path, description = "its number")),
    responses((status = 200, description = "the event", body = BusEventView)))]
pub(crate) async fn show(State(app): State<App>, Names(seq): Names<String>) -> Result<Json<BusEventView>, ApiError> {
    let missing = || ApiError::new(Code::EventNotFound, "there is no such event; GET /api/events lists them");
    let seq: u64 = seq.parse().map_err(|_| missing())?;
    Ok(Json(app.store.bus_event(seq).await?.ok_or_else(missing)?.into()))
}
