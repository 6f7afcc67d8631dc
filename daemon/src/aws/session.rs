//! Who calls, and temporary credentials: a token holds whose it is and until when, sealed, so that nothing has to be kept.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wire::sigv4::Secret;

/// Bytes of a token that are looked at. Those that are issued here have some hundreds.
const TOKEN_MAX: usize = 4096;

/// Who calls, as `GetCallerIdentity` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// `arn:aws:iam::123456789012:root`.
    pub arn: String,
    /// AWS's unique id of it: the account's number for the account itself.
    pub id: String,
}

/// Temporary credentials.
#[derive(Clone)]
pub struct Session {
    /// The access key's id, which begins with `ASIA`.
    pub access_key: String,
    /// What signs with it.
    pub secret: String,
    /// What has to come with it.
    pub token: String,
    /// When they end, in milliseconds of the wall clock.
    pub expires: i64,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The access key's id.
    pub(super) access_key: String,
    /// Who has it.
    pub(super) principal: Principal,
    /// When it ends, in milliseconds of the wall clock.
    pub(super) expires: i64,
}

/// Makes temporary credentials and knows them again. They are good as long as the daemon lives.
#[derive(Clone)]
pub struct Issuer([u8; 32]);

/// Without the key.
impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Issuer(..)")
    }
}

impl Issuer {
    /// An issuer that seals with a key.
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Credentials for a principal. `unique` tells them from all others.
    pub fn issue(&self, principal: Principal, expires: i64, unique: &str) -> Session {
        let mut access_key = format!("ASIA{}", unique.to_ascii_uppercase());
        access_key.truncate(20);
        let claims = Claims {
            access_key,
            principal,
            expires,
        };
        let said = serde_json::to_vec(&claims).unwrap_or_default();
        let said = BASE64_URL_SAFE_NO_PAD.encode(said);
        let seal = self.mac("token", said.as_bytes());
        Session {
            secret: self.secret(&claims.access_key),
            token: format!("{said}.{}", hex::encode(seal)),
            access_key: claims.access_key,
            expires,
        }
    }

    /// What a token says, if it was issued here.
    pub(super) fn read(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (said, seal) = token.split_once('.')?;
        let sealed = self.sealed("token", said.as_bytes());
        sealed.verify_slice(&hex::decode(seal).ok()?).ok()?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(said).ok()?).ok()
    }

    /// What has to sign with an access key that comes with a token.
    pub(super) fn secret_of(&self, access_key: &str, token: &str) -> Option<Secret> {
        let claims = self.read(token)?;
        (claims.access_key == access_key).then(|| Secret {
            key: self.secret(access_key),
            session_token: Some(token.to_owned()),
        })
    }

    fn secret(&self, access_key: &str) -> String {
        // 40 characters, as AWS's have.
        BASE64_URL_SAFE_NO_PAD.encode(&self.mac("secret", access_key.as_bytes())[..30])
    }

    fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        self.sealed(purpose, bytes).finalize().into_bytes().into()
    }

    fn sealed(&self, purpose: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.chain_update(purpose)
            .chain_update([0])
            .chain_update(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(issuer: &Issuer) -> Session {
        let principal = Principal {
            arn: "arn:aws:sts::123456789012:assumed-role/ops/me".to_owned(),
            id: "AROA:me".to_owned(),
        };
        issuer.issue(principal, 1_000, "0123456789abcdef0123")
    }

    #[test]
    fn a_token_says_whose_it_is() {
        let issuer = Issuer::new([1; 32]);
        let session = session(&issuer);
        let claims = issuer.read(&session.token).unwrap();
        assert_eq!(
            (claims.expires, claims.principal.id.as_str()),
            (1_000, "AROA:me")
        );
        assert_eq!(session.access_key, "ASIA0123456789ABCDEF");
        let secret = issuer
            .secret_of(&session.access_key, &session.token)
            .unwrap();
        assert_eq!(secret.key, session.secret);
        assert_eq!(session.secret.len(), 40);
    }

    #[test]
    fn a_token_of_somebody_else_says_nothing() {
        let issuer = Issuer::new([1; 32]);
        let session = session(&issuer);
        assert!(issuer.secret_of("ASIAOTHER", &session.token).is_none());
        let other = Issuer::new([2; 32]);
        for token in [
            session.token.replace('.', ""),
            format!("x{}", session.token),
            format!("{}00", session.token),
            String::new(),
            ".".to_owned(),
            "x".repeat(TOKEN_MAX + 1),
        ] {
            assert_eq!(issuer.read(&token), None, "{token}");
        }
        assert_eq!(other.read(&session.token), None);
    }
}
