//! Digests.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::fmt::Write;
use weir_sdk::prelude::*;

/// What to hash, and how.
#[derive(Deserialize, JsonSchema)]
pub struct HashInput {
    /// The text; its UTF-8 bytes are hashed.
    pub text: String,
    /// The algorithm.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How to write the digest.
    #[serde(default)]
    pub encoding: Encoding,
}

/// A hash function of the SHA-2 family.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How to write bytes as text.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Lower-case hexadecimal digits.
    #[default]
    Hex,
    /// Standard base64 with padding.
    Base64,
}

/// The digest.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct HashOutput {
    /// The digest, in the encoding that was asked for.
    pub digest: String,
}

/// Hashes a text.
///
/// SHA-256, SHA-384 or SHA-512, as hexadecimal digits or base64. For recognising equal content; not for passwords.
#[tool(idempotent, read_only)]
pub fn hash(input: HashInput) -> Result<HashOutput> {
    crate::check_length("text", input.text.len())?;
    let digest = match input.algorithm {
        Algorithm::Sha256 => Sha256::digest(&input.text).to_vec(),
        Algorithm::Sha384 => Sha384::digest(&input.text).to_vec(),
        Algorithm::Sha512 => Sha512::digest(&input.text).to_vec(),
    };
    let digest = match input.encoding {
        Encoding::Hex => hex(&digest)?,
        Encoding::Base64 => STANDARD.encode(&digest),
    };
    Ok(HashOutput { digest })
}

fn hex(bytes: &[u8]) -> Result<String> {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(algorithm: Algorithm, encoding: Encoding) -> String {
        hash(HashInput { text: "abc".into(), algorithm, encoding }).unwrap().digest
    }

    #[test]
    fn known_digests() {
        assert_eq!(
            digest(Algorithm::Sha256, Encoding::Hex),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest(Algorithm::Sha256, Encoding::Base64), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert!(digest(Algorithm::Sha384, Encoding::Hex).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
        assert!(digest(Algorithm::Sha512, Encoding::Hex).starts_with("ddaf35a193617abacc417349ae204131"));
    }
}
