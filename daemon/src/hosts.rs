//! Hosts files for programs that can not ask a stack's resolver: one for each view, kept true after every change of the world.
//!
//! They stand in where port 53 can not be bound. A hosts file has no TTL and no turns: a program sees a change when it looks
//! again, and of several addresses the first is always the same. What the resolver would answer is worked out from the
//! routes and not asked of it: the resolver of a dark zone does not answer, and nobody outside is to wait for that.
//!
//! A file is mounted into instances, so that it has to stay the same file: it can not be replaced by a rename. So that no
//! reader finds half of it, it has the form of whole pages, no line crosses from one into the next, it never
//! gets shorter, and it is written at once, and only when something in it changes.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use proxies::dns::addresses;
use proxies::routes::Routes;
use topologies::address::ZoneNumber;
use topologies::plan::Plan;
use topologies::world::World;

use crate::routes::routes;
use crate::stack::Stack;

/// The unit in which C libraries and the kernel read files, in bytes.
const PAGE: usize = 4096;
/// The machine's own names, which stay.
const OWN: &str = "/etc/hosts";
/// No more of the machine's own file is taken over, in bytes.
const OWN_BYTES_MAX: u64 = 256 << 10;

/// The hosts file of a view.
pub fn path(stack: &Path, view: ZoneNumber) -> PathBuf {
    stack.join("hosts").join(view.get().to_string())
}

/// Writes the hosts file of every view.
///
/// # Errors
/// When a file can not be written.
pub fn write_all(directory: &Path, plan: &Plan, world: &World) -> io::Result<()> {
    let routes = routes(plan, world);
    let own = own_names(Path::new(OWN));
    let zones = plan.topology.zones().map(|zone| zone.number);
    // Those outside wait for a change, those in a zone that is lost do not.
    for view in [ZoneNumber::OUTSIDE].into_iter().chain(zones) {
        write(&path(directory, view), &hosts(&routes, view, &own))?;
    }
    Ok(())
}

/// Keeps the hosts file of every view true for as long as it is polled.
pub async fn keep(stack: Stack) {
    let mut world = stack.world.clone();
    loop {
        let now = world.borrow_and_update().clone();
        if let Err(cause) = write_all(&stack.directory, &stack.plan(), &now) {
            tracing::error!(%cause, "hosts files not written");
        }
        if world.changed().await.is_err() {
            return;
        }
    }
}

/// The stack's names come first: the first line with a name counts.
fn hosts(routes: &Routes, view: ZoneNumber, own: &str) -> String {
    let mut text = String::new();
    for (name, addresses) in addresses(routes, view) {
        for address in addresses {
            writeln!(text, "{address} {name}").expect("writing to a string does not fail");
        }
    }
    text + own
}

/// What the machine's own hosts file says, such as its own name.
fn own_names(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(OWN_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(read) if read > 0 => text,
        Ok(_) | Err(_) => "127.0.0.1 localhost\n".to_owned(),
    }
}

/// Writes `text` unless the file says it already.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)?;
    let mut before = Vec::new();
    file.read_to_end(&mut before)?;
    let pages = pages(text, before.len());
    if pages.as_bytes() == before {
        return Ok(());
    }
    file.write_all_at(pages.as_bytes(), 0)
}

