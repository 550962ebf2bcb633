//! Why a call failed.

use std::error::Error;
use std::fmt;

/// Why a call of a tool or an agent failed.
///
/// The text is for the person who wrote the workflow: say what was attempted, on what, and what would help.
///
/// Any error converts into [`Failure::Failed`] by `?`. Where the input is at fault, say so by
/// [`Failure::invalid_input`]: the host does not retry such a call.
///
/// ```
/// use weir_sdk::Failure;
///
/// fn port(text: &str) -> Result<u16, Failure> {
///     text.parse().map_err(|error| Failure::invalid_input(format!("port {text:?} is not a port: {error}")))
/// }
/// assert_eq!(port("http").unwrap_err().code(), "invalid_input");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The input does not make sense; the same input will never work.
    InvalidInput(String),
    /// A power was used that was not granted.
    Denied(String),
    /// Something needed cannot be reached at the moment; a later attempt may work.
    Unavailable(String),
    /// The work was done, and it failed.
    Failed(String),
    /// A failure with a code of the plugin's own.
    Other {
        /// The code in snake_case: workflows see `plugin_failure`, with this in `details.code`.
        code: String,
        /// The text for people.
        message: String,
    },
}

impl Failure {
    /// Makes an [`InvalidInput`](Self::InvalidInput).
    pub fn invalid_input(text: impl fmt::Display) -> Self {
        Self::InvalidInput(text.to_string())
    }

    /// Makes a [`Denied`](Self::Denied).
    pub fn denied(text: impl fmt::Display) -> Self {
        Self::Denied(text.to_string())
    }

    /// Makes an [`Unavailable`](Self::Unavailable).
    pub fn unavailable(text: impl fmt::Display) -> Self {
        Self::Unavailable(text.to_string())
    }

    /// Makes a [`Failed`](Self::Failed).
    pub fn failed(text: impl fmt::Display) -> Self {
        Self::Failed(text.to_string())
    }

    /// Makes an [`Other`](Self::Other) with a code of the plugin's own (snake_case).
    pub fn other(code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::Other { code: code.into(), message: message.to_string() }
    }

    /// The code. For [`Other`](Self::Other) workflows see `plugin_failure`, and this in `details.code`.
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidInput(_) => "invalid_input",
            Self::Denied(_) => "denied",
            Self::Unavailable(_) => "unavailable",
            Self::Failed(_) => "failed",
            Self::Other { code, .. } => code,
        }
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        match self {
            Self::InvalidInput(text) | Self::Denied(text) | Self::Unavailable(text) | Self::Failed(text) => text,
            Self::Other { message, .. } => message,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code(), self.message())
    }
}

/// Any error is a [`Failure::Failed`] with the texts of the whole chain. (So `Failure` is itself no `Error`.)
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Failed(text)
    }
}
