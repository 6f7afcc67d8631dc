//! The rules of the house that a compiler does not check: who may depend on whom, which code is pure, how long a file may be,
//! and that no shipped file is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may depend on whom: `topologies <- proxies, chaos, docker <- daemon <- tests`, `wire <- daemon`, never sideways.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("topologies", &[]),
    ("proxies", &["topologies"]),
    ("chaos", &["topologies"]),
    ("docker", &["topologies"]),
    ("wire", &[]),
    (
        "daemon",
        &["topologies", "proxies", "chaos", "docker", "wire"],
    ),
    (
        "tests",
        &["topologies", "proxies", "chaos", "docker", "daemon"],
    ),
    ("examples/storefront", &[]),
];

/// Crates that only some of ours may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("bollard", &["docker"]),
    ("tokio-postgres", &["daemon", "examples/storefront"]),
    ("redis", &["daemon", "examples/storefront"]),
    ("hickory-proto", &["proxies"]),
    ("roxmltree", &["wire"]),
    ("regex", &["wire"]),
];

/// Sources that decide and must not act: no clock, no randomness but a seed, no socket, no file, no task.
const PURE: &[&str] = &[
    "topologies/src",
    "chaos/src",
    "wire/src",
    "daemon/src/control.rs",
    "daemon/src/control",
    "daemon/src/routes.rs",
    "daemon/src/routes",
    "daemon/src/simulator.rs",
    "daemon/src/simulator",
    "daemon/src/restore.rs",
    "docker/src/sightings.rs",
    "docker/src/container",
    "docker/src/images/recipe.rs",
    "proxies/src/routes.rs",
    "proxies/src/dns/select.rs",
    "proxies/src/dns/answer.rs",
    "proxies/src/dns/asker.rs",
    "proxies/src/dns/zone.rs",
    "proxies/src/dns/table.rs",
    "proxies/src/nlb/route.rs",
    "proxies/src/alb/rules.rs",
    "proxies/src/alb/redirect.rs",
    "proxies/src/alb/cookies.rs",
    "proxies/src/acl.rs",
    "proxies/src/security_group.rs",
    "proxies/src/targets.rs",
    "proxies/src/entrance.rs",
    "proxies/src/alb/headers.rs",
    "proxies/src/alb/errors.rs",
    "daemon/src/engines/postgres/config.rs",
    "daemon/src/engines/redis/config.rs",
    "daemon/src/aws/arc_zonal_shift.rs",
    "daemon/src/aws/elbv2",
    "daemon/src/aws/ec2",
    "daemon/src/aws/cloudwatch.rs",
    "daemon/src/aws/cloudwatch",
    "daemon/src/aws/iam.rs",
    "daemon/src/aws/route53.rs",
    "daemon/src/aws/route53",
    "daemon/src/aws/ec2.rs",
    "daemon/src/aws/elbv2.rs",
    "daemon/src/aws/sts.rs",
    "daemon/src/aws/fis.rs",
    "daemon/src/aws/fis",
    "daemon/src/aws/rds",
    "daemon/src/aws/elasticache",
    "daemon/src/aws/resourcegroupstaggingapi.rs",
    "daemon/src/aws/resourcegroupstaggingapi",
    "daemon/src/aws/subnet_groups.rs",
    "daemon/src/aws/versions.rs",
    "daemon/src/aws/input.rs",
    "daemon/src/aws/coverage.rs",
    "daemon/src/aws/trouble.rs",
    "daemon/src/aws/ids.rs",
    "daemon/src/aws/change.rs",
    "daemon/src/aws/view.rs",
];

/// What pure code must not say.
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::fs",
    "fs::",
    "File::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "tokio::",
    "std::thread",
    "std::env",
    "std::process",
    "rand::rng(",
    "from_os_rng",
    "HashMap",
    "HashSet",
    "getrandom",
];

/// Lines of code of a file, its tests not counted, beyond which it has outgrown its room.
const LINES_MAX: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

