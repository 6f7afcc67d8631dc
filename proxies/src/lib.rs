//! The data plane: what a client of the stack really talks to. Elastic network interfaces, load balancers, DNS.
//!
//! It serves from immutable snapshots, [`routes::Routes`] (what the control plane wants) and
//! [`topologies::network::Network`] (what the emulated network is physically able to do), and never asks the control plane
//! about a connection.

pub mod routes;
