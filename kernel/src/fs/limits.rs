//! How much the files may take: the kernel parameters `tmpfs_size=` and `tmpfs_nodes=`, as Linux's
//! mount options `size=` and `nr_inodes=` of tmpfs.
//!
//! Files are memory that nothing can take back, so they get half of what is free at the start, and
//! no more: a program that fills `/tmp` is told `ENOSPC`, and the others have the other half. What
//! came with the archive does not count.

use super::tree::Tree;
use crate::memory::{FRAME_SIZE, free_frames, managed_frames};

/// Sets the limits of a tree that holds only what came with the archive. What is not given, or
/// cannot be understood, is half of the free memory: in pages, and as many names.
pub fn set(tree: &Tree, size: Option<&str>, nodes: Option<&str>) {
    let half = free_frames() as u64 / 2;
    let pages = size
        .and_then(|text| number(text, true))
        .map(|bytes| bytes.div_ceil(FRAME_SIZE as u64));
    let names = nodes.and_then(|text| number(text, false));
    let quotas = [(tree.pages(), pages), (tree.names(), names)];
    for (quota, given) in quotas {
        // As on Linux, 0 is no limit.
        let more = match given {
            Some(0) => u64::MAX,
            Some(given) => given,
            None => half,
        };
        quota.set_limit(quota.used().saturating_add(more));
    }
}

/// A number with `k`, `m` or `g` behind it; if `percent`, perhaps as a part of memory (`50%`).
fn number(text: &str, percent: bool) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = digits.parse().ok()?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        "%" if percent => {
            let memory = managed_frames() as u64 * FRAME_SIZE as u64;
            return (memory / 100).checked_mul(number);
        }
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_units() {
        assert_eq!(number("12", true), Some(12));
        assert_eq!(number("3k", false), Some(3072));
        assert_eq!(number("1G", true), Some(1 << 30));
        assert_eq!(number("50%", false), None);
        assert_eq!(number("", true), None);
        assert_eq!(number("99999999999999999999", true), None);
        assert_eq!(number("99999999999999g", true), None);
    }
}
