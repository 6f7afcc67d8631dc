//! The token of the control API over TCP: every user of this machine reaches loopback addresses, only the stack's owner reads its
//! directory. The Unix socket needs none: its mode says the same.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// The file that holds it, in the stack's directory.
pub const FILE: &str = "api-token";

/// How many random bytes it has; written in hexadecimal digits.
const BYTES: usize = 32;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The stack's owner: through the socket, or with the token.
    Owner,
    /// Anybody on this machine.
    Stranger,
}

/// A digest of the token, so that comparing takes the same time whatever is compared, and nothing that is printed tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(Arc<[u8]>);

impl Token {
    /// A new token, written to its file with mode 0600. The one before is void.
    ///
    /// # Errors
    /// When the operating system gives no random numbers, or the file can not be written.
    pub fn renew(directory: &Path) -> io::Result<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let text = hex::encode(bytes);
        let path = directory.join(FILE);
        let unfinished = path.with_extension("new");
        // One that a daemon left half-written could have another mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        fs::rename(unfinished, path)?;
        Ok(Self::of(&text))
    }

    /// The token that is written `text`.
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).as_slice().into())
    }

    /// Who sends these headers; none if they show a token that is not this one.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let Some(shown) = headers.get(AUTHORIZATION) else {
            return Some(Caller::Stranger);
        };
        let (scheme, token) = shown.to_str().ok()?.split_once(' ')?;
        let right = scheme.eq_ignore_ascii_case("bearer") && Self::of(token.trim()) == *self;
        right.then_some(Caller::Owner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn asks(token: &Token, header: &str) -> Option<Caller> {
        let headers = [(AUTHORIZATION, header.parse().unwrap())];
        token.caller(&headers.into_iter().collect())
    }

    #[test]
    fn only_what_stands_in_the_owners_file_is_the_token() {
        let directory = tempfile::tempdir().unwrap();
        let token = Token::renew(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((text.len(), mode & 0o777), (2 * BYTES, 0o600));
        assert_eq!(asks(&token, &format!("Bearer {text}")), Some(Caller::Owner));
        assert_eq!(asks(&token, &format!("bearer {text}")), Some(Caller::Owner));
        let short = &text[1..];
        for wrong in [
            "Bearer ",
            "Bearer",
            "",
            &text,
            &format!("Basic {text}"),
            &format!("Bearer {short}"),
        ] {
            assert_eq!(asks(&token, wrong), None, "{wrong:?}");
        }
        assert_eq!(token.caller(&HeaderMap::new()), Some(Caller::Stranger));
        let renewed = Token::renew(directory.path()).unwrap();
        assert_eq!(asks(&renewed, &format!("Bearer {text}")), None);
    }
}
