//! From a file as written to the stack as meant, with every mistake noted.
//!
//! Mistakes of shape come first ([`spec::read`]); what has the right shape is then resolved part by part, also beside what has not. A part with a
//! mistake is left out, but its name stays known, so that one mistake is not told twice.

mod account;
mod actions;
mod balancers;
mod balancing;
mod caches;
mod cnames;
mod databases;
mod engines;
mod health_checks;
mod identifiers;
mod instances;
mod parameters;
mod read_replicas;
mod record_sets;
mod records;
mod references;
mod routing;
mod rules;
mod target_groups;
mod timing;
mod zones;

use std::collections::BTreeMap;

use crate::defaults;
use crate::id::StackId;
use crate::names;
use crate::nearest::nearest;
use crate::notes::{Note, Span, has_errors};
use crate::reference::Referable;
use crate::spec::{self, At, ProfileSpec, Spec, TimingFields, TimingSpec};
use crate::topology::{DnsClients, Region, Timing, Topology};
use crate::yaml::{LeftOut, Read};

pub use crate::yaml::MAX_BYTES;

/// Checks the text of a topology file. The topology is there unless one of the notes is an error.
///
/// `file_name` gives the stack its name where the file does not. A text beyond [`MAX_BYTES`] is refused; who reads it from a
/// file should stop there.
pub fn check(text: &str, file_name: &str) -> (Option<Topology>, Vec<Note>) {
    check_with(text, file_name, &Overrides::default())
}

/// What is asked for beside a file and goes before what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The stack's name.
    pub name: Option<StackId>,
    /// A timing profile, in place of all that the file says about timing.
    pub timing: Option<ProfileSpec>,
}

/// Checks the text of a topology file as [`check`] does, with `overrides` in place of what it says.
pub fn check_with(
    text: &str,
    file_name: &str,
    overrides: &Overrides,
) -> (Option<Topology>, Vec<Note>) {
    let Read {
        spec,
        left_out,
        mut notes,
    } = spec::read(text);
    let topology = spec.and_then(|mut spec| {
        overrides.apply(&mut spec);
        let mut checker = Checker::new(&spec, &left_out);
        let topology = checker.topology(file_name);
        // What has a mistake of shape has no other.
        let told: Vec<Span> = notes.iter().map(|note| note.span).collect();
        let more = checker.notes.into_iter();
        notes.extend(more.filter(|note| !told.contains(&note.span)));
        topology
    });
    notes.sort_by_key(|note| note.span);
    let topology = topology.filter(|_| !has_errors(&notes));
    (topology, notes)
}

impl Overrides {
    fn apply(&self, spec: &mut Spec) {
        let at_start = Span::START;
        if let Some(name) = &self.name {
            spec.name = Some(At {
                value: name.to_string(),
                span: at_start,
            });
        }
        if let Some(profile) = self.timing {
            let fields = TimingFields {
                profile: Some(profile),
                ..TimingFields::default()
            };
            spec.timing = Some(At {
                value: TimingSpec(fields),
                span: at_start,
            });
        }
    }
}

/// What is known while a file is checked.
struct Checker<'s> {
    spec: &'s Spec,
    /// Declared, and not in `spec`: its mistake is told already, and whoever refers to it makes none.
    left_out: &'s LeftOut,
    notes: Vec<Note>,
    timing: Timing,
    regions: Vec<Region>,
    /// Identifiers of instances and endpoints: what has them, and where.
    taken: BTreeMap<String, (String, Span)>,
    /// What `${...}` may name.
    referable: BTreeMap<&'s str, Referable>,
}

impl<'s> Checker<'s> {
    fn new(spec: &'s Spec, left_out: &'s LeftOut) -> Self {
        Self {
            spec,
            left_out,
            notes: Vec::new(),
            timing: defaults::fast(),
            regions: Vec::new(),
            taken: BTreeMap::new(),
            referable: references::referable(spec),
        }
    }

    fn topology(&mut self, file_name: &str) -> Option<Topology> {
        self.timing = timing::timing(self);
        let name = identifiers::stack_name(self, file_name);
        let suffix = identifiers::suffix(self);
        // Without all zones, whatever names one would seem mistaken.
        let places = ["region", "availability-zones", "regions"];
        if places.iter().any(|field| self.left_out.is_of(field)) {
            return None;
        }
        self.regions = zones::regions(self);
        if self.regions.is_empty() {
            return None;
        }
        let services = instances::services(self);
        let target_groups = target_groups::target_groups(self, &services);
        let load_balancers = balancers::load_balancers(self, &target_groups);
        let db_instances = databases::db_instances(self);
        let replication_groups = caches::replication_groups(self);
        let mut topology = Topology {
            account: names::account(name.as_str()),
            account_id: account::account_id(self),
            credentials: account::credentials(self),
            name,
            suffix,
            timing: self.timing.clone(),
            regions: self.regions.clone(),
            engines: engines::engines(self),
            services,
            target_groups,
            load_balancers,
            db_instances,
            replication_groups,
            hosted_zones: Vec::new(),
            health_checks: Vec::new(),
            cidr_collections: routing::cidr_collections(self),
            dns_clients: DnsClients::default(),
        };
        zones::hosts_fit(self, &topology);
        topology.dns_clients = routing::dns_clients(self, &topology);
        topology.health_checks = health_checks::health_checks(self, &topology);
        topology.hosted_zones = records::hosted_zones(self, &topology);
        references::environments(self);
        Some(topology)
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.notes.push(Note::error(span, message));
    }

    fn error_with(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.notes.push(Note::error(span, message).hint(hint));
    }

    fn warning(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.notes.push(Note::warning(span, message).hint(hint));
    }

    /// Takes an identifier for an instance or endpoint; noted if something else has it.
    fn take(&mut self, id: String, what: &str, span: Span) {
        if let Some((other, at)) = self.taken.get(&id) {
            let message = format!("the name `{id}` of {what} is taken by {other}");
            let hint = format!("{other} is declared on line {}", at.line);
            self.error_with(span, message, hint);
        } else {
            self.taken.insert(id, (what.to_owned(), span));
        }
    }

    /// Notes a reference to something that is not declared.
    fn undeclared(&mut self, what: &str, written: &At<String>, declared: &[&str]) {
        if self.left_out.may_have(&written.value) {
            return;
        }
        let message = format!("{what} `{}` is not declared", written.value);
        let hint = match nearest(&written.value, declared) {
            Some(near) => format!("did you mean `{near}`?"),
            None if declared.is_empty() => format!("this file declares no {what}"),
            None if declared.len() > 20 => format!("this file declares {} of them", declared.len()),
            None => format!("declared: {}", declared.join(", ")),
        };
        self.error_with(written.span, message, hint);
    }
}

/// The stack's name in a file's: `tier-10k` of `topologies/tier-10k.yaml`.
fn stem(file_name: &str) -> StackId {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let stem = base
        .strip_suffix(".yaml")
        .or_else(|| base.strip_suffix(".yml"))
        .unwrap_or(base);
    StackId::from(stem)
}
