//! Directories whose names are fixed when the kernel is built: `/proc/sys` and `/sys` are made of
//! them.

use super::sys::Setting;
use super::text::{self, Text};
use crate::arch;
use crate::errno::Errno;
use crate::fs::generated::{Generate, Listing, fixed_entry};
use crate::fs::metadata::FileType;
use crate::fs::node::NodeKind;
use crate::memory::fallible;
use alloc::vec::Vec;
use arrayvec::ArrayString;
use core::fmt::{self, Write};

/// What a name stands for.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    /// A directory with these names.
    Directory(Names),
    /// A directory for each CPU: the name with its number behind.
    EachCpu(Names),
    /// A text, which may depend on the CPU whose directory it is in.
    Text(fn(usize, &mut Text) -> fmt::Result),
    /// A number that can be changed.
    Setting(Setting),
}

/// Names and what they stand for.
pub(super) type Names = &'static [(&'static str, Entry)];

/// A directory, below that of this CPU if it is below that of any.
pub(super) struct Fixed {
    pub(super) names: Names,
    pub(super) cpu: usize,
}

/// A text and the CPU that it is about.
struct About(usize, fn(usize, &mut Text) -> fmt::Result);

impl Generate for About {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        text::text(|text| (self.1)(self.0, text))
    }
}

impl Fixed {
    fn below(names: Names, cpu: usize) -> Result<Option<NodeKind>, Errno> {
        let directory = fallible::arc_from_reserve(Fixed { names, cpu })?;
        Ok(Some(NodeKind::Computed(directory)))
    }
}

/// The number of the CPU in a name, as it is written without needless zeros.
fn cpu_of(name: &str, prefix: &str) -> Option<usize> {
    let digits = name.strip_prefix(prefix)?;
    let cpu: usize = digits.parse().ok()?;
    let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
    (is_plain && cpu < arch::cpu_count()).then_some(cpu)
}

impl Listing for Fixed {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        let Ok(name) = core::str::from_utf8(name) else {
            return Ok(None);
        };
        for &(known, entry) in self.names {
            match entry {
                Entry::EachCpu(names) => {
                    if let Some(cpu) = cpu_of(name, known) {
                        return Fixed::below(names, cpu);
                    }
                }
                _ if known != name => {}
                Entry::Directory(names) => return Fixed::below(names, self.cpu),
                Entry::Text(fill) => {
                    let file = fallible::arc_from_reserve(About(self.cpu, fill))?;
                    return Ok(Some(NodeKind::Generated(file)));
                }
                Entry::Setting(setting) => {
                    let file = fallible::arc_from_reserve(setting)?;
                    return Ok(Some(NodeKind::Window(file)));
                }
            }
        }
        Ok(None)
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let one = self.names.iter().filter_map(|(name, entry)| match entry {
            Entry::Directory(_) => Some((name.as_bytes(), FileType::Directory)),
            Entry::Text(_) | Entry::Setting(_) => Some((name.as_bytes(), FileType::Regular)),
            Entry::EachCpu(_) => None,
        });
        let count = one.clone().count() as u64;
        if position < count {
            return fixed_entry(one, position, show);
        }
        // Behind the single names, a position is the number of a CPU.
        let cpu = usize::try_from(position - count).ok()?;
        let mut each = self.names.iter();
        let prefix = each.find_map(|(name, entry)| match entry {
            Entry::EachCpu(_) => Some(name),
            _ => None,
        })?;
        if cpu >= arch::cpu_count() {
            return None;
        }
        let mut name = ArrayString::<32>::new();
        // A short word and a small number fit.
        let _ = write!(name, "{prefix}{cpu}");
        show(name.as_bytes(), FileType::Directory);
        Some(position + 1)
    }
}
