//! `exec`: replaces this process by a program that resolves the stack's names.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddrV4;

use topologies::address::{HostAddress, ZoneNumber};
use topologies::id::StackId;
use topologies::runtime::Resolution;

use super::args::Exec;
use super::exit::{Exit, Failure};
use super::target::{self, Target};
use super::{block_on, output, status};
use crate::api::views::{EndpointsView, NetworkView, PlanView};
use crate::hosts;
use crate::runtime::namespaces;
use crate::state::API_PORT;

/// The place outside of every zone.
const OUTSIDE: &str = "outside";
/// The exit code of shells for a program that can not be executed.
const NOT_EXECUTABLE: Exit = Exit::Other(126);
/// The exit code of shells for a program that does not exist.
const NOT_FOUND: Exit = Exit::Other(127);

pub(super) fn run(arguments: &Exec, stack: Option<StackId>) -> Result<Exit, Failure> {
    let target = target::find(stack)?;
    // The runtime ends with this block: no thread may exist when the program takes over.
    let (endpoints, plan): (EndpointsView, PlanView) = block_on(async {
        let told = async {
            let endpoints = target.client.get("/endpoints").await?;
            Ok((endpoints, target.client.get("/plan").await?))
        };
        told.await.map_err(|error| target.explain(error))
    })?;
    let view = place(&plan, arguments.zone.as_deref())?;
    let resolution = resolution(&target, &endpoints, view)?;
    let mut environment: BTreeMap<String, String> = status::variables(&endpoints)
        .map(|(key, url)| (key, url.to_owned()))
        .collect();
    let api = format!("http://{}:{API_PORT}", view.api);
    let aws = status::aws(&endpoints, &api, region(view).unwrap_or(&endpoints.region));
    environment.extend(aws.map(|(key, value)| (key.to_owned(), value)));
    environment.insert("LOCALAWS_STACK".to_owned(), endpoints.stack);
    let error = crate::shim::exec(&resolution, &arguments.command, &environment);
    let program = output::printable(&arguments.command[0]);
    let kind = error.kind();
    Err(if kind == ErrorKind::NotFound {
        Failure::new(NOT_FOUND, format!("there is no program `{program}`"))
    } else if kind == ErrorKind::PermissionDenied && error.raw_os_error().is_none() {
        // Not the program is refused, but the namespace that it needs.
        Failure::machine(format!(
            "this machine does not let `{program}` have the stack's names: failed to {error}"
        ))
        .hint(format!(
            "{}; or dial the addresses that `localaws endpoints` shows, and look again after a failover",
            namespaces::way_out()
        ))
    } else {
        Failure::new(
            NOT_EXECUTABLE,
            format!("failed to run `{program}`: {error}"),
        )
    })
}

/// The region of the zone that one stands in: its name without the last letter.
fn region(view: &NetworkView) -> Option<&str> {
    let zone = Some(view.from.as_str()).filter(|from| *from != OUTSIDE)?;
    zone.strip_suffix(|letter: char| letter.is_ascii_lowercase())
}

/// The view from a zone, named in full or by its letter; from outside if none is asked for.
fn place<'a>(plan: &'a PlanView, zone: Option<&str>) -> Result<&'a NetworkView, Failure> {
    let wanted = zone.unwrap_or(OUTSIDE);
    if let Some(view) = plan.views.iter().find(|view| view.from == wanted) {
        return Ok(view);
    }
    let zones = || plan.views.iter().filter(|view| view.from != OUTSIDE);
    let fitting: Vec<&NetworkView> = zones()
        .filter(|view| wanted.len() == 1 && view.from.ends_with(wanted))
        .collect();
    if let [view] = fitting.as_slice() {
        return Ok(view);
    }
    let names: Vec<&str> = zones().map(|view| view.from.as_str()).collect();
    let wanted = output::printable(wanted);
    let problem = match fitting.len() {
        0 => format!("zone `{wanted}` does not exist"),
        _ => format!("zone `{wanted}` fits several zones"),
    };
    Err(Failure::wrong(problem).hint(format!("zones are {}", names.join(", "))))
}

/// The resolver of the view where it has port 53, the only one that `/etc/resolv.conf` can name; a hosts file elsewhere.
fn resolution(
    target: &Target,
    endpoints: &EndpointsView,
    view: &NetworkView,
) -> Result<Resolution, Failure> {
    let resolver: SocketAddrV4 = endpoints.resolver.parse().map_err(|_| {
        Failure::new(Exit::Bug, "the stack's resolver has no address").hint("please report it")
    })?;
    if resolver.port() == 53 {
        return Ok(Resolution::Nameserver(view.resolver));
    }
    output::eprintln(&format!(
        "the resolver has port {}, not 53: names come from a hosts file, without TTLs",
        resolver.port()
    ));
    let from = HostAddress::parse(view.resolver).map_or(ZoneNumber::OUTSIDE, |(from, _)| from);
    let stack = target.home.stack(&target.name);
    Ok(Resolution::HostsFile(hosts::path(stack.path(), from)))
}
