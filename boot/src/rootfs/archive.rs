//! Packs a tree: a cpio archive in the "newc" format, as Linux defines it in
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.
//!
//! Entries are sorted by path, so a folder comes before what is in it. The contents of each
//! file of a page or more begin at a multiple of the page size, counted from the start of the
//! archive; QEMU puts that at the start of a page. A kernel may thus take the pages of the
//! archive for pages of the file and need not copy them. What follows the last whole page of a
//! file shares its page with the next entry.
//!
//! The format knows alignments of four bytes. More is reached by NULs at the end of the name,
//! which its length counts: readers take the name up to the first one, Linux among them
//! (its own `gen_init_cpio -a` does the same).
//!
//! Names of one file ("hard links") have the same number and a count above 1; the first one
//! carries the contents.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cpio::NewcBuilder;

use super::tree::{Attributes, Contents, Entry, Kind, Tree};
use crate::error::{Doing, Result};

/// The size of a page, which contents are aligned to.
pub const PAGE: u64 = 4096;

/// What stands before an entry's name.
const HEADER: u64 = 110;
/// The longest name with its padding that Linux takes (`PATH_MAX`).
const LONGEST_NAME: u64 = 4096;

/// File-type bits of the mode (inode(7)).
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

impl Tree {
    /// Writes the archive into the file at `path`, and says how long it is.
    pub fn pack(&self, path: &Path) -> Result<u64> {
        let file = File::create(path).on("create", path)?;
        self.write(BufWriter::new(file))
            .on("write the root file system into", path)
    }

    fn write(&self, to: impl Write) -> io::Result<u64> {
        let mut archive = Archive {
            to,
            offset: 0,
            entries: 0,
            files: HashMap::new(),
            opened: None,
        };
        for entry in self.entries.values() {
            if let Kind::File(contents) = &entry.kind {
                archive
                    .files
                    .entry(Arc::as_ptr(contents))
                    .or_default()
                    .names += 1;
            }
        }
        for (path, entry) in &self.entries {
            let of_path = |error: io::Error| io::Error::other(format!("/{path}: {error}"));
            archive.put(self, path, entry).map_err(of_path)?;
        }
        cpio::newc::trailer(&mut archive.to)?;
        archive.to.flush()?;
        Ok(archive.offset)
    }
}

/// An archive that is being written.
struct Archive<W> {
    to: W,
    /// How much of it there is.
    offset: u64,
    entries: u32,
    /// The files by where their contents are in memory.
    files: HashMap<*const Contents, Names>,
    /// The file of the host that was read last.
    opened: Option<(Arc<PathBuf>, File)>,
}

/// The names of a file.
#[derive(Clone, Copy, Default)]
struct Names {
    names: u32,
    /// Its number, once the first of its names was written.
    number: Option<u32>,
}

impl<W: Write> Archive<W> {
    fn put(&mut self, tree: &Tree, path: &str, entry: &Entry) -> io::Result<()> {
        self.entries += 1;
        let number = self.entries;
        match &entry.kind {
            Kind::Folder => {
                let header = header(path, S_IFDIR, entry.attributes);
                self.put_bytes(header.ino(number).nlink(2), path, &[])
            }
            Kind::Link(target) => {
                let header = header(path, S_IFLNK, entry.attributes);
                self.put_bytes(header.ino(number), path, target.as_bytes())
            }
            Kind::File(contents) => {
                let file = self.files.entry(Arc::as_ptr(contents)).or_default();
                let Names {
                    names,
                    number: known,
                } = *file;
                let number = *file.number.get_or_insert(number);
                let name = match known {
                    None => self.align(tree, path, contents.length())?,
                    Some(_) => path.to_owned(),
                };
                let header = header(&name, S_IFREG, entry.attributes);
                let header = header.ino(number).nlink(names);
                match (known, &**contents) {
                    // The contents came with another name.
                    (Some(_), _) => self.put_bytes(header, &name, &[]),
                    (None, Contents::Bytes(bytes)) => self.put_bytes(header, &name, bytes),
                    (
                        None,
                        Contents::Part {
                            file,
                            offset,
                            length,
                        },
                    ) => self.put_part(header, &name, file, *offset, *length),
                }
            }
        }
    }

    /// The name for a file with contents of this length, so long that they begin where they
    /// should.
    fn align(&mut self, tree: &Tree, path: &str, length: u64) -> io::Result<String> {
        if length < PAGE {
            return Ok(path.to_owned());
        }
        loop {
            let unpadded = path.len() as u64 + 1;
            let begin = self.offset + HEADER + unpadded;
            let padding = begin.next_multiple_of(PAGE) - begin;
            if unpadded + padding <= LONGEST_NAME {
                let padding = usize::try_from(padding).unwrap_or(0);
                return Ok(format!("{path}{}", "\0".repeat(padding)));
            }
            // Too long by a few bytes: its folder once more, which changes nothing, takes them.
            let parent = path.rsplit_once('/').map_or(".", |(parent, _)| parent);
            let folder = tree.entries.get(parent);
            let attributes = folder.map_or(Attributes::of_root(0o755), |folder| folder.attributes);
            self.put_bytes(header(parent, S_IFDIR, attributes).nlink(2), parent, &[])?;
        }
    }

    fn put_bytes(&mut self, header: NewcBuilder, name: &str, bytes: &[u8]) -> io::Result<()> {
        let length = size_field(bytes.len() as u64)?;
        let mut writer = header.write(&mut self.to, length);
        writer.write_all(bytes)?;
        writer.finish()?;
        self.advance(name, length);
        Ok(())
    }

    fn put_part(
        &mut self,
        header: NewcBuilder,
        name: &str,
        file: &Arc<PathBuf>,
        offset: u64,
        length: u64,
    ) -> io::Result<()> {
        let size = size_field(length)?;
        let source = match &mut self.opened {
            Some((path, source)) if path == file => source,
            opened => &mut opened.insert((Arc::clone(file), File::open(&**file)?)).1,
        };
        source.seek(SeekFrom::Start(offset))?;
        let mut writer = header.write(&mut self.to, size);
        let copied = io::copy(&mut source.take(length), &mut writer)?;
        if copied < length {
            return Err(io::Error::other("it was changed meanwhile"));
        }
        writer.finish()?;
        self.advance(name, size);
        Ok(())
    }

    /// Counts an entry that was written.
    fn advance(&mut self, name: &str, length: u32) {
        let name_end = self.offset + HEADER + name.len() as u64 + 1;
        let end = name_end.next_multiple_of(4) + u64::from(length);
        self.offset = end.next_multiple_of(4);
    }
}

fn header(name: &str, kind: u32, attributes: Attributes) -> NewcBuilder {
    NewcBuilder::new(name)
        .mode(kind | attributes.permissions)
        .uid(attributes.uid)
        .gid(attributes.gid)
        .mtime(attributes.modified)
}

fn size_field(length: u64) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::other("it is larger than 4 GiB"))
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
