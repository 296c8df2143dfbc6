//! Values that are made once, while the kernel starts.

use conquer_once::spin::OnceCell;

/// A value that is set once. (The simulated machine has a type of the same name, with a value for each machine.)
pub struct PerMachine<T>(OnceCell<T>);

impl<T> PerMachine<T> {
    /// Not set yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        PerMachine(OnceCell::uninit())
    }

    /// Sets it.
    ///
    /// # Panics
    /// If it is set already.
    pub fn init(&self, value: T) {
        assert!(!self.0.is_initialized(), "set twice");
        self.0.init_once(|| value);
    }

    /// The value.
    ///
    /// # Panics
    /// If it is not set yet.
    pub fn get(&self) -> &T {
        assert!(self.0.is_initialized(), "used before it was set");
        // SAFETY: it is set, as checked above, and it is never unset.
        unsafe { self.0.get_unchecked() }
    }

    /// The value, if it is set.
    pub fn try_get(&self) -> Option<&T> {
        self.0.try_get().ok()
    }
}
