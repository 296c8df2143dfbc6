//! The list of cases.

use crate::case::Case;
use crate::{counts, dirty, failing, frames, freeze, killed, order, revoke, spaces};

/// All of them, family by family.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        order::CASES,
        freeze::CASES,
        frames::CASES,
        revoke::CASES,
        spaces::CASES,
        dirty::CASES,
        counts::CASES,
        killed::CASES,
        failing::CASES,
    ]
    .into_iter()
    .flatten()
}
