//! `images`: the container images that stacks run on.

use ::docker::engine::Engine;
use ::docker::images;
use comfy_table::{Attribute, Cell};
use topologies::runtime::{RuntimeError, Software};

use super::args::{Images, ImagesCommand};
use super::exit::{Exit, Failure};
use super::progress::Display;
use super::topology::json;
use super::{block_on, output, tables};
use crate::state::Home;
use crate::up::Progress;

pub(super) fn run(arguments: &Images) -> Result<Exit, Failure> {
    match arguments.command {
        ImagesCommand::Build => build(),
        ImagesCommand::List { json } => list(json),
    }
}

fn build() -> Result<Exit, Failure> {
    let home = Home::current()?;
    home.create()?;
    let display = Display::new();
    block_on(async {
        let engine = Engine::connect().await.map_err(explain)?;
        let software = [
            Software::Program,
            Software::Postgres { version: None },
            Software::Redis { version: None },
        ];
        for software in &software {
            let progress = |line: &str| display.tell(&Progress::Step(line.to_owned()));
            let image = images::build(&engine, software, home.cache(), &progress)
                .await
                .map_err(explain)?;
            display.tell(&Progress::Line(format!("built {}", image.reference)));
        }
        Ok(Exit::Done)
    })
}

/// An image as `images list --json` prints it.
#[derive(serde::Serialize)]
struct ImageView<'a> {
    image: &'a str,
    version: Option<&'a str>,
    /// Bytes.
    size: u64,
}

fn list(as_json: bool) -> Result<Exit, Failure> {
    let found = block_on(async {
        let engine = Engine::connect().await.map_err(explain)?;
        images::list(&engine).await.map_err(explain)
    })?;
    if as_json {
        let images = found.iter().map(|image| ImageView {
            image: &image.reference,
            version: image.version.as_deref(),
            size: image.size,
        });
        output::println(&json(&images.collect::<Vec<_>>())?)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        output::eprintln(
            "no image was built; `localaws images build` builds them, `up` does so when needed",
        );
        return Ok(Exit::Done);
    }
    let mut table = tables::table(&["IMAGE", "VERSION", "SIZE"]);
    for image in found {
        table.add_row([
            Cell::new(&image.reference).add_attribute(Attribute::Bold),
            Cell::new(image.version.as_deref().unwrap_or("-")),
            Cell::new(format!("{} MiB", image.size >> 20)),
        ]);
    }
    output::println(&tables::lines(&table))?;
    Ok(Exit::Done)
}

/// What a runtime's refusal means for a command.
pub(super) fn explain(error: RuntimeError) -> Failure {
    match error {
        RuntimeError::Missing { what, hint } => {
            Failure::machine(format!("{what} not found")).hint(hint)
        }
        error @ (RuntimeError::Failed { .. } | RuntimeError::TimedOut { .. }) => {
            Failure::machine(error.to_string())
        }
        error @ (RuntimeError::InsufficientCapacity(_)
        | RuntimeError::ZoneUnreachable(_)
        | RuntimeError::HeldStopped(_)) => Failure::new(Exit::Broken, error.to_string()),
    }
}
