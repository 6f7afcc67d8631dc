//! Tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::output::{self, printable};
use crate::api::views::{
    EndpointView, EndpointsView, FaultView, InstanceView, PlanView, StatusView,
};

/// Addresses of an endpoint that a table shows.
const ADDRESSES_SHOWN: usize = 3;

/// What to connect to; passwords are hidden.
pub(super) fn endpoints(view: &EndpointsView) -> String {
    if view.endpoints.is_empty() {
        return format!("{} has no endpoint to connect to\n", view.stack);
    }
    let mut table = table(&["ENDPOINT", "KIND", "ADDRESS", "URL"]);
    for endpoint in &view.endpoints {
        table.add_row([
            Cell::new(&endpoint.id).add_attribute(Attribute::Bold),
            Cell::new(&endpoint.kind),
            Cell::new(addresses(endpoint)),
            Cell::new(masked(&endpoint.url)),
        ]);
    }
    format!("{}\n", lines(&table))
}

/// What a stack is doing.
pub(super) fn status(view: &StatusView) -> String {
    let zones = view.zones.iter().map(|zone| match zone.state.as_str() {
        "available" => zone.name.clone(),
        state => format!("{} ({state})", zone.name),
    });
    let zones: Vec<String> = zones.collect();
    let mut text = format!(
        "{} is {}, runtime {}, zones {}\n\n",
        view.stack,
        view.state,
        view.runtime,
        zones.join(", ")
    );
    let mut table = table(&[
        "INSTANCE",
        "KIND",
        "OF",
        "ROLE",
        "ZONE",
        "STATE",
        "REPLICATION",
        "ADDRESS",
    ]);
    for instance in &view.instances {
        table.add_row(instance_row(instance));
    }
    text.push_str(&lines(&table));
    text.push('\n');
    if !view.faults.is_empty() {
        text.push('\n');
        text.push_str(&faults(&view.faults));
    }
    text
}

fn instance_row(instance: &InstanceView) -> [Cell; 8] {
    let replication = instance.replication.as_deref().unwrap_or_default();
    let follows = matches!(replication, "in-sync" | "replicating");
    let colour = match instance.state.as_str() {
        "available" | "running" | "active" => Color::Green,
        "creating" | "resuming" | "pending" | "provisioning" | "rebooting" => Color::Yellow,
        _ => Color::Red,
    };
    [
        Cell::new(&instance.id).add_attribute(Attribute::Bold),
        Cell::new(&instance.kind),
        Cell::new(&instance.service),
        Cell::new(&instance.role),
        Cell::new(&instance.zone),
        Cell::new(&instance.state).fg(colour),
        Cell::new(replication).fg(if follows { Color::Green } else { Color::Red }),
        Cell::new(instance.address),
    ]
}

/// Faults in force.
pub(super) fn faults(faults: &[FaultView]) -> String {
    let mut columns = vec!["FAULT", "KIND", "TARGET", "SINCE"];
    let experiments = faults.iter().any(|fault| fault.by.is_some());
    columns.extend(experiments.then_some("EXPERIMENT"));
    let mut table = table(&columns);
    for fault in faults {
        let since = topologies::time::Time::from_micros(fault.since);
        let mut row = vec![
            Cell::new(&fault.id).add_attribute(Attribute::Bold),
            Cell::new(&fault.kind).fg(Color::Red),
            Cell::new(printable(&fault.target)),
            Cell::new(since),
        ];
        if experiments {
            row.push(Cell::new(printable(
                fault.by.as_deref().unwrap_or_default(),
            )));
        }
        table.add_row(row);
    }
    format!("{}\n", lines(&table))
}

/// What would run.
pub(super) fn plan(view: &PlanView) -> String {
    let mut text = format!("{} on {}\n\n", view.stack, view.network);
    let mut places = table(&["INSTANCE", "KIND", "OF", "ZONE", "ADDRESS", "PORTS"]);
    for instance in &view.instances {
        let ports: Vec<String> = instance.ports.iter().map(u16::to_string).collect();
        places.add_row([
            Cell::new(&instance.id).add_attribute(Attribute::Bold),
            Cell::new(&instance.kind),
            Cell::new(&instance.service),
            Cell::new(&instance.zone),
            Cell::new(instance.address),
            Cell::new(ports.join(", ")),
        ]);
    }
    text.push_str(&lines(&places));
    text.push_str("\n\n");
    let mut names = table(&["ENDPOINT", "KIND", "NAME"]);
    for endpoint in &view.endpoints {
        names.add_row([
            Cell::new(&endpoint.id).add_attribute(Attribute::Bold),
            Cell::new(&endpoint.kind),
            Cell::new(format!("{}:{}", endpoint.name, endpoint.port)),
        ]);
    }
    text.push_str(&lines(&names));
    text.push_str("\n\n");
    let mut views = table(&["SEEN FROM", "RESOLVER", "API"]);
    for view in &view.views {
        views.add_row([
            Cell::new(&view.from).add_attribute(Attribute::Bold),
            Cell::new(view.resolver),
            Cell::new(view.api),
        ]);
    }
    text.push_str(&lines(&views));
    text.push('\n');
    text
}

/// A plain table: a head, then rows.
pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    if output::coloured() {
        table.enforce_styling();
    }
    table.set_header(head.iter().map(|title| {
        Cell::new(title)
            .add_attribute(Attribute::Bold)
            .add_attribute(Attribute::Underlined)
    }));
    table
}

/// The table without the spaces that end its lines.
pub(super) fn lines(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().trim_start_matches(' ').to_owned())
        .collect();
    lines.join("\n")
}

fn addresses(endpoint: &EndpointView) -> String {
    let shown = endpoint.addresses.iter().take(ADDRESSES_SHOWN);
    let mut shown: Vec<String> = shown.map(ToString::to_string).collect();
    match endpoint.addresses.len().saturating_sub(ADDRESSES_SHOWN) {
        0 => {}
        more => shown.push(format!("+{more}")),
    }
    shown.join(" ")
}

/// The URL with its password hidden: screens are shared.
fn masked(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (credentials, place) = rest.split_once('@')?;
        let (user, _) = credentials.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{place}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        assert_eq!(
            masked("postgresql://app:s%40c@h:5432/db"),
            "postgresql://app:***@h:5432/db"
        );
        assert_eq!(masked("redis://:tok@h:6379"), "redis://:***@h:6379");
        assert_eq!(masked("http://h"), "http://h");
    }
}
