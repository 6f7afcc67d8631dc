//! The Application Load Balancer: every HTTP request finds its rule, its target group and its target.
//!
//! Missing: HTTPS and HTTP/2, slow start, draining, access logs, desync modes other than the parser's
//! own strictness, and AWS's page for a request that is no HTTP at all (its answer is a bare 400).

pub(crate) mod body;
pub(crate) mod choose;
pub(crate) mod cookies;
pub(crate) mod errors;
pub(crate) mod forward;
pub(crate) mod headers;
pub(crate) mod pool;
pub(crate) mod redirect;
pub(crate) mod rules;
pub(crate) mod serve;
pub(crate) mod upgrade;
