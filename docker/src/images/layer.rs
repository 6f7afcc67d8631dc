//! Makes one file system layer of Debian packages: their tar streams merged, with `/bin`, `/lib` and the like as links into
//! `/usr` whatever the packages' age, without documentation, without set-user-id bits. No maintainer script runs; the few
//! files that scripts would make are written here. Pure but for the readers and writers it is given.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use tar::{Archive, Builder, EntryType, Header};

use super::recipe::Recipe;

/// Directories at the root that are links into `/usr`.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Files that maintainer scripts would have made.
const FILES: [(&str, &str); 4] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
    ),
    ("etc/localaws-image", "localaws\n"),
];

/// Writes a layer, package by package.
pub(crate) struct Layer<'a, W: Write> {
    recipe: &'a Recipe,
    tar: Builder<W>,
    written: BTreeSet<String>,
}

impl<'a, W: Write> Layer<'a, W> {
    /// Begins with the links into `/usr` and the directories that have modes of their own.
    pub(crate) fn begin(recipe: &'a Recipe, out: W) -> io::Result<Self> {
        let mut layer = Self {
            recipe,
            tar: Builder::new(out),
            written: BTreeSet::new(),
        };
        layer.directory("usr", 0o755)?;
        for name in MERGED {
            layer.directory(&format!("usr/{name}"), 0o755)?;
            layer.link(name, &format!("usr/{name}"), EntryType::Symlink, 0)?;
        }
        layer.directory("tmp", 0o1777)?;
        layer.directory("root", 0o755)?;
        for (path, text) in FILES {
            layer.file(path, text.as_bytes(), text.len() as u64, 0o644, 0)?;
        }
        Ok(layer)
    }

    /// Adds the file system of a package, as `dpkg-deb --fsys-tarfile` prints it.
    pub(crate) fn add(&mut self, package: impl Read) -> io::Result<()> {
        let mut archive = Archive::new(package);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let original = clean(&entry.path()?.to_string_lossy());
            let path = merged(&original);
            if original.is_empty()
                || MERGED.contains(&original.as_str())
                || self.recipe.omits(&path)
                || self.recipe.omits(&original)
            {
                continue;
            }
            let header = entry.header();
            let (mode, mtime, size) = (header.mode()? & 0o1777, header.mtime()?, header.size()?);
            let target = entry
                .link_name()?
                .map(|name| name.to_string_lossy().into_owned());
            match (header.entry_type(), target) {
                (EntryType::Directory, _) => self.directory(&path, mode)?,
                (EntryType::Symlink, Some(target)) => {
                    let target = symlink_target(&original, &target);
                    self.link(&path, &target, EntryType::Symlink, mtime)?;
                }
                (EntryType::Link, Some(target)) => {
                    self.link(&path, &merged(&clean(&target)), EntryType::Link, mtime)?;
                }
                (EntryType::Regular, _) => self.file(&path, &mut entry, size, mode, mtime)?,
                // Devices and pipes: no package that we use has any.
                _ => {}
            }
        }
        // dpkg-deb waits for its reader; what is left are zero blocks.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        Ok(())
    }

    /// Ends the layer.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.written.contains("usr/bin/sh") {
            self.link("usr/bin/sh", "dash", EntryType::Symlink, 0)?;
        }
        self.tar.into_inner()?.flush()
    }

    fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        self.tar
            .append_data(&mut header, format!("{path}/"), io::empty())
    }

    fn file(
        &mut self,
        path: &str,
        data: impl Read,
        size: u64,
        mode: u32,
        mtime: u64,
    ) -> io::Result<()> {
        self.parents(path)?;
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_mtime(mtime);
        header.set_size(size);
        self.tar.append_data(&mut header, path, data)
    }

    fn link(&mut self, path: &str, target: &str, kind: EntryType, mtime: u64) -> io::Result<()> {
        self.parents(path)?;
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o777);
        header.set_mtime(mtime);
        header.set_size(0);
        self.tar.append_link(&mut header, path, target)
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        for end in ends {
            self.directory(&path[..end], 0o755)?;
        }
        Ok(())
    }
}

/// `./usr/bin/` as `usr/bin`.
fn clean(path: &str) -> String {
    path.trim_start_matches("./")
        .trim_matches('/')
        .trim_start_matches("./")
        .to_owned()
}

/// Where a path lies once the root's directories are merged into `/usr`.
fn merged(path: &str) -> String {
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

/// A link that climbs with `..` from a directory that moved would end elsewhere: such a target becomes absolute.
fn symlink_target(path: &str, target: &str) -> String {
    let moved = merged(path) != path;
    if target.starts_with('/') || !moved || !target.starts_with("..") {
        return target.to_owned();
    }
    let mut at: Vec<&str> = path.split('/').collect();
    at.pop();
    for part in target.split('/') {
        match part {
            ".." => {
                at.pop();
            }
            "." | "" => {}
            name => at.push(name),
        }
    }
    format!("/{}", merged(&at.join("/")))
}

#[cfg(test)]
mod tests {
    use super::super::recipe::Kind;
    use super::*;

    /// A package of files (`path`), directories (`path/`) and links (`path -> target`).
    fn package(entries: &[&str]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for entry in entries {
            let mut header = Header::new_gnu();
            header.set_mode(0o4755);
            if let Some((path, target)) = entry.split_once(" -> ") {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, path, target).unwrap();
            } else if entry.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                tar.append_data(&mut header, entry, io::empty()).unwrap();
            } else {
                header.set_size(2);
                tar.append_data(&mut header, entry, &b"hi"[..]).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }

    /// The layer's entries, as written above, those of [`Layer::begin`] left out, with modes of files.
    fn layer(packages: &[&[&str]]) -> Vec<String> {
        let recipe = Recipe::of(Kind::Base, 0);
        let mut out = Vec::new();
        let mut layer = Layer::begin(&recipe, &mut out).unwrap();
        let own = layer.written.len();
        for entries in packages {
            layer.add(&package(entries)[..]).unwrap();
        }
        layer.finish().unwrap();
        Archive::new(&out[..])
            .entries()
            .unwrap()
            .skip(own)
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().to_string_lossy().into_owned();
                match entry.link_name().unwrap() {
                    Some(target) => format!("{path} -> {}", target.display()),
                    None if path.ends_with('/') => path,
                    None => format!("{path} {:o}", entry.header().mode().unwrap()),
                }
            })
            .collect()
    }

    #[test]
    fn root_directories_are_merged_and_parents_made_once() {
        assert_eq!(
            layer(&[
                &["./", "./bin/", "./bin/dash", "./etc/x"],
                &[
                    "./lib/",
                    "./lib/a/b.so -> c.so",
                    "lib/a/d.so -> ../../etc/d",
                    "./etc/x"
                ],
                &["bin -> usr/bin"],
            ]),
            [
                "usr/bin/dash 755",
                "etc/x 755",
                "usr/lib/a/",
                "usr/lib/a/b.so -> c.so",
                "usr/lib/a/d.so -> /etc/d",
                "usr/bin/sh -> dash",
            ]
        );
    }

    #[test]
    fn documentation_is_left_out() {
        assert_eq!(
            layer(&[&["./usr/share/doc/dash/copyright", "./lib/systemd/x"]]),
            ["usr/bin/sh -> dash"]
        );
    }
}
