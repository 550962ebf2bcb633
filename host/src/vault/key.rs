//! The key that secrets are sealed with: given by the operator, or kept in a file of the data directory.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// The file in the data directory that holds the key, where the operator names none.
pub const KEY_FILE: &str = "secret-key";
/// The environment variable that may hold the key.
pub const KEY_VARIABLE: &str = "WEIR_SECRET_KEY";
/// The file in the data directory that holds the next key while the key is being changed.
pub const NEXT_KEY_FILE: &str = "secret-key.next";
const KEY_BYTES: usize = 32;

/// 32 bytes that secrets are sealed with. They do not show themselves, and are wiped when they are let go.
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

/// Where the key is to be found.
#[derive(Debug, Clone)]
pub struct KeySource {
    /// The key itself in base64, the strongest.
    pub text: Option<super::Secret>,
    /// A file that the operator names.
    pub file: Option<PathBuf>,
    /// The data directory, where it is otherwise kept.
    pub data_dir: PathBuf,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// The file cannot be read.
    #[error("could not read the secret key in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("could not use the secret key in {place}: it must be 32 bytes in base64")]
    Malformed {
        /// Where it was found.
        place: String,
    },
    /// There is none, though something was sealed with it.
    #[error("could not find the secret key in {}: the secrets in the database were sealed with it; put the file back, or give the key in {KEY_VARIABLE}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A new one cannot be kept.
    #[error("could not make a secret key in {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl SecretKey {
    /// The key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key of random bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(rand::random())
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Finds the key; where the operator gives none and none was ever needed (`may_make`), makes one in the data
    /// directory that only this user can read.
    ///
    /// # Errors
    /// It cannot be read or made, is malformed, or is missing.
    pub fn load(source: &KeySource, may_make: bool) -> Result<Self, SecretKeyError> {
        if let Some(text) = &source.text {
            return Self::parse(text.reveal(), KEY_VARIABLE);
        }
        if let Some(path) = &source.file {
            return Self::read(path);
        }
        let path = source.data_dir.join(KEY_FILE);
        match Self::read(&path) {
            Err(SecretKeyError::Read { source, path }) if source.kind() == io::ErrorKind::NotFound => {
                if may_make {
                    Self::make(path)
                } else {
                    Err(SecretKeyError::Missing { path })
                }
            }
            result => result,
        }
    }

    fn parse(text: &str, place: &str) -> Result<Self, SecretKeyError> {
        let malformed = || SecretKeyError::Malformed { place: place.to_owned() };
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| malformed())?);
        let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self::from_bytes(bytes))
    }

    /// Reads the key in a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn read(path: &Path) -> Result<Self, SecretKeyError> {
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => Self::parse(&text, &path.display().to_string()),
            Err(source) => Err(SecretKeyError::Read { path: path.to_owned(), source }),
        }
    }

    fn make(path: PathBuf) -> Result<Self, SecretKeyError> {
        let key = Self::generate();
        // Written beside and renamed: a crash never leaves half a key behind.
        let draft = path.with_extension("new");
        let written = key.write(&draft).and_then(|()| renamed(&draft, &path));
        written.map_err(|source| SecretKeyError::Create { path, source })?;
        Ok(key)
    }

    /// Keeps the key in a new file that only this user can read.
    ///
    /// # Errors
    /// There is a file already, or none can be written.
    pub fn write_new(&self, path: &Path) -> Result<(), SecretKeyError> {
        let failed = |source| SecretKeyError::Create { path: path.to_owned(), source };
        let open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        self.write_to(open.map_err(failed)?).and_then(|()| synced_directory(path)).map_err(failed)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        self.write_to(fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?)
    }

    fn write_to(&self, mut file: fs::File) -> io::Result<()> {
        writeln!(file, "{}", *Zeroizing::new(STANDARD.encode(self.bytes())))?;
        file.sync_all()
    }
}

impl KeySource {
    /// Whether the key lies in the data directory, where the host itself keeps it.
    #[must_use]
    pub fn is_in_data_dir(&self) -> bool {
        self.text.is_none() && self.file.is_none()
    }

    /// The next key, if a change of the key was broken off.
    ///
    /// # Errors
    /// There is one that cannot be read.
    pub fn next(&self) -> Result<Option<SecretKey>, SecretKeyError> {
        let path = self.data_dir.join(NEXT_KEY_FILE);
        if self.is_in_data_dir() && path.exists() { SecretKey::read(&path).map(Some) } else { Ok(None) }
    }

    /// Keeps the next key beside the key.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_next(&self, key: &SecretKey) -> Result<(), SecretKeyError> {
        let path = self.data_dir.join(NEXT_KEY_FILE);
        let written = key.write(&path).and_then(|()| synced_directory(&path));
        written.map_err(|source| SecretKeyError::Create { path, source })
    }

    /// Puts the next key in the key's place.
    ///
    /// # Errors
    /// The file cannot be moved.
    pub fn promote_next(&self) -> Result<(), SecretKeyError> {
        let path = self.data_dir.join(KEY_FILE);
        let moved = renamed(&self.data_dir.join(NEXT_KEY_FILE), &path);
        moved.map_err(|source| SecretKeyError::Create { path, source })
    }

    /// Lets the next key go: nothing was sealed with it.
    pub fn drop_next(&self) {
        if self.is_in_data_dir() {
            // There is none as a rule.
            fs::remove_file(self.data_dir.join(NEXT_KEY_FILE)).ok();
        }
    }
}

fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    synced_directory(to)
}

/// What is sealed with a key must not outlive the key's name in the directory.
fn synced_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{super::Secret, *};

    fn source(data_dir: &Path) -> KeySource {
        KeySource { text: None, file: None, data_dir: data_dir.to_owned() }
    }

    #[test]
    fn a_key_is_made_once_and_only_this_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(SecretKey::load(&source(folder.path()), false), Err(SecretKeyError::Missing { .. })));
        let made = SecretKey::load(&source(folder.path()), true).unwrap();
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(SecretKey::load(&source(folder.path()), false).unwrap().bytes(), made.bytes());
    }

    #[test]
    fn the_operator_may_give_the_key_and_a_wrong_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = STANDARD.encode([7; 32]);
        let given = KeySource { text: Some(Secret::new(text.clone())), ..source(folder.path()) };
        assert_eq!(SecretKey::load(&given, true).unwrap().bytes(), &[7; 32]);
        let path = folder.path().join("elsewhere");
        fs::write(&path, format!("{text}\n")).unwrap();
        let named = KeySource { file: Some(path.clone()), ..source(folder.path()) };
        assert_eq!(SecretKey::load(&named, true).unwrap().bytes(), &[7; 32]);
        fs::write(&path, "short").unwrap();
        assert!(SecretKey::load(&named, true).unwrap_err().to_string().contains("elsewhere"));
        fs::remove_file(&path).unwrap();
        assert!(matches!(SecretKey::load(&named, true), Err(SecretKeyError::Read { .. })));
        assert!(!folder.path().join(KEY_FILE).exists());
    }
}
