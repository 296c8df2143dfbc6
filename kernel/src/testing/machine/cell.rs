//! Values of which each simulated machine has its own.

use super::state::with;
use core::any::Any;
use core::cell::RefCell;
use core::marker::PhantomData;
use std::collections::HashMap;

/// What the cells of one machine hold, by the address of the cell.
#[derive(Default)]
pub(super) struct Cells(RefCell<HashMap<usize, Box<dyn Any>>>);

impl Cells {
    /// Drops all values, none of them while the map is borrowed. None may use another.
    pub(super) fn drop_all(&self) {
        drop(self.take());
    }

    /// Forgets all values without dropping them: they might use each other on their way (a
    /// root is freed into the frame table). The memory of the machine is not theirs.
    pub(super) fn leave_all(&self) {
        self.take().into_values().for_each(core::mem::forget);
    }

    fn take(&self) -> HashMap<usize, Box<dyn Any>> {
        core::mem::take(&mut *self.0.borrow_mut())
    }
}

/// A value that is set once a machine, and lives as long as the machine.
pub struct PerMachine<T: 'static> {
    // Not zero-sized, so that each has an address of its own.
    _place: u8,
    _value: PhantomData<fn() -> T>,
}

impl<T: 'static> PerMachine<T> {
    /// Not set yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        PerMachine {
            _place: 0,
            _value: PhantomData,
        }
    }

    /// Sets it.
    ///
    /// # Panics
    /// If it is set already.
    pub fn init(&'static self, value: T) {
        let value: Box<dyn Any> = Box::new(value);
        let before = with(|state| state.cells.0.borrow_mut().insert(self.key(), value));
        assert!(before.is_none(), "set twice");
    }

    /// The value.
    ///
    /// # Panics
    /// If it is not set yet.
    pub fn get(&'static self) -> &'static T {
        self.try_get().expect("used before it was set")
    }

    /// The value, if it is set.
    pub fn try_get(&'static self) -> Option<&'static T> {
        with(|state| {
            let cells = state.cells.0.borrow();
            let value: *const T = cells.get(&self.key())?.downcast_ref()?;
            // SAFETY: the box is neither moved nor freed before the machine's end.
            Some(unsafe { &*value })
        })
    }

    fn key(&'static self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}
