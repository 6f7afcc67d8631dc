//! Looks at the stack once a second and tells its metrics what is seen: the data plane's numbers, what hosts say, the world. One
//! task, which waits for nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxies::DataPlane;
use proxies::traffic::{Subject, Times, Traffic};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topologies::time::Time;
use topologies::world::World;

use crate::aws::{Metrics, Sights};
use crate::driver::Clock;
use crate::prober::Figures;

/// Between two looks. AWS's services tell every minute; a rehearsed outage is over by then.
const INTERVAL: Duration = Duration::from_secs(1);
/// What a host said counts for so long, or for three intervals of its probes, if those are longer.
const LATELY: Duration = Duration::from_secs(3);

/// What looking takes.
pub struct Sampler {
    /// The stack's clock.
    pub clock: Clock,
    /// The world.
    pub world: watch::Receiver<Arc<World>>,
    /// Counts what passes.
    pub data_plane: Arc<DataPlane>,
    /// What hosts say.
    pub figures: Arc<Figures>,
    /// Told what is seen.
    pub metrics: Metrics,
}

/// The data plane's numbers at the last look.
#[derive(Default)]
struct Before {
    counted: BTreeMap<Subject, Traffic>,
    times: BTreeMap<Subject, Times>,
}

impl Sampler {
    /// Looks until cancelled.
    pub fn start(self, tasks: &TaskTracker, cancelled: CancellationToken) {
        tasks.spawn(async move { cancelled.run_until_cancelled(self.run()).await });
    }

    async fn run(self) {
        // At the end of every second, as the wall clock has them.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let into = since.map_or(0, |since| since.subsec_nanos());
        let rest = INTERVAL.saturating_sub(Duration::from_nanos(into.into()));
        let mut ticks = interval_at(Instant::now() + rest, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut before = Before::default();
        loop {
            ticks.tick().await;
            self.look(&mut before);
        }
    }

    fn look(&self, before: &mut Before) {
        let world = Arc::clone(&self.world.borrow());
        let counted = self.data_plane.traffic();
        let times = self.data_plane.response_times();
        let lately = LATELY.max(3 * world.plan.topology.timing.probe_interval);
        let since = (self.clock.now() - Time::ZERO).saturating_sub(lately);
        let figures = self.figures.since(Time::ZERO + since);
        let passed = counted.iter().map(|(subject, traffic)| {
            let old = before.counted.get(subject).copied().unwrap_or_default();
            (subject.clone(), traffic.since(&old))
        });
        let taken = times.iter().map(|(subject, all)| {
            let old = before.times.get(subject);
            (
                subject.clone(),
                old.map_or_else(|| all.clone(), |old| all.since(old)),
            )
        });
        let sights = Sights {
            world: &world,
            counted: &counted,
            passed: &passed.collect(),
            times: &taken.collect(),
            figures: &figures,
        };
        self.metrics.sample(&sights, last_second());
        *before = Before { counted, times };
    }
}

/// The second of the wall clock that ends about now: what was counted since the last look was counted in it.
fn last_second() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    i64::try_from(millis).map_or(0, |millis| (millis - 500).div_euclid(1_000))
}
