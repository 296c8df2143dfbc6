//! Lays a tar archive over a tree.
//!
//! The archive stays where it is: files become parts of it, which are read when the tree is
//! packed. A compressed archive is unpacked into a cache first, once.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use tar::{Archive, EntryType, Header};

use super::left_out::LeftOut;
use super::tree::{Attributes, Contents, Entry, Tree};
use crate::error::{Doing, Result};
use crate::progress::{note, step};

impl Tree {
    /// Lays the tar archive `file` over the root, compressed by gzip, xz, zstd or not at all.
    /// Owners, rights and times are those of the archive. What is neither file, folder nor
    /// link is left out, with a note. `cache` is a folder of ours.
    pub fn lay_tar(&mut self, file: &Path, cache: &Path) -> Result<()> {
        let plain = Arc::new(uncompressed(file, cache)?);
        self.lay_plain(&plain)
            .on("read the tar archive", file)
            .and_then(|laid| laid)
    }

    /// The outer error is the archive's, the inner one a path's.
    fn lay_plain(&mut self, file: &Arc<PathBuf>) -> io::Result<Result<()>> {
        let mut archive = Archive::new(File::open(&**file)?);
        let mut left_out = LeftOut::default();
        for entry in archive.entries_with_seek()? {
            let mut entry = entry?;
            let path = entry.path_bytes().into_owned();
            let Ok(path) = String::from_utf8(path) else {
                note(&format!("left out: {}: no UTF-8", entry.path()?.display()));
                continue;
            };
            let link = entry.link_name_bytes();
            let link = link.map(|link| String::from_utf8_lossy(&link).into_owned());
            let attributes = attributes(entry.header())?;
            let new = match entry.header().entry_type() {
                EntryType::Directory => Entry::folder(attributes),
                EntryType::Symlink => Entry::link(link.unwrap_or_default(), attributes),
                EntryType::Link => {
                    let of = link.unwrap_or_default();
                    match self.put_name(&path, &of) {
                        Ok(true) => {}
                        Ok(false) => note(&format!("left out: /{path}: there is no /{of}")),
                        Err(error) => return Ok(Err(error)),
                    }
                    continue;
                }
                EntryType::Regular | EntryType::Continuous => {
                    let part = Contents::Part {
                        file: Arc::clone(file),
                        offset: entry.raw_file_position(),
                        length: entry.size(),
                    };
                    Entry::file(part, attributes)
                }
                // Its holes are not in the archive.
                EntryType::GNUSparse => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    Entry::file(Contents::Bytes(bytes), attributes)
                }
                EntryType::XGlobalHeader => continue,
                _ => {
                    left_out.add(&path);
                    continue;
                }
            };
            if let Err(error) = self.put(&path, new) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

fn attributes(header: &Header) -> io::Result<Attributes> {
    let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("an owner out of range"));
    Ok(Attributes {
        permissions: header.mode()? & 0o7777,
        uid: id(header.uid()?)?,
        gid: id(header.gid()?)?,
        modified: u32::try_from(header.mtime()?).unwrap_or(u32::MAX),
    })
}

/// The archive in `file` without its compression: `file` itself, or one in `cache`.
fn uncompressed(file: &Path, cache: &Path) -> Result<PathBuf> {
    let mut reader = BufReader::new(File::open(file).on("open", file)?);
    let head = reader.fill_buf().on("read", file)?;
    let compression = Compression::of(head);
    if compression == Compression::None {
        return Ok(file.to_path_buf());
    }
    let unpacked = cached_name(file, cache)?;
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    step("Unpacking", &file.display().to_string());
    fs::create_dir_all(cache).on("create", cache)?;
    let new = unpacked.with_extension("new");
    let mut to = BufWriter::new(File::create(&new).on("create", &new)?);
    compression
        .expand(reader, &mut to)
        .and_then(|()| to.flush())
        .on("unpack", file)?;
    fs::rename(&new, &unpacked).on("replace", &unpacked)?;
    Ok(unpacked)
}

/// A name that another file, or the same one after a change, does not have.
fn cached_name(file: &Path, cache: &Path) -> Result<PathBuf> {
    let meta = fs::metadata(file).on("look at", file)?;
    let modified = meta.modified().on("look at", file)?;
    let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = file.canonicalize().on("find", file)?;
    let mut hash = DefaultHasher::new();
    (path, meta.len(), modified).hash(&mut hash);
    Ok(cache.join(format!("{:016x}.tar", hash.finish())))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By the first bytes of a file, whatever it is called.
    fn of(head: &[u8]) -> Self {
        const MAGIC: [(&[u8], Compression); 3] = [
            (&[0x1f, 0x8b], Compression::Gzip),
            (b"\xfd7zXZ\0", Compression::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
        ];
        let found = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
        found.map_or(Self::None, |(_, compression)| *compression)
    }

    fn expand(self, mut from: impl BufRead, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::None => io::copy(&mut from, to).map(drop),
            Self::Gzip => io::copy(&mut MultiGzDecoder::new(from), to).map(drop),
            Self::Xz => io::copy(&mut XzReader::new(from, true), to).map(drop),
            Self::Zstd => {
                // Several frames one behind the other are one file.
                while !from.fill_buf()?.is_empty() {
                    let mut frame = StreamingDecoder::new(&mut from).map_err(io::Error::other)?;
                    io::copy(&mut frame, to)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "tarball_tests.rs"]
mod tests;
