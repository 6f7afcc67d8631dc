//! Everything that can happen, a closed set.

use topologies::runtime::Observation;
use topologies::time::Time;

use super::clients::{Reply, Request};
use super::effects::Errand;
use crate::control::action::{Action, Outcome, Ticket};
use crate::control::probe::Probe;

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Due {
    /// A deadline of the control plane.
    Wake,
    /// A host's report reaches the control plane.
    Report(Observation, Epoch),
    /// A probe is sent: its place in the list of probes.
    Probe(usize),
    /// A probe reaches what it is aimed at.
    ProbeArrives {
        probe: usize,
        sent: Time,
        epoch: Epoch,
    },
    /// A probe's result reaches the control plane.
    ProbeReturns {
        sent: Time,
        result: Probe,
        epoch: Epoch,
    },
    /// An order reaches whoever performs it.
    Perform {
        ticket: Ticket,
        action: Action,
        epoch: Epoch,
    },
    /// A long order comes to its end at the host.
    Complete(Errand),
    /// An order's outcome reaches the control plane.
    Settled {
        ticket: Ticket,
        outcome: Outcome,
        epoch: Epoch,
    },
    /// A process is done with starting.
    Ready { host: usize, life: u64 },
    /// A program ends of itself.
    Crash { host: usize, life: u64 },
    /// A follower tries to stream.
    Connect { host: usize, life: u64 },
    /// A full copy has arrived at a Redis replica.
    Synced { follower: usize, stream: u64 },
    /// Records reach a follower.
    Records {
        follower: usize,
        stream: u64,
        start: usize,
        records: Vec<u64>,
    },
    /// A follower's confirmation reaches its source.
    Flushed {
        follower: usize,
        stream: u64,
        upto: usize,
    },
    /// A stream has been silent for long.
    StreamSilent { follower: usize, stream: u64 },
    /// The end of a stream reaches the other side.
    StreamReset { follower: usize, stream: u64 },
    /// A changed synchronous standby is in force for every session.
    SyncInForce { host: usize, life: u64 },
    /// The data plane closes or opens a host's interface.
    Fence { host: usize, fenced: bool },
    /// A client begins its next write.
    Turn { client: usize, turn: u64 },
    /// A client's write reaches a host.
    Request(Request),
    /// An answer reaches a client.
    Reply(Reply),
    /// A client's patience is over.
    GiveUp { client: usize, turn: u64 },
    /// A visitor of a load balancer or replica comes by.
    Visit(usize),
    /// A fault begins: its place in the schedule.
    Inject(usize),
    /// A fault ends.
    Heal(usize),
    /// The control plane is started again.
    Resume,
    /// The invariants that speak of time are looked at.
    Watch,
}

/// Which run of the control plane something belongs to.
pub(super) type Epoch = u64;
