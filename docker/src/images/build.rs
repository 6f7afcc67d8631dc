//! Builds an image, or pulls one. A build is a stream: packages are unpacked into the engine as they are read, and the tag
//! appears only when all of it has arrived, so that nothing half-built is left by a build that is dropped.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::body_try_stream;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use topologies::runtime::{RuntimeError, Software};

use super::debian::{Package, Workshop, write_layer};
use super::recipe::{Kind, Recipe};
use super::{
    GLIBC_LABEL, Image, POSTGRES_MAJORS, Progress, RECIPE_LABEL, VERSION_LABEL, asked, at_hand,
    inspect, kind, tag,
};
use crate::engine::{Engine, failed, missing};

/// Another build fetches at most this long; see [`super::debian`].
const LOCK_LIMIT: Duration = Duration::from_secs(900);
/// An engine swallows a layer at disk speed; a registry may be far.
const TRANSFER_LIMIT: Duration = Duration::from_secs(600);
/// A registry that answers does so in this time; what it sends may take longer.
const REGISTRY_LIMIT: Duration = Duration::from_secs(20);

/// Builds the image for software, also when there is one. `progress` is told lines for the user; `cache` holds what is
/// fetched until it is built. Builds wait for each other, also those of other processes.
///
/// # Errors
/// [`RuntimeError::Missing`] without `apt-get`, or when its sources do not offer the version.
pub async fn build(
    engine: &Engine,
    software: &Software,
    cache: &Path,
    progress: &Progress<'_>,
) -> Result<Image, RuntimeError> {
    let asked_at = Instant::now();
    let lock = lock(cache, progress).await?;
    if asked_at.elapsed() > Duration::from_secs(1)
        && let Some(image) = at_hand(engine, software).await?
    {
        // Whoever had the lock built it.
        return Ok(image);
    }
    let begun = Instant::now();
    let kind = kind(software);
    let workshop = Workshop::open(cache.join("images-work")).await?;
    let major = major(&workshop, kind, asked(software)).await?;
    let (recipe, tag) = (Recipe::of(kind, major), tag(kind, major));
    progress(&format!("image {tag}: fetching packages"));
    let packages = workshop.fetch(&recipe).await?;
    progress(&format!(
        "image {tag}: importing {} packages",
        packages.len()
    ));
    import(engine, &tag, &recipe, packages, major).await?;
    sweep(engine).await?;
    drop((workshop, lock));
    let image = inspect(engine, &tag)
        .await?
        .ok_or_else(|| RuntimeError::Failed {
            action: format!("build image `{tag}`"),
            cause: "the engine imported it and does not know it".to_owned(),
        })?;
    progress(&format!(
        "image {tag}: built in {:.1} s ({}, {} MB)",
        begun.elapsed().as_secs_f32(),
        image.version.as_deref().unwrap_or("version unknown"),
        image.size / 1_000_000
    ));
    Ok(image)
}

/// Pulls an image, if a registry answers.
///
/// # Errors
/// [`RuntimeError::Missing`] when none has it or none answers.
pub(super) async fn pull(
    engine: &Engine,
    reference: &str,
    progress: &Progress<'_>,
) -> Result<Image, RuntimeError> {
    progress(&format!("image {reference}: pulling"));
    let api = engine.patient(TRANSFER_LIMIT);
    let (name, version) = match reference.rsplit_once(':') {
        // A colon before a slash is a registry's port.
        Some((name, version)) if !version.contains('/') => (name, version),
        _ => (reference, "latest"),
    };
    let options = CreateImageOptionsBuilder::new()
        .from_image(name)
        .tag(version)
        .build();
    let mut steps = std::pin::pin!(api.create_image(Some(options), None, None));
    let no_image = |cause: String| {
        missing(
            format!("image `{reference}` ({cause})"),
            "pull or build it with docker, or leave out `image:` to have one built from Debian packages",
        )
    };
    let mut first = true;
    loop {
        let limit = if first {
            REGISTRY_LIMIT
        } else {
            TRANSFER_LIMIT
        };
        match tokio::time::timeout(limit, steps.next()).await {
            Ok(Some(Ok(_))) => first = false,
            Ok(Some(Err(error))) => return Err(no_image(error.to_string())),
            Ok(None) => break,
            Err(_) => return Err(no_image(format!("no registry answered within {limit:?}"))),
        }
    }
    inspect(engine, reference)
        .await?
        .ok_or_else(|| no_image("pulled, but not there".to_owned()))
}

