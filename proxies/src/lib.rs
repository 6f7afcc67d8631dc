//! The data plane: what a client of the stack really talks to. Elastic network interfaces, load balancers, DNS.
//!
//! It serves from immutable snapshots, [`routes::Routes`] (what the control plane wants) and
//! [`topologies::network::Network`] (what the emulated network is physically able to do), and never asks the control plane
//! about a connection.
//!
//! ```text
//!  set_routes, set_network ─► plane ─► core 0..N (a thread each)
//!                                        │ entrance (pure): which addresses, open, refused or dark
//!                                        ├─ door ──► eni | nlb | alb | dns   one task per connection
//!                                        └─ flow: what an open connection meets now (dark, slow, doomed)
//! ```
//! What decides is pure: `entrance`, `acl`, `security_group`, `targets`, `nlb::route`, `alb::{rules, headers, errors}`, `dns::{select, zone, answer}`.

pub mod acl;
pub mod dns;
pub mod mute;
pub mod plane;
pub mod probe;
pub mod routes;
pub mod security_group;
pub mod traffic;

mod alb;
mod buffers;
mod core;
mod door;
mod eni;
mod entrance;
mod flow;
mod linked;
mod nlb;
mod node;
mod pulse;
mod relay;
mod targets;

pub use entrance::Ports;
pub use plane::{Applied, BindError, BindErrors, Config, DataPlane, Watch, WhoDials};
