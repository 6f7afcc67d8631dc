//! Directories from the environment, names, claims.

use std::collections::BTreeMap;
use std::net::{SocketAddrV4, TcpListener};

use topologies::address::{self, ZoneNumber};

use super::claim::API_PORT;
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
    // Somebody whose records are elsewhere took the slot meanwhile: what runs has its addresses, and can not stay.
    let api = SocketAddrV4::new(address::api(slot, ZoneNumber::OUTSIDE), API_PORT);
    let taken = TcpListener::bind(api).unwrap();
    claim = home.claim(wanted("one")).unwrap();
    assert_ne!(claim.record.slot, slot);
    assert!(claim.resume && claim.stopped && claim.leftovers);
    drop((claim, taken));
    let seized = home.seize(&"one".into()).unwrap().unwrap();
    assert_eq!(seized.record.as_ref().unwrap().phase, Phase::Running);
    seized.purge().unwrap();
    assert!(home.seize(&"one".into()).unwrap().is_none());
}

/// A topology of two instances.
fn of_two(command: &str) -> String {
    format!(
        "region: ap-northeast-2\navailability-zones: [a, b]\ninstances:\n  \
         web: {{ program: [sleep, '{command}'], port: 8080, count: 2 }}\n"
    )
}

/// What asking for a stack again says that was up on `runtime`.
fn asked_again(
    runtime: RuntimeKind,
    again: impl Fn(Wanted) -> Wanted,
) -> Result<Claim, StateError> {
    let place = tempfile::tempdir().unwrap();
    let home = home(place.path());
    let first = Wanted {
        topology: of_two("600"),
        ..wanted("one")
    };
    let mut claim = home.claim(first.clone()).unwrap();
    claim.record.chose(runtime);
    claim.set_phase(Phase::Stopped).unwrap();
    let recorded = claim.record.clone();
    drop(claim);
    let claimed = home.claim(again(first));
    if claimed.is_err() {
        let record = home.stack(&"one".into()).record().unwrap();
        assert_eq!(record, Some(recorded), "a refusal changes nothing");
    }
    claimed
}

#[test]
fn a_stack_is_taken_over_on_the_runtime_that_it_was_up_on() {
    let claim = asked_again(RuntimeKind::Process, |again| again).unwrap();
    assert!(claim.resume && claim.stopped);
    assert_eq!(claim.record.wish, RuntimeWish::Process);
    assert_eq!(claim.record.runtimes, [RuntimeKind::Process]);
    let docker = |again| Wanted {
        wish: RuntimeWish::Docker,
        ..again
    };
    let refused = asked_again(RuntimeKind::Process, docker).unwrap_err();
    assert!(
        matches!(
            refused,
            StateError::OtherRuntime {
                runtime: RuntimeKind::Process,
                ..
            }
        ),
        "{refused}"
    );
    assert!(asked_again(RuntimeKind::Docker, docker).is_ok());
}

#[test]
fn a_stack_is_taken_over_by_the_plan_that_it_was_up_with() {
    let with = |topology: String| {
        asked_again(RuntimeKind::Process, move |again| Wanted {
            topology: topology.clone(),
            ..again
        })
    };
    // What does not change the plan is no change.
    assert!(with(format!("# a remark\n{}", of_two("600"))).is_ok());
    let refused = with(of_two("600").replace("count: 2", "count: 3")).unwrap_err();
    assert!(refused.to_string().contains("with `web-3`"), "{refused}");
    let refused = with(of_two("700")).unwrap_err();
    assert!(refused.to_string().contains("other services"), "{refused}");
    let timing = |again| Wanted {
        timing: Some("aws".to_owned()),
        ..again
    };
    let refused = asked_again(RuntimeKind::Process, timing).unwrap_err();
    assert!(refused.to_string().contains("other timing"), "{refused}");
}

#[test]
fn runtimes_of_a_bring_up_that_was_cut_short_are_remembered_until_it_is_cleared() {
    let place = tempfile::tempdir().unwrap();
    let home = home(place.path());
    let docker = Wanted {
        wish: RuntimeWish::Docker,
        ..wanted("one")
    };
    drop(home.claim(docker).unwrap());
    let process = Wanted {
        wish: RuntimeWish::Process,
        ..wanted("one")
    };
    let claim = home.claim(process).unwrap();
    assert!(claim.leftovers);
    assert_eq!(
        claim.record.runtimes,
        [RuntimeKind::Docker, RuntimeKind::Process]
    );
}

#[test]
fn a_record_that_is_damaged_says_so() {
    let place = tempfile::tempdir().unwrap();
    let home = home(place.path());
    drop(home.claim(wanted("one")).unwrap());
    let path = home.stack(&"one".into()).path().join("stack.json");
    fs::write(&path, "{").unwrap();
    let own = home.stack(&"one".into()).record();
    assert!(matches!(own, Err(StateError::Record { .. })));
    // Others are none the worse.
    drop(home.claim(wanted("two")).unwrap());
    let known = home.stacks().unwrap();
    let names: Vec<&str> = known.iter().map(|it| it.record.name.as_str()).collect();
    assert_eq!(names, ["two"]);
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
