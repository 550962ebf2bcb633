//! Base64.

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use weir_sdk::prelude::*;

/// What to encode, and how.
#[derive(Deserialize, JsonSchema)]
pub struct EncodeInput {
    /// The text; its UTF-8 bytes are encoded.
    pub text: String,
    /// The letters to use.
    #[serde(default)]
    pub alphabet: Alphabet,
    /// Whether to fill up with `=`.
    #[serde(default = "yes")]
    pub padding: bool,
}

/// The encoded text.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct EncodeOutput {
    /// The base64.
    pub base64: String,
}

/// What to decode.
#[derive(Deserialize, JsonSchema)]
pub struct DecodeInput {
    /// The base64, with or without `=` at its end.
    pub base64: String,
    /// The letters that it uses.
    #[serde(default)]
    pub alphabet: Alphabet,
}

/// The decoded text.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct DecodeOutput {
    /// The text.
    pub text: String,
}

/// The letters of base64.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// With `+` and `/`.
    #[default]
    Standard,
    /// With `-` and `_`, for URLs and file names.
    Url,
}

impl Alphabet {
    fn engine(self, padding: bool) -> GeneralPurpose {
        let letters = match self {
            Self::Standard => &alphabet::STANDARD,
            Self::Url => &alphabet::URL_SAFE,
        };
        let config = GeneralPurposeConfig::new()
            .with_encode_padding(padding)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        GeneralPurpose::new(letters, config)
    }
}

fn yes() -> bool {
    true
}

/// Encodes a text in base64.
#[tool(idempotent, read_only)]
pub fn base64_encode(input: EncodeInput) -> Result<EncodeOutput> {
    crate::check_length("text", input.text.len())?;
    Ok(EncodeOutput { base64: input.alphabet.engine(input.padding).encode(&input.text) })
}

/// Decodes base64 into a text.
///
/// Fails where the bytes are no UTF-8 text: JSON, which workflows are made of, has no place for them.
#[tool(idempotent, read_only)]
pub fn base64_decode(input: DecodeInput) -> Result<DecodeOutput> {
    crate::check_length("base64", input.base64.len())?;
    let bytes = input
        .alphabet
        .engine(true)
        .decode(&input.base64)
        .map_err(|error| Failure::invalid_input(format!("base64 cannot be decoded: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Failure::invalid_input(format!("the decoded bytes are no text: {}", error.utf8_error())))?;
    Ok(DecodeOutput { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes() {
        let encode = |text: &str, alphabet, padding| {
            base64_encode(EncodeInput { text: text.into(), alphabet, padding }).unwrap().base64
        };
        assert_eq!(encode("ÿþ?>", Alphabet::Standard, true), "w7/Dvj8+");
        assert_eq!(encode("ÿþ?>", Alphabet::Url, true), "w7_Dvj8-");
        assert_eq!(encode("a", Alphabet::Standard, true), "YQ==");
        assert_eq!(encode("a", Alphabet::Standard, false), "YQ");
    }

    #[test]
    fn decodes_with_and_without_padding() {
        let decode = |base64: &str, alphabet| base64_decode(DecodeInput { base64: base64.into(), alphabet });
        assert_eq!(decode("YQ==", Alphabet::Standard).unwrap().text, "a");
        assert_eq!(decode("YQ", Alphabet::Standard).unwrap().text, "a");
        assert_eq!(decode("w7_Dvj8-", Alphabet::Url).unwrap().text, "ÿþ?>");
        assert_eq!(decode("w7_Dvj8-", Alphabet::Standard).unwrap_err().code(), "invalid_input");
        assert!(decode("/w==", Alphabet::Standard).unwrap_err().message().contains("no text"));
    }
}
