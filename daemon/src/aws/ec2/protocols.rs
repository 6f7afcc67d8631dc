//! Protocols of IP by their numbers, and by the names that are taken for some of them (IANA).

use wire::Fault;

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;

const NAMES: &[(&str, u8)] = &[
    ("icmp", ICMP),
    ("icmpv6", ICMPV6),
    ("tcp", TCP),
    ("udp", UDP),
];

/// A protocol's number; none for all of them, which are written -1.
pub(super) fn read(written: &str) -> Result<Option<u8>, Fault> {
    if written == "-1" {
        return Ok(None);
    }
    let mut names = NAMES.iter();
    let named = names.find(|(name, _)| name.eq_ignore_ascii_case(written));
    let number = named.map(|(_, number)| *number);
    let number = number.or_else(|| written.parse().ok());
    number.map(Some).ok_or_else(|| {
        let text = format!("Invalid value '{written}' for IP protocol. Unknown protocol.");
        Fault::sender("InvalidParameterValue", text)
    })
}

/// As security groups show it: by its name, if it has one.
pub(super) fn name(protocol: Option<u8>) -> String {
    let Some(number) = protocol else {
        return "-1".to_owned();
    };
    let named = NAMES.iter().find(|(_, it)| *it == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}
