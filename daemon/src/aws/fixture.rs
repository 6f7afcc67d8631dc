//! A stack for tests of handlers: a world that has happen what they decide.

use serde_json::Value;
use topologies::address::Slot;
use topologies::event::{Event, EventKind};
use topologies::time::Time;
use topologies::world::World;
use wire::{Catalog, Fault};

use crate::aws::session::{Issuer, Principal};
use crate::aws::view::{Context, Facts};
use crate::aws::{Change, Decision, View};

pub(super) const REGION: &str = "ap-northeast-2";

pub(super) type Handler = fn(&View<'_>, &Value) -> Result<Decision, Fault>;

/// A stack and how often it was called.
pub(super) struct Stack {
    pub(super) world: World,
    /// The service that is called.
    pub(super) service: &'static str,
    calls: u8,
}

impl Stack {
    /// `tier-10k`.
    pub(super) fn new() -> Self {
        let text = include_str!("../../../topologies/tier-10k.yaml");
        let (topology, _) = topologies::check::check(text, "tier-10k.yaml");
        let slot = Slot::new(64).unwrap();
        Self {
            world: World::new(&topologies::plan::plan(&topology.unwrap(), slot)),
            service: "ec2",
            calls: 0,
        }
    }

    pub(super) fn with<T>(&self, see: impl FnOnce(&View<'_>) -> T) -> T {
        let context = Context {
            now: 0,
            region: REGION.to_owned(),
            service: Catalog::standard().service(self.service).unwrap(),
            caller: Principal {
                arn: "arn:aws:iam::123456789012:root".to_owned(),
                id: "123456789012".to_owned(),
            },
            entropy: [self.calls; 16],
            facts: Facts {
                epoch: 0,
                port_offset: 0,
                issuer: Issuer::new([0; 32]),
                metrics: crate::aws::Metrics::default(),
            },
        };
        see(&context.view(&self.world))
    }

    /// Calls, and has happen what was decided; the output, or the error's code.
    pub(super) fn call(&mut self, handler: Handler, input: &Value) -> Result<Value, String> {
        self.calls += 1;
        let (output, changes) = self
            .with(|view| handler(view, input))
            .map_err(|fault| fault.code.into_owned())?;
        for change in changes {
            match change {
                Change::Note(event) => self.happens(event),
                // They are kept elsewhere.
                Change::Password { .. } | Change::SamePasswords { .. } => {}
            }
        }
        Ok(output.into())
    }

    pub(super) fn happens(&mut self, event: EventKind) {
        let (seq, at) = (self.world.seq + 1, Time::ZERO);
        self.world.apply(&Event { seq, at, event });
    }

    /// What the data plane gets.
    pub(super) fn routes(&self) -> proxies::routes::Routes {
        crate::routes::routes(&self.world.plan, &self.world)
    }
}
