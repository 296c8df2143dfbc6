//! What a case is.

use crate::trial::{Ended, Trial};

/// One known way to get it wrong.
pub struct Case {
    pub name: &'static str,
    pub summary: &'static str,
    /// What may be seen; how often each was is told at the end.
    pub outcomes: &'static [&'static str],
    pub run: fn(&Trial) -> Ended,
}
