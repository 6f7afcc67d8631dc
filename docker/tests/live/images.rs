//! Images are built from Debian packages, once.

use std::sync::Mutex;
use std::time::Instant;

use docker::images;
use topologies::runtime::Software;

#[tokio::test]
async fn every_image_builds_and_says_its_version() {
    let Some(engine) = super::engine().await else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    for software in [
        Software::Program,
        Software::Redis { version: None },
        Software::Postgres { version: None },
    ] {
        let lines = Mutex::new(Vec::new());
        let begun = Instant::now();
        let built = images::build(&engine, &software, cache.path(), &|line| {
            lines.lock().unwrap().push(line.to_owned())
        })
        .await
        .unwrap();
        eprintln!("{built:?}: {:?}", begun.elapsed());
        assert!(
            built
                .version
                .as_ref()
                .is_some_and(|version| version.contains('.')),
            "{built:?}"
        );
        assert!(
            lines
                .lock()
                .unwrap()
                .iter()
                .any(|line| line.contains("built in"))
        );

        let again = images::provide(&engine, &software, cache.path(), &|line| {
            panic!("`{line}`, though it is at hand")
        })
        .await
        .unwrap();
        assert_eq!(again.id, built.id);
    }
    let left: Vec<_> = std::fs::read_dir(cache.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["images.lock"], "only the lock stays");
}

#[tokio::test]
async fn a_version_that_nobody_offers_is_missing_with_a_way_out() {
    let Some(engine) = super::engine().await else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let software = Software::Redis { version: Some(5) };
    let begun = Instant::now();
    let refused = images::build(&engine, &software, cache.path(), &|_| {}).await;
    eprintln!("refused in {:?}", begun.elapsed());
    let text = refused.unwrap_err().to_string();
    assert!(
        text.starts_with("redis version 5 in apt's sources"),
        "{text}"
    );
    assert!(text.contains("add a source"), "{text}");
}

#[tokio::test]
async fn builds_of_one_cache_wait_for_each_other_and_a_dropped_one_leaves_nothing() {
    let Some(engine) = super::engine().await else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let build = || images::build(&engine, &Software::Program, cache.path(), &|_| {});
    for patience in [100, 1500, 2200] {
        let abandoned =
            tokio::time::timeout(std::time::Duration::from_millis(patience), build()).await;
        eprintln!("abandoned after {patience} ms: {}", abandoned.is_err());
    }
    let (one, other) = tokio::join!(build(), build());
    assert_eq!(
        one.unwrap().id,
        other.unwrap().id,
        "the second takes what the first built"
    );
    assert_eq!(
        std::fs::read_dir(cache.path()).unwrap().count(),
        1,
        "only the lock stays"
    );
}
