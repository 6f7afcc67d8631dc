//! Has the kernel drop whatever arrives on a connection, so that its peer gets no acknowledgement: a dark host's.
//!
//! Without it the kernel goes on acknowledging for the dark host, and a client's TCP keepalives and `TCP_USER_TIMEOUT` never
//! expire. Some kernels refuse the filter to unprivileged processes; connections then only stall.

use std::io;
use std::net::Ipv4Addr;

use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use tokio::net::TcpStream;

/// `BPF_RET | BPF_K`: keep as many bytes as the operand says. Linux, `Documentation/networking/filter.rst`.
const RETURN: u16 = 0x06;

/// Drops what arrives on `stream` until [`unmute`].
pub(crate) fn mute(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
}

/// Lets packets in again; what the peer sent meanwhile arrives when it repeats it.
pub(crate) fn unmute(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).detach_filter()
}

/// Whether this process may silence open connections, as a dark host's peers would find them. Where it may not, they stall, but
/// the kernel acknowledges what clients send.
pub fn permitted() -> bool {
    let probe = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
    };
    probe().is_ok()
}
