//! What the runtime knows, under one lock: the harm in force, what was seen of each instance and the processes that live.
//! News go out under the same lock that a subscriber takes its first picture under, so that none falls between.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use topologies::affliction::Afflictions;
use topologies::id::{InstanceId, ZoneId};
use topologies::runtime::{InstanceStatus, Observation};

use crate::sightings::{Life, Sightings, Testimony, ended};

/// News that a slow reader may lag behind; then it gets the whole picture anew.
const NEWS_KEPT: usize = 1024;

/// An instance's process that lives.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) instance: InstanceId,
    pub(crate) zone: ZoneId,
    pub(crate) life: Life,
    /// Names the container's first process on this host; absent where the engine's processes are not visible here.
    pub(crate) pidfd: Option<Arc<OwnedFd>>,
    /// The signal that asks it to end.
    pub(crate) stop_signal: String,
    /// We have sent it SIGKILL: how it ended is known before the engine says so.
    killed: Arc<AtomicBool>,
    ended: watch::Sender<bool>,
}

impl Process {
    pub(crate) fn new(
        instance: InstanceId,
        zone: ZoneId,
        life: Life,
        pidfd: Option<OwnedFd>,
        stop_signal: String,
    ) -> Self {
        Self {
            instance,
            zone,
            life,
            pidfd: pidfd.map(Arc::new),
            stop_signal,
            killed: Arc::new(AtomicBool::new(false)),
            ended: watch::Sender::new(false),
        }
    }

    /// Returns once it is gone.
    pub(crate) async fn gone(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as this.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    pub(crate) fn note_killed(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }
}

/// Which news a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// What hosts report to the control plane.
    Reported,
    /// What really goes on.
    Truth,
}

/// Shared knowledge; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    state: Arc<Mutex<State>>,
    truth: broadcast::Sender<Observation>,
    reports: broadcast::Sender<Observation>,
    harmed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    afflictions: Afflictions,
    sightings: Sightings,
    processes: BTreeMap<InstanceId, Process>,
    /// How those end that do nothing any more, but whose end the kernel or the engine has not told yet.
    doomed: BTreeMap<InstanceId, String>,
}

