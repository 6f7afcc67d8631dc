//! Which low ports this process may have, found out by taking them for a moment. A stack and `doctor` ask the same question.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Whether port 53 can be had at `address`, over TCP and UDP: another program may have one of them on every address.
pub(crate) fn dns(address: Ipv4Addr) -> io::Result<()> {
    let _tcp = TcpListener::bind((address, 53))?;
    UdpSocket::bind((address, 53)).map(drop)
}

/// Whether port 80, and with it any port below 1024, can be had at `address`.
pub(crate) fn http(address: Ipv4Addr) -> io::Result<()> {
    TcpListener::bind((address, 80)).map(drop)
}
