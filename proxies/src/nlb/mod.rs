//! The Network Load Balancer: a flow of bytes goes to one target for its life.

pub(crate) mod route;
pub(crate) mod serve;
