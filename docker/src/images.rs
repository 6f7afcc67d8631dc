//! The images that instances run on. One named by the topology is taken as it is, pulled if need be; else ours, built from
//! the packages of the host's Debian or Ubuntu in seconds, so that its C library is the host's and no registry is needed;
//! else, where there is no apt or not that version, the official image from a registry.

mod build;
mod debian;
mod layer;
mod recipe;

use std::path::Path;

use bollard::models::ImageInspect;
use topologies::runtime::{RuntimeError, Software};

use crate::engine::{Engine, absent, failed};
use recipe::{Kind, Recipe, SYSTEM_PATH};

pub use build::build;

/// The major versions of PostgreSQL that the engines know.
const POSTGRES_MAJORS: std::ops::RangeInclusive<u16> = 13..=18;

/// Marks an image as ours and says what it was made from.
const RECIPE_LABEL: &str = "localaws.recipe";
/// The version of the software in it, `15.20`; of the base, its C library's.
const VERSION_LABEL: &str = "localaws.version";
/// The version of its C library, `2.36`.
const GLIBC_LABEL: &str = "localaws.glibc";

/// What is told lines for the user.
pub type Progress<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// An image at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name and tag, `localaws/postgres:15`.
    pub reference: String,
    /// Its content's digest.
    pub id: String,
    /// The version of the software in it, if it is ours.
    pub version: Option<String>,
    /// The version of its C library, if it is ours.
    pub glibc: Option<String>,
    /// Bytes on disk, without sharing.
    pub size: u64,
    /// Its `PATH`.
    pub path: String,
    /// What it runs unless told otherwise: its entry point and that one's arguments.
    pub command: Vec<String>,
    /// What it was made from, if it is ours.
    pub(crate) recipe: Option<String>,
}

/// Every image that we built, whatever its recipe's age.
///
/// # Errors
/// [`RuntimeError::Failed`] when the engine refuses.
pub async fn list(engine: &Engine) -> Result<Vec<Image>, RuntimeError> {
    let options = bollard::query_parameters::ListImagesOptionsBuilder::new()
        .filters(&std::collections::HashMap::from([(
            "label",
            vec![RECIPE_LABEL],
        )]))
        .build();
    let found = engine
        .api()
        .list_images(Some(options))
        .await
        .map_err(|error| failed("list images", &error))?;
    let mut images = Vec::new();
    for tag in found.into_iter().flat_map(|image| image.repo_tags) {
        images.extend(inspect(engine, &tag).await?);
    }
    images.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(images)
}

/// The image for software, built or pulled if it is not at hand. `progress` is told lines for the user. `cache` is a
/// directory of ours for what is fetched meanwhile.
///
/// # Errors
/// [`RuntimeError::Missing`] with what to install when there is no way to get it.
pub async fn provide(
    engine: &Engine,
    software: &Software,
    cache: &Path,
    progress: &Progress<'_>,
) -> Result<Image, RuntimeError> {
    if let Some(image) = at_hand(engine, software).await? {
        return Ok(image);
    }
    match build(engine, software, cache, progress).await {
        Ok(image) => Ok(image),
        Err(built @ RuntimeError::Missing { .. }) => match official(software) {
            Some(reference) => match build::pull(engine, &reference, progress).await {
                Ok(image) => Ok(image),
                Err(pulled) => {
                    tracing::debug!(%pulled, "no registry either");
                    Err(built)
                }
            },
            None => Err(built),
        },
        Err(error) => Err(error),
    }
}

/// The image that a topology names, pulled if it is not at hand.
///
/// # Errors
/// [`RuntimeError::Missing`] when it is neither here nor in a registry that answers.
pub(crate) async fn named(
    engine: &Engine,
    reference: &str,
    progress: &Progress<'_>,
) -> Result<Image, RuntimeError> {
    match inspect(engine, reference).await? {
        Some(image) => Ok(image),
        None => build::pull(engine, reference, progress).await,
    }
}

/// The image that a stack would use as it is: ours for the software if it is here and up to date, else the official one if that
/// is here.
///
/// # Errors
/// [`RuntimeError::Failed`] when the engine refuses.
pub async fn at_hand(engine: &Engine, software: &Software) -> Result<Option<Image>, RuntimeError> {
    let kind = kind(software);
    let majors: Vec<u16> = match (kind, asked(software)) {
        (Kind::Base, _) => vec![0],
        (_, Some(major)) => vec![major],
        (Kind::Postgres, None) => POSTGRES_MAJORS.rev().collect(),
        (Kind::Redis, None) => (6..=8).rev().collect(),
    };
    for major in majors {
        let image = inspect(engine, &tag(kind, major)).await?;
        let recipe = Recipe::of(kind, major).hash;
        if let Some(image) = image.filter(|image| image.recipe.as_ref() == Some(&recipe)) {
            return Ok(Some(image));
        }
    }
    match official(software) {
        Some(reference) => inspect(engine, &reference).await,
        None => Ok(None),
    }
}

/// Whether an image is still there.
pub(crate) async fn exists(engine: &Engine, id: &str) -> Result<bool, RuntimeError> {
    Ok(inspect(engine, id).await?.is_some())
}

fn kind(software: &Software) -> Kind {
    match software {
        Software::Postgres { .. } => Kind::Postgres,
        Software::Redis { .. } => Kind::Redis,
        Software::Program => Kind::Base,
    }
}

/// The major version asked for.
fn asked(software: &Software) -> Option<u16> {
    match software {
        Software::Postgres { version } | Software::Redis { version } => *version,
        Software::Program => None,
    }
}

fn tag(kind: Kind, major: u16) -> String {
    match kind {
        Kind::Base => format!("{}:latest", kind.repository()),
        Kind::Postgres | Kind::Redis => format!("{}:{major}", kind.repository()),
    }
}

/// The image of a registry that serves as well. None for programs: their C library must fit the host's.
fn official(software: &Software) -> Option<String> {
    let (name, version) = match software {
        Software::Postgres { version } => ("postgres", version.unwrap_or(*POSTGRES_MAJORS.end())),
        Software::Redis { version } => ("redis", version.unwrap_or(7)),
        Software::Program => return None,
    };
    Some(format!("{name}:{version}"))
}

async fn inspect(engine: &Engine, reference: &str) -> Result<Option<Image>, RuntimeError> {
    match engine.api().inspect_image(reference).await {
        Ok(found) => Ok(Some(image(reference, found))),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(failed(format!("inspect image `{reference}`"), &error)),
    }
}

fn image(reference: &str, found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let path = config
        .env
        .unwrap_or_default()
        .iter()
        .find_map(|variable| variable.strip_prefix("PATH=").map(str::to_owned));
    Image {
        reference: reference.to_owned(),
        id: found.id.unwrap_or_default(),
        version: labels.get(VERSION_LABEL).cloned(),
        glibc: labels.get(GLIBC_LABEL).cloned(),
        size: found
            .size
            .unwrap_or_default()
            .try_into()
            .unwrap_or_default(),
        path: path.unwrap_or_else(|| SYSTEM_PATH.to_owned()),
        command: [config.entrypoint, config.cmd]
            .into_iter()
            .flatten()
            .flatten()
            .collect(),
        recipe: labels.get(RECIPE_LABEL).cloned(),
    }
}
