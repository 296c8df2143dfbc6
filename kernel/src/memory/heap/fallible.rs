//! Allocations that can fail (rule M10).
//!
//! The standard `Arc` and `Box` end the kernel when the heap is full. Here each allocation is two
//! steps: the frame allocator is asked whether programs may have more memory, then the block is
//! taken from the heap and given back once before it is used. The second step makes the answer
//! certain: a block that this CPU has just freed is the next that its slab cache hands out, and
//! there is no wait, so no other task on this CPU, in between.
//!
//! What frees memory (`close`, `unlink`) uses the `_from_reserve` variants, which skip the first
//! step: they may use the frames that are kept back for that.

use crate::memory::fault_injection::Shield;
use crate::memory::frame::{OutOfMemory, ensure_free_bytes};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::alloc::Layout;

/// The two counts in front of the value of an `Arc`.
const COUNTS: usize = 2 * size_of::<usize>();

/// Whether programs may have `bytes` more of the kernel's heap now.
fn check(bytes: usize) -> Result<(), OutOfMemory> {
    ensure_free_bytes(bytes)
}

/// Whether the heap has a block of this size. The allocation that follows is not made to fail while
/// the shield is held.
fn has_block(size: usize, align: usize) -> Result<Shield, OutOfMemory> {
    let layout = Layout::from_size_align(size.max(1), align).map_err(|_| OutOfMemory)?;
    // SAFETY: the size is not zero.
    let block = unsafe { alloc::alloc::alloc(layout) };
    if block.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: allocated just now with this layout.
    unsafe { alloc::alloc::dealloc(block, layout) };
    Ok(Shield::new())
}

/// As `Arc::new`.
pub fn arc<T>(value: T) -> Result<Arc<T>, OutOfMemory> {
    check(size_of::<T>() + COUNTS)?;
    arc_from_reserve(value)
}

/// As `Arc::new_cyclic`. `make` allocates nothing.
pub fn arc_cyclic<T>(make: impl FnOnce(&Weak<T>) -> T) -> Result<Arc<T>, OutOfMemory> {
    check(size_of::<T>() + COUNTS)?;
    let align = align_of::<T>().max(align_of::<usize>());
    let _shield = has_block((COUNTS + size_of::<T>()).next_multiple_of(align), align)?;
    Ok(Arc::new_cyclic(make))
}

/// As [`arc`], for a call that gives memory back.
pub fn arc_from_reserve<T>(value: T) -> Result<Arc<T>, OutOfMemory> {
    let align = align_of::<T>().max(align_of::<usize>());
    let _shield = has_block((COUNTS + size_of::<T>()).next_multiple_of(align), align)?;
    Ok(Arc::new(value))
}

/// As `Box::new`.
pub fn boxed<T>(value: T) -> Result<Box<T>, OutOfMemory> {
    check(size_of::<T>())?;
    boxed_from_reserve(value)
}

/// As [`boxed`], for a call that gives memory back.
pub fn boxed_from_reserve<T>(value: T) -> Result<Box<T>, OutOfMemory> {
    let _shield = has_block(size_of::<T>(), align_of::<T>())?;
    Ok(Box::new(value))
}

/// A copy of bytes that several can hold.
pub fn bytes(bytes: &[u8]) -> Result<Arc<[u8]>, OutOfMemory> {
    check(bytes.len() + COUNTS)?;
    let align = align_of::<usize>();
    let _shield = has_block((COUNTS + bytes.len()).next_multiple_of(align), align)?;
    Ok(Arc::from(bytes))
}

/// An empty vector with room for `count` elements.
pub fn vec<T>(count: usize) -> Result<Vec<T>, OutOfMemory> {
    check(count.saturating_mul(size_of::<T>()))?;
    let mut vec = Vec::new();
    vec.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
    Ok(vec)
}

/// Makes room for `more` further elements.
pub fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), OutOfMemory> {
    if vec.capacity() - vec.len() < more {
        // It may double.
        check(size_of::<T>().saturating_mul(vec.len().max(more)))?;
        vec.try_reserve(more).map_err(|_| OutOfMemory)?;
    }
    Ok(())
}

/// Adds an element to a vector.
pub fn push<T>(vec: &mut Vec<T>, value: T) -> Result<(), OutOfMemory> {
    reserve(vec, 1)?;
    vec.push(value);
    Ok(())
}
