//! The first touch of a page: fresh zeroes, the frame of zeroes, or a page of an object.

use super::error::FaultError;
use super::leaf::{leaf_bits, trace_copy};
use crate::arch::level::page_of;
use crate::arch::paging::{Bits, Entry};
use crate::arch::{Access, FRAME_SIZE};
use crate::memory::frame::{self, FrameRef, Purpose};
use crate::memory::object::Object;
use crate::memory::stats::counters::{Counter, count};
use crate::memory::vma::vm_area::{Backing, Protection, Vma};
use crate::trace::{self, Kind};

/// The page for an address of which the tables know nothing yet.
pub(super) fn first_mapping(
    vma: &Vma,
    address: usize,
    access: Access,
) -> Result<FrameRef, FaultError> {
    let page = |object: &Object, offset: u64| {
        let within = (page_of(address) - vma.start) as u64;
        object
            .page((offset + within) / FRAME_SIZE as u64)
            .map_err(FaultError::from)
    };
    match &vma.backing {
        Backing::Anonymous if access != Access::Write => {
            count(Counter::ZeroPageMaps);
            Ok(FrameRef::zeroes())
        }
        Backing::Anonymous => {
            count(Counter::ZeroFills);
            trace::event(Kind::ZeroFill, [address as u64]);
            Ok(FrameRef::zeroed(Purpose::User)?)
        }
        Backing::Shared(object, offset) => page(object, *offset),
        Backing::Private(object, offset) => {
            count(Counter::FileMaps);
            let original = page(object, *offset)?;
            if access != Access::Write {
                return Ok(original);
            }
            // SAFETY: `original` holds the frame during the call.
            let copy = unsafe { FrameRef::copy_of(original.frame())? };
            count(Counter::CowCopies);
            trace_copy(address, original.frame(), copy.frame());
            Ok(copy)
        }
    }
}

/// The entry for a page that is mapped for the first time. It is writable at once where
/// the VMA is, if the page is ours alone or meant to be shared.
pub(super) fn leaf_entry(page: &FrameRef, vma: &Vma) -> Entry {
    let mut bits = leaf_bits(vma.protection) | Bits::ACCESSED;
    let ours = vma.backing.is_shared() || frame::is_sole(page.frame());
    bits.set(
        Bits::WRITE,
        ours && vma.protection.contains(Protection::WRITE),
    );
    Entry::new(page.frame(), bits)
}
