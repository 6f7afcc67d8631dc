//! Blocks of IPv4 or IPv6 addresses, `203.0.113.0/24` and `2001:db8::/32`: whose clients a question comes from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    first: IpAddr,
    length: u8,
}

/// A text that is no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a block of addresses")]
pub struct NotAPrefix(String);

impl Prefix {
    /// The block of all addresses whose first `length` bits are those of `address`, which has no more than 32 or 128.
    pub fn new(address: IpAddr, length: u8) -> Self {
        let length = length.min(if address.is_ipv4() { 32 } else { 128 });
        let first = match address {
            IpAddr::V4(it) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                IpAddr::V4((it.to_bits() & mask).into())
            }
            IpAddr::V6(it) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                IpAddr::V6((it.to_bits() & mask).into())
            }
        };
        Self { first, length }
    }

    /// How many bits its addresses have in common.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether its addresses are IPv4's.
    pub fn is_ipv4(self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether every address of `other` is one of this block.
    pub fn contains(self, other: Self) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.length <= other.length
            && Self::new(other.first, self.length).first == self.first
    }
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let wrong = || NotAPrefix(text.to_owned());
        let (address, digits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length: u8 = digits.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if length > most || !digits.bytes().all(|it| it.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self::new(address, length))
    }
}

impl TryFrom<String> for Prefix {
    type Error = NotAPrefix;

    fn try_from(text: String) -> Result<Self, NotAPrefix> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_written_by_its_first_address_and_contains_smaller_ones() {
        for (text, written) in [
            ("203.0.113.7/24", Some("203.0.113.0/24")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("203.0.113.0", None),
            ("203.0.113.0/33", None),
            ("203.0.113.0/+8", None),
        ] {
            let read = text.parse::<Prefix>().ok().map(|it| it.to_string());
            assert_eq!(read.as_deref(), written, "{text}");
        }
        for (outer, inner, contains) in [
            ("203.0.0.0/16", "203.0.113.0/24", true),
            ("203.0.113.0/24", "203.0.0.0/16", false),
            ("::/0", "203.0.113.0/24", false),
            ("2001:db8::/32", "2001:db8:1::/48", true),
            ("2001:db8::/32", "2001:db9::/48", false),
        ] {
            let (outer, inner): (Prefix, Prefix) = (outer.parse().unwrap(), inner.parse().unwrap());
            assert_eq!(outer.contains(inner), contains, "{outer} {inner}");
        }
    }
}
