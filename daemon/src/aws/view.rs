//! What a handler sees: the world, the plan, and the circumstances of the call.

use sha2::{Digest, Sha256};
use topologies::plan::Plan;
use topologies::time::Time;
use topologies::topology::{Region, Topology};
use topologies::world::World;
use wire::{Fault, Service};

use super::Metrics;
use super::session::{Issuer, Principal};
use crate::stack::Stack;

/// The circumstances of a call: everything about it that is neither its input nor the state of the stack.
#[derive(Clone)]
pub(super) struct Context {
    /// The moment, in milliseconds of the wall clock.
    pub(super) now: i64,
    /// The region that was called; the stack may not have it.
    pub(super) region: String,
    /// The service that was called.
    pub(super) service: &'static Service,
    /// Who calls.
    pub(super) caller: Principal,
    /// Randomness of this call alone; the request id is made of it.
    pub(super) entropy: [u8; 16],
    /// What is so for this daemon as long as it lives.
    pub(super) facts: Facts,
}

/// What is so for a daemon as long as it lives.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the stack's clock showed zero, in milliseconds of the wall clock.
    pub epoch: i64,
    /// Added to ports below 1024, where those can not be bound; else 0. Endpoints have their port with it.
    pub port_offset: u16,
    /// Makes temporary credentials.
    pub issuer: Issuer,
    /// What was measured.
    pub metrics: Metrics,
}

impl Facts {
    /// What is so of a stack at this moment of the wall clock, in milliseconds.
    pub(super) fn of(stack: &Stack, now: i64, issuer: Issuer) -> Self {
        let micros = i64::try_from(stack.clock.now().as_micros()).unwrap_or(0);
        Self {
            epoch: now - micros / 1_000,
            port_offset: stack.port_offset,
            issuer,
            metrics: stack.metrics.clone(),
        }
    }

    /// A moment of the stack's clock in milliseconds of the wall clock.
    pub(super) fn wall(&self, time: Time) -> i64 {
        let millis = i64::try_from(time.as_micros() / 1_000).unwrap_or(i64::MAX);
        self.epoch.saturating_add(millis)
    }
}

/// What a handler sees.
pub struct View<'a> {
    /// The world: what the control plane has seen and decided.
    pub world: &'a World,
    /// What is planned.
    pub plan: &'a Plan,
    /// The moment, in milliseconds of the wall clock.
    pub now: i64,
    /// The account's number.
    pub account: &'a str,
    /// The region that was called; the stack may not have it: see [`View::here`].
    pub region: &'a str,
    /// The service that was called.
    pub service: &'static Service,
    /// Who calls.
    pub caller: &'a Principal,
    /// What is so for this daemon as long as it lives.
    pub facts: &'a Facts,
    entropy: &'a [u8; 16],
}

impl Context {
    /// What a handler sees of a world.
    pub(super) fn view<'a>(&'a self, world: &'a World) -> View<'a> {
        let plan = &world.plan;
        View {
            world,
            plan,
            now: self.now,
            account: &plan.topology.account_id,
            region: &self.region,
            service: self.service,
            caller: &self.caller,
            facts: &self.facts,
            entropy: &self.entropy,
        }
    }
}

impl<'a> View<'a> {
    /// The same, as another service sees it.
    pub(super) fn of_service(&self, service: &'static Service) -> View<'a> {
        View { service, ..*self }
    }

    /// The stack as meant.
    pub fn topology(&self) -> &'a Topology {
        &self.plan.topology
    }

    /// The region that was called, if the stack has it. Of one that it has not, AWS's answer is that it is empty.
    pub fn here(&self) -> Option<&'a Region> {
        let mut regions = self.topology().regions.iter();
        regions.find(|region| region.id.as_str() == self.region)
    }

    /// A moment of the stack's clock in milliseconds of the wall clock, as [`wire::Record::time`] takes it.
    pub fn wall(&self, time: Time) -> i64 {
        self.facts.wall(time)
    }

    /// The moment on the stack's clock.
    pub fn moment(&self) -> Time {
        let since = self.now.saturating_sub(self.facts.epoch);
        Time::from_millis(u64::try_from(since).unwrap_or(0))
    }

    /// The name of a resource of this region and account: `arn:aws:rds:eu-west-1:123456789012:db:orders`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let (partition, region) = (partition(self.region), self.region);
        format!(
            "arn:{partition}:{service}:{region}:{}:{resource}",
            self.account
        )
    }

    /// The name of a resource of this account in no region: `arn:aws:iam::123456789012:root`.
    pub fn global_arn(&self, service: &str, resource: &str) -> String {
        global_arn(partition(self.region), service, self.account, resource)
    }

    /// An error of the service's model, or with a code that its model does not have: see [`wire::Call::fault`].
    pub fn fault(&self, name: &str, message: impl Into<String>) -> Fault {
        self.service.fault(name, message)
    }

    /// Lower-case hexadecimal digits, at most 64, for the identifier of something new: others for every call and purpose.
    pub fn draw(&self, purpose: &str, digits: usize) -> String {
        let hash = Sha256::new()
            .chain_update(self.entropy)
            .chain_update(purpose)
            .finalize();
        let mut drawn = hex::encode(hash);
        drawn.truncate(digits);
        drawn
    }
}

/// The name of a resource in no region.
pub(super) fn global_arn(partition: &str, service: &str, account: &str, resource: &str) -> String {
    format!("arn:{partition}:{service}::{account}:{resource}")
}

/// The partition that a region belongs to (General Reference, "AWS resource names").
pub(super) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}
