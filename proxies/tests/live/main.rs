//! The data plane on real loopback sockets, one slot for each test.

#[cfg(test)]
mod alb;
#[cfg(test)]
mod dns;
#[cfg(test)]
mod eni;
#[cfg(test)]
mod nlb;
#[cfg(test)]
mod probe;
mod security_groups;
#[cfg(test)]
mod stack;
