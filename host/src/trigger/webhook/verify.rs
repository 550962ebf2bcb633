//! Whether a webhook's request comes from who knows the secret. Pure: bytes and the time come in, a verdict goes out.
//!
//! Signatures are checked over the raw bytes, before anything of them is parsed. Every secret is tried, whether one
//! before it fits or not, and nothing secret is compared but in constant time.

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use weir_engine::id::Timestamp;

use super::{Headers, Scheme};
use crate::{
    vault::Secret,
    webhook_signature::{self, SigningSecret},
};

/// How far the time of a signature may be from ours, in seconds.
pub const TOLERANCE_SECONDS: i64 = 300;
/// The most bytes of a sender's id of a delivery.
pub const DELIVERY_ID_BYTES_MAX: usize = 256;
/// The most parts of a header that lists signatures.
const PARTS_MAX: usize = 16;
/// Digits of a time in seconds; no sound one has more.
const TIME_DIGITS_MAX: usize = 12;

const GITHUB_SIGNATURE: &str = "x-hub-signature-256";
const GITHUB_DELIVERY: &str = "x-github-delivery";
const STRIPE_SIGNATURE: &str = "stripe-signature";
const AUTHORIZATION: &str = "authorization";

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It comes from who knows a secret.
    Accepted {
        /// The sender's id of this delivery, which copies of it have, too; where the scheme has one.
        delivery_id: Option<String>,
    },
    /// It may come from anybody.
    Refused(Refusal),
}

