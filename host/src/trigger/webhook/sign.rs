//! Signs requests as senders do: for trying a webhook, and for tests.

use weir_engine::id::Timestamp;

use super::{Scheme, verify};
use crate::{
    vault::Secret,
    webhook_signature::{self, SecretError, SigningSecret},
};

/// The headers, besides the content type, with which a request passes a webhook of this scheme.
///
/// # Errors
/// The secret is not one of this scheme.
pub fn sign(
    scheme: Scheme,
    secret: &Secret,
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, SecretError> {
    let seconds = at.0.div_euclid(1_000_000);
    let signature = |parts: &[&[u8]]| verify::signature(secret, parts).ok_or(SecretError);
    Ok(match scheme {
        Scheme::StandardWebhooks => {
            let signing = SigningSecret::parse(secret.reveal())?;
            vec![
                (webhook_signature::ID_HEADER, id.to_owned()),
                (webhook_signature::TIMESTAMP_HEADER, seconds.to_string()),
                (webhook_signature::SIGNATURE_HEADER, webhook_signature::sign(&signing, id, seconds, body)),
            ]
        }
        Scheme::Github => vec![
            ("x-github-delivery", id.to_owned()),
            ("x-hub-signature-256", format!("sha256={}", signature(&[body])?)),
        ],
        Scheme::Stripe => {
            let signature = signature(&[seconds.to_string().as_bytes(), b".", body])?;
            vec![("stripe-signature", format!("t={seconds},v1={signature}"))]
        }
        Scheme::Bearer => vec![("authorization", format!("Bearer {}", secret.reveal()))],
        Scheme::None => Vec::new(),
    })
}
