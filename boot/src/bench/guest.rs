//! The kernels that are measured.

use crate::bench::linux::Linux;

/// A kernel to boot.
#[derive(Clone, Copy, Debug)]
pub enum Guest<'a> {
    /// Ours.
    Cowfork,
    /// Debian's, in one of its settings.
    Linux(&'a Linux, Setting),
}

/// How Linux is told to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// As Debian boots it.
    AsBooted,
    /// Without what it does for safety and cowfork does not do.
    Bare,
}

impl Guest<'_> {
    /// What it is called in tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Cowfork => "cowfork".into(),
            Self::Linux(linux, Setting::AsBooted) => format!("Linux {}", linux.version()),
            Self::Linux(linux, Setting::Bare) => format!("Linux {}, bare", linux.version()),
        }
    }

    /// Its parameters; one without a value is a word alone.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        let words = match self {
            Self::Cowfork => &[],
            Self::Linux(_, Setting::AsBooted) => LINUX,
            Self::Linux(_, Setting::Bare) => LINUX_BARE,
        };
        let pair = |(key, value): &(&str, &str)| (String::from(*key), String::from(*value));
        words.iter().map(pair).collect()
    }
}

/// The console, no chatter, and an end instead of a halt after a panic. And no check at boot
/// of whether the timer ticks: on a busy host an emulated one is late, which is a panic.
const LINUX: &[(&str, &str)] = &[
    ("console", "ttyS0"),
    ("quiet", ""),
    ("panic", "-1"),
    ("no_timer_check", ""),
];

/// The same without mitigations of speculation attacks, and without zeroing of memory that
/// the kernel allocates for itself.
const LINUX_BARE: &[(&str, &str)] = &[
    ("console", "ttyS0"),
    ("quiet", ""),
    ("panic", "-1"),
    ("no_timer_check", ""),
    ("mitigations", "off"),
    ("init_on_alloc", "0"),
];
