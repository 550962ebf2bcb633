//! What was seen from outside, in a file that is synced before it counts. The host must never contradict it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::api::Event;

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// A start is about to be sent; whether it arrives is open.
    Sent {
        /// Which start.
        n: u64,
    },
    /// A start was accepted.
    Accepted {
        /// Which start.
        n: u64,
        /// The execution.
        execution: String,
    },
    /// An event was told.
    Told {
        /// The execution.
        execution: String,
        /// The event's number.
        seq: u64,
        /// Its type.
        kind: String,
        /// Its facts, as text: reading and writing a number twice may change its last digit.
        data: String,
    },
    /// An answer to a question was taken.
    Answered {
        /// The execution.
        execution: String,
        /// The question.
        approval: u64,
        /// The option.
        option: String,
    },
}

impl Seen {
    /// An event of an execution.
    #[must_use]
    pub fn told(execution: &str, event: &Event) -> Self {
        let data = event.data.to_string();
        Self::Told { execution: execution.to_owned(), seq: event.seq, kind: event.kind.clone(), data }
    }
}

/// An append-only file of what was seen.
pub struct Ledger {
    file: Mutex<File>,
}

impl Ledger {
    /// A new one.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::options().create_new(true).append(true).open(path).context("making a ledger")?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes down what was seen, durably.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, seen: &[Seen]) -> Result<()> {
        let mut text = String::new();
        for one in seen {
            text.push_str(&serde_json::to_string(one)?);
            text.push('\n');
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).context("writing to the ledger")
    }

    /// Everything that was seen, in order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path) -> Result<Vec<Seen>> {
        let file = BufReader::new(File::open(path).context("opening the ledger")?);
        file.lines().map(|line| serde_json::from_str(&line?).context("reading the ledger")).collect()
    }
}
