//! Chunks of a log: what one row of `events` holds. Pure.

use std::sync::Arc;

use serde_json::value::RawValue;
use weir_engine::{
    event::{Event, Record},
    id::{Seq, Timestamp},
};

/// A chunk is closed when it holds so many bytes; one event may be larger.
const BYTES_MAX: usize = 256 * 1024;
/// A chunk holds at most so many events.
const RECORDS_MAX: usize = 512;

/// Events of one execution without gaps, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// The number of the first.
    pub(super) seq: Seq,
    /// An array of `[at, event]`.
    pub(super) data: Arc<str>,
}

/// Puts records, whose numbers have no gaps, into chunks.
pub(super) fn encode(records: &[Record]) -> Result<Vec<Chunk>, serde_json::Error> {
    let mut chunks = Vec::with_capacity(1);
    let mut data = String::with_capacity(2048);
    let mut first = 0;
    for (index, record) in records.iter().enumerate() {
        data.push(if index == first { '[' } else { ',' });
        data.push_str(&serde_json::to_string(&(record.at, &record.event))?);
        let full = data.len() >= BYTES_MAX || index + 1 - first >= RECORDS_MAX;
        if full || index + 1 == records.len() {
            data.push(']');
            chunks.push(Chunk { seq: records[first].seq, data: std::mem::take(&mut data).into() });
            first = index + 1;
        }
    }
    Ok(chunks)
}

/// The events of a chunk that lie within `seqs`.
pub(super) fn decode(seq: Seq, data: &str, seqs: impl Fn(Seq) -> bool) -> Result<Vec<Record>, serde_json::Error> {
    let items: Vec<(Timestamp, &RawValue)> = serde_json::from_str(data)?;
    (seq..)
        .zip(items)
        .filter(|(seq, _)| seqs(*seq))
        .map(|(seq, (at, event))| Ok(Record { seq, at, event: serde_json::from_str::<Event>(event.get())? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use weir_engine::{id::CallId, json::Json};

    use super::*;

    fn records(count: u64, output: &str) -> Vec<Record> {
        let output = Json::parse(output).unwrap();
        let event = Event::ExecutionCompleted { output, skipped: Vec::new() };
        (1..=count).map(|seq| Record { seq, at: Timestamp(seq.cast_signed()), event: event.clone() }).collect()
    }

    #[test]
    fn what_was_encoded_is_decoded_again() {
        let mut all = records(3, r#"{"a": 1.10, "b": "\u0000ü"}"#);
        all.push(Record { seq: 4, at: Timestamp(9), event: Event::AttemptStarted { call: CallId(2), attempt: 1 } });
        let chunks = encode(&all).unwrap();
        assert_eq!(chunks.len(), 1);
        assert_eq!(decode(1, &chunks[0].data, |_| true).unwrap(), all);
        assert_eq!(decode(1, &chunks[0].data, |seq| seq == 4).unwrap(), all[3..]);
    }

    #[test]
    fn chunks_are_split_by_count_and_by_size() {
        let firsts = |records: &[Record]| encode(records).unwrap().iter().map(|chunk| chunk.seq).collect::<Vec<_>>();
        assert_eq!(firsts(&records(1025, "1")), [1, 513, 1025]);
        let large = format!("\"{}\"", "x".repeat(BYTES_MAX));
        assert_eq!(firsts(&records(3, &large)), [1, 2, 3]);
        assert_eq!(firsts(&[]), [0_u64; 0]);
    }
}
