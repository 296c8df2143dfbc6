//! Into user mode and out of it.
//!
//! A [`UserContext`] lies in memory that its thread owns. While the thread is in
//! user mode, RSP0 of the CPU's TSS points to the end of the context's frame, so
//! a trap pushes straight into it; the system-call entry does the same by hand.
//! What is not answered at once returns from [`enter_user`], on the kernel stack
//! of its caller. So a thread that is not running needs no stack.
//!
//! Segments (`segments.rs`) are read back when `enter_user` returns, and loaded only when
//! the CPU holds another context's (see `PerCpu::stamp`).

use super::fpu::FpuState;
use super::interrupts;
use super::paging::is_user;
use super::percpu::{self, USER_CODE, USER_DATA};
use super::registers::{General, TrapFrame};
use super::segments::Segments;
use super::user_entry::{Entries, SYSCALL, enter_user, syscall_entry};
use super::vectors::{EXCEPTIONS, GENERAL_PROTECTION, PAGE_FAULT};
use crate::arch::interface::{Access, FastPath, Trap};
use core::fmt;
use x86_64::VirtAddr;
use x86_64::registers::control::Cr2;
use x86_64::registers::model_specific::{LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;

/// The flags that a program may choose.
const USER_FLAGS: RFlags = RFlags::CARRY_FLAG
    .union(RFlags::PARITY_FLAG)
    .union(RFlags::AUXILIARY_CARRY_FLAG)
    .union(RFlags::ZERO_FLAG)
    .union(RFlags::SIGN_FLAG)
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::OVERFLOW_FLAG)
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::ID);

/// Cleared on the way in: interrupts stay masked, SMAP on, strings go upwards, no
/// single step in the kernel, and NT would make `iretq` fault.
const MASKED_FLAGS: RFlags = RFlags::INTERRUPT_FLAG
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::NESTED_TASK)
    .union(RFlags::IOPL_LOW)
    .union(RFlags::IOPL_HIGH);

/// The state of a program outside of its memory and its FPU registers.
#[repr(C)]
pub struct UserContext {
    pub(super) frame: TrapFrame,
    segments: Segments,
    /// The address of the last page fault.
    pub(super) cr2: u64,
    /// Says on which CPU, if any, the segments are in the registers; 0 is nowhere.
    stamp: u64,
}

impl Clone for UserContext {
    fn clone(&self) -> UserContext {
        // The copy's segments are in no CPU's registers.
        UserContext { stamp: 0, ..*self }
    }
}

impl UserContext {
    /// A program that starts at `entry` with the stack pointer `stack` and zero
    /// everywhere else.
    pub fn new(entry: usize, stack: usize) -> UserContext {
        UserContext {
            frame: TrapFrame {
                rip: entry as u64,
                rsp: stack as u64,
                cs: u64::from(USER_CODE.0),
                ss: u64::from(USER_DATA.0),
                rflags: RFlags::INTERRUPT_FLAG.bits() | 2,
                ..TrapFrame::default()
            },
            segments: Segments::default(),
            cr2: 0,
            stamp: 0,
        }
    }

    /// Runs the program until something brings the CPU back to the kernel that is not
    /// answered at once.
    ///
    /// The address space must be loaded, and `fpu` the thread's. A context that
    /// the CPU would not accept reports general protection, as if the program had
    /// jumped there.
    pub fn run<F: FastPath>(&mut self, fpu: &mut FpuState, fast: &F) -> Trap {
        // SYSRET to a non-canonical address would fault in ring 0 on the user's
        // stack (Intel).
        if !is_user(self.frame.rip as usize) {
            return self.refused();
        }
        let cpu = percpu::this();
        if cpu.segments.get() != self.stamp {
            if !self.segments.load() {
                return self.refused();
            }
            self.stamp = cpu.stamp();
            cpu.segments.set(self.stamp);
        }
        fpu.load(cpu);
        let frame = &raw mut self.frame;
        cpu.set_frame(frame);
        let entries = Entries {
            system_call: system_call_fast::<F>,
            trap: trap_fast::<F>,
            fast: (&raw const *fast).cast(),
        };
        // SAFETY: the frame has user segments and flags that only this module
        // sets, a user `rip`, and is written by this CPU alone until `enter_user`
        // returns: `self` is exclusive. The functions are those for an `F`.
        unsafe { enter_user(frame, &raw const entries) };
        self.segments.save();
        self.trap()
    }

    /// What the CPU would have said.
    fn refused(&mut self) -> Trap {
        self.frame.vector = u64::from(GENERAL_PROTECTION);
        self.frame.error = 0;
        Trap::Exception {
            vector: GENERAL_PROTECTION,
            error: 0,
        }
    }

    /// Why user mode was left.
    fn trap(&mut self) -> Trap {
        match self.frame.vector {
            SYSCALL => Trap::Syscall,
            PAGE_FAULT => {
                // No other fault can have come in between: CR2 is still the
                // program's.
                self.cr2 = Cr2::read_raw();
                Trap::PageFault {
                    address: self.cr2 as usize,
                    access: access(self.frame.error),
                }
            }
            vector @ 0..EXCEPTIONS => Trap::Exception {
                vector: vector as u8,
                error: self.frame.error,
            },
            _ => Trap::Interrupt,
        }
    }

