//! Blocks of IPv4 addresses as CIDR writes them, `127.64.1.0/24`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::prefix::Prefix;

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr(Prefix);

/// A text that is no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a block of IPv4 addresses")]
pub struct NotACidr(String);

impl Cidr {
    /// The block of all addresses whose first `prefix` bits, at most 32, are those of `address`.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        Self(Prefix::new(address.into(), prefix))
    }

    /// The block of one address.
    pub fn host(address: Ipv4Addr) -> Self {
        Self::new(address, 32)
    }

    /// Whether every address of `other` is one of this block.
    pub fn contains(self, other: Self) -> bool {
        self.0.contains(other.0)
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let block = text.parse().ok();
        let block = block.filter(|block: &Prefix| block.is_ipv4());
        block.map(Self).ok_or_else(|| NotACidr(text.to_owned()))
    }
}

impl TryFrom<String> for Cidr {
    type Error = NotACidr;

    fn try_from(text: String) -> Result<Self, NotACidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_written_by_its_first_address() {
        for (text, written) in [
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.1.2.3/32", Some("10.1.2.3/32")),
            // "If you specify 100.68.0.18/18, we modify it to 100.68.0.0/18" (CreateNetworkAclEntry).
            ("100.68.0.18/18", Some("100.68.0.0/18")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("::/0", None),
        ] {
            let parsed = text.parse::<Cidr>().ok().map(|it| it.to_string());
            assert_eq!(parsed.as_deref(), written, "{text}");
        }
    }

    #[test]
    fn a_block_contains_what_is_as_small_or_smaller() {
        for (outer, inner, contains) in [
            ("0.0.0.0/0", "127.0.0.1/32", true),
            ("127.64.0.0/16", "127.64.1.0/24", true),
            ("127.64.1.0/24", "127.64.1.0/24", true),
            ("127.64.1.0/24", "127.64.2.0/24", false),
            ("127.64.1.10/32", "127.64.1.0/24", false),
            ("127.64.0.0/16", "127.0.0.1/32", false),
        ] {
            let (outer, inner): (Cidr, Cidr) = (outer.parse().unwrap(), inner.parse().unwrap());
            assert_eq!(outer.contains(inner), contains, "{outer} {inner}");
        }
    }
}
