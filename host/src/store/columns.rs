//! Reading the columns of a row one after the other.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use sqlx::{Decode, Row as _, Sqlite, Type, sqlite::SqliteRow};
use weir_engine::id::{CallId, Timestamp};

use super::{PAGE_MAX, StoreError, error::database};

/// The columns of a row that were not read yet.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
    /// What the row is, for errors.
    what: &'static str,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r SqliteRow, what: &'static str) -> Self {
        Self { row, next: 0, what }
    }

    /// The next column.
    pub(super) fn next<T: Decode<'r, Sqlite> + Type<Sqlite>>(&mut self) -> Result<T, StoreError> {
        let index = self.next;
        self.next += 1;
        self.row.try_get(index).map_err(|e| database("read a row", e))
    }

    pub(super) fn text(&mut self) -> Result<Arc<str>, StoreError> {
        Ok(self.next::<&str>()?.into())
    }

    pub(super) fn text_or_none(&mut self) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.next::<Option<&str>>()?.map(Into::into))
    }

    /// A number that is not negative, in whatever size is wanted.
    pub(super) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        let value: i64 = self.next()?;
        T::try_from(value).map_err(|_| self.corrupt(&format!("{value} is out of range")))
    }

    pub(super) fn number_or_none<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, StoreError> {
        let Some(value) = self.next::<Option<i64>>()? else { return Ok(None) };
        T::try_from(value).map(Some).map_err(|_| self.corrupt(&format!("{value} is out of range")))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.next().map(Timestamp)
    }

    pub(super) fn time_or_none(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.next::<Option<i64>>()?.map(Timestamp))
    }

    pub(super) fn call(&mut self) -> Result<CallId, StoreError> {
        self.number().map(CallId)
    }

    /// A JSON column.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        let text: &str = self.next()?;
        serde_json::from_str(text).map_err(|e| self.corrupt(&e.to_string()))
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.next()?;
        text.map(serde_json::from_str).transpose().map_err(|e| self.corrupt(&e.to_string()))
    }

    /// A word of a closed list.
    pub(super) fn word<T: Copy>(&mut self, all: &[T], as_str: impl Fn(T) -> &'static str) -> Result<T, StoreError> {
        self.word_or_none(all, as_str)?.ok_or_else(|| self.corrupt("a word is missing"))
    }

    pub(super) fn word_or_none<T: Copy>(
        &mut self,
        all: &[T],
        as_str: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.next::<Option<&str>>()? else { return Ok(None) };
        let found = all.iter().copied().find(|word| as_str(*word) == text);
        found.map(Some).ok_or_else(|| self.corrupt(&format!("unknown word {text:?}")))
    }

    pub(super) fn corrupt(&self, reason: &str) -> StoreError {
        StoreError::Corrupt { what: self.what.to_owned(), reason: reason.to_owned() }
    }
}

/// A number as SQLite keeps it; what does not fit is larger than anything stored.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit of a list.
pub(super) fn page(limit: u32) -> i64 {
    i64::from(limit.min(PAGE_MAX))
}
