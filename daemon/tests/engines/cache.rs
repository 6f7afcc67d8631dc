//! A replication group of Redis nodes.
