//! Requests over HTTP for plugins: through the egress guard, where a plugin was granted it, within the caps of its call.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use weir_engine::{
    failure::{Failure, FailureCode},
    json::Json,
};

use crate::{
    egress::{
        self, Answer, Caller, Egress, EgressError, HeaderMap, Hosts, Method, Policy, check_url,
        header::{HeaderName, HeaderValue, USER_AGENT},
    },
    grants::Granted,
    runtime::{
        HttpAnswer, HttpBody, HttpRequest, HttpResponse, effect,
        limits::{HTTP_BODY_BYTES_MAX, HTTP_REQUESTS_MAX},
    },
};

/// The most bytes of one answer's body.
pub const ANSWER_BYTES_MAX: usize = 5 << 20;
/// The most bytes of all answers of one call.
pub const ANSWERS_BYTES_MAX: usize = 20 << 20;
/// The most redirects that are followed for one request.
pub const REDIRECTS_MAX: u32 = 5;
/// The most bytes of the head of a request or an answer.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// The longest time that one request takes, up to its answer's last byte.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(10);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Who we say we are where the plugin says nothing.
const OUR_NAME: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// What one call of a plugin has used. Clones are the same.
#[derive(Debug, Clone)]
pub struct HttpCaps {
    sent: Arc<Caller>,
    received: Arc<AtomicUsize>,
}

impl Default for HttpCaps {
    fn default() -> Self {
        Self { sent: Arc::new(Caller::new(Policy::any_public())), received: Arc::default() }
    }
}

impl HttpCaps {
    /// Counts a request that was sent before the call was interrupted.
    pub(super) fn sent_before(&self) {
        self.sent.count();
    }

    /// Counts bytes of an answer.
    fn receive(&self, bytes: usize) -> Result<(), Failure> {
        let before = self.received.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= ANSWERS_BYTES_MAX {
            return Ok(());
        }
        let message = format!("could not read an answer: those of a call may have {ANSWERS_BYTES_MAX} bytes together");
        Err(Failure::new(FailureCode::Failed, message))
    }
}

/// What the requests of one call share.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// The guard.
    pub egress: &'a Egress,
    /// Where the plugin may send what.
    pub granted: &'a Arc<Granted>,
    /// What the call has used.
    pub caps: &'a HttpCaps,
    /// Given to the other side, unless the request only reads or has a key of its own.
    pub idempotency_key: &'a str,
}

impl Way<'_> {
    /// Sends a request and reads the whole answer. `fill` makes the headers that are sent of those that the plugin wrote:
    /// [`plain_headers`], or what puts secrets in. The document is an [`HttpResponse`].
    ///
    /// # Errors
    /// [`FailureCode::Denied`] where it may not be sent, [`FailureCode::InvalidInput`] where it makes no sense,
    /// [`FailureCode::Unavailable`] where no answer comes, [`FailureCode::Failed`] where the answer is not taken.
    pub async fn send(
        self,
        request: &HttpRequest,
        fill: impl FnOnce(&str, &[(String, String)]) -> Result<HeaderMap, Failure>,
    ) -> Result<Json, Failure> {
        let mut answer = self.answer(request, fill).await?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.next().await? {
            body.extend_from_slice(&chunk);
        }
        let Streaming { answer, .. } = answer;
        let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = HttpBody::new(&body.freeze());
        Ok(effect::document(&HttpResponse { status: answer.status.as_u16(), headers, url: answer.url, body }))
    }

    /// Sends a request and hands out the answer as soon as its head is there.
    ///
    /// # Errors
    /// As for [`Way::send`].
    pub async fn open(
        self,
        request: &HttpRequest,
        fill: impl FnOnce(&str, &[(String, String)]) -> Result<HeaderMap, Failure>,
    ) -> Result<Box<dyn HttpAnswer>, Failure> {
        let answer: Box<dyn HttpAnswer> = Box::new(self.answer(request, fill).await?);
        Ok(answer)
    }

    async fn answer(
        self,
        request: &HttpRequest,
        fill: impl FnOnce(&str, &[(String, String)]) -> Result<HeaderMap, Failure>,
    ) -> Result<Streaming, Failure> {
        check_url(&request.url).map_err(failure)?;
        let method = method(&request.method)?;
        let mut headers = fill(&request.url, &request.headers)?;
        self.complete(&method, &mut headers)?;
        let caller = self.caps.sent.under(policy(self.granted, request.timeout));
        let body = request.body.clone();
        let request = egress::Request { method, url: request.url.clone(), headers, body };
        let answer = self.egress.open(&caller, request).await.map_err(failure)?;
        Ok(Streaming { answer, caps: self.caps.clone() })
    }

    /// Adds what the plugin left out.
    fn complete(self, method: &Method, headers: &mut HeaderMap) -> Result<(), Failure> {
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if !reads && !headers.contains_key(IDEMPOTENCY_KEY) {
            let wrong = |_| Failure::new(FailureCode::Internal, "the idempotency key is not fit for a header");
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(self.idempotency_key).map_err(wrong)?);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(OUR_NAME));
        Ok(())
    }
}

