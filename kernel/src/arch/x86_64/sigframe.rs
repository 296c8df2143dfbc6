//! The frame of a signal handler on the program's stack, as Linux lays it out
//! (arch/x86/include/asm/sigframe.h, uapi/asm/ucontext.h, uapi/asm/sigcontext.h).
//!
//! ```text
//! top          what was there (the red zone is left out by the caller)
//!              FPU registers, at a multiple of 64 (see `fpuframe`)
//!              siginfo_t
//!              ucontext_t, with the general registers
//! address      the restorer's address: what the handler returns to
//! ```
//!
//! This module makes the bytes, and takes a frame apart again; it never touches the program's
//! memory. What comes back from a program may be anything: flags are masked, selectors must be
//! those of user mode, addresses are checked when user mode is entered (`UserContext::run`).

use super::features::Features;
use super::fpu::FpuState;
use super::percpu::{USER_CODE, USER_DATA};
use super::registers::General;
use super::user::UserContext;
use super::vectors::EXCEPTIONS;
use crate::arch::handler::{BadFrame, HandlerCall, HandlerFrame, StackNote};
use alloc::vec::Vec;
use x86_64::registers::rflags::RFlags;

/// `struct sigcontext`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Registers {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    flags: u64,
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    error: u64,
    vector: u64,
    old_mask: u64,
    cr2: u64,
    fpu: u64,
    reserved: [u64; 8],
}

/// `struct rt_sigframe`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Frame {
    restorer: u64,
    // struct ucontext
    flags: u64,
    link: u64,
    stack_base: u64,
    stack_flags: u32,
    stack_padding: u32,
    stack_size: u64,
    registers: Registers,
    mask: u64,
    info: [u64; INFO / 8],
}

/// `siginfo_t`.
const INFO: usize = 128;
const SIZE: usize = size_of::<Frame>();

const _: () = assert!(size_of::<Registers>() == 256 && SIZE == 440);

// uapi/asm/ucontext.h
const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;

/// A handler starts with these flags clear.
const CLEARED: RFlags = RFlags::DIRECTION_FLAG
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::TRAP_FLAG);

impl Frame {
    fn bytes(&self) -> &[u8] {
        // SAFETY: integers without padding between them (the sizes above), all initialised.
        unsafe { core::slice::from_raw_parts((&raw const *self).cast(), SIZE) }
    }

    fn from_bytes(bytes: &[u8; SIZE]) -> Frame {
        // SAFETY: every pattern of bits is a value of its integers.
        unsafe { bytes.as_ptr().cast::<Frame>().read_unaligned() }
    }
}

impl UserContext {
    /// The frame for a call of a handler. `None` when there is no room for it below the top, or
    /// no memory for its bytes.
    pub fn handler_frame(
        &self,
        fpu: &mut FpuState,
        call: &HandlerCall<'_>,
    ) -> Option<HandlerFrame> {
        let fpu_size = FpuState::image_size();
        let fpu_at = call.top.checked_sub(fpu_size)? & !63;
        // The handler finds the stack as after a call (System V ABI, AMD64, 3.2.2).
        let at = (fpu_at.checked_sub(SIZE)? & !15).checked_sub(8)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(fpu_at - at + fpu_size).ok()?;
        bytes.extend_from_slice(self.describe(call, fpu_at).bytes());
        bytes.resize(fpu_at - at, 0);
        fpu.append_image(&mut bytes);
        Some(HandlerFrame { address: at, bytes })
    }

