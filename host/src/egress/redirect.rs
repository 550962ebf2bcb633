//! What follows from a redirect, by the rules of browsers (the Fetch standard), and where they are lax a bit stricter.

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, LOCATION, USER_AGENT},
};
use url::Url;

/// What another origin may learn of the headers. Everything else could be a secret, whatever it is called.
const HARMLESS: [HeaderName; 5] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

/// One request of a chain of redirects.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Hop {
    /// The next request, if the answer is a redirect that names a place.
    ///
    /// # Errors
    /// Says why the redirect is not followed.
    pub(super) fn next(&self, status: StatusCode, answer: &HeaderMap) -> Result<Option<Self>, &'static str> {
        let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(place) = answer.get(LOCATION).filter(|_| redirects) else { return Ok(None) };
        let place = place.to_str().map_err(|_| "it redirects to what is not a URL")?;
        let url = super::http::checked_url(Some(&self.url), place).map_err(|_| "it redirects to an unusable URL")?;
        if self.url.scheme() == "https" && url.scheme() != "https" {
            return Err("it redirects from https to http");
        }
        let mut next = Self { url, ..self.clone() };
        if self.becomes_get(status) {
            next.method = Method::GET;
            next.body = Bytes::new();
            next.headers.remove(CONTENT_TYPE);
            next.headers.remove(CONTENT_LANGUAGE);
        }
        if self.url.origin() != next.url.origin() {
            next.headers = harmless(&next.headers);
        }
        Ok(Some(next))
    }

    fn becomes_get(&self, status: StatusCode) -> bool {
        match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::GET && self.method != Method::HEAD,
            _ => false,
        }
    }
}

fn harmless(headers: &HeaderMap) -> HeaderMap {
    // A value that is marked as sensitive holds a secret, whatever the header is called.
    let kept = headers.iter().filter(|(name, value)| HARMLESS.contains(name) && !value.is_sensitive());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    fn post() -> Hop {
        let url = Url::parse("https://a.example/x/y?z").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
        headers.insert("x-api-key", HeaderValue::from_static("k"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Hop { method: Method::POST, url, headers, body: Bytes::from_static(b"body") }
    }

    fn next(status: u16, place: &str) -> Result<Option<Hop>, &'static str> {
        let answer = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(place).unwrap())]);
        post().next(StatusCode::from_u16(status).unwrap(), &answer)
    }

    #[test]
    fn only_a_redirect_with_a_place_is_followed() {
        for status in [200, 201, 300, 304, 305, 306, 400] {
            assert!(next(status, "/z").unwrap().is_none(), "{status}");
        }
        assert!(post().next(StatusCode::FOUND, &HeaderMap::new()).unwrap().is_none());
    }

    #[test]
    fn the_method_and_the_body_follow_the_status() {
        for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
            let hop = next(status, "z").unwrap().unwrap();
            assert_eq!((hop.method.as_str(), hop.url.as_str()), (method, "https://a.example/x/z"), "{status}");
            assert_eq!(hop.body.is_empty(), method == "GET", "{status}");
            assert_eq!(hop.headers.contains_key(CONTENT_TYPE), method == "POST", "{status}");
        }
    }

    #[test]
    fn another_origin_learns_no_secret() {
        let same = next(307, "https://a.example:443/z").unwrap().unwrap();
        assert!(same.headers.contains_key(AUTHORIZATION) && same.headers.contains_key("x-api-key"));
        for place in ["https://b.example/", "https://a.example:444/", "//b.example"] {
            let other = next(307, place).unwrap().unwrap();
            assert!(!other.headers.contains_key(AUTHORIZATION) && !other.headers.contains_key("x-api-key"), "{place}");
            assert!(other.headers.contains_key(CONTENT_TYPE), "{place}");
        }
    }

    #[test]
    fn another_origin_learns_no_secret_of_a_harmless_header() {
        let mut hop = post();
        let mut agent = HeaderValue::from_static("hunter2");
        agent.set_sensitive(true);
        hop.headers.insert(USER_AGENT, agent);
        for (place, kept) in [("/z", true), ("https://b.example/", false)] {
            let answer = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(place))]);
            let next = hop.next(StatusCode::TEMPORARY_REDIRECT, &answer).unwrap().unwrap();
            assert_eq!(next.headers.contains_key(USER_AGENT), kept, "{place}");
        }
    }

    #[test]
    fn a_redirect_leads_neither_to_less_safety_nor_out_of_http() {
        for place in [
            "http://a.example/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "https://u:p@a.example/",
            "https://",
            "data:,x",
        ] {
            assert!(next(302, place).is_err(), "{place}");
        }
    }
}