/// Why a request is refused. The sender is not told; who may see deliveries is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header that the scheme needs is missing or empty.
    #[error("the header {0} is missing or empty")]
    Missing(&'static str),
    /// A header is there more than once, which leaves open which one counts.
    #[error("the header {0} is there more than once")]
    Doubled(&'static str),
    /// A header is not what the scheme says.
    #[error("the header {0} is malformed")]
    Malformed(&'static str),
    /// It was signed too long ago: it may be an old request sent again.
    #[error("the signature is older than {TOLERANCE_SECONDS} s; check both clocks")]
    TooOld,
    /// It was signed in the future.
    #[error("the signature is more than {TOLERANCE_SECONDS} s ahead; check both clocks")]
    TooNew,
    /// There is nothing to check it with.
    #[error("the trigger has no secret; add one")]
    NoSecret,
    /// No secret fits.
    #[error("no secret of the trigger fits the signature or token")]
    NoMatch,
}

/// Checks a request against every one of `secrets`.
#[must_use]
pub fn verify(scheme: Scheme, secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Verdict {
    let checked = match scheme {
        Scheme::None => Ok(None),
        _ if secrets.is_empty() => Err(Refusal::NoSecret),
        Scheme::StandardWebhooks => standard_webhooks(secrets, headers, body, now),
        Scheme::Github => github(secrets, headers, body),
        Scheme::Stripe => stripe(secrets, headers, body, now),
        Scheme::Bearer => bearer(secrets, headers),
    };
    match checked {
        Ok(delivery_id) => Verdict::Accepted { delivery_id },
        Err(refusal) => Verdict::Refused(refusal),
    }
}

type Checked = Result<Option<String>, Refusal>;

fn standard_webhooks(secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Checked {
    use webhook_signature::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
    let (id, time) = (headers.only(ID_HEADER)?, headers.only(TIMESTAMP_HEADER)?);
    let signatures = headers.only(SIGNATURE_HEADER)?;
    // A dot within the id could take the place of the one behind it.
    if id.contains('.') {
        return Err(Refusal::Malformed(ID_HEADER));
    }
    let id = delivery_id(id, ID_HEADER)?;
    let time = in_time(time, TIMESTAMP_HEADER, now)?;
    let fits = |secret: &Secret| {
        let secret = SigningSecret::parse(secret.reveal());
        secret.is_ok_and(|secret| webhook_signature::verify(&secret, &id, time, body, signatures))
    };
    one_fits(secrets, fits)?;
    Ok(Some(id))
}

fn github(secrets: &[Secret], headers: &Headers, body: &[u8]) -> Checked {
    let signature = headers.only(GITHUB_SIGNATURE)?;
    let id = delivery_id(headers.only(GITHUB_DELIVERY)?, GITHUB_DELIVERY)?;
    let signature = signature.strip_prefix("sha256=").and_then(from_hex);
    let signature = signature.ok_or(Refusal::Malformed(GITHUB_SIGNATURE))?;
    one_fits(secrets, |secret| is_signed(secret, &[body], &[signature]))?;
    Ok(Some(id))
}

fn stripe(secrets: &[Secret], headers: &Headers, body: &[u8], now: Timestamp) -> Checked {
    let malformed = Refusal::Malformed(STRIPE_SIGNATURE);
    let parts: Vec<_> = headers.only(STRIPE_SIGNATURE)?.split(',').take(PARTS_MAX + 1).collect();
    if parts.len() > PARTS_MAX {
        return Err(malformed);
    }
    let mut times = parts.iter().filter_map(|part| part.strip_prefix("t="));
    let (Some(time), None) = (times.next(), times.next()) else { return Err(malformed) };
    in_time(time, STRIPE_SIGNATURE, now)?;
    // Signatures of other versions, such as v0 of test events, are passed over.
    let signatures: Vec<_> = parts.iter().filter_map(|part| part.strip_prefix("v1=")).filter_map(from_hex).collect();
    one_fits(secrets, |secret| is_signed(secret, &[time.as_bytes(), b".", body], &signatures))?;
    Ok(event_id(body))
}

fn bearer(secrets: &[Secret], headers: &Headers) -> Checked {
    let malformed = Refusal::Malformed(AUTHORIZATION);
    let (scheme, token) = headers.only(AUTHORIZATION)?.split_once(' ').ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed);
    }
    // Hashed first, so that not even the length of a secret shows.
    let given = Sha256::digest(token.trim_matches(' '));
    one_fits(secrets, |secret| Sha256::digest(secret.reveal()).ct_eq(&given).into())?;
    Ok(None)
}

/// Tries every secret, whatever those before it said.
fn one_fits(secrets: &[Secret], fits: impl Fn(&Secret) -> bool) -> Result<(), Refusal> {
    let found = secrets.iter().fold(Choice::from(0), |found, secret| found | Choice::from(u8::from(fits(secret))));
    if found.into() { Ok(()) } else { Err(Refusal::NoMatch) }
}

/// Whether one of the signatures is that of the parts, one behind the other.
fn is_signed(secret: &Secret, parts: &[&[u8]], signatures: &[[u8; 32]]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else { return false };
    for part in parts {
        mac.update(part);
    }
    let fits = |signature: &[u8; 32]| Choice::from(u8::from(mac.clone().verify_slice(signature).is_ok()));
    signatures.iter().fold(Choice::from(0), |found, signature| found | fits(signature)).into()
}

/// The signature of the parts in hex, as GitHub and Stripe write it.
pub(super) fn signature(secret: &Secret, parts: &[&[u8]]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Seconds since 1970, in digits alone, and not too far from now.
fn in_time(text: &str, header: &'static str, now: Timestamp) -> Result<i64, Refusal> {
    let is_sound = text.len() <= TIME_DIGITS_MAX && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    let time: i64 = text.parse().ok().filter(|_| is_sound).ok_or(Refusal::Malformed(header))?;
    let now = now.0.div_euclid(1_000_000);
    if time < now - TOLERANCE_SECONDS {
        return Err(Refusal::TooOld);
    }
    if time > now + TOLERANCE_SECONDS {
        return Err(Refusal::TooNew);
    }
    Ok(time)
}

fn delivery_id(id: &str, header: &'static str) -> Result<String, Refusal> {
    if id.len() > DELIVERY_ID_BYTES_MAX { Err(Refusal::Malformed(header)) } else { Ok(id.to_owned()) }
}

/// The id that a header of the trigger's choice gives a delivery, if it is there.
pub(super) fn named(headers: &Headers, name: &str) -> Checked {
    const SHOWN: &str = "named by dedupe_header";
    headers.optional(name, SHOWN)?.map(|id| delivery_id(id, SHOWN)).transpose()
}

/// The 32 bytes that 64 lower-case digits stand for. Upper case is not taken: a signature has one spelling.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs: &[[u8; 2]; 32] = text.as_bytes().as_chunks().0.try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    (text.len().is_multiple_of(2)).then_some(bytes)
}

/// The id of a Stripe event, which stands in its body; the body was signed, so it is the sender's.
fn event_id(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        id: String,
    }
    let id = serde_json::from_slice::<Event>(body).ok()?.id;
    (1..=DELIVERY_ID_BYTES_MAX).contains(&id.len()).then_some(id)
}

/// A secret for a scheme, made from random bytes, as its senders take it.
pub(super) fn spelled(scheme: Scheme, random: &[u8; 32]) -> String {
    let encoder = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    match scheme {
        Scheme::StandardWebhooks => {
            SigningSecret::from_bytes(random).map_or_else(|_| encoder.encode(random), |secret| secret.reveal())
        }
        Scheme::Github | Scheme::Stripe | Scheme::Bearer | Scheme::None => encoder.encode(random),
    }
}
