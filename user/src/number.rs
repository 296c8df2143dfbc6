//! Numbers in arguments.

/// A decimal number, if it is one and fits.
pub fn parse(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}