/// Which major version to build.
async fn major(workshop: &Workshop, kind: Kind, asked: Option<u16>) -> Result<u16, RuntimeError> {
    let package = kind.package(asked.unwrap_or_default());
    let found = match (kind, asked) {
        (Kind::Base, _) => return Ok(0),
        (Kind::Postgres, Some(major)) => {
            workshop.newest_major("postgresql-", major..=major).await?
        }
        (Kind::Postgres, None) => {
            workshop
                .newest_major("postgresql-", POSTGRES_MAJORS)
                .await?
        }
        (Kind::Redis, _) => workshop.major_of(&package).await?,
    };
    match (found, asked) {
        (Some(found), None) => Ok(found),
        (Some(found), Some(asked)) if found == asked => Ok(found),
        (found, asked) => {
            let wanted = asked.map_or_else(
                || "any version".to_owned(),
                |major| format!("version {major}"),
            );
            let offered = found.map_or_else(String::new, |major| format!(", only version {major}"));
            Err(missing(
                format!(
                    "{} {wanted} in apt's sources{offered}",
                    kind.repository().trim_start_matches("localaws/")
                ),
                "add a source that has it (apt.postgresql.org, packages.redis.io), or ask for another version",
            ))
        }
    }
}

/// Streams the layer into the engine.
async fn import(
    engine: &Engine,
    tag: &str,
    recipe: &Recipe,
    packages: Vec<Package>,
    major: u16,
) -> Result<(), RuntimeError> {
    let version_of = |name: &str| {
        packages
            .iter()
            .find(|package| package.name == name)
            .map(|package| package.version.clone())
            .unwrap_or_default()
    };
    let (repository, version) = tag.split_once(':').expect("our tags have a version");
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(repository)
        .tag(version)
        .changes(vec![
            format!("ENV PATH={}", recipe.path),
            format!("LABEL {RECIPE_LABEL}={}", recipe.hash),
            format!(
                "LABEL {VERSION_LABEL}={}",
                version_of(&recipe.kind.package(major))
            ),
            format!("LABEL {GLIBC_LABEL}={}", version_of("libc6")),
        ])
        .build();

    let (sender, receiver) = mpsc::channel(8);
    let recipe = recipe.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        let pipe = Pipe(&sender);
        if let Err(error) = write_layer(
            &recipe,
            &packages,
            io::BufWriter::with_capacity(256 << 10, pipe),
        ) {
            // Losing it is right when the engine has hung up: that is the error then.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let api = engine.patient(TRANSFER_LIMIT);
    let body = body_try_stream(ReceiverStream::new(receiver));
    let mut steps = std::pin::pin!(api.create_image(Some(options), Some(body), None));
    while let Some(step) = steps.next().await {
        step.map_err(|error| failed(format!("build image `{tag}`"), &error))?;
    }
    unpacking.await.map_err(|error| RuntimeError::Failed {
        action: format!("unpack packages for image `{tag}`"),
        cause: error.to_string(),
    })
}

/// Removes the images of ours that lost their tags to new ones. Those that containers use stay; the engine refuses.
async fn sweep(engine: &Engine) -> Result<(), RuntimeError> {
    let filters = HashMap::from([("label", vec![RECIPE_LABEL]), ("dangling", vec!["true"])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let former = engine.api().list_images(Some(options)).await;
    for image in former.map_err(|error| failed("list images", &error))? {
        let removed = engine
            .api()
            .remove_image(&image.id, None::<RemoveImageOptions>, None)
            .await;
        if let Err(error) = removed {
            tracing::debug!(%error, image = image.id, "a former image stays");
        }
    }
    Ok(())
}

/// A writer into a body that is sent meanwhile.
struct Pipe<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(data)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the lock of all builds with this cache; the file's descriptor holds it, so that a killed process leaves none.
async fn lock(cache: &Path, progress: &Progress<'_>) -> Result<File, RuntimeError> {
    let path = cache.join("images.lock");
    let fail = |error: io::Error| RuntimeError::Failed {
        action: format!("lock {}", path.display()),
        cause: error.to_string(),
    };
    std::fs::create_dir_all(cache).map_err(fail)?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(fail)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
            Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_LIMIT => {
                return Err(RuntimeError::TimedOut {
                    action: "wait for another build of images".to_owned(),
                    limit: LOCK_LIMIT,
                });
            }
            Err(TryLockError::WouldBlock) => {
                if begun.elapsed() < Duration::from_millis(50) {
                    progress("images: waiting for another build");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
