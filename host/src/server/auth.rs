//! Who may ask: one bearer token, made at the first start and kept in a file that only the operator can read.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The file in the data directory that holds the admin token.
pub const TOKEN_FILE: &str = "admin-token";
const PREFIX: &str = "weir_";
const RANDOM_BYTES: usize = 32;
/// The cookie that holds a session.
pub const COOKIE: &str = "weir_session";
/// No token is longer; a longer header is refused unread.
const HEADER_BYTES_MAX: usize = 512;

/// Why the admin token cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file exists and cannot be read.
    #[error("could not read the admin token in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("could not use the admin token in {}: it is empty or too short; delete the file to get a new one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// A new token cannot be made or stored.
    #[error("could not make an admin token in {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The admin token of a data directory.
#[derive(Debug, Clone)]
pub struct AdminToken {
    /// The token itself.
    pub token: String,
    /// Whether this start made it.
    pub is_new: bool,
}

impl AdminToken {
    /// Reads the token of a data directory, or makes one that only this user can read.
    ///
    /// # Errors
    /// Names the file and why it is of no use.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, TokenError> {
        let path = data_dir.join(TOKEN_FILE);
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().len() >= 16 => Ok(Self { token: text.trim().to_owned(), is_new: false }),
            Ok(_) => Err(TokenError::Malformed { path }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(source) => Err(TokenError::Read { path, source }),
        }
    }

    fn create(path: PathBuf) -> Result<Self, TokenError> {
        let write = || -> io::Result<String> {
            let token = random_token()?;
            // Written beside and renamed: a crash never leaves half a token behind.
            let draft = path.with_extension("new");
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            writeln!(file, "{token}")?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            Ok(token)
        };
        let token = write().map_err(|source| TokenError::Create { path: path.clone(), source })?;
        Ok(Self { token, is_new: true })
    }
}

fn random_token() -> io::Result<String> {
    use std::{fmt::Write as _, io::Read as _};
    let mut bytes = [0; RANDOM_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut token = PREFIX.to_owned();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// The one token that a request carries.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    // Two credentials leave open which one counts, so neither does.
    let (value, None) = (values.next()?, values.next()) else { return None };
    let bytes = value.as_bytes();
    if bytes.len() > HEADER_BYTES_MAX {
        return None;
    }
    let (scheme, token) = bytes.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// The value of the one session cookie that a request carries.
#[must_use]
pub fn session_cookie(headers: &HeaderMap) -> Option<&[u8]> {
    let cookies = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    let mut values = cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim_ascii().split_at_checked(COOKIE.len())?;
        if name == COOKIE.as_bytes() { value.strip_prefix(b"=") } else { None }
    });
    let (value, None) = (values.next()?, values.next()) else { return None };
    (value.len() <= HEADER_BYTES_MAX).then_some(value)
}

/// The answer to everyone who may not pass: always the same bytes.
#[must_use]
pub fn refusal<B: From<&'static str>>() -> Response<B> {
    const BODY: &str = concat!(
        r#"{"type":"urn:weir:problem:unauthorized","title":"a valid bearer token is needed","status":401,"#,
        r#""code":"unauthorized","detail":"send the header `Authorization: Bearer TOKEN`; the token lies in the file "#,
        r#"admin-token of the host's data directory"}"#
    );
    let mut response = Response::new(B::from(BODY));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
    response
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (header::AUTHORIZATION, HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn a_token_is_read_strictly() {
        let admits = |values: &[&str]| bearer(&headers(values)) == Some(b"weir_secret");
        assert!(admits(&["Bearer weir_secret"]));
        assert!(admits(&["bearer  weir_secret "]));
        let wrong: [&[&str]; 7] = [
            &[],
            &["Bearer "],
            &["Bearer weir_secre"],
            &["Bearer weir_secretx"],
            &["Basic weir_secret"],
            &["weir_secret"],
            &["Bearer weir_secret", "Bearer weir_secret"],
        ];
        for values in wrong {
            assert!(!admits(values), "{values:?}");
        }
    }

    #[test]
    fn a_session_is_read_strictly() {
        let cookies = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|v| (header::COOKIE, HeaderValue::from_static(v))).collect()
        };
        assert_eq!(session_cookie(&cookies(&["a=b; weir_session=x; c=d"])), Some(&b"x"[..]));
        let wrong: [&[&str]; 5] =
            [&[], &["a=b"], &["weir_session"], &["xweir_session=x"], &["weir_session=x; weir_session=y"]];
        for values in wrong {
            assert_eq!(session_cookie(&cookies(values)), None, "{values:?}");
        }
    }

    #[test]
    fn the_token_is_made_once_for_this_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = AdminToken::load_or_create(dir.path()).unwrap();
        let second = AdminToken::load_or_create(dir.path()).unwrap();
        assert!(first.is_new && !second.is_new);
        assert_eq!(first.token, second.token);
        assert_eq!(first.token.len(), PREFIX.len() + 2 * RANDOM_BYTES);
        let mode = fs::metadata(dir.path().join(TOKEN_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
