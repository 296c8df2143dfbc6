//! Reading a cpio archive in the "newc" format (cpio(5)), the format of an initramfs.
//!
//! The archive comes from outside, so nothing in it is believed: sizes are checked
//! against what is there, and the first thing that is wrong ends the reading with
//! an error that says where. (The crate `cpio_reader` ends silently there, takes
//! only names in UTF-8, and does not know archives one behind the other.)

use core::fmt;

const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";

/// One file of the archive.
#[derive(Debug, PartialEq, Eq)]
pub struct ArchiveEntry<'a> {
    /// The path as the archive has it, without its final null.
    pub path: &'a [u8],
    /// FileType and permission bits, as in `st_mode`.
    pub mode: u32,
    /// The number and device that files with several names have in common.
    pub identity: (u32, u32, u32),
    /// How many names the file has.
    pub links: u32,
    /// The last change, in seconds since 1970.
    pub modified: u32,
    /// The contents; for a symbolic link its target.
    pub contents: &'a [u8],
}

/// What is wrong with an archive, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Where the entry starts.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It does not start with the format's magic number.
    Magic,
    /// A field is not a hexadecimal number.
    Number,
    /// The archive ends within it.
    Truncated,
    /// Its name is empty or does not end with a null.
    Name,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::Magic => "no magic number",
            Problem::Number => "a field that is no number",
            Problem::Truncated => "it ends within an entry",
            Problem::Name => "a bad name",
        };
        write!(f, "cpio archive: {problem} at byte {}", self.offset)
    }
}

/// Reads an archive entry by entry. After an error there are no more.
pub struct Archive<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Archive<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Archive<'a> {
        Archive { bytes, offset: 0 }
    }

    fn slice(&self, start: usize, length: usize) -> Result<&'a [u8], Problem> {
        let end = start.checked_add(length).ok_or(Problem::Truncated)?;
        self.bytes.get(start..end).ok_or(Problem::Truncated)
    }

    /// Reads the entry at `offset`, and says where the next one is.
    fn entry(&self) -> Result<(ArchiveEntry<'a>, usize), Problem> {
        let header = self.slice(self.offset, HEADER)?;
        if !matches!(&header[..6], b"070701" | b"070702") {
            return Err(Problem::Magic);
        }
        // Thirteen fields of eight hexadecimal digits each.
        let field = |index: usize| number(&header[6 + 8 * index..][..8]);
        let size = field(6)? as usize;
        let name_size = field(11)? as usize;

        let name_start = self.offset + HEADER;
        let Some((0, path)) = self
            .slice(name_start, name_size)?
            .split_last()
            .map(|(l, p)| (*l, p))
        else {
            return Err(Problem::Name);
        };
        // More nulls are padding: with them the contents begin where the packer wants them.
        let end = path
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        let path = &path[..end];
        if path.is_empty() || path.contains(&0) {
            return Err(Problem::Name);
        }
        // `slice` has checked the sums: these do not overflow.
        let start = align(name_start + name_size);
        let contents = self.slice(start, size)?;
        let entry = ArchiveEntry {
            path,
            identity: (field(7)?, field(8)?, field(0)?),
            mode: field(1)?,
            links: field(4)?,
            modified: field(5)?,
            contents,
        };
        Ok((entry, align(start + size)))
    }

    /// Skips the nulls that fill up the space behind an archive.
    fn skip_padding(&mut self) {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        self.offset += rest.iter().take_while(|&&byte| byte == 0).count();
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<ArchiveEntry<'a>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.offset >= self.bytes.len() {
                return None;
            }
            match self.entry() {
                Ok((entry, next)) => {
                    self.offset = next;
                    if entry.path != TRAILER {
                        return Some(Ok(entry));
                    }
                    // Another archive may follow, as Linux allows it.
                    self.skip_padding();
                }
                Err(problem) => {
                    let offset = self.offset;
                    self.offset = self.bytes.len();
                    return Some(Err(Corrupt { offset, problem }));
                }
            }
        }
    }
}

fn number(digits: &[u8]) -> Result<u32, Problem> {
    digits.iter().try_fold(0, |value: u32, &digit| {
        let digit = char::from(digit).to_digit(16).ok_or(Problem::Number)?;
        Ok(value << 4 | digit)
    })
}

fn align(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

#[cfg(test)]
#[path = "cpio_tests.rs"]
pub(super) mod tests;
