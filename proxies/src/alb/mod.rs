//! The Application Load Balancer: every HTTP request finds its rule, its target group and its target.

pub(crate) mod pool;
pub(crate) mod serve;
