//! What stands in a request's line: names in the path, parameters in the query.

use axum::{
    extract::{FromRequestParts, Path, rejection::PathRejection},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use weir_engine::id::CallId;

use super::error::{ApiError, Code};

/// Items of a page where the client says nothing.
const LIMIT_DEFAULT: u32 = 50;
/// The most items of a page.
pub(super) const LIMIT_MAX: u32 = 199;

/// Names in the path, percent-decoded.
#[derive(Debug)]
pub(super) struct Names<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let names = Path::<T>::from_request_parts(parts, state).await;
        names.map(|Path(names)| Self(names)).map_err(|e: PathRejection| {
            ApiError::new(Code::RouteNotFound, "a name in the path cannot be read").with_source(e)
        })
    }
}

/// The query's parameters as a `T`; unknown and doubled ones are refused where `T` refuses them.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|e| {
            use std::error::Error as _;
            let reason = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            ApiError::new(Code::InvalidQuery, format!("could not read the query: {reason}"))
        })
    }
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl Paging {
    pub(super) fn new(limit: Option<u32>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// How many items, within bounds.
    pub(super) fn limit(&self) -> Result<u32, ApiError> {
        match self.limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(ApiError::query("limit", format!("it must be 1 to {LIMIT_MAX}"))),
        }
    }

    /// Where the page before ended, as `read` understands it.
    pub(super) fn cursor<'a, T>(&'a self, read: impl Fn(&'a str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let Some(cursor) = self.cursor.as_deref() else { return Ok(None) };
        let wrong = || ApiError::query("cursor", "send back `next_cursor` of the page before as it was");
        read(cursor).map(Some).ok_or_else(wrong)
    }
}

/// Reads an execution's id, so that nothing else reaches the store.
pub(super) fn execution_id(text: &str) -> Result<String, ApiError> {
    uuid(text).ok_or_else(|| {
        ApiError::new(
            Code::ExecutionNotFound,
            "there is no such execution: its id is a UUID, check that it is complete",
        )
    })
}

/// Reads a question's id: `EXECUTION.NUMBER`.
pub(super) fn approval_id(text: &str) -> Result<(String, CallId), ApiError> {
    read_approval_id(text).ok_or_else(|| {
        let detail = "there is no such approval: its id is an execution's id, a dot and a number";
        ApiError::new(Code::ApprovalNotFound, detail)
    })
}

/// The parts of a question's id; `None` for anything else.
pub(super) fn read_approval_id(text: &str) -> Option<(String, CallId)> {
    let (execution, call) = text.split_once('.')?;
    Some((uuid(execution)?, CallId(call.parse().ok()?)))
}

/// A UUID in its usual spelling; `None` for anything else.
pub(super) fn uuid(text: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(text).ok()?;
    Some(id.hyphenated().to_string())
}

/// Whether a text can be a plugin's or tool's name.
pub(super) fn is_name(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=64).contains(&text.len()) && text.as_bytes()[0].is_ascii_lowercase() && text.bytes().all(is_inner)
}

/// Reads an RFC 3339 instant of a query.
pub(super) fn instant(name: &str, text: Option<&str>) -> Result<Option<weir_engine::id::Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Ok(Some(weir_engine::id::Timestamp(instant.as_microsecond()))),
        Err(_) => Err(ApiError::query(name, "it must be a time such as 2026-01-31T12:00:00Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_checked_before_use() {
        assert!(is_name("text") && is_name("a_1"));
        for bad in ["", "1a", "_a", "A", "a-b", "../etc", "a/b", "é", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(execution_id("0193b0a0-0000-7000-8000-000000000000").is_ok());
        assert!(execution_id("..%2f").is_err() && execution_id("").is_err());
    }

    #[test]
    fn pages_have_bounds() {
        assert_eq!(Paging::default().limit().unwrap(), LIMIT_DEFAULT);
        assert!(Paging::new(Some(0), None).limit().is_err());
        assert!(Paging::new(Some(LIMIT_MAX + 1), None).limit().is_err());
        assert_eq!(Paging::new(None, Some("7".into())).cursor(|c| c.parse::<u32>().ok()).unwrap(), Some(7));
        assert!(Paging::new(None, Some("x".into())).cursor(|c| c.parse::<u32>().ok()).is_err());
    }
}