    fn describe(&self, call: &HandlerCall<'_>, fpu_at: usize) -> Frame {
        let trap = &self.frame;
        let g = &trap.general;
        let xsave = if Features::get().contains(Features::XSAVE) {
            UC_FP_XSTATE
        } else {
            0
        };
        // What brought the program here, if that was an exception.
        let (vector, error, cr2) = if trap.vector < EXCEPTIONS {
            (trap.vector, trap.error, self.cr2)
        } else {
            (0, 0, 0)
        };
        let mut info = [0; INFO / 8];
        for (word, bytes) in info.iter_mut().zip(call.info.chunks_exact(8)) {
            *word = bytes.try_into().map_or(0, u64::from_le_bytes);
        }
        Frame {
            restorer: call.restorer as u64,
            flags: xsave | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
            link: 0,
            stack_base: call.stack.base as u64,
            stack_flags: call.stack.flags,
            stack_padding: 0,
            stack_size: call.stack.size as u64,
            registers: Registers {
                r8: g.r8,
                r9: g.r9,
                r10: g.r10,
                r11: g.r11,
                r12: g.r12,
                r13: g.r13,
                r14: g.r14,
                r15: g.r15,
                rdi: g.rdi,
                rsi: g.rsi,
                rbp: g.rbp,
                rbx: g.rbx,
                rdx: g.rdx,
                rax: g.rax,
                rcx: g.rcx,
                rsp: trap.rsp,
                rip: trap.rip,
                flags: trap.rflags,
                cs: trap.cs as u16,
                gs: 0,
                fs: 0,
                ss: trap.ss as u16,
                error,
                vector,
                old_mask: call.mask,
                cr2,
                fpu: fpu_at as u64,
                reserved: [0; 8],
            },
            mask: call.mask,
            info,
        }
    }

    /// Makes the program go on in the handler, whose frame is on the stack.
    pub fn enter_handler(&mut self, call: &HandlerCall<'_>, address: usize) {
        const UCONTEXT: u64 = core::mem::offset_of!(Frame, flags) as u64;
        const SIGINFO: u64 = core::mem::offset_of!(Frame, info) as u64;
        let address = address as u64;
        let trap = &mut self.frame;
        trap.general.rdi = u64::from(call.signal);
        trap.general.rsi = address + SIGINFO;
        trap.general.rdx = address + UCONTEXT;
        trap.general.rax = 0;
        trap.rsp = address;
        trap.rip = call.entry as u64;
        trap.rflags &= !CLEARED.bits();
    }

    /// The frame's address, when a handler has returned and its restorer calls.
    pub fn frame_address(&self) -> usize {
        // The return took the restorer's address off the stack.
        (self.frame.rsp as usize).wrapping_sub(8)
    }

    /// Goes back to what the frame says. The FPU's registers are restored apart from it.
    ///
    /// # Errors
    /// When it wants segments that are not user mode's. Nothing has been changed then.
    pub fn restore(&mut self, saved: &SavedFrame) -> Result<(), BadFrame> {
        let from = &saved.0.registers;
        let strict = saved.0.flags & UC_STRICT_RESTORE_SS != 0;
        if from.cs | 3 != USER_CODE.0 || strict && from.ss | 3 != USER_DATA.0 {
            return Err(BadFrame);
        }
        self.frame.general = General {
            r15: from.r15,
            r14: from.r14,
            r13: from.r13,
            r12: from.r12,
            rbp: from.rbp,
            rbx: from.rbx,
            r11: from.r11,
            r10: from.r10,
            r9: from.r9,
            r8: from.r8,
            rax: from.rax,
            rcx: from.rcx,
            rdx: from.rdx,
            rsi: from.rsi,
            rdi: from.rdi,
        };
        self.frame.rsp = from.rsp;
        self.frame.rip = from.rip;
        self.set_flags(from.flags);
        Ok(())
    }
}

/// A frame that was read back from the program's stack.
pub struct SavedFrame(Frame);

impl SavedFrame {
    /// How many bytes it has, apart from the FPU's registers.
    pub const SIZE: usize = SIZE;

    /// Whatever these bytes are.
    pub fn new(bytes: &[u8; SIZE]) -> SavedFrame {
        SavedFrame(Frame::from_bytes(bytes))
    }

    /// Signals to be held back from now on.
    pub fn mask(&self) -> u64 {
        self.0.mask
    }

    /// The alternative stack.
    pub fn stack(&self) -> StackNote {
        StackNote {
            base: self.0.stack_base as usize,
            flags: self.0.stack_flags,
            size: self.0.stack_size as usize,
        }
    }

    /// Where the FPU's registers are; 0 when there are none.
    pub fn fpu_address(&self) -> usize {
        self.0.registers.fpu as usize
    }
}
