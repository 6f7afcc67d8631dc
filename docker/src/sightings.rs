//! What is known of each instance, put together from several witnesses (the engine's events, its listings, the kernel) that
//! may contradict each other in order but not in time: a life of an instance is known by the moment it began, and nothing
//! that is said of an earlier life, or of one that has ended, changes anything. Pure.

use std::collections::BTreeMap;

use topologies::id::{InstanceId, ZoneId};
use topologies::runtime::{InstanceStatus, Observation};

/// When a life began, comparable as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(String);

impl Moment {
    /// Of the engine's RFC 3339 time, always UTC, whose fraction has no trailing zeros; none for a life that never began.
    pub(crate) fn of(time: &str) -> Option<Self> {
        let time = time.strip_suffix('Z')?;
        let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
        (!seconds.starts_with("0001-")).then(|| Self(format!("{seconds}.{fraction:0<9}")))
    }
}

/// A container's life, from a start to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    /// The container's full id.
    pub(crate) container: String,
    /// When it was started.
    pub(crate) began: Moment,
}

/// What a witness says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    Runs(Life),
    Ended(Life, String),
    /// The container is gone.
    Gone {
        container: String,
    },
}

/// Something that changed, and whether the control plane may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) observation: Observation,
    pub(crate) reported: bool,
}

#[derive(Clone, Debug)]
struct Sight {
    zone: ZoneId,
    life: Life,
    status: InstanceStatus,
    /// What the control plane was told last.
    told: Option<InstanceStatus>,
}

/// What is known of every instance.
#[derive(Debug, Default)]
pub(crate) struct Sightings(BTreeMap<InstanceId, Sight>);

impl Sightings {
    /// Takes a testimony; what it changes. `reports` says whether the zone's hosts reach the control plane.
    pub(crate) fn hear(
        &mut self,
        instance: &InstanceId,
        zone: &ZoneId,
        testimony: Testimony,
        reports: bool,
    ) -> Vec<News> {
        let known = self.0.get(instance);
        let running =
            known.is_some_and(|sight| matches!(sight.status, InstanceStatus::Running { .. }));
        let mut statuses = Vec::new();
        let life = match testimony {
            Testimony::Gone { container } => match known {
                Some(sight)
                    if sight.life.container == container
                        && sight.status != InstanceStatus::Absent =>
                {
                    statuses.push(InstanceStatus::Absent);
                    sight.life.clone()
                }
                _ => return Vec::new(),
            },
            Testimony::Runs(life) => {
                match known {
                    Some(sight) if life.began <= sight.life.began => return Vec::new(),
                    Some(_) if running => statuses.push(ended("unseen")),
                    _ => {}
                }
                statuses.push(InstanceStatus::Running {
                    handle: life.container.chars().take(12).collect(),
                });
                life
            }
            Testimony::Ended(life, how) => match known {
                Some(sight)
                    if life.began < sight.life.began
                        || (life.began == sight.life.began && !running) =>
                {
                    return Vec::new();
                }
                _ => {
                    statuses.push(ended(&how));
                    life
                }
            },
        };
        self.note(instance, zone, life, statuses, reports)
    }

    fn note(
        &mut self,
        instance: &InstanceId,
        zone: &ZoneId,
        life: Life,
        statuses: Vec<InstanceStatus>,
        reports: bool,
    ) -> Vec<News> {
        let mut news = Vec::new();
        for status in statuses {
            let told = if reports {
                Some(status.clone())
            } else {
                self.0.get(instance).and_then(|sight| sight.told.clone())
            };
            let sight = Sight {
                zone: zone.clone(),
                life: life.clone(),
                status: status.clone(),
                told,
            };
            self.0.insert(instance.clone(), sight);
            let observation = Observation {
                instance: instance.clone(),
                status,
            };
            news.push(News {
                observation,
                reported: reports,
            });
        }
        news
    }

    /// What the control plane learns when it hears of the zone again.
    pub(crate) fn catch_up(&mut self, zone: &ZoneId) -> Vec<Observation> {
        let mut news = Vec::new();
        for (instance, sight) in &mut self.0 {
            if sight.zone == *zone && sight.told.as_ref() != Some(&sight.status) {
                sight.told = Some(sight.status.clone());
                news.push(Observation {
                    instance: instance.clone(),
                    status: sight.status.clone(),
                });
            }
        }
        news
    }

    /// The present state of the instances of the zones that `include` names.
    pub(crate) fn snapshot(&self, include: impl Fn(&ZoneId) -> bool) -> Vec<Observation> {
        self.0
            .iter()
            .filter(|(_, sight)| include(&sight.zone))
            .map(|(instance, sight)| Observation {
                instance: instance.clone(),
                status: sight.status.clone(),
            })
            .collect()
    }

