//! Why a task has no output.

use core::fmt;

/// Why a task has no output.
pub enum JoinError {
    /// It was aborted, or the executor was shut down.
    Cancelled,
    /// It panicked; this is what it panicked with.
    #[cfg(feature = "std")]
    Panicked(alloc::boxed::Box<dyn core::any::Any + Send + 'static>),
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("Cancelled"),
            #[cfg(feature = "std")]
            Self::Panicked(payload) => {
                let message = payload
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| {
                        payload
                            .downcast_ref::<alloc::string::String>()
                            .map(|s| s.as_str())
                    })
                    .unwrap_or("(not a string)");
                f.debug_tuple("Panicked").field(&message).finish()
            }
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            #[cfg(feature = "std")]
            Self::Panicked(_) => f.write_str("the task panicked"),
        }
    }
}

impl core::error::Error for JoinError {}
