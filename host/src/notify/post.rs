//! A POST of JSON, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::SendError;
use crate::egress::{
    Caller, Egress, HeaderMap, Method, Policy, Request, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};

/// What the host calls itself.
const AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// The body as it goes over the wire.
pub(super) fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// Posts JSON. Only 2xx means that it was taken.
pub(super) async fn post(
    egress: &Egress,
    url: String,
    body: Bytes,
    signed: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<(), SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in signed {
        let value = HeaderValue::from_str(&value).map_err(|_| SendError::lasting("the notice's id is no header"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let request = Request { method: Method::POST, url, headers, body };
    let answer = egress.send(&Caller::new(Policy::any_public()), request).await?;
    judge(&answer)
}

/// Receivers are put right, move and are installed anew: whatever they say now, they may say something else in some
/// hours. Only "gone" is final.
fn judge(answer: &Response) -> Result<(), SendError> {
    if answer.status.is_success() {
        return Ok(());
    }
    let mut error =
        SendError::new(answer.status != StatusCode::GONE, &format!("the receiver answered {}", answer.status));
    error.retry_after = retry_after(&answer.headers);
    Err(error)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: &'static str) -> Result<(), SendError> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(retry_after))]);
        judge(&Response {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            url: String::new(),
            body: Bytes::new(),
        })
    }

    #[test]
    fn only_success_is_success_and_only_gone_is_final() {
        for status in [200, 201, 202, 204] {
            assert_eq!(judged(status, ""), Ok(()));
        }
        for status in [301, 302, 307, 400, 401, 404, 409, 429, 500, 503] {
            assert!(judged(status, "").unwrap_err().is_retryable, "{status}");
        }
        assert!(!judged(410, "").unwrap_err().is_retryable);
    }

    #[test]
    fn the_receiver_may_ask_for_time_in_seconds() {
        assert_eq!(judged(429, "30").unwrap_err().retry_after, Some(Duration::from_secs(30)));
        for wrong in ["", "-1", "soon", "1e9", "99999999999999999999999"] {
            assert_eq!(judged(429, wrong).unwrap_err().retry_after, None, "{wrong}");
        }
    }
}