/// The headers as the plugin wrote them.
///
/// # Errors
/// [`FailureCode::InvalidInput`] where one is not a header.
pub fn plain_headers(_url: &str, headers: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let (name, value) = header.ok_or_else(|| {
            let message = format!("could not send the header {name:.100?}: its name or value is not one");
            Failure::new(FailureCode::InvalidInput, message)
        })?;
        map.append(name, value);
    }
    Ok(map)
}

fn method(text: &str) -> Result<Method, Failure> {
    let wrong = |_| Failure::new(FailureCode::InvalidInput, format!("{text:.20?} is no method of HTTP"));
    Method::from_bytes(text.to_ascii_uppercase().as_bytes()).map_err(wrong)
}

fn policy(granted: &Arc<Granted>, timeout: Option<Duration>) -> Policy {
    Policy {
        hosts: Hosts::Granted(granted.clone()),
        methods: Vec::new(),
        requests_max: HTTP_REQUESTS_MAX,
        redirects_max: REDIRECTS_MAX,
        request_bytes_max: HTTP_BODY_BYTES_MAX,
        response_bytes_max: ANSWER_BYTES_MAX,
        header_bytes_max: HEAD_BYTES_MAX,
        timeout: timeout.map_or(TIMEOUT_MAX, |timeout| timeout.min(TIMEOUT_MAX)),
    }
}

/// An answer whose body is being read.
#[derive(Debug)]
struct Streaming {
    answer: Answer,
    caps: HttpCaps,
}

impl Streaming {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.answer.chunk().await.map_err(failure)?;
        self.caps.receive(chunk.as_ref().map_or(0, Bytes::len))?;
        Ok(chunk)
    }
}

impl HttpAnswer for Streaming {
    fn status(&self) -> u16 {
        self.answer.status.as_u16()
    }

    fn headers(&self) -> Vec<(String, Bytes)> {
        let bytes = |value: &HeaderValue| Bytes::copy_from_slice(value.as_bytes());
        self.answer.headers.iter().map(|(name, value)| (name.to_string(), bytes(value))).collect()
    }

    fn chunk(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(self.next())
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// What a plugin is told of what the guard or the network says.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn failure(error: EgressError) -> Failure {
    let code = match &error {
        EgressError::Url { .. } | EgressError::Host(_) | EgressError::Header { .. } => FailureCode::InvalidInput,
        EgressError::Refused { .. }
        | EgressError::NotGranted { .. }
        | EgressError::Method { .. }
        | EgressError::Requests { .. } => FailureCode::Denied,
        EgressError::Resolve { .. }
        | EgressError::Connect { .. }
        | EgressError::Tls { .. }
        | EgressError::Timeout { .. }
        | EgressError::Exchange { .. } => FailureCode::Unavailable,
        EgressError::TooLarge { .. } | EgressError::Redirect { .. } => FailureCode::Failed,
    };
    let message = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    Failure::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h24_what_a_plugin_writes_is_completed_and_not_replaced() {
        let (egress, granted, caps) =
            (Egress::new(egress::EgressConfig::default()), Arc::default(), HttpCaps::default());
        let way = Way { egress: &egress, granted: &granted, caps: &caps, idempotency_key: "execution/3/1" };
        let mut headers = HeaderMap::new();
        way.complete(&Method::GET, &mut headers).unwrap();
        assert!(headers.get(IDEMPOTENCY_KEY).is_none() && headers[USER_AGENT] == OUR_NAME);
        way.complete(&Method::POST, &mut headers).unwrap();
        assert_eq!(headers[IDEMPOTENCY_KEY], "execution/3/1");
        let own = [("Idempotency-Key".to_owned(), "mine".to_owned()), ("user-agent".to_owned(), "me".to_owned())];
        let mut headers = plain_headers("", &own).unwrap();
        way.complete(&Method::POST, &mut headers).unwrap();
        assert!(headers[IDEMPOTENCY_KEY] == "mine" && headers[USER_AGENT] == "me" && headers.len() == 2);
    }

    #[test]
    fn h24_the_answers_of_a_call_are_counted_together() {
        let caps = HttpCaps::default();
        for _ in 0..ANSWERS_BYTES_MAX / ANSWER_BYTES_MAX {
            caps.clone().receive(ANSWER_BYTES_MAX).unwrap();
        }
        assert_eq!(caps.receive(1).unwrap_err().code, FailureCode::Failed);
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        for (name, value) in [("a b", "c"), ("", "c"), ("a", "b\r\nc: d"), ("a", "\0")] {
            let failure = plain_headers("", &[(name.to_owned(), value.to_owned())]).unwrap_err();
            assert_eq!(failure.code, FailureCode::InvalidInput, "{name:?}: {value:?}");
        }
    }
}