    /// The number of the system call (`rax`).
    pub fn syscall_number(&self) -> usize {
        self.frame.general.rax as usize
    }

    /// The arguments of the system call.
    pub fn arguments(&self) -> [usize; 6] {
        let g = &self.frame.general;
        [g.rdi, g.rsi, g.rdx, g.r10, g.r8, g.r9].map(|value| value as usize)
    }

    /// Sets the result of the system call (`rax`).
    pub fn set_result(&mut self, value: usize) {
        self.frame.general.rax = value as u64;
    }

    /// Makes the program do its last system call again: its number is still in `rax`.
    pub fn repeat_call(&mut self) {
        const SYSCALL_LENGTH: u64 = 2;
        self.frame.rip = self.frame.rip.wrapping_sub(SYSCALL_LENGTH);
    }

    /// As [`repeat_call`](Self::repeat_call), but with another number.
    pub fn call_instead(&mut self, number: usize) {
        self.frame.general.rax = number as u64;
        self.repeat_call();
    }

    /// The next instruction.
    pub fn ip(&self) -> usize {
        self.frame.rip as usize
    }

    /// Sets the next instruction.
    pub fn set_ip(&mut self, address: usize) {
        self.frame.rip = address as u64;
    }

    /// The stack pointer.
    pub fn sp(&self) -> usize {
        self.frame.rsp as usize
    }

    /// Sets the stack pointer.
    pub fn set_sp(&mut self, address: usize) {
        self.frame.rsp = address as u64;
    }

    /// The flags.
    pub fn flags(&self) -> u64 {
        self.frame.rflags
    }

    /// Sets the flags that a program may choose, and leaves the others.
    pub fn set_flags(&mut self, flags: u64) {
        let kept = self.frame.rflags & !USER_FLAGS.bits();
        self.frame.rflags = kept | flags & USER_FLAGS.bits();
    }

    /// The FS base: where thread-local storage is.
    pub fn tls(&self) -> usize {
        self.segments.fs_base() as usize
    }

    /// Sets the FS base. With an address that is not canonical the program gets a
    /// general protection fault; a caller that sets it for a program should refuse
    /// such an address before.
    pub fn set_tls(&mut self, base: usize) {
        self.segments.set_fs_base(base as u64);
        self.stamp = 0;
    }

    /// The GS base.
    pub fn gs_base(&self) -> usize {
        self.segments.gs_base() as usize
    }

    /// Sets the GS base, as [`set_tls`](Self::set_tls).
    pub fn set_gs_base(&mut self, base: usize) {
        self.segments.set_gs_base(base as u64);
        self.stamp = 0;
    }

    /// The general registers.
    pub fn general(&self) -> &General {
        &self.frame.general
    }

    /// The general registers, to be changed: any value is safe.
    pub fn general_mut(&mut self) -> &mut General {
        &mut self.frame.general
    }
}

impl fmt::Display for UserContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} fs {:016x} gs {:016x}",
            self.frame,
            self.segments.fs_base(),
            self.segments.gs_base()
        )
    }
}

/// Called by the system-call entry. It has filled in what is read here.
extern "sysv64" fn system_call_fast<F: FastPath>(frame: &mut TrapFrame, fast: *const ()) -> bool {
    // SAFETY: `run` has put the two together, and borrows the fast of the fast path.
    let fast = unsafe { &*fast.cast::<F>() };
    let General {
        rax,
        rdi,
        rsi,
        rdx,
        r10,
        r8,
        r9,
        ..
    } = frame.general;
    let arguments = [rdi, rsi, rdx, r10, r8, r9].map(|value| value as usize);
    match fast.system_call(rax as usize, arguments) {
        Some(result) => {
            frame.general.rax = result as u64;
            true
        }
        None => false,
    }
}

/// Called by the entry of all other traps.
extern "sysv64" fn trap_fast<F: FastPath>(frame: &mut TrapFrame, fast: *const ()) -> bool {
    // SAFETY: as above.
    let fast = unsafe { &*fast.cast::<F>() };
    match frame.vector {
        PAGE_FAULT => fast.page_fault(Cr2::read_raw() as usize, access(frame.error)),
        0..EXCEPTIONS => false,
        vector => {
            interrupts::serve(vector as u8);
            fast.interrupt()
        }
    }
}

/// A page fault's error code (Intel SDM vol. 3, 4.7).
fn access(error: u64) -> Access {
    const WRITE: u64 = 1 << 1;
    const FETCH: u64 = 1 << 4;
    match error {
        _ if error & FETCH != 0 => Access::Execute,
        _ if error & WRITE != 0 => Access::Write,
        _ => Access::Read,
    }
}

/// Sets up the system-call entry of this CPU.
pub fn init() {
    let entry: unsafe extern "C" fn() = syscall_entry;
    LStar::write(VirtAddr::new(entry as usize as u64));
    SFMask::write(MASKED_FLAGS);
    Star::write(
        USER_CODE,
        USER_DATA,
        percpu::KERNEL_CODE,
        percpu::KERNEL_DATA,
    )
    .expect("the selectors are in SYSRET's order");
}
