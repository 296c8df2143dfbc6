//! What can go wrong in the tool itself, as opposed to in the kernel it boots.
//!
//! Every message says what was being done and, where there is something that a
//! person can do about it, what. The kernel's own end is a
//! [`Verdict`](crate::verdict::Verdict).

use std::fmt;
use std::io;
use std::path::Path;

/// The result of most functions here.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the tool gives up.
#[derive(Debug)]
pub enum Error {
    /// The command line makes no sense.
    Usage(String),
    /// The operating system refused something.
    Io {
        /// What was being done, as in "cannot {doing}".
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something that the tool needs is not there and cannot be had.
    Missing {
        /// What is missing, and why it could not be had.
        what: String,
        /// What the person can do.
        advice: String,
    },
    /// A program that the tool ran failed; it has printed why.
    Child {
        /// What the program was for.
        what: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// A file is not what it should be.
    Malformed(String),
}

impl Error {
    /// The exit status of the tool: 64 and 69 are `EX_USAGE` and
    /// `EX_UNAVAILABLE` of sysexits(3).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            _ => 69,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what}\nTry `cargo bootimage --help`."),
            Self::Io { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Missing { what, advice } => write!(f, "{what}\n{advice}"),
            Self::Child { what, status } => write!(f, "{what} failed ({status})"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Says what was being done when an I/O error came up.
pub(crate) trait Doing<T> {
    /// `doing` completes the sentence "cannot ...".
    fn doing(self, doing: impl Into<String>) -> Result<T>;

    /// As [`doing`](Self::doing), with the path that it was done to.
    fn on(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::Io {
            doing: doing.into(),
            source,
        })
    }

    fn on(self, doing: &str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            doing: format!("{doing} {}", path.display()),
            source,
        })
    }
}
