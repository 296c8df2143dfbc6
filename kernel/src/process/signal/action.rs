//! What a process wants done with each signal (sigaction(2)).

use super::number::{Set, Signal, UNSTOPPABLE};
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

/// What is to be done with a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// The default (`SIG_DFL`).
    Default,
    /// Nothing (`SIG_IGN`).
    Ignore,
    /// The function at this address is called.
    Handler(usize),
}

const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

/// The kernel's `struct sigaction`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: Set,
}

/// The flags that mean something; the others are not kept.
const KNOWN_FLAGS: u64 = (linux::SA_NOCLDSTOP
    | linux::SA_NOCLDWAIT
    | linux::SA_SIGINFO
    | linux::SA_ONSTACK
    | linux::SA_RESTART
    | linux::SA_NODEFER
    | linux::SA_RESETHAND
    | linux::SA_RESTORER
    | linux::SA_EXPOSE_TAGBITS) as u64;

impl Action {
    /// The bytes of the structure.
    pub const SIZE: usize = 32;

    /// The action that the structure describes.
    pub fn from_bytes(bytes: &[u8; Action::SIZE]) -> Action {
        let [handler, flags, restorer, mask] = [0, 1, 2, 3].map(|word| {
            let bytes = bytes.get(8 * word..).and_then(|rest| rest.first_chunk());
            bytes.copied().map_or(0, u64::from_ne_bytes)
        });
        Action {
            handler: handler as usize,
            flags: flags & KNOWN_FLAGS,
            restorer: restorer as usize,
            mask: mask & !UNSTOPPABLE,
        }
    }

    /// The structure that describes the action.
    pub fn to_bytes(self) -> [u8; Action::SIZE] {
        let words = [
            self.handler as u64,
            self.flags,
            self.restorer as u64,
            self.mask,
        ];
        let mut bytes = [0; Action::SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// What is to be done.
    pub fn disposition(&self) -> Disposition {
        match self.handler {
            SIG_DFL => Disposition::Default,
            SIG_IGN => Disposition::Ignore,
            address => Disposition::Handler(address),
        }
    }

    /// Where the handler returns to. Without one it returns to nowhere, as on Linux.
    pub(super) fn restorer(&self) -> usize {
        self.restorer
    }

    /// Whether it has one of these `SA_*` flags.
    pub(in crate::process) fn has(&self, flags: u32) -> bool {
        self.flags & u64::from(flags) != 0
    }

    /// What is held back while the handler runs.
    pub(super) fn held_back(&self, signal: Signal) -> Set {
        match self.has(linux::SA_NODEFER) {
            true => self.mask,
            false => self.mask | signal.bit(),
        }
    }
}

/// The actions of a process. `fork` shares the table; the first of the two to change it copies
/// it.
#[derive(Clone, Default)]
pub(super) struct Actions {
    /// None: all are at their default.
    table: Option<Arc<[Action; 64]>>,
    /// The signals that are ignored.
    pub(super) ignored: Set,
    /// The signals that have a handler.
    pub(super) handled: Set,
}

impl Actions {
    pub(super) fn get(&self, signal: Signal) -> Action {
        let table = self.table.as_ref();
        table.map_or(Action::default(), |table| table[signal.index()])
    }

    pub(super) fn set(&mut self, signal: Signal, action: Action) {
        let bit = signal.bit();
        self.ignored &= !bit;
        self.handled &= !bit;
        match action.disposition() {
            Disposition::Default => {}
            Disposition::Ignore => self.ignored |= bit,
            Disposition::Handler(_) => self.handled |= bit,
        }
        if self.table.is_some() || action != Action::default() {
            let table = self
                .table
                .get_or_insert_with(|| Arc::new([Action::default(); 64]));
            Arc::make_mut(table)[signal.index()] = action;
        }
    }

    /// Back to the default, but its flags stay.
    pub(super) fn reset(&mut self, signal: Signal) {
        let action = self.get(signal);
        self.set(
            signal,
            Action {
                handler: SIG_DFL,
                ..action
            },
        );
    }

    /// For a new program: what had a handler is at its default, what was ignored is ignored.
    pub(super) fn without_handlers(&self) -> Actions {
        let mut new = Actions::default();
        let mut ignored = self.ignored;
        while let Some(signal) = Signal::first_of(ignored) {
            ignored &= !signal.bit();
            new.set(
                signal,
                Action {
                    handler: SIG_IGN,
                    ..Action::default()
                },
            );
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(address: usize) -> Action {
        Action {
            handler: address,
            ..Action::default()
        }
    }

    #[test]
    fn a_copy_of_the_table_is_its_own() {
        let mut parent = Actions::default();
        parent.set(Signal::SEGV, handler(0x1000));
        let mut child = parent.clone();
        child.set(Signal::SEGV, handler(0x2000));
        child.set(Signal::PIPE, handler(SIG_IGN));
        assert_eq!(
            parent.get(Signal::SEGV).disposition(),
            Disposition::Handler(0x1000)
        );
        assert_eq!((parent.ignored, parent.handled), (0, Signal::SEGV.bit()));
        assert_eq!(child.ignored, Signal::PIPE.bit());
    }

    #[test]
    fn a_new_program_has_no_handlers_but_ignores_the_same() {
        let mut old = Actions::default();
        old.set(Signal::SEGV, handler(0x1000));
        old.set(Signal::PIPE, handler(SIG_IGN));
        let new = old.without_handlers();
        assert_eq!((new.ignored, new.handled), (Signal::PIPE.bit(), 0));
        assert_eq!(new.get(Signal::SEGV), Action::default());
        assert_eq!(new.get(Signal::PIPE).disposition(), Disposition::Ignore);
    }

    #[test]
    fn what_cannot_be_held_back_is_taken_out_of_the_mask() {
        let mut bytes = [0; Action::SIZE];
        bytes[24..].fill(0xff);
        let action = Action::from_bytes(&bytes);
        assert_eq!(action.mask, !UNSTOPPABLE);
        assert_eq!(Action::from_bytes(&action.to_bytes()), action);
    }
}