    /// The containers known, for finding out which of them an engine no longer lists.
    pub(crate) fn containers(&self) -> Vec<(InstanceId, ZoneId, String)> {
        self.0
            .iter()
            .filter(|(_, sight)| sight.status != InstanceStatus::Absent)
            .map(|(instance, sight)| {
                (
                    instance.clone(),
                    sight.zone.clone(),
                    sight.life.container.clone(),
                )
            })
            .collect()
    }
}

/// The exit code of a process that SIGKILL ended.
pub(crate) const KILLED: i64 = 128 + 9;

/// How a process ended, in words, by the exit code that the engine tells: above 128 it is a signal's.
pub(crate) fn how(code: i64) -> String {
    match code {
        129..=159 => format!("signal {}", code - 128),
        _ => format!("exit code {code}"),
    }
}

pub(crate) fn ended(how: &str) -> InstanceStatus {
    InstanceStatus::Exited {
        how: how.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(container: &str, began: u32) -> Life {
        Life {
            container: container.to_owned(),
            began: Moment(began.to_string()),
        }
    }

    fn runs(container: &str, began: u32) -> Testimony {
        Testimony::Runs(life(container, began))
    }

    fn ends(container: &str, began: u32) -> Testimony {
        Testimony::Ended(life(container, began), "signal 9".to_owned())
    }

    fn gone(container: &str) -> Testimony {
        Testimony::Gone {
            container: container.to_owned(),
        }
    }

    /// What became known, `+` for a running container, `-` for its end, `0` for absence.
    fn check(testimonies: impl IntoIterator<Item = Testimony>, expected: &str) {
        let mut sightings = Sightings::default();
        let mut news = Vec::new();
        for testimony in testimonies {
            for item in sightings.hear(&"db-1".into(), &"a".into(), testimony, true) {
                news.push(match item.observation.status {
                    InstanceStatus::Running { handle } => format!("+{handle}"),
                    InstanceStatus::Exited { .. } => "-".to_owned(),
                    InstanceStatus::Absent => "0".to_owned(),
                });
            }
        }
        assert_eq!(news.join(" "), expected);
    }

    #[test]
    fn each_change_is_told_once() {
        check(
            [
                runs("x", 1),
                runs("x", 1),
                ends("x", 1),
                ends("x", 1),
                gone("x"),
                gone("x"),
            ],
            "+x - 0",
        );
    }

    #[test]
    fn a_witness_who_is_late_changes_nothing() {
        // The engine still lists as running what the kernel has seen end.
        check([runs("x", 1), ends("x", 1), runs("x", 1)], "+x -");
        check(
            [runs("x", 1), runs("y", 2), ends("x", 1), gone("x")],
            "+x - +y",
        );
        check([runs("y", 2), runs("x", 1)], "+y");
    }

    #[test]
    fn an_end_that_nobody_saw_is_told_before_the_next_start() {
        check([runs("x", 1), runs("x", 2)], "+x - +x");
        check([ends("x", 1), runs("x", 2)], "- +x");
    }

    #[test]
    fn what_happened_in_silence_is_told_afterwards() {
        let mut sightings = Sightings::default();
        let (db, web, a): (InstanceId, InstanceId, ZoneId) =
            ("db".into(), "web".into(), "a".into());
        sightings.hear(&db, &a, runs("x", 1), true);
        sightings.hear(&web, &a, runs("w", 1), true);
        let news = sightings.hear(&db, &a, ends("x", 1), false);
        assert!(!news[0].reported);
        let caught: Vec<_> = sightings
            .catch_up(&a)
            .into_iter()
            .map(|o| o.instance)
            .collect();
        assert_eq!(caught, [db]);
        assert_eq!(sightings.catch_up(&a), []);
        assert_eq!(sightings.snapshot(|zone| *zone != a), []);
        assert_eq!(sightings.snapshot(|_| true).len(), 2);
    }

    #[test]
    fn moments_compare_whatever_their_fraction() {
        let moment = |text| Moment::of(text).unwrap();
        assert!(moment("2026-11-22T17:00:00.1Z") < moment("2026-11-22T17:00:00.123Z"));
        assert!(moment("2026-11-22T17:00:00Z") < moment("2026-11-22T17:00:00.000000001Z"));
        assert_eq!(Moment::of("0001-01-01T00:00:00Z"), None);
        assert_eq!(Moment::of("nonsense"), None);
    }

    #[test]
    fn exit_codes_have_words() {
        assert_eq!(how(1), "exit code 1");
        assert_eq!(how(137), "signal 9");
        assert_eq!(how(255), "exit code 255");
    }
}
