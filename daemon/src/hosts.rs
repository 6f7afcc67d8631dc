//! Hosts files for programs that can not ask a stack's resolver: one for each view, kept true by asking the resolver itself
//! after every change of the world.
//!
//! They stand in where port 53 can not be bound. A hosts file has no TTL: a program sees a change when it looks again.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proxies::dns::client::lookup;
use topologies::address::{ZoneNumber, resolver};

use crate::routes::routes;
use crate::stack::Stack;

/// The longest that one name may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Changes within this time are written as one.
const SETTLE: Duration = Duration::from_millis(20);

/// The hosts file of a view.
pub fn path(stack: &Path, view: ZoneNumber) -> PathBuf {
    stack.join("hosts").join(view.get().to_string())
}

/// Keeps the hosts file of every view true for as long as it is polled.
pub async fn keep(stack: Stack) {
    let mut world = stack.world.clone();
    loop {
        let names: Vec<String> = {
            let world = world.borrow_and_update();
            routes(&stack.plan, &world).names.into_keys().collect()
        };
        let zones = stack.plan.topology.zones().map(|zone| zone.number);
        for view in zones.chain([ZoneNumber::OUTSIDE]) {
            let text = hosts(&stack, view, &names).await;
            if let Err(cause) = write(&path(&stack.directory, view), &text) {
                tracing::error!(%cause, view = view.get(), "hosts file not written");
            }
        }
        if world.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(SETTLE).await;
    }
}

async fn hosts(stack: &Stack, view: ZoneNumber, names: &[String]) -> String {
    let server = SocketAddr::from((resolver(stack.plan.slot, view), stack.dns_port));
    let mut text = "127.0.0.1 localhost\n".to_owned();
    for name in names {
        // A name without an address has no line.
        if let Ok(answer) = lookup(server, name, PATIENCE).await {
            for address in answer.addresses {
                writeln!(text, "{address} {name}").expect("writing to a string does not fail");
            }
        }
    }
    text
}

/// In place: a file that is mounted into an instance must stay the same file.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}