fn sources(under: &Path) -> Vec<PathBuf> {
    if under.is_file() {
        return vec![under.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(under).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    code_of(&fs::read_to_string(path).expect("a source file is readable"))
}

/// The module of tests comes last; what else is only for tests stands in the middle and counts.
fn code_of(text: &str) -> String {
    let tests = ["\n#[cfg(test)]\nmod tests", "\n#[cfg(test)]\n#[path"];
    let ends = tests.iter().filter_map(|start| text.find(start));
    let lines = text[..ends.min().unwrap_or(text.len())].lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

#[test]
fn code_goes_on_after_what_is_only_for_tests() {
    let text = "use a;\n#[cfg(test)]\nuse b;\n// a comment\nfn c() {}\n\n#[cfg(test)]\nmod tests {\n    fs::read();\n}\n";
    assert_eq!(code_of(text), "use a;\n#[cfg(test)]\nuse b;\nfn c() {}");
}

/// The `[dependencies]` of a member, development dependencies left out.
fn dependencies(member: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(member).join("Cargo.toml"))
        .expect("a member has a manifest");
    let section = manifest
        .split("\n[")
        .find(|section| section.starts_with("dependencies]"))
        .unwrap_or_default();
    let lines = section
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            line.split(['.', ' ', '='])
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[test]
fn members_depend_only_on_those_below_them() {
    let ours: Vec<&str> = DEPENDENCIES.iter().map(|(member, _)| *member).collect();
    for (member, allowed) in DEPENDENCIES {
        for dependency in dependencies(member) {
            let is_ours = ours.contains(&dependency.as_str());
            assert!(
                !is_ours || allowed.contains(&dependency.as_str()),
                "{member} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn every_member_is_in_the_table() {
    let manifest =
        fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let members = manifest
        .lines()
        .find(|line| line.starts_with("members"))
        .expect("it names its members");
    let named = members.matches('"').count() / 2;
    assert_eq!(
        named,
        DEPENDENCIES.len(),
        "members and the table of dependencies differ"
    );
}

#[test]
fn engines_and_protocols_stay_in_their_rooms() {
    for (krate, allowed) in RESERVED {
        for (member, _) in DEPENDENCIES {
            let used = dependencies(member)
                .iter()
                .any(|dependency| dependency == krate);
            assert!(
                !used || allowed.contains(member),
                "{member} must not use {krate}"
            );
        }
    }
}

#[test]
fn what_decides_does_not_act() {
    let mut offences = Vec::new();
    for place in PURE {
        let files = sources(&root().join(place));
        assert!(
            !files.is_empty(),
            "{place} is in the list of pure code and does not exist"
        );
        for file in files {
            for (number, line) in code(&file).lines().enumerate() {
                for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                    offences.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(
        offences.is_empty(),
        "pure code acts:\n{}",
        offences.join("\n")
    );
}

#[test]
fn control_does_not_look_at_faults() {
    for file in sources(&root().join("daemon/src/control")) {
        let code = code(&file);
        for word in ["FaultInjected", "FaultHealed", ".faults", "chaos::"] {
            assert!(
                !code.contains(word),
                "{} speaks of {word}: chaos never tells control",
                file.display()
            );
        }
    }
}

#[test]
fn no_file_has_outgrown_its_room() {
    let mut long = BTreeMap::new();
    for (member, _) in DEPENDENCIES {
        for file in sources(&root().join(member).join("src")) {
            let lines = code(&file).lines().count();
            if lines > LINES_MAX {
                long.insert(file, lines);
            }
        }
    }
    assert!(long.is_empty(), "longer than {LINES_MAX} lines: {long:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    for (member, _) in DEPENDENCIES {
        for file in sources(&root().join(member).join("src")) {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let tests = file.file_name().is_some_and(|name| name == "tests.rs");
            assert!(
                tests || text.starts_with("//!"),
                "{} has no module documentation",
                file.display()
            );
        }
    }
}

#[test]
fn every_shipped_yaml_is_used() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    for folder in ["topologies", "chaos/drills"] {
        for entry in fs::read_dir(root().join(folder))
            .expect("the folder exists")
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".yaml") {
                assert!(
                    readme.contains(&name),
                    "{folder}/{name} is not in the README"
                );
            }
        }
    }
}
