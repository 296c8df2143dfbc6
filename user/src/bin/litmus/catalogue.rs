//! The list of cases.

use crate::trial::{Ended, Trial};
use crate::{counts, dirty, failing, frames, freeze, killed, order, revoke, spaces};

/// One known way to get it wrong.
pub struct Case {
    pub name: &'static str,
    pub summary: &'static str,
    /// What may be seen; how often each was is told at the end.
    pub outcomes: &'static [&'static str],
    pub run: fn(&Trial) -> Ended,
}

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
