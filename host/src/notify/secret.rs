//! Secrets of the configuration, written there or in a file of their own.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize, Serializer};
use tokio::io::AsyncReadExt as _;

use super::SendError;

/// The most bytes of a file with a secret.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A secret that stands in the configuration. It is never shown: printed settings have a mask in its place.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("********")
    }
}

/// The secret itself, or the file's first line. The file is read each time, so that a new secret needs no restart.
pub(super) async fn read(written: Option<&Secret>, file: Option<&Path>) -> Result<String, SendError> {
    if let Some(secret) = written {
        return Ok(secret.reveal().to_owned());
    }
    let path =
        file.ok_or_else(|| SendError::lasting("the channel has no secret: set it, or name a file that holds it"))?;
    let text = read_file(path).await.map_err(|error| {
        // Somebody may be writing it at this moment.
        SendError::new(true, &format!("could not read the secret in {}: {error}", path.display()))
    })?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The first line of a file, if it can be read.
pub(super) fn read_now(path: &Path) -> Option<String> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(std::fs::File::open(path).ok()?, FILE_BYTES_MAX), &mut text)
        .ok()?;
    Some(text.lines().next().unwrap_or_default().trim().to_owned())
}

async fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    tokio::fs::File::open(path).await?.take(FILE_BYTES_MAX).read_to_string(&mut text).await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert!(!format!("{secret:?}{}", serde_json::to_string(&secret).unwrap()).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_secret_stands_in_the_configuration_or_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert!(read(None, Some(&path)).await.unwrap_err().is_retryable);
        std::fs::write(&path, "from the file \nignored\n").unwrap();
        assert_eq!(read(None, Some(&path)).await.unwrap(), "from the file");
        assert_eq!(read(Some(&Secret::new("written")), None).await.unwrap(), "written");
        assert!(!read(None, None).await.unwrap_err().is_retryable);
    }
}
