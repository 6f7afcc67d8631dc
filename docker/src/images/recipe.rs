//! What an image is made of: the recipe files of `docker/images`, read and filled in. Pure.

use sha2::{Digest, Sha256};

/// Part of the recipe's hash: images are built anew when the way they are built changes.
const BUILDER_VERSION: &str = "1";

const BASE: &str = include_str!("../../images/base.recipe");
const POSTGRES: &str = include_str!("../../images/postgres.recipe");
const REDIS: &str = include_str!("../../images/redis.recipe");

/// `PATH` of every image, behind what the recipe puts before it.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/usr/sbin";

/// The images that we can build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Base,
    Postgres,
    Redis,
}

impl Kind {
    /// The repository of the image's tags.
    pub(crate) fn repository(self) -> &'static str {
        match self {
            Self::Base => "localaws/base",
            Self::Postgres => "localaws/postgres",
            Self::Redis => "localaws/redis",
        }
    }

    /// The package whose version is the image's.
    pub(crate) fn package(self, major: u16) -> String {
        match self {
            Self::Base => "libc6".to_owned(),
            Self::Postgres => format!("postgresql-{major}"),
            Self::Redis => "redis-server".to_owned(),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Base => BASE,
            Self::Postgres => POSTGRES,
            Self::Redis => REDIS,
        }
    }
}

/// A recipe with its includes resolved and its version filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) kind: Kind,
    /// Packages to install, with all they depend on.
    pub(crate) install: Vec<String>,
    /// Packages taken for installed.
    pub(crate) assume: Vec<String>,
    /// Beginnings of paths that are left out.
    pub(crate) omit: Vec<String>,
    /// `PATH` inside of the image.
    pub(crate) path: String,
    /// Changes with everything that the image is made from, package versions apart.
    pub(crate) hash: String,
}

impl Recipe {
    /// The recipe of an image for a major version (which the base does not have).
    pub(crate) fn of(kind: Kind, major: u16) -> Self {
        let mut recipe = Self {
            kind,
            install: Vec::new(),
            assume: Vec::new(),
            omit: Vec::new(),
            path: SYSTEM_PATH.to_owned(),
            hash: String::new(),
        };
        let mut digest = Sha256::new();
        digest.update(BUILDER_VERSION);
        recipe.read(
            &kind.text().replace("{major}", &major.to_string()),
            &mut digest,
        );
        recipe.hash = hex::encode(&digest.finalize()[..8]);
        recipe
    }

    fn read(&mut self, text: &str, digest: &mut Sha256) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(verb) = words.next() else { continue };
            digest.update(verb);
            let words: Vec<String> = words.map(str::to_owned).collect();
            for word in &words {
                digest.update(" ");
                digest.update(word);
            }
            match verb {
                "install" => self.install.extend(words),
                "assume" => self.assume.extend(words),
                "omit" => self.omit.extend(words),
                "path" => self.path = format!("{}:{}", words.concat(), self.path),
                "include" => self.read(BASE, digest),
                other => panic!("recipes are ours and know no verb `{other}`"),
            }
        }
    }

    /// A `dpkg` status file in which the assumed packages are installed, so that apt's own resolver stops at them.
    pub(crate) fn dpkg_status(&self, architecture: &str) -> String {
        self.assume
            .iter()
            .map(|package| {
                format!(
                    "Package: {package}\nStatus: install ok installed\nArchitecture: {architecture}\nMulti-Arch: foreign\n\
                     Version: 1:99999\nMaintainer: localaws <localaws@localhost>\nDescription: assumed\n\n"
                )
            })
            .collect()
    }

    /// Whether a path, without leading slash, is left out.
    pub(crate) fn omits(&self, path: &str) -> bool {
        self.omit
            .iter()
            .any(|prefix| path.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_reads_and_includes_the_base() {
        for kind in [Kind::Base, Kind::Postgres, Kind::Redis] {
            let recipe = Recipe::of(kind, 15);
            assert!(recipe.install.contains(&"libc6".to_owned()), "{kind:?}");
            assert!(recipe.omits("usr/share/doc/dash/copyright"), "{kind:?}");
            assert!(!recipe.omits("usr/bin/dash"), "{kind:?}");
        }
    }

    #[test]
    fn the_major_version_is_filled_in() {
        let recipe = Recipe::of(Kind::Postgres, 16);
        assert!(recipe.install.contains(&"postgresql-16".to_owned()));
        assert_eq!(
            recipe.path,
            format!("/usr/lib/postgresql/16/bin:{SYSTEM_PATH}")
        );
        assert!(recipe.omits("usr/lib/postgresql/16/lib/llvmjit.so"));
        assert!(!recipe.omits("usr/lib/postgresql/16/lib/pgoutput.so"));
    }

    #[test]
    fn the_hash_tells_recipes_apart_and_is_stable() {
        let hash = |kind, major| Recipe::of(kind, major).hash;
        assert_eq!(hash(Kind::Postgres, 15), hash(Kind::Postgres, 15));
        assert_ne!(hash(Kind::Postgres, 15), hash(Kind::Postgres, 16));
        assert_ne!(hash(Kind::Base, 0), hash(Kind::Redis, 0));
    }

    #[test]
    fn assumed_packages_are_installed_in_the_status_file() {
        let status = Recipe::of(Kind::Base, 0).dpkg_status("arm64");
        assert!(
            status
                .starts_with("Package: perl\nStatus: install ok installed\nArchitecture: arm64\n")
        );
    }
}
