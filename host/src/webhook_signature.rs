//! Signatures of webhooks as [Standard Webhooks](https://www.standardwebhooks.com) has them: HMAC-SHA256 over
//! `id.timestamp.body`, in base64, behind `v1,`. What goes out is signed with it, what comes in is checked with it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The header with the message's id, which stays the same when the message is sent again.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of sending, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// What stands before a secret in base64.
const SECRET_PREFIX: &str = "whsec_";
/// What stands before a signature.
const VERSION: &str = "v1,";
/// The fewest and the most bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The most signatures that one header may hold.
const SIGNATURES_MAX: usize = 10;

/// A secret that signs. It never shows itself.
#[derive(Clone)]
pub struct SigningSecret {
    key: Vec<u8>,
    /// Before the first byte of a message.
    mac: Hmac<Sha256>,
}

/// Why a text is not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("could not use the webhook's secret: write whsec_ and 24 to 64 random bytes in base64")]
pub struct SecretError;

impl SigningSecret {
    /// Reads a secret: base64 of 24 to 64 bytes, with or without `whsec_` before it.
    ///
    /// # Errors
    /// The text is not that.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let key = STANDARD.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text)).map_err(|_| SecretError)?;
        Self::from_bytes(&key)
    }

    /// A secret of random bytes, 24 to 64 of them.
    ///
    /// # Errors
    /// There are fewer or more bytes.
    pub fn from_bytes(key: &[u8]) -> Result<Self, SecretError> {
        if !SECRET_BYTES.contains(&key.len()) {
            return Err(SecretError);
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| SecretError)?;
        Ok(Self { key: key.to_vec(), mac })
    }

    /// The secret as people copy it: `whsec_…`. The only way to see it.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.key))
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The signature of a message: `v1,…`.
#[must_use]
pub fn sign(secret: &SigningSecret, id: &str, timestamp: i64, body: &[u8]) -> String {
    format!("{VERSION}{}", STANDARD.encode(mac(secret, id, timestamp, body).finalize().into_bytes()))
}

/// Whether one of the signatures in a header is the message's. Others, of other versions or secrets, are passed over.
/// Comparing takes the same time wherever two signatures differ.
#[must_use]
pub fn verify(secret: &SigningSecret, id: &str, timestamp: i64, body: &[u8], signatures: &str) -> bool {
    let expected = mac(secret, id, timestamp, body);
    let given = signatures.split(' ').take(SIGNATURES_MAX).filter_map(|one| one.strip_prefix(VERSION));
    given.filter_map(|one| STANDARD.decode(one).ok()).any(|one| expected.clone().verify_slice(&one).is_ok())
}

fn mac(secret: &SigningSecret, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = secret.mac.clone();
    for part in [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the standard's own documentation.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> SigningSecret {
        SigningSecret::parse(SECRET).unwrap()
    }

    #[test]
    fn w1_the_example_of_the_standard_is_signed_alike() {
        assert_eq!(sign(&secret(), ID, TIMESTAMP, BODY), SIGNATURE);
        assert!(verify(&secret(), ID, TIMESTAMP, BODY, SIGNATURE));
    }

    #[test]
    fn w1_every_single_bit_counts() {
        let flipped = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        for bit in 0..BODY.len() * 8 {
            assert!(!verify(&secret(), ID, TIMESTAMP, &flipped(BODY, bit), SIGNATURE), "bit {bit} of the body");
        }
        for bit in 0..SIGNATURE.len() * 8 {
            let changed = flipped(SIGNATURE.as_bytes(), bit);
            let accepted = std::str::from_utf8(&changed).is_ok_and(|s| verify(&secret(), ID, TIMESTAMP, BODY, s));
            assert!(!accepted, "bit {bit} of the signature");
        }
        for bit in 0..62 {
            assert!(!verify(&secret(), ID, TIMESTAMP ^ (1 << bit), BODY, SIGNATURE), "bit {bit} of the time");
        }
    }

    #[test]
    fn w1_what_is_not_a_signature_is_not_accepted() {
        let (_, code) = SIGNATURE.split_once(',').unwrap();
        let wrong = [
            String::new(),
            " ".to_owned(),
            code.to_owned(),
            "v1,".to_owned(),
            format!("v1a,{code}"),
            format!("v2,{code}"),
            format!("v1, {code}"),
            SIGNATURE[..SIGNATURE.len() - 1].to_owned(),
            SIGNATURE[..20].to_owned(),
            SIGNATURE.to_uppercase(),
            format!("{SIGNATURE},"),
            "v1,AAAA".to_owned(),
        ];
        for text in wrong {
            assert!(!verify(&secret(), ID, TIMESTAMP, BODY, &text), "{text:?}");
        }
        let other = SigningSecret::from_bytes(&[7; 24]).unwrap();
        assert!(!verify(&other, ID, TIMESTAMP, BODY, SIGNATURE));
    }

    #[test]
    fn w5_one_good_signature_among_several_is_enough() {
        let other = sign(&SigningSecret::from_bytes(&[7; 24]).unwrap(), ID, TIMESTAMP, BODY);
        assert!(verify(&secret(), ID, TIMESTAMP, BODY, &format!("v1a,xx {other} {SIGNATURE}")));
        let many = format!("{}{SIGNATURE}", format!("{other} ").repeat(SIGNATURES_MAX));
        assert!(!verify(&secret(), ID, TIMESTAMP, BODY, &many), "a header holds a bounded number of them");
    }

    #[test]
    fn a_secret_is_long_enough_and_hides() {
        for wrong in ["", "whsec_", "short", "whsec_AAAA", "whsec_ä"] {
            assert!(SigningSecret::parse(wrong).is_err(), "{wrong}");
        }
        assert!(SigningSecret::from_bytes(&[0; 65]).is_err());
        assert_eq!(secret().reveal(), SECRET);
        assert!(!format!("{:?}", secret()).contains("MfKQ"));
    }
}
