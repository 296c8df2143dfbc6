//! How much memory a machine needs for its root file system.
//!
//! QEMU puts the archive into the machine's memory, where it stays, and the kernel copies the
//! files out of it into pages of their own. A machine that cannot hold both is not started:
//! the kernel would refuse it.

use crate::error::{Error, Result};
use crate::rootfs::Tree;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What a machine has unless more is needed or a person says otherwise.
const USUAL: u64 = 512 * MIB;
/// What the kernel needs for itself to start the first program.
const KERNEL: u64 = 8 * MIB;
/// What the kernel keeps of each file beside its contents.
const OF_A_FILE: u64 = KIB;
/// What the programs should have at least.
const FOR_PROGRAMS: u64 = 64 * MIB;
/// Sizes are advised in such steps.
const STEP: u64 = 64 * MIB;

/// What a root file system needs.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// With less the kernel cannot load it.
    least: u64,
}

impl Need {
    /// Of `tree`, which was packed into so many bytes.
    #[must_use]
    pub fn of(tree: &Tree, archive: u64) -> Self {
        let taken = archive + tree.length() + tree.count() as u64 * OF_A_FILE + KERNEL;
        // The kernel keeps a record of each frame.
        let records = taken / 128;
        Self {
            least: taken + records,
        }
    }

    /// A size that does, for the machine of a person who has not chosen one.
    #[must_use]
    pub fn size(&self) -> u64 {
        let comfortable = self.least + FOR_PROGRAMS.max(self.least / 8);
        comfortable.next_multiple_of(STEP).max(USUAL)
    }

    /// An error with the size that does, if `given` does not.
    pub fn check(&self, given: u64) -> Result<()> {
        if given >= self.least {
            return Ok(());
        }
        Err(Error::Missing {
            what: format!(
                "the root file system does not fit: it needs {} MiB of memory, the machine has {}",
                self.least.div_ceil(MIB),
                given / MIB
            ),
            advice: format!("Give the machine more: -- -m {}", shown(self.size())),
        })
    }
}

/// A size in bytes as QEMU takes it.
#[must_use]
pub fn shown(size: u64) -> String {
    format!("{}M", size / MIB)
}

/// The bytes of a size as QEMU's `-m` takes it, which counts in megabytes unless told
/// otherwise; `None` for what is more than that.
#[must_use]
pub fn bytes(size: &str) -> Option<u64> {
    let size = size.split(',').next().unwrap_or(size);
    let size = size.strip_prefix("size=").unwrap_or(size);
    let digits = size.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match &size[digits.len()..] {
        "" | "M" | "m" => MIB,
        "K" | "k" => KIB,
        "G" | "g" => KIB * MIB,
        "T" | "t" => MIB * MIB,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_qemu_takes_them() {
        for (size, mib) in [
            ("512", 512),
            ("64M", 64),
            ("2G", 2048),
            ("size=1g,slots=2", 1024),
        ] {
            assert_eq!(bytes(size), Some(mib * MIB), "{size}");
        }
        for size in ["", "much", "1Q", "99999999999T"] {
            assert_eq!(bytes(size), None, "{size}");
        }
        assert_eq!(bytes(&shown(USUAL)), Some(USUAL));
    }

    #[test]
    fn the_usual_size_does_for_a_small_tree() {
        let need = Need::of(&Tree::default(), 2 * MIB);
        assert_eq!(need.size(), USUAL);
        assert!(need.check(32 * MIB).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_size_that_does() {
        let mut tree = Tree::default();
        tree.file("big", vec![0; 100 * MIB as usize])
            .expect("a place");
        let need = Need::of(&tree, 100 * MIB);
        assert!(need.check(230 * MIB).is_ok());
        let error = need.check(200 * MIB).expect_err("too little");
        assert_eq!(error.exit_code(), 69);
        assert!(error.to_string().contains("-m 512M"), "{error}");
        assert!(need.check(need.size()).is_ok());
    }
}
