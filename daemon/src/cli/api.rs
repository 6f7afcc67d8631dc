//! `api`: what there is of the AWS API.

use comfy_table::{Attribute, Cell};

use super::args::{Api, ApiCommand};
use super::exit::{Exit, Failure};
use super::{output, tables};
use crate::aws;

pub(super) fn run(arguments: &Api) -> Result<Exit, Failure> {
    let ApiCommand::Coverage { markdown } = arguments.command;
    if markdown {
        output::print(&aws::coverage_markdown())?;
        return Ok(Exit::Done);
    }
    let mut table = tables::table(&["SERVICE", "BUILT", "OF"]);
    for it in aws::coverage() {
        table.add_row([
            Cell::new(it.name).add_attribute(Attribute::Bold),
            Cell::new(it.built.len()),
            Cell::new(it.operations),
        ]);
    }
    output::println(&tables::lines(&table))?;
    Ok(Exit::Done)
}
