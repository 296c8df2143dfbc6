//! Calling a program's handlers, and coming back from them.
//!
//! The kernel keeps nothing about a handler that runs. All that is needed to go back lies in a
//! frame on the program's stack, which `rt_sigreturn` finds by the stack pointer: so handlers
//! may nest, and be left by a jump. The frame is written as any user memory is (rule M8): that
//! may fault, copy pages, and fail. What comes back is not trusted.

use super::action::{Action, Disposition};
use super::altstack::AltStack;
use super::info::SigInfo;
use crate::arch::{BadFrame, FpuState, HandlerCall, SavedFrame, StackNote};
use crate::errno::Errno;
use crate::process::registers::Registers;
use crate::process::thread::Thread;
use alloc::vec::Vec;
use linux_raw_sys::general as linux;

/// Bytes below the stack pointer that belong to the program (System V ABI, AMD64, 3.2.2).
const RED_ZONE: usize = 128;

/// A frame that does not fit, or memory that is not the program's.
pub(super) struct NoFrame;

impl Thread {
    /// Puts the frame on the stack, and makes the program go on in its handler.
    pub(super) async fn call_handler(
        &self,
        registers: &mut Registers,
        info: &SigInfo,
        action: &Action,
    ) -> Result<(), NoFrame> {
        let Disposition::Handler(entry) = action.disposition() else {
            return Ok(());
        };
        // On x86-64 the kernel has no restorer of its own (sigreturn(2)).
        if !action.has(linux::SA_RESTORER) {
            return Err(NoFrame);
        }
        let stack = *self.signals().stack.lock();
        let Registers { user, fpu } = registers;
        let (top, limit) = place(&stack, action, user.sp());
        let saved = *self.signals().saved_mask.lock();
        let call = HandlerCall {
            entry,
            restorer: action.restorer(),
            signal: info.signal().number(),
            info: info.bytes(),
            mask: saved.unwrap_or(self.blocked()),
            stack: stack.note(),
            top,
        };
        let frame = user.handler_frame(fpu, &call);
        let frame = frame.ok_or(NoFrame)?;
        if limit.is_some_and(|stack| !stack.has(frame.address)) {
            return Err(NoFrame);
        }
        let written = self.space().write_bytes(frame.address, &frame.bytes).await;
        written.map_err(|_| NoFrame)?;
        user.enter_handler(&call, frame.address);
        fpu.reset();
        *self.signals().saved_mask.lock() = None;
        if stack.disarms() {
            *self.signals().stack.lock() = AltStack::NONE;
        }
        let blocked = self.blocked() | action.held_back(info.signal());
        self.set_blocked(blocked);
        Ok(())
    }

    /// Goes back to where the program was when its handler was called (sigreturn(2)).
    ///
    /// # Errors
    /// When the frame is not readable, or holds what a program may not have. The caller sends
    /// `SIGSEGV` then.
    pub async fn return_from_handler(&self, registers: &mut Registers) -> Result<(), BadFrame> {
        let Registers { user, fpu } = registers;
        let space = self.space();
        let mut bytes = [0; SavedFrame::SIZE];
        let read = space.read_bytes(user.frame_address(), &mut bytes).await;
        read.map_err(|_| BadFrame)?;
        let saved = SavedFrame::new(&bytes);
        self.set_blocked(saved.mask());
        // What the handler has interrupted does not go on.
        self.take_continuation();
        let image = self.read_image(saved.fpu_address()).await?;
        user.restore(&saved)?;
        match image {
            Some(image) => fpu.restore_image(&image)?,
            None => fpu.reset(),
        }
        // One that cannot be is not set, as on Linux.
        let _ = self.change_stack(Some(saved.stack()), user.sp());
        Ok(())
    }

    /// The image of the FPU's registers; none when the frame has none.
    async fn read_image(&self, address: usize) -> Result<Option<Vec<u8>>, BadFrame> {
        if address == 0 {
            return Ok(None);
        }
        let space = self.space();
        let mut legacy = [0; FpuState::LEGACY];
        let read = space.read_bytes(address, &mut legacy).await;
        read.map_err(|_| BadFrame)?;
        let length = FpuState::image_length(&legacy);
        let mut image = Vec::new();
        image.try_reserve_exact(length).map_err(|_| BadFrame)?;
        image.extend_from_slice(&legacy);
        image.resize(length, 0);
        let rest = address.checked_add(legacy.len()).ok_or(BadFrame)?;
        let read = space.read_bytes(rest, &mut image[legacy.len()..]).await;
        read.map_err(|_| BadFrame)?;
        Ok(Some(image))
    }
}

/// Where the frame goes: below this address, and if on the alternative stack, not out of it.
fn place(stack: &AltStack, action: &Action, sp: usize) -> (usize, Option<AltStack>) {
    let here = sp.wrapping_sub(RED_ZONE);
    if stack.contains(sp) {
        return (here, Some(*stack));
    }
    match stack.top() {
        Some(top) if action.has(linux::SA_ONSTACK) => (top, Some(*stack)),
        _ => (here, None),
    }
}

impl Thread {
    /// Changes the alternative stack, if asked, and says what it was.
    ///
    /// # Errors
    /// `EPERM` while the thread, by its stack pointer, is on it; `EINVAL` and `ENOMEM` as
    /// sigaltstack(2) says.
    pub fn change_stack(&self, new: Option<StackNote>, sp: usize) -> Result<StackNote, Errno> {
        let mut stack = self.signals().stack.lock();
        let old = stack.report(sp);
        if let Some(new) = new {
            if stack.contains(sp) {
                return Err(Errno::EPERM);
            }
            *stack = AltStack::wanted(new)?;
        }
        Ok(old)
    }
}
