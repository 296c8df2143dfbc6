//! The error numbers of the Linux ABI, as a type of their own.
//!
//! Layers below the system calls have error enums of their own; they become an
//! [`Errno`] at one place, the edge of the system call.

use crate::memory::{AccessError, OutOfMemory, PageError};
use linux_raw_sys::errno;

/// A Linux error number (positive), as `errno(3)` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u32);

macro_rules! errnos {
    ($($name:ident)*) => {
        #[allow(missing_docs)] // Each name is documented in errno(3).
        impl Errno {
            $(pub const $name: Errno = Errno(errno::$name);)*

            /// The symbolic name, for logs.
            pub fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name),)*
                    _ => "E?",
                }
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM
    EACCES EFAULT EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE
    ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EPIPE ERANGE EDEADLK ENAMETOOLONG
    ENOSYS ENOTEMPTY ELOOP EOVERFLOW EOPNOTSUPP ETIMEDOUT ENODATA
    ENOBUFS EMSGSIZE EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETUNREACH ECONNREFUSED ECONNRESET
    ENOTCONN EISCONN EPROTOTYPE EDESTADDRREQ EPROTONOSUPPORT ESOCKTNOSUPPORT ENOPROTOOPT ENOTSOCK
    EINPROGRESS ETOOMANYREFS EDOM
}

impl Errno {
    /// Never seen by a program: see [`Restart`](crate::wait::Restart).
    pub const ERESTARTSYS: Errno = Errno(512);
    /// As `ERESTARTSYS`.
    pub const ERESTARTNOHAND: Errno = Errno(514);
    /// As `ERESTARTSYS`.
    pub const ERESTART_RESTARTBLOCK: Errno = Errno(516);

    /// The error of this number.
    pub(crate) const fn from_number(number: u32) -> Errno {
        Errno(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The value a system call returns in `rax` for this error.
    pub fn to_return(self) -> usize {
        (self.0 as usize).wrapping_neg()
    }
}

impl From<OutOfMemory> for Errno {
    fn from(_: OutOfMemory) -> Errno {
        Errno::ENOMEM
    }
}

impl From<PageError> for Errno {
    fn from(error: PageError) -> Errno {
        match error {
            PageError::BeyondEnd => Errno::EINVAL,
            PageError::OutOfMemory => Errno::ENOMEM,
            PageError::NoSpace => Errno::ENOSPC,
        }
    }
}

impl From<AccessError> for Errno {
    fn from(error: AccessError) -> Errno {
        match error {
            AccessError::BadAddress => Errno::EFAULT,
            AccessError::Invalid => Errno::EINVAL,
            AccessError::TooLong => Errno::ENAMETOOLONG,
            AccessError::OutOfMemory => Errno::ENOMEM,
        }
    }
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// What every system call returns.
pub type SysResult = Result<usize, Errno>;
