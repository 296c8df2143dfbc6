//! Error numbers.

use core::fmt;

use linux_raw_sys::errno as numbers;

/// Why a system call failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(u16);

impl Errno {
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    pub const fn number(self) -> u16 {
        self.0
    }

    /// What it means, in a few words.
    pub fn message(self) -> &'static str {
        TABLE
            .iter()
            .find(|(errno, _, _)| *errno == self)
            .map_or("Unknown error", |(_, _, message)| message)
    }
}

/// Its symbolic name, `errno 999` when it has none here.
impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TABLE.iter().find(|(errno, _, _)| errno == self) {
            Some((_, name, _)) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

macro_rules! errnos {
    ($($name:ident $message:literal,)*) => {
        impl Errno {
            $(pub const $name: Self = Self(numbers::$name as u16);)*
        }

        static TABLE: &[(Errno, &str, &str)] = &[
            $((Errno::$name, stringify!($name), $message),)*
        ];
    };
}

errnos! {
    EPERM "Operation not permitted",
    ENOENT "No such file or directory",
    ESRCH "No such process",
    EINTR "Interrupted system call",
    EIO "Input/output error",
    ENXIO "No such device or address",
    E2BIG "Argument list too long",
    ENOEXEC "Exec format error",
    EBADF "Bad file descriptor",
    ECHILD "No child processes",
    EAGAIN "Resource temporarily unavailable",
    ENOMEM "Cannot allocate memory",
    EACCES "Permission denied",
    EFAULT "Bad address",
    EBUSY "Device or resource busy",
    EDEADLK "Resource deadlock avoided",
    EEXIST "File exists",
    EXDEV "Invalid cross-device link",
    ENODEV "No such device",
    ENOTDIR "Not a directory",
    EISDIR "Is a directory",
    EINVAL "Invalid argument",
    ENFILE "Too many open files in system",
    EMFILE "Too many open files",
    ENOTTY "Inappropriate ioctl for device",
    ETXTBSY "Text file busy",
    EFBIG "File too large",
    ENOSPC "No space left on device",
    ESPIPE "Illegal seek",
    EROFS "Read-only file system",
    EMLINK "Too many links",
    EPIPE "Broken pipe",
    ERANGE "Numerical result out of range",
    ENAMETOOLONG "File name too long",
    ENOSYS "Function not implemented",
    ENOTEMPTY "Directory not empty",
    ELOOP "Too many levels of symbolic links",
    EOVERFLOW "Value too large for defined data type",
    EOPNOTSUPP "Operation not supported",
    ETIMEDOUT "Connection timed out",
}
