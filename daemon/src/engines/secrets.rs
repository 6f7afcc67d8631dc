//! Passwords of a stack's engines. Where they are kept (a file with mode 0600) is the caller's business.

use std::fmt;

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

/// A password or token. Its debug form hides it, so that it reaches no log by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The letters of a generated secret: no sign that a URL, a shell or a configuration file would quote.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    /// Letters of a generated secret, five bits each.
    const LENGTH: usize = 32;

    /// A secret given by the user.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A new secret of 160 bits.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; Self::LENGTH];
        rng.fill_bytes(&mut bytes);
        let letters = bytes.map(|byte| char::from(Self::ALPHABET[usize::from(byte % 32)]));
        Self(letters.iter().collect())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The passwords of a DB instance, the same on all of its hosts and replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DbSecrets {
    /// Of [`ADMIN`](super::postgres::ADMIN), with which the control plane commands the engine.
    pub admin: Secret,
    /// Of [`REPLICATION`](super::postgres::REPLICATION), with which hosts follow each other.
    pub replication: Secret,
    /// Of the master user.
    pub master: Secret,
}

impl DbSecrets {
    /// New passwords; the master user's is `master` if the topology gives one.
    pub fn generate(rng: &mut impl CryptoRng, master: Option<&str>) -> Self {
        Self {
            admin: Secret::generate(rng),
            replication: Secret::generate(rng),
            master: match master {
                Some(given) => Secret::new(given),
                None => Secret::generate(rng),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn secrets_differ_and_do_not_show() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let secrets = DbSecrets::generate(&mut rng, Some("given"));
        assert_ne!(secrets.admin, secrets.replication);
        assert_eq!(secrets.master.expose(), "given");
        assert_eq!(secrets.admin.expose().len(), Secret::LENGTH);
        assert!(!format!("{secrets:?}").contains(secrets.admin.expose()));
    }
}
