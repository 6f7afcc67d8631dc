//! Directories from the environment, names, claims.

use std::collections::BTreeMap;

use super::*;
use crate::up::RuntimeWish;

fn home(at: &Path) -> Home {
    let variable = |name: &str| match name {
        "LOCALAWS_HOME" => Some(at.join("home")),
        "LOCALAWS_CACHE" => Some(at.join("cache")),
        _ => None,
    };
    Home::from_environment(variable, false).unwrap()
}

fn wanted(name: &str) -> Wanted {
    Wanted {
        name: StackId::from(name),
        topology_path: PathBuf::from("/t.yaml"),
        topology: "name: t".to_owned(),
        wish: RuntimeWish::Auto,
        timing: None,
        seed: None,
        fresh_seed: 7,
        now: "2026-01-01T00:00:00Z".to_owned(),
    }
}

#[test]
fn directories_follow_the_environment() {
    let check = |set: &[(&str, &str)], root: bool| {
        let set: BTreeMap<&str, &str> = set.iter().copied().collect();
        Home::from_environment(|name| set.get(name).map(PathBuf::from), root)
            .map(|home| (home.state().to_owned(), home.cache().to_owned()))
            .ok()
    };
    let pair = |a: &str, b: &str| Some((PathBuf::from(a), PathBuf::from(b)));
    assert_eq!(check(&[], false), None);
    assert_eq!(
        check(&[], true),
        pair("/var/lib/localaws", "/var/cache/localaws")
    );
    assert_eq!(
        check(&[("HOME", "/h"), ("XDG_STATE_HOME", "relative")], false),
        pair("/h/.local/state/localaws", "/h/.cache/localaws")
    );
    assert_eq!(
        check(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")], false),
        pair("/s/localaws", "/h/.cache/localaws")
    );
    assert_eq!(
        check(&[("LOCALAWS_HOME", "/l"), ("LOCALAWS_CACHE", "")], true),
        pair("/l", "/var/cache/localaws")
    );
}

#[test]
fn names_can_not_leave_the_directory() {
    assert!(stack_name("tier-10k").is_ok());
    let long = "a".repeat(NAME_MAX + 1);
    for name in [
        "", "..", "a/b", "A", "1a", "a-", "a b", "ä", "a\0", "-a", &long,
    ] {
        assert!(stack_name(name).is_err(), "{name:?}");
    }
}

#[test]
fn a_stack_is_claimed_once_and_found_by_others() {
    let place = tempfile::tempdir().unwrap();
    let home = home(place.path());
    assert!(home.stacks().unwrap().is_empty());
    let claim = home.claim(wanted("one")).unwrap();
    assert!(!claim.resume && !claim.leftovers);
    assert_eq!(claim.record.seed, 7);
    assert!(matches!(
        home.claim(wanted("one")),
        Err(StateError::Running(_))
    ));
    assert!(matches!(
        home.seize(&"one".into()),
        Err(StateError::Running(_))
    ));
    let other = home.claim(wanted("two")).unwrap();
    assert_ne!(other.record.slot, claim.record.slot);
    let known = home.stacks().unwrap();
    assert_eq!(known.len(), 2);
    assert!(known.iter().all(|stack| stack.running));
    claim.purge().unwrap();
    assert!(!home.running(&"one".into()).unwrap());
    assert_eq!(home.stacks().unwrap().len(), 1);
    assert!(!home.stack(&"one".into()).path().exists());
}

#[test]
fn what_a_daemon_leaves_is_resumed_on_the_same_slot_or_cleared() {
    let place = tempfile::tempdir().unwrap();
    let home = home(place.path());
    let mut claim = home.claim(wanted("one")).unwrap();
    let slot = claim.record.slot;
    drop(claim);
    assert!(!home.stacks().unwrap()[0].running);
    claim = home.claim(wanted("one")).unwrap();
    assert!(claim.leftovers && !claim.resume);
    claim.set_phase(Phase::Running).unwrap();
    drop(claim);
    let again = Wanted {
        fresh_seed: 8,
        ..wanted("one")
    };
    claim = home.claim(again).unwrap();
    assert!(claim.resume && !claim.leftovers);
    assert_eq!((claim.record.slot, claim.record.seed), (slot, 7));
    drop(claim);
    let seized = home.seize(&"one".into()).unwrap().unwrap();
    assert_eq!(seized.record.as_ref().unwrap().phase, Phase::Running);
    seized.purge().unwrap();
    assert!(home.seize(&"one".into()).unwrap().is_none());
}

#[test]
fn a_record_that_is_damaged_says_so() {
    let place = tempfile::tempdir().unwrap();
    let home = home(place.path());
    drop(home.claim(wanted("one")).unwrap());
    let path = home.stack(&"one".into()).path().join("stack.json");
    fs::write(&path, "{").unwrap();
    assert!(matches!(home.stacks(), Err(StateError::Record { .. })));
}

#[test]
fn a_directory_that_is_a_file_says_so() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("home"), "").unwrap();
    assert!(matches!(
        home(place.path()).claim(wanted("one")),
        Err(StateError::File { .. })
    ));
}

#[test]
fn long_paths_have_their_socket_elsewhere() {
    let short = socket_path(Path::new("/a"), Path::new("/run"));
    assert_eq!(short, Path::new("/a/control.sock"));
    let deep = PathBuf::from(format!("/{}", "d".repeat(120)));
    let elsewhere = socket_path(&deep, Path::new("/run"));
    assert!(elsewhere.starts_with("/run") && elsewhere.as_os_str().len() < 107);
    assert_eq!(elsewhere, socket_path(&deep, Path::new("/run")));
}
