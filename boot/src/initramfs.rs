//! The root file system: a cpio archive in the "newc" format, as Linux defines
//! it in `Documentation/driver-api/early-userspace/buffer-format.rst`.
//!
//! A [`Tree`] is put together in memory, sorted by path, so that a folder comes
//! before what is in it and the same input gives the same archive. Times and
//! owners are zero. Whatever is put at a path replaces what was there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use crate::error::{Doing, Error, Result};

/// File-type bits of the mode (inode(7)).
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// The files of a root file system, by their path without the leading slash.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    mode: u32,
    data: Vec<u8>,
}

impl Tree {
    /// Puts a folder at `path`.
    pub fn dir(&mut self, path: &str) {
        self.put(path, S_IFDIR | 0o755, Vec::new());
    }

    /// Puts a file that is not a program at `path`.
    pub fn file(&mut self, path: &str, data: impl Into<Vec<u8>>) {
        self.put(path, S_IFREG | 0o644, data.into());
    }

    /// Puts a program at `path`.
    pub fn program(&mut self, path: &str, data: impl Into<Vec<u8>>) {
        self.put(path, S_IFREG | 0o755, data.into());
    }

    /// Lays everything that is in the folder `dir` over the root.
    pub fn overlay(&mut self, dir: &Path) -> Result<()> {
        if !dir.is_dir() {
            return Err(Error::Usage(format!(
                "--overlay {}: there is no such folder",
                dir.display()
            )));
        }
        self.overlay_under("", dir)
    }

    fn overlay_under(&mut self, prefix: &str, dir: &Path) -> Result<()> {
        for entry in fs::read_dir(dir).on("list", dir)? {
            let path = entry.on("list", dir)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(Error::Malformed(format!(
                    "{}: the name is not UTF-8",
                    path.display()
                )));
            };
            let inside = format!("{prefix}{name}");
            let meta = fs::symlink_metadata(&path).on("look at", &path)?;
            let rights = meta.permissions().mode() & 0o7777;
            if meta.is_dir() {
                self.put(&inside, S_IFDIR | rights, Vec::new());
                self.overlay_under(&format!("{inside}/"), &path)?;
            } else if meta.is_symlink() {
                let to = fs::read_link(&path).on("read the link", &path)?;
                self.put(
                    &inside,
                    S_IFLNK | 0o777,
                    to.into_os_string().into_encoded_bytes(),
                );
            } else if meta.is_file() {
                let data = fs::read(&path).on("read", &path)?;
                self.put(&inside, S_IFREG | rights, data);
            } else {
                return Err(Error::Malformed(format!(
                    "{}: only files, folders and symbolic links can be laid over",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &str, mode: u32, data: Vec<u8>) {
        let path: Vec<&str> = Path::new(path)
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        // The folders on the way are there even if none was put.
        for end in 1..path.len() {
            self.entries.entry(path[..end].join("/")).or_insert(Entry {
                mode: S_IFDIR | 0o755,
                data: Vec::new(),
            });
        }
        self.entries.insert(path.join("/"), Entry { mode, data });
    }

    /// The archive.
    pub fn archive(&self) -> Result<Vec<u8>> {
        self.write().doing("write the root file system's archive")
    }

    fn write(&self) -> io::Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            let size = u32::try_from(entry.data.len())
                .map_err(|_| io::Error::other(format!("/{path} is larger than 4 GiB")))?;
            let mut writer = cpio::NewcBuilder::new(path)
                .ino(number)
                .nlink(if entry.mode & S_IFDIR == S_IFDIR {
                    2
                } else {
                    1
                })
                .mode(entry.mode)
                .write(&mut archive, size);
            writer.write_all(&entry.data)?;
            writer.finish()?;
        }
        cpio::newc::trailer(&mut archive)?;
        Ok(archive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in `archive`: path, mode, contents.
    fn read(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut files = Vec::new();
        let mut rest = archive;
        loop {
            let mut reader = cpio::NewcReader::new(rest).expect("an entry");
            if reader.entry().is_trailer() {
                return files;
            }
            let mut data = Vec::new();
            io::copy(&mut reader, &mut data).expect("its contents");
            let entry = reader.entry();
            files.push((entry.name().to_owned(), entry.mode(), data));
            rest = reader.finish().expect("the next entry");
        }
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.program("/bin/sh", *b"shell");
        tree.file("/etc/motd", *b"hello\n");
        let files = read(&tree.archive().expect("an archive"));
        assert_eq!(
            files,
            [
                ("bin".into(), 0o040_755, vec![]),
                ("bin/sh".into(), 0o100_755, b"shell".to_vec()),
                ("etc".into(), 0o040_755, vec![]),
                ("etc/motd".into(), 0o100_644, b"hello\n".to_vec()),
            ]
        );
    }

    #[test]
    fn an_overlay_replaces_files_and_keeps_rights_and_links() {
        let dir = std::env::temp_dir().join(format!("overlay-test-{}", std::process::id()));
        fs::create_dir_all(dir.join("etc")).expect("a folder");
        fs::write(dir.join("etc/motd"), "mine\n").expect("a file");
        fs::write(dir.join("run"), "program").expect("a file");
        fs::set_permissions(dir.join("run"), fs::Permissions::from_mode(0o700)).expect("rights");
        std::os::unix::fs::symlink("run", dir.join("link")).expect("a link");

        let mut tree = Tree::default();
        tree.file("/etc/motd", *b"theirs\n");
        tree.file("/etc/other", *b"stays\n");
        let laid_over = tree.overlay(&dir);
        fs::remove_dir_all(&dir).expect("to clean up");
        laid_over.expect("the overlay");

        let files = read(&tree.archive().expect("an archive"));
        let find = |path: &str| files.iter().find(|file| file.0 == path).expect(path);
        assert_eq!(find("etc/motd").2, b"mine\n");
        assert_eq!(find("etc/other").2, b"stays\n");
        assert_eq!(find("run").1, 0o100_700);
        assert_eq!(*find("link"), ("link".into(), 0o120_777, b"run".to_vec()));
    }

    #[test]
    fn an_overlay_that_is_not_there_is_an_error() {
        assert!(
            Tree::default()
                .overlay(Path::new("/no/such/folder"))
                .is_err()
        );
    }
}
