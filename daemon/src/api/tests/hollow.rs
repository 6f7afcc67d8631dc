//! A stack without instances: its plan and its channels.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use topologies::address::Slot;
use topologies::id::InstanceId;
use topologies::runtime::{
    Affliction, InstancePlan, Observation, Runtime, RuntimeError, RuntimeKind, Software, StopMode,
    ToolOutput, ToolPlan,
};
use topologies::time::Time;
use topologies::world::World;

use crate::api::token::Token;
use crate::api::{Api, Down};
use crate::aws::Gateway;
use crate::driver::Clock;
use crate::engines::Directories;
use crate::engines::files::FileWork;
use crate::estate::Estates;
use crate::stack::{Request, Stack};

/// Events that the channel holds: few, so that readers lag.
const BACKLOG: usize = 8;

pub(crate) struct Fixture {
    pub(crate) api: Api,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) _downs: mpsc::Receiver<Down>,
    pub(crate) world: watch::Sender<Arc<World>>,
    pub(crate) _directory: tempfile::TempDir,
}

pub(crate) fn fixture() -> Fixture {
    fixture_of(include_str!("../../../../topologies/tier-1k.yaml"))
}

/// The same of another topology.
pub(crate) fn fixture_of(text: &str) -> Fixture {
    let (topology, notes) = topologies::check::check(text, "tier-1k.yaml");
    let topology = topology.unwrap_or_else(|| panic!("{notes:?}"));
    let plan = Arc::new(topologies::plan::plan(&topology, Slot::new(64).unwrap()));
    let directory = tempfile::tempdir().unwrap();
    let (world_sender, world) = watch::channel(Arc::new(World::new(&plan)));
    let runtime: Arc<dyn Runtime> = Arc::new(Hollow);
    let directories = Directories {
        stack: directory.path().to_owned(),
        cache: directory.path().to_owned(),
        work: FileWork::default(),
    };
    let estates = Estates::open(&plan, Arc::clone(&runtime), directories).unwrap();
    let (requests, asked) = mpsc::channel(4);
    let (down, downs) = mpsc::channel(1);
    let stack = Stack {
        runtime: Arc::clone(&runtime),
        runtime_choice: (RuntimeKind::Process, "a test".to_owned()),
        origin: Arc::new(topology),
        directory: directory.path().to_owned(),
        estate: estates.watch(),
        dns_port: 53,
        port_offset: 0,
        clock: Clock::starting_at(Time::ZERO),
        world,
        network: watch::channel(Arc::default()).1,
        api_faults: watch::channel(Arc::default()).1,
        metrics: crate::aws::Metrics::default(),
        events: broadcast::channel(BACKLOG).0,
        requests,
    };
    Fixture {
        api: Api {
            aws: Arc::new(Gateway::new(stack.clone(), [7; 32])),
            stack,
            token: Token::renew(directory.path()).unwrap(),
            down,
            ending: CancellationToken::new(),
        },
        requests: asked,
        _downs: downs,
        world: world_sender,
        _directory: directory,
    }
}

/// A runtime in which nothing runs.
struct Hollow;

#[async_trait::async_trait]
impl Runtime for Hollow {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Simulated
    }

    async fn prepare(
        &self,
        _: &[Software],
        _: &(dyn for<'line> Fn(&'line str) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn version(&self, _: &Software) -> Result<String, RuntimeError> {
        Ok("0".to_owned())
    }

    async fn ensure(&self, _: &InstancePlan) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn stop(&self, _: &InstanceId, _: StopMode) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Observation>, RuntimeError> {
        Ok(Vec::new())
    }

    fn watch(&self) -> BoxStream<'static, Observation> {
        Box::pin(futures_util::stream::pending())
    }

    fn ground_truth(&self) -> BoxStream<'static, Observation> {
        Box::pin(futures_util::stream::pending())
    }

    async fn run(&self, _: &ToolPlan) -> Result<ToolOutput, RuntimeError> {
        Ok(ToolOutput {
            code: Some(0),
            output: String::new(),
        })
    }

    async fn afflict(&self, _: &Affliction) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn relieve(&self, _: &Affliction) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn afflictions(&self) -> BTreeSet<Affliction> {
        BTreeSet::new()
    }

    async fn clear(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn logs(&self, _: &InstanceId, _: bool) -> BoxStream<'static, String> {
        Box::pin(futures_util::stream::empty())
    }
}