impl Board {
    pub(crate) fn new(afflictions: Afflictions) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                afflictions,
                ..State::default()
            })),
            truth: broadcast::Sender::new(NEWS_KEPT),
            reports: broadcast::Sender::new(NEWS_KEPT),
            harmed: watch::Sender::new(()),
        }
    }

    /// A process that runs; whether that is news.
    pub(crate) fn runs(&self, process: Process) -> bool {
        let mut state = self.lock();
        let testimony = Testimony::Runs(process.life.clone());
        let news = self.tell(
            &mut state,
            &process.instance.clone(),
            &process.zone,
            testimony,
        );
        if news && let Some(former) = state.processes.insert(process.instance.clone(), process) {
            former.ended.send_replace(true);
        }
        news
    }

    /// A process that does nothing any more: killed, or ended in a way not known yet. The network learns of it at once; the control
    /// plane when all of it is gone, which takes the kernel up to a second for a large family on a busy machine.
    pub(crate) fn doomed(&self, process: &Process, how: String) {
        let mut state = self.lock();
        let known = state.processes.get(&process.instance);
        if known.is_none_or(|known| known.life != process.life)
            || state.doomed.contains_key(&process.instance)
        {
            return;
        }
        // Nobody may be watching.
        let _ = self.truth.send(Observation {
            instance: process.instance.clone(),
            status: ended(&how),
        });
        state.doomed.insert(process.instance.clone(), how);
    }

    /// A life that has ended.
    pub(crate) fn ended(&self, instance: &InstanceId, zone: &ZoneId, life: Life, how: String) {
        let mut state = self.lock();
        forget(&mut state, instance, |process| process.life == life);
        self.tell(&mut state, instance, zone, Testimony::Ended(life, how));
    }

    /// A container that is gone.
    pub(crate) fn gone(&self, instance: &InstanceId, zone: &ZoneId, container: String) {
        let mut state = self.lock();
        forget(&mut state, instance, |process| {
            process.life.container == container
        });
        self.tell(&mut state, instance, zone, Testimony::Gone { container });
    }

    /// The process of an instance, if one lives.
    pub(crate) fn process(&self, instance: &InstanceId) -> Option<Process> {
        self.lock().processes.get(instance).cloned()
    }

    /// Every process that lives in the zone, or in all.
    pub(crate) fn processes(&self, zone: Option<&ZoneId>) -> Vec<Process> {
        let state = self.lock();
        let here = |process: &&Process| zone.is_none_or(|zone| process.zone == *zone);
        state.processes.values().filter(here).cloned().collect()
    }

    pub(crate) fn containers(&self) -> Vec<(InstanceId, ZoneId, String)> {
        self.lock().sightings.containers()
    }

    /// Asks or changes the harm in force. `change` must not call back.
    pub(crate) fn afflictions<T>(&self, change: impl FnOnce(&mut Afflictions) -> T) -> T {
        let outcome = change(&mut self.lock().afflictions);
        self.harmed.send_replace(());
        outcome
    }

    /// Returns once the zone is without power.
    pub(crate) async fn dark(&self, zone: &ZoneId) {
        let mut harmed = self.harmed.subscribe();
        let dark = |(): &()| self.lock().afflictions.dark(zone);
        // The sender lives as long as this.
        let _ = harmed.wait_for(dark).await;
    }

    /// Tells the control plane what it did not hear while the zone was silent.
    pub(crate) fn catch_up(&self, zone: &ZoneId) {
        let mut state = self.lock();
        if state.afflictions.reports(zone) {
            for observation in state.sightings.catch_up(zone) {
                // Nobody may be watching.
                let _ = self.reports.send(observation);
            }
        }
    }

    /// The present picture.
    pub(crate) fn snapshot(&self, view: View) -> Vec<Observation> {
        picture(&self.lock(), view)
    }

    /// The present picture first, then every change.
    pub(crate) fn watch(&self, view: View) -> BoxStream<'static, Observation> {
        let state = self.lock();
        let pending = VecDeque::from(picture(&state, view));
        let news = match view {
            View::Reported => self.reports.subscribe(),
            View::Truth => self.truth.subscribe(),
        };
        drop(state);
        // The board itself must not keep its senders alive in its readers: they end with the runtime.
        let weak = Arc::downgrade(&self.state);
        stream::unfold((pending, news), move |(mut pending, mut news)| {
            let weak = weak.clone();
            async move {
                loop {
                    if let Some(observation) = pending.pop_front() {
                        return Some((observation, (pending, news)));
                    }
                    match news.recv().await {
                        Ok(observation) => return Some((observation, (pending, news))),
                        Err(RecvError::Closed) => return None,
                        Err(RecvError::Lagged(_)) => {
                            let state = weak.upgrade()?;
                            let state = state.lock().expect("no holder panics");
                            news = news.resubscribe();
                            pending = picture(&state, view).into();
                        }
                    }
                }
            }
        })
        .boxed()
    }

    fn tell(
        &self,
        state: &mut State,
        instance: &InstanceId,
        zone: &ZoneId,
        testimony: Testimony,
    ) -> bool {
        let reports = state.afflictions.reports(zone);
        let news = state.sightings.hear(instance, zone, testimony, reports);
        for item in &news {
            let known = state.doomed.remove(instance).is_some()
                && matches!(item.observation.status, InstanceStatus::Exited { .. });
            if !known {
                // Nobody may be watching.
                let _ = self.truth.send(item.observation.clone());
            }
            if item.reported {
                let _ = self.reports.send(item.observation.clone());
            }
        }
        news.last()
            .is_some_and(|item| matches!(item.observation.status, InstanceStatus::Running { .. }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn forget(state: &mut State, instance: &InstanceId, which: impl Fn(&Process) -> bool) {
    if state.processes.get(instance).is_some_and(which)
        && let Some(process) = state.processes.remove(instance)
    {
        process.ended.send_replace(true);
    }
}

fn picture(state: &State, view: View) -> Vec<Observation> {
    match view {
        View::Truth => {
            let mut picture = state.sightings.snapshot(|_| true);
            for Observation { instance, status } in &mut picture {
                if let Some(how) = state.doomed.get(instance) {
                    *status = ended(how);
                }
            }
            picture
        }
        View::Reported => state
            .sightings
            .snapshot(|zone| state.afflictions.reports(zone)),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use topologies::runtime::Affliction;

    use super::*;
    use crate::sightings::Moment;

    fn process(instance: &str, began: u32) -> Process {
        let life = Life {
            container: format!("{instance}-container"),
            began: Moment::of(&format!("2026-11-22T00:00:00.{began:09}Z")).unwrap(),
        };
        Process::new(
            instance.into(),
            "a".into(),
            life,
            None,
            "SIGTERM".to_owned(),
        )
    }

    fn now(stream: &mut BoxStream<'static, Observation>) -> Vec<String> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten())
            .map(|o| match o.status {
                InstanceStatus::Running { .. } => format!("+{}", o.instance),
                InstanceStatus::Exited { .. } => format!("-{}", o.instance),
                InstanceStatus::Absent => format!("0{}", o.instance),
            })
            .collect()
    }

    #[test]
    fn an_isolated_zone_is_silent_to_one_view_only() {
        let board = Board::new(Afflictions::default());
        board.runs(process("db", 1));
        let (mut reported, mut truth) = (board.watch(View::Reported), board.watch(View::Truth));
        assert_eq!(
            (now(&mut reported), now(&mut truth)),
            (vec!["+db".into()], vec!["+db".into()])
        );

        let isolation = Affliction::Isolation("a".into());
        board.afflictions(|afflictions| afflictions.afflict(&isolation));
        let db = board.process(&"db".into()).unwrap();
        board.ended(&db.instance, &db.zone, db.life.clone(), "signal 9".into());
        assert_eq!(
            (now(&mut reported), now(&mut truth)),
            (vec![], vec!["-db".into()])
        );
        assert_eq!(board.snapshot(View::Reported), []);

        board.catch_up(&"a".into());
        assert_eq!(now(&mut reported), Vec::<String>::new(), "still isolated");
        board.afflictions(|afflictions| afflictions.relieve(&isolation));
        board.catch_up(&"a".into());
        assert_eq!(now(&mut reported), ["-db"]);
    }

    #[test]
    fn the_network_learns_of_an_end_before_the_control_plane_and_once() {
        let board = Board::new(Afflictions::default());
        board.runs(process("db", 1));
        let first = board.process(&"db".into()).unwrap();
        let (mut reported, mut truth) = (board.watch(View::Reported), board.watch(View::Truth));
        now(&mut reported);
        now(&mut truth);
        for _ in 0..2 {
            board.doomed(&first, "signal 9".to_owned());
        }
        assert_eq!(
            (now(&mut reported), now(&mut truth)),
            (vec![], vec!["-db".into()])
        );
        assert!(first.gone().now_or_never().is_none(), "not all of it");
        assert_eq!(
            now(&mut board.watch(View::Truth)),
            ["-db"],
            "to who comes later"
        );
        assert_eq!(now(&mut board.watch(View::Reported)), ["+db"]);

        let Process {
            instance,
            zone,
            life,
            ..
        } = first.clone();
        board.ended(&instance, &zone, life, "signal 9".to_owned());
        assert_eq!(
            (now(&mut reported), now(&mut truth)),
            (vec!["-db".into()], vec![])
        );
        assert!(board.runs(process("db", 2)));
        board.doomed(&first, "late".to_owned());
        assert_eq!(
            now(&mut truth),
            ["+db"],
            "what is said of a former life is old"
        );
    }

    #[test]
    fn whoever_waits_for_an_end_is_told() {
        let board = Board::new(Afflictions::default());
        board.runs(process("db", 1));
        let first = board.process(&"db".into()).unwrap();
        assert!(first.gone().now_or_never().is_none());
        assert!(!board.runs(process("db", 1)), "no news");
        assert!(first.gone().now_or_never().is_none());
        assert!(board.runs(process("db", 2)));
        assert!(first.gone().now_or_never().is_some(), "replaced");
        let second = board.process(&"db".into()).unwrap();
        board.gone(
            &second.instance,
            &second.zone,
            second.life.container.clone(),
        );
        assert!(second.gone().now_or_never().is_some());
        assert!(board.process(&"db".into()).is_none());
    }

    #[test]
    fn a_reader_who_lags_gets_the_whole_picture() {
        let board = Board::new(Afflictions::default());
        let mut truth = board.watch(View::Truth);
        for began in 1..=NEWS_KEPT as u32 + 1 {
            board.runs(process("db", began));
        }
        board.runs(process("web", 1));
        assert_eq!(now(&mut truth), ["+db", "+web"]);
    }

    #[test]
    fn streams_end_with_the_board() {
        let board = Board::new(Afflictions::default());
        let mut truth = board.watch(View::Truth);
        drop(board);
        assert_eq!(truth.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_reader_who_comes_amid_changes_misses_none() {
        const LIVES: u32 = 500;
        let board = Board::new(Afflictions::default());
        let writer = board.clone();
        let changes = std::thread::spawn(move || {
            for n in 1..=LIVES {
                let life = Life {
                    container: n.to_string(),
                    ..process("db", n).life
                };
                writer.ended(&"db".into(), &"a".into(), life, n.to_string());
            }
        });
        let mut readers: Vec<_> =
            std::iter::from_fn(|| (!changes.is_finished()).then(|| board.watch(View::Truth)))
                .take(50)
                .collect();
        changes.join().unwrap();
        readers.push(board.watch(View::Truth));
        for reader in &mut readers {
            let seen: Vec<u32> = std::iter::from_fn(|| reader.next().now_or_never().flatten())
                .filter_map(|o| match o.status {
                    InstanceStatus::Exited { how } => how.parse().ok(),
                    InstanceStatus::Running { .. } | InstanceStatus::Absent => None,
                })
                .collect();
            let first = *seen.first().unwrap();
            assert_eq!(seen, (first..=LIVES).collect::<Vec<_>>());
        }
    }
}
