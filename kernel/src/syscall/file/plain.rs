//! The ABI's structures as bytes.

use linux_raw_sys::general as abi;

/// A structure that is nothing but its bytes.
///
/// # Safety
/// It has no padding, and every pattern of bits is a value of it.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: four words, and twenty bytes in a row.
unsafe impl Plain for abi::termios {}
const _: () = assert!(size_of::<abi::termios>() == 36);

// SAFETY: four 16-bit numbers.
unsafe impl Plain for abi::winsize {}
const _: () = assert!(size_of::<abi::winsize>() == 8);

// SAFETY: integers only; the four 32-bit ones stand together, one of them as the padding.
unsafe impl Plain for abi::stat {}
const _: () = assert!(size_of::<abi::stat>() == 144);

// SAFETY: integers only, each at a multiple of its size, the spare ones named.
unsafe impl Plain for abi::statx {}
const _: () = assert!(size_of::<abi::statx>() == 256);

// SAFETY: integers only, each at a multiple of its size; the two 32-bit ones stand together.
unsafe impl Plain for abi::statfs {}
const _: () = assert!(size_of::<abi::statfs>() == 120);

// SAFETY: two 64-bit numbers.
unsafe impl Plain for abi::__kernel_timespec {}
const _: () = assert!(size_of::<abi::__kernel_timespec>() == 16);

/// The bytes of a structure.
pub(super) fn bytes<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `T` has no padding, so all its bytes are initialised; the slice
    // covers just the value and lives as long as the reference.
    unsafe { core::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}

/// The same, to be overwritten.
pub(super) fn bytes_mut<T: Plain>(value: &mut T) -> &mut [u8] {
    // SAFETY: as above; whatever is written is a value of `T`.
    unsafe { core::slice::from_raw_parts_mut((&raw mut *value).cast(), size_of::<T>()) }
}

/// A structure of zeros.
pub(super) fn zeroed<T: Plain>() -> T {
    // SAFETY: all zeros is a pattern of bits, so it is a value of `T`.
    unsafe { core::mem::zeroed() }
}
