//! Where a mapping may go.

use super::error::MapError;
use super::mmap_lock::Mappings;
use crate::arch::FRAME_SIZE;
use crate::memory::vma::map::{LOWEST, checked_end};

/// Where a mapping shall go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Anywhere.
    Any,
    /// There if nothing is in the way, else anywhere.
    Hint(usize),
    /// There; what is in the way is unmapped.
    Fixed(usize),
    /// There; what is in the way is an error.
    FixedNoReplace(usize),
}

/// A free range for a mapping; one at a fixed place must be free already.
pub(in crate::memory) fn place_for(
    mappings: &Mappings,
    place: Placement,
    length: usize,
) -> Result<(usize, usize), MapError> {
    match place {
        Placement::Fixed(start) | Placement::FixedNoReplace(start) => {
            let end = checked_end(start, length).ok_or(MapError::BadRange)?;
            if !mappings.vmas.is_free(start, end) {
                return Err(MapError::Occupied);
            }
            return Ok((start, end));
        }
        Placement::Hint(start) => {
            if let Some(end) = checked_end(start, length)
                && start >= LOWEST
                && mappings.vmas.has_place(start, end)
            {
                return Ok((start, end));
            }
        }
        Placement::Any => {}
    }
    let length = length
        .checked_next_multiple_of(FRAME_SIZE)
        .ok_or(MapError::OutOfMemory)?;
    let start = mappings
        .vmas
        .find_free(length, mappings.map_top)
        .ok_or(MapError::OutOfMemory)?;
    Ok((start, start + length))
}
