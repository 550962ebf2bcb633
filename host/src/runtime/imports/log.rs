//! `weir:plugin/log` and the standard streams: lines for the step's log, capped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncWrite, sink};
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};
use weir_engine::event::LogLine;

use super::CallState;
use crate::runtime::{
    bindings::weir::plugin::log::{Host, Level},
    text::neutral,
};

/// Lines of one call.
pub(crate) const LINES_MAX: usize = 1_000;
/// Bytes of all lines of one call.
pub(crate) const LOG_BYTES_MAX: usize = 64 << 10;
/// Bytes of one line.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Lines that a failure quotes.
const LAST_WORDS: usize = 2;
/// What a stream takes at a time.
const STREAM_BYTES: usize = 64 << 10;

/// The log of one call as it grows.
#[derive(Debug, Default)]
pub(in crate::runtime) struct LogBuffer {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: u64,
    output: Vec<u8>,
    error: Vec<u8>,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

impl LogBuffer {
    /// Adds a line, or counts it as dropped.
    fn push(&mut self, level: &'static str, message: &str) {
        if self.lines.len() >= LINES_MAX || self.bytes >= LOG_BYTES_MAX {
            self.dropped += 1;
            return;
        }
        let message = neutral(message, LINE_BYTES_MAX.min(LOG_BYTES_MAX - self.bytes));
        self.bytes += message.len();
        self.lines.push(LogLine { level: level.to_owned(), message });
    }

    /// Adds a line of the host's own.
    pub(super) fn warn(&mut self, message: &str) {
        self.push("warn", message);
    }

    /// Adds what was written to a standard stream, line by line.
    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.extend(stream, &rest[..end]);
            self.flush(stream);
            rest = &rest[end + 1..];
        }
        self.extend(stream, rest);
    }

    fn partial(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        }
    }

    fn extend(&mut self, stream: Stream, bytes: &[u8]) {
        let partial = self.partial(stream);
        let room = LINE_BYTES_MAX.saturating_sub(partial.len());
        partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn flush(&mut self, stream: Stream) {
        let line = std::mem::take(self.partial(stream));
        let level = match stream {
            Stream::Output => "info",
            Stream::Error => "error",
        };
        if !line.is_empty() {
            self.push(level, &String::from_utf8_lossy(&line));
        }
    }

    /// The lines, and how many are missing.
    pub(in crate::runtime) fn finish(&mut self) -> Vec<LogLine> {
        self.flush(Stream::Output);
        self.flush(Stream::Error);
        let mut lines = std::mem::take(&mut self.lines);
        if self.dropped > 0 {
            let message = format!(
                "{} lines dropped: a call may log {LINES_MAX} lines of {LOG_BYTES_MAX} bytes together",
                self.dropped
            );
            lines.push(LogLine { level: "warn".to_owned(), message });
        }
        lines
    }

    /// The last lines of level `error`: what a panic says before it traps.
    pub(in crate::runtime) fn last_words(&mut self) -> Option<String> {
        self.flush(Stream::Error);
        let errors = self.lines.iter().filter(|line| line.level == "error" && !line.message.starts_with("note: "));
        let mut words: Vec<&str> = errors.rev().take(LAST_WORDS).map(|line| line.message.as_str()).collect();
        words.reverse();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// The log, also after a panic of another holder.
pub(in crate::runtime) fn locked(log: &Mutex<LogBuffer>) -> MutexGuard<'_, LogBuffer> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host for CallState {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.count(message.len())?;
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        locked(&self.log).push(level, &message);
        Ok(())
    }
}

/// A standard stream of the plugin: its lines go to the log.
#[derive(Clone)]
pub(super) struct Console {
    log: Arc<Mutex<LogBuffer>>,
    stream: Stream,
}

impl Console {
    pub(super) fn output(log: Arc<Mutex<LogBuffer>>) -> Self {
        Self { log, stream: Stream::Output }
    }

    pub(super) fn error(log: Arc<Mutex<LogBuffer>>) -> Self {
        Self { log, stream: Stream::Error }
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Console {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        locked(&self.log).write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_BYTES)
    }
}
