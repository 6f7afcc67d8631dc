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
