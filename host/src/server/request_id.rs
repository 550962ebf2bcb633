//! Names for requests, so that a client's report and a line of the log find each other.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use axum::http::{HeaderName, HeaderValue};

/// One request's name: 16 hexadecimal digits, unique in this process and very likely beyond.
#[derive(Debug, Clone)]
pub(crate) struct RequestId([u8; 16]);

/// Where this process's numbers begin: from the system's hash seed, so that restarts do not repeat them.
static FIRST: LazyLock<u64> = LazyLock::new(|| {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
});
static COUNT: AtomicU64 = AtomicU64::new(0);

impl RequestId {
    /// The header that carries it.
    pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

    /// The next name.
    #[must_use]
    pub(crate) fn next() -> Self {
        let n = FIRST.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed));
        let mut digits = [0; 16];
        for (at, digit) in digits.iter_mut().enumerate() {
            let nibble = (n >> (60 - 4 * at)) & 0xf;
            *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or(0)];
        }
        Self(digits)
    }

    /// The name as text.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name as a header's value.
    #[must_use]
    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or_else(|_| HeaderValue::from_static("none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_hexadecimal() {
        let (a, b) = (RequestId::next(), RequestId::next());
        assert_ne!(a.as_str(), b.as_str());
        assert!(a.as_str().chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(a.value().to_str().unwrap(), a.as_str());
    }
}
