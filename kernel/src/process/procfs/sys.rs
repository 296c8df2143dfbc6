//! `/proc/sys`: the few settings that there are.

use crate::errno::Errno;
use crate::fs::generated::{Listing, Window, fixed_entry};
use crate::fs::metadata::FileType;
use crate::fs::node::NodeKind;
use crate::memory::Sink;
use crate::memory::fallible;
use crate::process::{ids, overcommit};
use arrayvec::ArrayString;
use core::fmt::Write;
use core::ops::RangeInclusive;

/// A setting that is a number.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static [u8],
    get: fn() -> u64,
    /// Changes it, if it can be changed, within this range.
    set: Option<(fn(u64), RangeOf)>,
}

/// The smallest and the largest value.
type RangeOf = (u64, u64);

const VM: [Setting; 4] = [
    Setting {
        name: b"overcommit_memory",
        get: || overcommit::get(overcommit::Setting::Policy),
        set: Some((
            |value| overcommit::set(overcommit::Setting::Policy, value),
            (0, 2),
        )),
    },
    Setting {
        name: b"overcommit_ratio",
        get: || overcommit::get(overcommit::Setting::Ratio),
        set: Some((
            |value| overcommit::set(overcommit::Setting::Ratio, value),
            (0, i32::MAX as u64),
        )),
    },
    Setting {
        name: b"overcommit_kbytes",
        get: || overcommit::get(overcommit::Setting::Kbytes),
        set: Some((
            |value| overcommit::set(overcommit::Setting::Kbytes, value),
            (0, i64::MAX as u64),
        )),
    },
    Setting {
        name: b"max_map_count",
        get: || 65530,
        set: None,
    },
];

const KERNEL: [Setting; 4] = [
    Setting {
        name: b"pid_max",
        get: || u64::from(ids::LIMIT),
        set: None,
    },
    Setting {
        name: b"threads-max",
        get: || u64::from(ids::LIMIT),
        set: None,
    },
    Setting {
        name: b"ngroups_max",
        get: || 65536,
        set: None,
    },
    Setting {
        name: b"cap_last_cap",
        get: || 40,
        set: None,
    },
];

/// A directory of settings.
struct Settings(&'static [Setting]);

impl Listing for Settings {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        let setting = self.0.iter().find(|setting| setting.name == name);
        let window = |setting: &Setting| fallible::arc_from_reserve(*setting);
        Ok(setting
            .map(window)
            .transpose()?
            .map(|window| NodeKind::Window(window)))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = self.0.iter();
        let names = names.map(|setting| (setting.name, FileType::Regular));
        fixed_entry(names, position, show)
    }
}

impl Window for Setting {
    fn is_writable(&self) -> bool {
        self.set.is_some()
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        read_number((self.get)(), offset, sink, max)
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let (set, (least, most)) = self.set.as_ref().ok_or(Errno::EACCES)?;
        let value = parse_number(text, *least as i64..=*most as i64)?;
        set(value as u64);
        Ok(())
    }
}

/// Reads a file that is a number and a line end.
pub(super) fn read_number(
    number: impl core::fmt::Display,
    offset: u64,
    sink: &mut dyn Sink,
    max: usize,
) -> Result<usize, Errno> {
    let mut text = ArrayString::<24>::new();
    // A number of 64 bits fits.
    let _ = writeln!(text, "{number}");
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(offset..).unwrap_or_default();
    Ok(sink.put(&rest[..rest.len().min(max)]))
}

/// The number that a program has written.
pub(super) fn parse_number(text: &[u8], range: RangeInclusive<i64>) -> Result<i64, Errno> {
    let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    let number = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    range
        .contains(&number)
        .then_some(number)
        .ok_or(Errno::EINVAL)
}

/// `/proc/sys` itself.
pub(super) struct Sys;

const DIRECTORIES: [(&[u8], &[Setting]); 2] = [(b"kernel", &KERNEL), (b"vm", &VM)];

impl Listing for Sys {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        match DIRECTORIES.iter().find(|(known, _)| *known == name) {
            Some((_, settings)) => {
                let directory = fallible::arc_from_reserve(Settings(settings))?;
                Ok(Some(NodeKind::Computed(directory)))
            }
            None => Ok(None),
        }
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = DIRECTORIES.iter();
        let names = names.map(|(name, _)| (*name, FileType::Directory));
        fixed_entry(names, position, show)
    }
}