/// `text` in whole pages, at least `length_min` bytes: empty lines fill a page that the next line does not fit into. A line
/// longer than a page, which only the machine's own file may have, crosses as it must.
fn pages(text: &str, length_min: usize) -> String {
    let mut paged = String::with_capacity(text.len().next_multiple_of(PAGE).max(length_min));
    let fill = |paged: &mut String, length: usize| {
        paged.extend(std::iter::repeat_n('\n', length - paged.len()));
    };
    for line in text.lines() {
        let left = paged.len().next_multiple_of(PAGE) - paged.len();
        if line.len() < PAGE && line.len() >= left {
            let next = paged.len() + left;
            fill(&mut paged, next);
        }
        paged.push_str(line);
        paged.push('\n');
    }
    let length = paged.len().max(length_min).next_multiple_of(PAGE);
    fill(&mut paged, length);
    paged
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// A hosts file of so many names, all with addresses that end in `last`.
    fn text(names: usize, last: u8) -> String {
        (0..names).fold(String::new(), |mut text, name| {
            writeln!(
                text,
                "127.90.1.{last} name-{name}.of.some.length.shop.internal"
            )
            .unwrap();
            text
        })
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn no_line_crosses_a_page_and_none_is_lost() {
        for names in [0, 1, 70, 71, 72, 73, 200] {
            let text = text(names, 10);
            let paged = pages(&text, 0);
            assert_eq!(paged.len() % PAGE, 0, "{names}");
            for page in paged.as_bytes().chunks(PAGE) {
                assert_eq!(page.last(), Some(&b'\n'), "{names}");
            }
            assert_eq!(lines(&paged), lines(&text), "{names}");
        }
    }

    #[test]
    fn a_line_that_just_fits_stays_on_its_page() {
        let line = "x".repeat(PAGE / 2 - 1);
        let fits = pages(&format!("{line}\n{line}\n"), 0);
        assert_eq!(fits.len(), PAGE);
        let one_more = pages(&format!("{line}\n{line}y\n"), 0);
        assert_eq!(one_more.len(), 2 * PAGE);
        assert_eq!(lines(&one_more).len(), 2);
        let monster = "z".repeat(3 * PAGE);
        assert_eq!(lines(&pages(&format!("a\n{monster}\nb\n"), 0)).len(), 3);
    }

    #[test]
    fn the_file_stays_the_same_file_and_never_gets_shorter() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("hosts/0");
        write(&file, &text(200, 10)).unwrap();
        let before = fs::metadata(&file).unwrap();
        write(&file, &text(3, 20)).unwrap();
        let after = fs::metadata(&file).unwrap();
        assert_eq!((before.ino(), before.len()), (after.ino(), after.len()));
        let written = fs::read_to_string(&file).unwrap();
        assert_eq!(lines(&written), lines(&text(3, 20)));
    }

    #[test]
    fn nothing_is_written_when_nothing_changes() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("0");
        write(&file, &text(3, 10)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        File::options()
            .write(true)
            .open(&file)
            .and_then(|file| file.set_modified(long_ago))
            .unwrap();
        write(&file, &text(3, 10)).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), long_ago);
        write(&file, &text(3, 11)).unwrap();
        assert_ne!(fs::metadata(&file).unwrap().modified().unwrap(), long_ago);
    }

    /// A reader that reads by pages, as C libraries do, while the file changes.
    #[test]
    fn a_reader_meets_every_name_whenever_it_looks() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("0");
        write(&file, &text(50, 10)).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0..500 {
                    write(&file, &text(50, if turn % 2 == 0 { 200 } else { 10 })).unwrap();
                }
                done.store(true, std::sync::atomic::Ordering::Release);
            });
            let mut looks = 0;
            while looks < 10 || !done.load(std::sync::atomic::Ordering::Acquire) {
                looks += 1;
                let mut page = vec![0; PAGE];
                File::open(&file).unwrap().read_exact(&mut page).unwrap();
                let seen = String::from_utf8(page).unwrap();
                assert_eq!(lines(&seen).len(), 50, "{seen}");
                assert!(
                    lines(&seen)
                        .iter()
                        .all(|line| line.ends_with("shop.internal"))
                );
            }
        });
    }

    #[test]
    fn the_machines_own_names_stay_behind_the_stacks() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("hosts");
        fs::write(&own, "127.0.0.1 localhost\n127.0.1.1 laptop\n").unwrap();
        assert!(own_names(&own).contains("laptop"));
        assert_eq!(
            own_names(&place.path().join("none")),
            "127.0.0.1 localhost\n"
        );
        let text = hosts(&Routes::default(), ZoneNumber::OUTSIDE, &own_names(&own));
        assert_eq!(text, "127.0.0.1 localhost\n127.0.1.1 laptop\n");
    }
}
