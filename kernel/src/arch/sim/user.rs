//! User mode is not simulated: a test plays the program itself.

use super::super::Trap;

/// The registers that the kernel looks at.
#[derive(Clone, Default)]
pub struct UserContext {
    ip: usize,
    sp: usize,
    tls: usize,
    result: usize,
}

impl UserContext {
    /// A program that starts at `entry`.
    pub fn new(entry: usize, stack: usize) -> UserContext {
        UserContext {
            ip: entry,
            sp: stack,
            ..UserContext::default()
        }
    }

    /// There is no ring 3.
    pub fn run(&mut self, _fpu: &mut FpuState) -> Trap {
        Trap::Interrupt
    }

    /// No system call.
    pub fn syscall_number(&self) -> usize {
        usize::MAX
    }

    /// Nothing.
    pub fn arguments(&self) -> [usize; 6] {
        [0; 6]
    }

    /// Sets the result.
    pub fn set_result(&mut self, value: usize) {
        self.result = value;
    }

    /// Where the program is.
    pub fn ip(&self) -> usize {
        self.ip
    }

    /// Its stack pointer.
    pub fn sp(&self) -> usize {
        self.sp
    }

    /// Sets the stack pointer.
    pub fn set_sp(&mut self, sp: usize) {
        self.sp = sp;
    }

    /// The FS base.
    pub fn tls(&self) -> usize {
        self.tls
    }

    /// Sets the FS base.
    pub fn set_tls(&mut self, tls: usize) {
        self.tls = tls;
    }

    /// The GS base.
    pub fn gs_base(&self) -> usize {
        0
    }

    /// Sets the GS base.
    pub fn set_gs_base(&mut self, _base: usize) {}
}

/// No floating point.
#[derive(Default)]
pub struct FpuState;

impl FpuState {
    /// Nothing.
    pub fn new() -> Option<FpuState> {
        Some(FpuState)
    }

    /// Nothing.
    pub fn reset(&mut self) {}

    /// Nothing.
    pub fn save_if_loaded(&mut self) {}

    /// Nothing.
    pub fn copy_from(&mut self, _other: &FpuState) {}
}
