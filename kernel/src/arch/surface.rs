//! The surface of the machine, with its types: what does not compile here is missing from one of
//! the two machines, or differs between them.
//!
//! It costs nothing: no constant here is used. Only what both machines have is listed; the kernel's
//! own memory and its end exist on the real one alone.

use super::frame::Frame;
use super::handler::{BadFrame, FloatError, HandlerCall, HandlerFrame, StackNote};
use super::interface::{CpuId, FastPath, Pcid, Trap, Wanted};
use super::machine as m;
use core::ptr::NonNull;

/// CPUs and time.
const _: () = {
    let _: fn() -> CpuId = m::cpu;
    let _: fn() -> usize = m::cpu_count;
    let _: fn(CpuId) = m::send_ipi;
    let _: fn() = m::idle;
    let _: fn(fn() -> !) = m::start_cpus;
    let _: fn() -> u64 = m::clock;
    let _: fn(Option<u64>) = m::set_timer;
    let _: fn() -> u64 = m::wall_clock_offset;
};

/// Memory.
const _: () = {
    let _: fn(Frame) -> NonNull<u8> = m::frame_ptr;
    let _: unsafe fn(NonNull<u8>) = m::zero_page;
    let _: unsafe fn(NonNull<u8>, NonNull<u8>) = m::copy_page;
    let _: fn() -> &'static str = m::page_moves;
    let _: fn(Frame) = m::new_root;
    let _: fn(Frame) = m::clear_root;
    let _: fn(Frame) = m::load_root;
    let _: fn(Frame, Pcid) = m::load_root_tagged;
    let _: fn(Frame, Pcid) = m::load_root_keeping;
    let _: fn() = m::load_kernel_root;
    let _: fn() -> usize = m::pcids;
    let _: fn(usize) = m::flush_page;
    let _: fn() = m::flush_all;
    let _: fn() = m::scheduling_point;
};

/// A value that is set once on each machine.
const _: () = {
    let _: fn() -> m::PerMachine<u8> = m::PerMachine::new;
    let _: fn(&'static m::PerMachine<u8>, u8) = m::PerMachine::init;
    let _: fn(&'static m::PerMachine<u8>) -> &'static u8 = m::PerMachine::get;
    let _: fn(&'static m::PerMachine<u8>) -> Option<&'static u8> = m::PerMachine::try_get;
};

/// User mode: registers.
const _: () = {
    use m::UserContext as Context;
    let _: fn(usize, usize) -> Context = Context::new;
    let _: fn(&Context) -> usize = Context::syscall_number;
    let _: fn(&Context) -> [usize; 6] = Context::arguments;
    let _: fn(&mut Context, usize) = Context::set_result;
    let _: fn(&mut Context) = Context::repeat_call;
    let _: fn(&mut Context, usize) = Context::call_instead;
    let _: fn(&Context) -> usize = Context::ip;
    let _: fn(&Context) -> usize = Context::sp;
    let _: fn(&mut Context, usize) = Context::set_sp;
    let _: fn(&Context) -> usize = Context::tls;
    let _: fn(&mut Context, usize) = Context::set_tls;
    let _: fn(&Context) -> usize = Context::gs_base;
    let _: fn(&mut Context, usize) = Context::set_gs_base;
};

/// User mode: the way in and out.
#[expect(dead_code, reason = "only its types are of use")]
fn run<F: FastPath>() {
    let _: fn(&mut m::UserContext, &mut m::FpuState, &F) -> Trap = m::UserContext::run;
}

/// User mode: signal handlers.
const _: () = {
    use m::UserContext as Context;
    type MakeFrame = fn(&Context, &mut m::FpuState, &HandlerCall<'_>) -> Option<HandlerFrame>;
    let _: MakeFrame = Context::handler_frame;
    let _: fn(&mut Context, &HandlerCall<'_>, usize) = Context::enter_handler;
    let _: fn(&Context) -> usize = Context::frame_address;
    let _: fn(&mut Context, &m::SavedFrame) -> Result<(), BadFrame> = Context::restore;
    let _: fn(&[u8; m::SavedFrame::SIZE]) -> m::SavedFrame = m::SavedFrame::new;
    let _: fn(&m::SavedFrame) -> u64 = m::SavedFrame::mask;
    let _: fn(&m::SavedFrame) -> StackNote = m::SavedFrame::stack;
    let _: fn(&m::SavedFrame) -> usize = m::SavedFrame::fpu_address;
};

/// User mode: the floating-point unit.
const _: () = {
    use m::FpuState as Fpu;
    let _: fn() -> Option<Fpu> = Fpu::new;
    let _: fn(&mut Fpu) = Fpu::reset;
    let _: fn() = m::save_loaded_fpu;
    let _: fn(&mut Fpu) -> Option<Fpu> = Fpu::copy;
    let _: fn(&[u8; Fpu::LEGACY]) -> usize = Fpu::image_length;
    let _: fn(&mut Fpu, &[u8]) -> Result<(), BadFrame> = Fpu::restore_image;
    let _: fn(&mut Fpu, u8) -> FloatError = Fpu::float_error;
};

/// The world outside.
const _: () = {
    let _: fn(&[u8]) = m::console_write;
    let _: fn(&[u8]) = m::log_write;
    let _: fn(fn(u8) -> Wanted) = m::set_console_input;
    let _: fn() = m::resume_console_input;
    let _: fn() -> u64 = m::random;
    let _: fn(u32, u32) -> [u32; 4] = m::cpuid;
    let _: fn(u8) -> ! = m::power_off;
};
