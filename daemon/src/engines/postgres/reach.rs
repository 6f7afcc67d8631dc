//! Whether a follower could reach its source: asked before a follower is stopped for it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use topologies::address::ZoneNumber;

use super::{Postgres, within};
use crate::engines::{EngineError, EngineHost};

/// How long the source may take to answer. A SYN that was lost is sent again only after this.
const LIMIT: Duration = Duration::from_secs(1);
/// PostgreSQL's `SSLRequest`, which every server answers with one byte before it asks who is there
/// (PostgreSQL, Message Formats).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

impl Postgres {
    /// Dials a source's port as a follower in zone `from` would, over the link that its stream would take.
    ///
    /// # Errors
    /// When it does not answer within a second.
    pub async fn reach(&self, source: &EngineHost, from: ZoneNumber) -> Result<(), EngineError> {
        let upstream = source.upstream_for(from);
        let dial = async {
            let mut stream = TcpStream::connect(upstream.address).await?;
            stream.write_all(&SSL_REQUEST).await?;
            stream.read_u8().await
        };
        let instance = source.instance.clone();
        let work = async {
            let unreachable = |cause: io::Error| EngineError::Unreachable {
                instance: source.instance.clone(),
                cause,
            };
            dial.await.map(|_| ()).map_err(unreachable)
        };
        within(LIMIT, &instance, "reach its source's port", work).await
    }
}
