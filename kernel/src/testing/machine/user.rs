//! User mode is not simulated: a test plays the program itself.

use crate::arch::handler::{BadFrame, FloatError, HandlerCall, HandlerFrame, StackNote};
use crate::arch::interface::{FastPath, Trap};

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
    pub fn run<F: FastPath>(&mut self, _fpu: &mut FpuState, _fast: &F) -> Trap {
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

    /// Nothing to repeat.
    pub fn repeat_call(&mut self) {}

    /// Nothing to call.
    pub fn call_instead(&mut self, _number: usize) {}

    /// There are no handlers.
    pub fn handler_frame(&self, _: &mut FpuState, _: &HandlerCall<'_>) -> Option<HandlerFrame> {
        None
    }

    /// Nothing.
    pub fn enter_handler(&mut self, _call: &HandlerCall<'_>, _address: usize) {}

    /// Nowhere.
    pub fn frame_address(&self) -> usize {
        0
    }

    /// Nothing to go back to.
    pub fn restore(&mut self, _saved: &SavedFrame) -> Result<(), BadFrame> {
        Err(BadFrame)
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
    pub fn copy(&mut self) -> Option<FpuState> {
        Some(FpuState)
    }
}

/// Nothing.
pub fn save_loaded_fpu() {}

impl FpuState {
    /// Nothing.
    pub const LEGACY: usize = 0;

    /// Nothing.
    pub fn image_length(_legacy: &[u8; FpuState::LEGACY]) -> usize {
        0
    }

    /// Nothing.
    pub fn restore_image(&mut self, _image: &[u8]) -> Result<(), BadFrame> {
        Ok(())
    }

    /// No floating point.
    pub fn float_error(&mut self, _vector: u8) -> FloatError {
        FloatError::Unknown
    }
}

/// The frame of a handler, of which there are none.
pub struct SavedFrame;

impl SavedFrame {
    /// Nothing.
    pub const SIZE: usize = 0;

    /// Nothing.
    pub fn new(_bytes: &[u8; 0]) -> SavedFrame {
        SavedFrame
    }

    /// Nothing.
    pub fn mask(&self) -> u64 {
        0
    }

    /// None.
    pub fn stack(&self) -> StackNote {
        StackNote::default()
    }

    /// None.
    pub fn fpu_address(&self) -> usize {
        0
    }
}
