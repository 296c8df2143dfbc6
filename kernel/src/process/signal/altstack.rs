//! The alternative stack of a thread (sigaltstack(2)).

use crate::arch::StackNote;
use crate::errno::Errno;
use linux_raw_sys::general as linux;

/// A thread's alternative stack. Whether the thread is on it is not kept, but seen from the
/// stack pointer: a handler may be left by a jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    base: usize,
    size: usize,
    flags: u32,
}

impl AltStack {
    /// None.
    pub(super) const NONE: AltStack = AltStack {
        base: 0,
        size: 0,
        flags: linux::SS_DISABLE,
    };

    /// Whether this stack pointer is on it. With `SS_AUTODISARM` none ever is: while a handler runs
    /// there is no alternative stack.
    pub(super) fn contains(&self, sp: usize) -> bool {
        self.flags & linux::SS_AUTODISARM == 0 && self.has(sp)
    }

    /// Whether this stack pointer is among its addresses. Its end is on it, its beginning is not,
    /// for a stack grows downwards.
    pub(super) fn has(&self, sp: usize) -> bool {
        sp.checked_sub(self.base)
            .is_some_and(|depth| depth > 0 && depth <= self.size)
    }

    /// Where a handler's frame goes, if there is a stack for it.
    pub(super) fn top(&self) -> Option<usize> {
        (self.size != 0).then(|| self.base.wrapping_add(self.size))
    }

    /// For the frame of a handler.
    pub(super) fn note(&self) -> StackNote {
        StackNote {
            base: self.base,
            flags: self.flags,
            size: self.size,
        }
    }

    /// Whether it goes away while a handler runs.
    pub(super) fn disarms(&self) -> bool {
        self.flags & linux::SS_AUTODISARM != 0
    }

    /// What sigaltstack(2) reports, with this stack pointer.
    pub(super) fn report(&self, sp: usize) -> StackNote {
        let state = match self.size {
            0 => linux::SS_DISABLE,
            _ if self.contains(sp) => linux::SS_ONSTACK,
            _ => 0,
        };
        StackNote {
            flags: state | self.flags & linux::SS_FLAG_BITS,
            ..self.note()
        }
    }

    pub(super) fn wanted(note: StackNote) -> Result<AltStack, Errno> {
        let given = AltStack {
            base: note.base,
            size: note.size,
            flags: note.flags,
        };
        match note.flags & !linux::SS_FLAG_BITS {
            linux::SS_DISABLE => Ok(AltStack {
                base: 0,
                size: 0,
                ..given
            }),
            0 | linux::SS_ONSTACK if note.size < linux::MINSIGSTKSZ as usize => Err(Errno::ENOMEM),
            0 | linux::SS_ONSTACK => Ok(given),
            _ => Err(Errno::EINVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: AltStack = AltStack {
        base: 0x1000,
        size: 0x2000,
        flags: 0,
    };

    #[test]
    fn the_end_is_on_the_stack_and_the_beginning_is_not() {
        assert!(STACK.contains(0x3000) && STACK.contains(0x1001));
        assert!(!STACK.contains(0x1000) && !STACK.contains(0x3001));
        assert!(!AltStack::NONE.contains(0));
    }

    #[test]
    fn what_cannot_be_a_stack_is_refused() {
        let note = |flags, size| {
            AltStack::wanted(StackNote {
                base: 0x1000,
                flags,
                size,
            })
        };
        assert_eq!(note(0, 2047), Err(Errno::ENOMEM));
        assert_eq!(note(4, 8192), Err(Errno::EINVAL));
        assert_eq!(note(linux::SS_DISABLE, 0).map(|stack| stack.size), Ok(0));
        assert_eq!(
            note(linux::SS_ONSTACK, 0x2000).map(|s| s.top()),
            Ok(Some(0x3000))
        );
    }
}
