//! The FPU registers in the frame of a signal handler: the image that XSAVE writes, with words of
//! Linux's own around it (uapi/asm/sigcontext.h, `struct _fpx_sw_bytes`).
//!
//! ```text
//! 0     the legacy area; its last 48 bytes, which the processor leaves alone, say how large the
//!       image is and which components it has
//! 512   the header of XSAVE, and the other components
//! end   four bytes that say that the image is complete
//! ```
//!
//! A program may change the image, and hand in any. What XRSTOR would fault on in the kernel is
//! refused here (Intel SDM vol. 1, 13.8): unknown components, a header that is not zero where it
//! must be, reserved bits of MXCSR.

use super::fpu::{COMPONENTS, FCW, FpuState, INITIAL_FCW, LEGACY, MXCSR, X87_SSE};
use super::fpu::{image_layout, mxcsr_mask};
use super::vectors::X87_ERROR;
use crate::arch::handler::{BadFrame, FloatError};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// `FP_XSTATE_MAGIC1`, and where it is.
const MAGIC1: u32 = 0x4650_5853;
const MAGIC1_AT: usize = 464;
/// The image's bytes with the magic word behind it.
const EXTENDED_SIZE_AT: usize = 468;
/// The components that the image has room for.
const FEATURES_AT: usize = 472;
/// The image's bytes.
const SIZE_AT: usize = 480;
/// `FP_XSTATE_MAGIC2`, behind the image.
const MAGIC2: u32 = 0x4650_5845;
const MAGIC2_SIZE: usize = 4;

/// XSTATE_BV: the components that are not in their initial state.
const HEADER: usize = LEGACY;
const HEADER_SIZE: usize = 64;

const X87: u64 = 1;
const SSE: u64 = 2;
/// Status, tag, opcode and pointers of the x87 unit, and its registers.
const X87_PARTS: [core::ops::Range<usize>; 2] = [2..24, 32..160];
const SSE_PART: core::ops::Range<usize> = 160..416;

fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

impl FpuState {
    /// How many bytes the image has in a frame.
    pub fn image_size() -> usize {
        match image_layout().size() {
            LEGACY => LEGACY,
            size => size + MAGIC2_SIZE,
        }
    }

    /// Appends the image to a frame, for which there is room already.
    pub fn append_image(&mut self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(self.bytes());
        let image = &mut to[start..];
        let size = image.len();
        if size == LEGACY {
            return;
        }
        // XSAVEOPT leaves out components in their initial state. A program that knows nothing of
        // XSAVE reads the legacy area all the same: it shall be right, and count (as on Linux).
        let present = u64::from_le_bytes(word(image, HEADER));
        if present & X87 == 0 {
            put(image, FCW, &INITIAL_FCW.to_le_bytes());
            X87_PARTS.into_iter().for_each(|part| image[part].fill(0));
        }
        if present & SSE == 0 {
            image[SSE_PART].fill(0);
        }
        put(image, HEADER, &(present | X87_SSE).to_le_bytes());
        image[MAGIC1_AT..LEGACY].fill(0);
        put(image, MAGIC1_AT, &MAGIC1.to_le_bytes());
        let extended = (size + MAGIC2_SIZE) as u32;
        put(image, EXTENDED_SIZE_AT, &extended.to_le_bytes());
        let components = COMPONENTS.load(Ordering::Relaxed);
        put(image, FEATURES_AT, &components.to_le_bytes());
        put(image, SIZE_AT, &(size as u32).to_le_bytes());
        to.extend_from_slice(&MAGIC2.to_le_bytes());
    }

    /// How many bytes belong to the image that begins with this legacy area.
    pub fn image_length(legacy: &[u8; FpuState::LEGACY]) -> usize {
        let size = image_layout().size();
        let says = u32::from_le_bytes(word(legacy, MAGIC1_AT)) == MAGIC1
            && u32::from_le_bytes(word(legacy, SIZE_AT)) as usize == size
            && u32::from_le_bytes(word(legacy, EXTENDED_SIZE_AT)) as usize == size + MAGIC2_SIZE;
        if size > LEGACY && says {
            size + MAGIC2_SIZE
        } else {
            LEGACY
        }
    }

    /// The bytes of the legacy area.
    pub const LEGACY: usize = LEGACY;

    /// Takes the registers from an image of the length that [`image_length`](Self::image_length)
    /// has told. One without its end is taken for a legacy area, as Linux does.
    ///
    /// # Errors
    /// When the processor would refuse it. Nothing has been changed then.
    pub fn restore_image(&mut self, image: &[u8]) -> Result<(), BadFrame> {
        let size = image_layout().size();
        if u32::from_le_bytes(word(image, MXCSR)) & !mxcsr_mask() != 0 {
            return Err(BadFrame);
        }
        let complete =
            image.len() == size + MAGIC2_SIZE && u32::from_le_bytes(word(image, size)) == MAGIC2;
        let mut header = [0; HEADER_SIZE];
        let taken = if complete {
            let wanted = u64::from_le_bytes(word(image, HEADER));
            let known = COMPONENTS.load(Ordering::Relaxed);
            // The processor ignores what follows these.
            let zeroes: [u8; 16] = word(image, HEADER + 8);
            if wanted & !known != 0 || zeroes != [0; 16] {
                return Err(BadFrame);
            }
            let has = u64::from_le_bytes(word(image, FEATURES_AT));
            put(&mut header, 0, &(wanted & has).to_le_bytes());
            size
        } else {
            put(&mut header, 0, &X87_SSE.to_le_bytes());
            LEGACY
        };
        if image.len() < taken {
            return Err(BadFrame);
        }
        self.overwrite(|area| {
            area[..taken].copy_from_slice(&image[..taken]);
            // The processor leaves these bytes to software, and the kernel uses none of them.
            area[MAGIC1_AT..LEGACY].fill(0);
            put(area, HEADER, &header);
        });
        Ok(())
    }

    /// What an exception of the floating-point unit was about (vector 16 or 19).
    pub fn float_error(&mut self, vector: u8) -> FloatError {
        let state = self.bytes();
        let raised = if vector == X87_ERROR {
            let control = u16::from_le_bytes(word(state, FCW));
            u32::from(u16::from_le_bytes(word(state, FCW + 2)) & !control)
        } else {
            let mxcsr = u32::from_le_bytes(word(state, MXCSR));
            mxcsr & !(mxcsr >> 7)
        };
        // Intel SDM vol. 1, 8.1.3.3 and 10.2.3: the same bits in both.
        match raised {
            _ if raised & 1 != 0 => FloatError::Invalid,
            _ if raised & 1 << 2 != 0 => FloatError::DivideByZero,
            _ if raised & 1 << 3 != 0 => FloatError::Overflow,
            _ if raised & (1 << 1 | 1 << 4) != 0 => FloatError::Underflow,
            _ if raised & 1 << 5 != 0 => FloatError::Inexact,
            _ => FloatError::Unknown,
        }
    }
}
