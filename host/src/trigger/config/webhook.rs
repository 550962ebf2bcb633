//! The settings of webhooks.

use std::time::Duration;

use weir_engine::definition::{
    DiagnosticCode, Diagnostics,
    fields::{Fields, shown},
};

use super::filter::{self, Filter};

/// The most bytes of a path.
pub const PATH_BYTES_MAX: usize = 128;
/// The most bytes of a body where the trigger does not say.
pub const BODY_BYTES_DEFAULT: u64 = 1 << 20;
/// The most bytes of a body, whatever the trigger says.
pub const BODY_BYTES_MAX: u64 = 25 << 20;
/// How long a synchronous answer waits for the end, in seconds.
const TIMEOUT_SECONDS_DEFAULT: u64 = 30;
/// The longest that it may wait.
const TIMEOUT_SECONDS_MAX: u64 = 60;
/// The most bytes of a header's name.
const HEADER_BYTES_MAX: usize = 128;

/// What comes in, and how it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    /// Where it comes in, below `/webhooks/`; the trigger's id where there is none.
    pub path: Option<String>,
    /// How a sender shows who it is.
    pub scheme: Scheme,
    /// How a delivery is answered.
    pub respond: Respond,
    /// The header that names a delivery, in lower case; copies have the same.
    pub dedupe_header: Option<String>,
    /// What must hold of a delivery, or it starts nothing.
    pub filter: Option<Filter>,
    /// The most bytes of a body.
    pub body_bytes_max: u64,
}

/// How a sender shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Signed as standardwebhooks.com says.
    StandardWebhooks,
    /// Signed in the header `X-Hub-Signature-256`.
    Github,
    /// Signed in the header `Stripe-Signature`.
    Stripe,
    /// The secret itself, as a bearer token.
    Bearer,
    /// Not at all: whoever knows the path may send.
    None,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 5] = [Self::StandardWebhooks, Self::Github, Self::Stripe, Self::Bearer, Self::None];

    /// The scheme with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }

    /// The scheme as authors write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard_webhooks",
            Self::Github => "github",
            Self::Stripe => "stripe",
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }
}

/// How a delivery is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respond {
    /// At once, when it is on disk.
    Async,
    /// With the workflow's output, if it ends in time.
    Sync {
        /// How long the answer waits.
        timeout: Duration,
    },
}

/// Whether a text is a webhook's path: segments of `a`–`z`, `0`–`9`, `_` and `-` between slashes.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_segment = |segment: &str| {
        let first = segment.bytes().next();
        first.is_some_and(inner) && segment.bytes().all(|b| inner(b) || b == b'_' || b == b'-')
    };
    text.len() <= PATH_BYTES_MAX && text.split('/').all(is_segment)
}

pub(super) fn read(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> WebhookConfig {
    WebhookConfig {
        path: path(fields, diagnostics),
        scheme: scheme(fields, diagnostics),
        respond: respond(fields, diagnostics).unwrap_or(Respond::Async),
        dedupe_header: header(fields, diagnostics),
        filter: filter::webhook(fields, diagnostics),
        body_bytes_max: fields.whole("body_limit_bytes", 1, BODY_BYTES_MAX, diagnostics).unwrap_or(BODY_BYTES_DEFAULT),
    }
}

/// A slash in front means the same as none.
fn path(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = fields.text("path", 4 * PATH_BYTES_MAX, diagnostics)?;
    let path = text.strip_prefix('/').unwrap_or(text);
    if is_path(path) {
        return Some(path.to_owned());
    }
    let message = format!(
        "{} cannot be a path: write segments of a-z, 0-9, `_` and `-` between slashes, each beginning with a letter or \
         digit, {PATH_BYTES_MAX} characters at most",
        shown(&text.into())
    );
    diagnostics.error(&fields.place.at("path"), DiagnosticCode::InvalidValue, message);
    None
}

/// Without a word about it, a sender needs the secret as a bearer token; that anybody may send has to be said.
fn scheme(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Scheme {
    let required = fields.flag("auth_required", diagnostics);
    let named = fields.object("auth", diagnostics).and_then(|auth| named_scheme(auth, diagnostics));
    let place = fields.place.at("auth_required");
    match (required, named) {
        (Some(false), Some(scheme)) if scheme != Scheme::None => {
            let message = format!("nobody needs to authenticate, but the scheme is {}: take one away", scheme.as_str());
            diagnostics.error(&place, DiagnosticCode::InvalidValue, message);
            scheme
        }
        (Some(true), Some(Scheme::None)) => {
            let message = "everybody has to authenticate, but the scheme is none: take one away";
            diagnostics.error(&place, DiagnosticCode::InvalidValue, message);
            Scheme::Bearer
        }
        (Some(false), None) => Scheme::None,
        (_, Some(scheme)) => scheme,
        (Some(true) | None, None) => Scheme::Bearer,
    }
}

fn named_scheme(mut auth: Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Scheme> {
    if auth.value("secret").is_some() {
        let message = "a definition holds no secrets, since all who may read it could read them: leave it out, and the \
                       host makes one; or set your own with `weir triggers secrets`";
        diagnostics.error(&auth.place.at("secret"), DiagnosticCode::InvalidValue, message);
    }
    let scheme = auth.word("scheme", &Scheme::ALL.map(|scheme| (scheme.as_str(), scheme)), diagnostics);
    auth.close(diagnostics);
    scheme
}

/// `"async"`, `"sync"`, or `{"mode", "timeout_seconds"}`.
fn respond(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Respond> {
    let words = [("async", false), ("sync", true)];
    if fields.value("respond").is_some_and(|value| !value.is_object()) {
        let sync = fields.word("respond", &words, diagnostics)?;
        return Some(responding(sync, None));
    }
    let mut inner = fields.object("respond", diagnostics)?;
    let sync = inner.word("mode", &words, diagnostics).unwrap_or(true);
    let seconds = inner.whole("timeout_seconds", 1, TIMEOUT_SECONDS_MAX, diagnostics);
    inner.close(diagnostics);
    Some(responding(sync, seconds))
}

fn responding(sync: bool, seconds: Option<u64>) -> Respond {
    let timeout = Duration::from_secs(seconds.unwrap_or(TIMEOUT_SECONDS_DEFAULT));
    if sync { Respond::Sync { timeout } } else { Respond::Async }
}

fn header(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = fields.text("dedupe_header", HEADER_BYTES_MAX, diagnostics)?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        let message = format!("{} cannot be the name of a header", shown(&name.into()));
        diagnostics.error(&fields.place.at("dedupe_header"), DiagnosticCode::InvalidValue, message);
        return None;
    }
    Some(name.to_ascii_lowercase())
}
