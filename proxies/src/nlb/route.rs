//! Which target a flow goes to. Pure.

use std::net::SocketAddrV4;

use crate::routes::{LoadBalancer, Routes, TargetGroup};

/// The target group of the listener on `port`.
pub(crate) fn target_group<'a>(
    load_balancer: &LoadBalancer,
    port: u16,
    routes: &'a Routes,
) -> Option<&'a TargetGroup> {
    let listener = load_balancer.listeners.iter().find(|it| it.port == port)?;
    let group = listener.default_action.target_groups().next()?;
    routes.target_groups.get(group)
}

/// A number that is the same for all packets of a flow and spread evenly over flows. (AWS's hash also takes the TCP sequence
/// number, which a proxy does not see; `seed` stands in for it.)
pub(crate) fn flow_hash(source: SocketAddrV4, destination: SocketAddrV4, seed: u64) -> u64 {
    let half =
        |address: SocketAddrV4| u64::from(address.ip().to_bits()) << 16 | u64::from(address.port());
    mixed(mixed(seed ^ half(source)) ^ half(destination))
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output's.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_keeps_its_hash_and_flows_are_spread() {
        let destination: SocketAddrV4 = "127.100.1.9:5432".parse().unwrap();
        let source = |port| SocketAddrV4::new([127, 0, 0, 1].into(), port);
        let hash = |port| flow_hash(source(port), destination, 1);
        assert_eq!(hash(40_000), hash(40_000));
        assert_ne!(hash(40_000), flow_hash(source(40_000), destination, 2));
        let mut counts = [0; 3];
        for port in 40_000..43_000 {
            counts[usize::try_from(hash(port) % 3).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }
}
