//! Events of an execution as they happen: first those that are stored, then those that are being committed, each once.
//!
//! The stream subscribes before it reads the store, so nothing falls between; what comes twice is told apart by its
//! number. A client that lost the connection names the last number it saw and gets the rest.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{self, error::RecvError},
};
use utoipa::ToSchema;
use weir_engine::{
    event::{Event, Record},
    id::{CallId, EffectId, Seq},
};

use super::{
    App,
    error::{ApiError, Code},
    view::{Page, Time},
};
use crate::driver::{Heard, Piece};

/// A comment goes out after this long without an event, so that dead connections are noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events that are read from the store at a time.
const HISTORY_CHUNK: usize = 200;
/// Wait before an execution is subscribed to again whose task went away.
const RESUBSCRIBE: Duration = Duration::from_millis(200);

/// One event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Its number in the execution's log, from 1.
    seq: Seq,
    /// When it was decided.
    at: Time,
    /// What happened: `execution_started`, `step_started`, `step_completed`, …
    r#type: String,
    /// Its facts.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl EventView {
    fn new(record: &Record) -> Result<Self, ApiError> {
        // An event is written as {"type": facts}.
        let text = serde_json::to_string(&record.event).map_err(ApiError::internal)?;
        let parts = text.strip_prefix("{\"").and_then(|rest| rest.strip_suffix('}')?.split_once("\":"));
        let (name, facts) = parts.ok_or_else(|| ApiError::internal(anyhow::anyhow!("an event has no type")))?;
        let data = RawValue::from_string(facts.to_owned()).map_err(ApiError::internal)?;
        Ok(Self { seq: record.seq, at: Time(record.at), r#type: name.to_owned(), data })
    }

    fn write(&self, frame: &mut String) -> Result<(), ApiError> {
        use std::fmt::Write as _;
        // Documents are kept as they came, line breaks between their tokens included; a line break would end the frame.
        let data = serde_json::to_string(self).map_err(ApiError::internal)?.replace(['\n', '\r'], " ");
        write!(frame, "id: {}\nevent: {}\ndata: {data}\n\n", self.seq, self.r#type).map_err(ApiError::internal)
    }
}

/// A piece of an answer that a model is giving. It has no number: it is not kept, and who missed it reads the whole answer
/// in the step's transcript.
#[derive(Debug, Serialize)]
struct PieceView<'p> {
    /// The visit of the step that asked.
    call: CallId,
    /// Which effect of it.
    effect: &'p EffectId,
    /// The text.
    text: &'p str,
}

impl<'p> PieceView<'p> {
    fn new(piece: &'p Piece) -> Self {
        Self { call: piece.call, effect: &piece.effect, text: &piece.text }
    }

    fn frame(&self) -> Result<String, ApiError> {
        let data = serde_json::to_string(self).map_err(ApiError::internal)?;
        Ok(format!("event: model_text\ndata: {data}\n\n"))
    }
}

/// A page of the events that happened after number `after`.
pub(super) async fn page(app: &App, id: &str, after: Seq, limit: u32) -> Result<Page<EventView>, ApiError> {
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut records = app.store.load_from(id, after, count + 1).await?;
    let is_last = records.len() <= count;
    records.truncate(count);
    let next_cursor = records.last().filter(|_| !is_last).map(|record| record.seq.to_string());
    Ok(Page { items: records.iter().map(EventView::new).collect::<Result<_, _>>()?, next_cursor })
}

/// The stream of an execution's events after number `after`, until its end.
pub(super) fn stream(app: App, id: Arc<str>, after: Seq) -> Result<Response, ApiError> {
    let busy =
        |_| ApiError::new(Code::TooManyStreams, "close other event streams, or ask for ?format=json from time to time");
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(busy)?;
    let receiver = app.driver.subscribe(&id);
    let feed = Feed { app, id, receiver, seen: after, phase: Phase::History, _place: place };
    let frames = stream::unfold(feed, |mut feed| async {
        let frame = feed.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(frame)), feed))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// One client's way through an execution's log.
struct Feed {
    app: App,
    id: Arc<str>,
    receiver: broadcast::Receiver<Heard>,
    /// The number of the last event that was sent.
    seen: Seq,
    phase: Phase,
    /// Held as long as the stream is open.
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Reads the store.
    History,
    /// Hears of what is committed.
    Live,
    /// Has told the end.
    Ended,
}

impl Feed {
    /// The next bytes to send; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            let frame = match self.phase {
                Phase::History => self.history().await,
                Phase::Live => self.live().await,
                Phase::Ended => return None,
            };
            match frame {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(error) => {
                    // The client comes back and names what it saw last.
                    tracing::warn!(execution.id = &*self.id, "an event stream of {} broke off: {error:?}", self.id);
                    return None;
                }
            }
        }
    }

    async fn history(&mut self) -> Result<Option<String>, ApiError> {
        let records = self.app.store.load_from(&self.id, self.seen, HISTORY_CHUNK).await?;
        if records.is_empty() {
            self.phase = Phase::Live;
        }
        self.tell(&records)
    }

    async fn live(&mut self) -> Result<Option<String>, ApiError> {
        tokio::select! {
            news = self.receiver.recv() => match news {
                Ok(Heard::Events(records)) if records.first().is_some_and(|first| first.seq > self.seen + 1) => {
                    self.read_again()
                }
                Ok(Heard::Events(records)) => self.tell(&records),
                Ok(Heard::Piece(piece)) => PieceView::new(&piece).frame().map(Some),
                Err(RecvError::Lagged(_)) => self.read_again(),
                Err(RecvError::Closed) => {
                    tokio::time::sleep(RESUBSCRIBE).await;
                    self.receiver = self.app.driver.subscribe(&self.id);
                    self.read_again()
                }
            },
            () = tokio::time::sleep(KEEP_ALIVE) => Ok(Some(": keep-alive\n\n".to_owned())),
            () = self.app.shutdown.begun() => {
                self.phase = Phase::Ended;
                Ok(None)
            }
        }
    }

    /// Something was missed: the store has it.
    #[expect(clippy::unnecessary_wraps, reason = "stands beside calls that can fail")]
    fn read_again(&mut self) -> Result<Option<String>, ApiError> {
        self.phase = Phase::History;
        Ok(None)
    }

    /// The frames of the records that were not sent yet.
    fn tell(&mut self, records: &[Record]) -> Result<Option<String>, ApiError> {
        let mut frames = String::new();
        for record in records {
            if record.seq > self.seen {
                EventView::new(record)?.write(&mut frames)?;
            }
            // Also for who claims to have seen more than there is.
            if is_end(&record.event) {
                self.phase = Phase::Ended;
            }
        }
        self.seen = records.last().map_or(self.seen, |last| last.seq.max(self.seen));
        Ok((!frames.is_empty()).then_some(frames))
    }
}

/// Whether nothing can follow an event.
fn is_end(event: &Event) -> bool {
    matches!(
        event,
        Event::ExecutionCompleted { .. }
            | Event::ExecutionFailed { .. }
            | Event::ExecutionTimedOut { .. }
            | Event::ExecutionCancelled { .. }
    )
}

#[cfg(test)]
mod tests {
    use weir_engine::{id::Timestamp, json::Json};

    use super::*;

    #[test]
    fn a_frame_is_one_line_of_data() {
        let output = Json::parse("{\n \"a\": \"x\\ny\"\r\n}").unwrap();
        let record =
            Record { seq: 7, at: Timestamp(0), event: Event::ExecutionCompleted { output, skipped: Vec::new() } };
        let mut frame = String::new();
        EventView::new(&record).unwrap().write(&mut frame).unwrap();
        let lines: Vec<_> = frame.lines().collect();
        assert_eq!(lines[..2], ["id: 7", "event: execution_completed"]);
        let data: serde_json::Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], "execution_completed");
        assert_eq!(data["data"]["output"]["a"], "x\ny");
        assert_eq!(lines.len(), 4);
    }
}
