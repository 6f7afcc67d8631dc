//! What a stack is: the topology language, the stack as meant, the plan of what runs where, the events that tell
//! what happened, and the runtime interface that starts instances.
//!
//! Pure: nothing here opens a file or a socket, reads a clock or draws a random number. In reading order:
//! - [`id`], [`time`], [`address`]: names, moments and places; [`cidr`], [`prefix`]: blocks of them; [`geography`]: where regions are
//! - [`yaml`]: files as people write them, held against their types; [`notes`]: mistakes shown; [`nearest`], [`duration`]: their words
//! - [`spec`]: a topology file as written; [`mod@check`]: `Spec` to [`topology`], every mistake at once
//! - [`topology`]: the stack as meant, references resolved, AWS's defaults filled
//! - [`defaults`]: AWS's defaults and limits; [`explain`]: a topology written out with all of them
//! - [`mod@plan`]: what will run where, at which address, under which name; [`names`], [`mod@reference`]: those names and `${...}`
//! - [`records`], [`rdata`]: what a hosted zone's records are by themselves, and their data as packets have them
//! - [`edit`]: what of a running stack's topology comes, changes or goes
//! - [`event`], [`world`]: the vocabulary of everything that happens, and its fold; [`account`]: what of it the AWS API alone reads;
//!   [`experiment`], [`zonal_shift`], [`alarm`]: what of that goes on by itself; [`network_acl`], [`security_group`]: what of it the network obeys
//! - [`runtime`]: the trait that starts, stops and watches instances; [`affliction`]: what harm forbids and hides
//! - [`network`]: the physical state of the emulated network

pub mod account;
pub mod address;
pub mod affliction;
pub mod alarm;
pub mod check;
pub mod cidr;
pub mod defaults;
pub mod duration;
pub mod edit;
pub mod event;
pub mod experiment;
pub mod explain;
pub mod geography;
pub mod id;
pub mod names;
pub mod nearest;
pub mod network;
pub mod network_acl;
pub mod notes;
pub mod plan;
pub mod prefix;
pub mod rdata;
pub mod records;
pub mod reference;
pub mod runtime;
pub mod security_group;
pub mod spec;
pub mod time;
pub mod topology;
pub mod world;
pub mod yaml;
pub mod zonal_shift;
