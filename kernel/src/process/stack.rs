//! The first stack of a program: arguments, environment, auxiliary vector (AMD64 psABI
//! 3.4.1, getauxval(3)).
//!
//! The strings go from the old program's memory straight into pages of the new stack, so a long
//! list of them takes memory that is accounted to the program, and none of the kernel's heap. They
//! are read twice: [`Strings::measure`] determines how many bytes they have, and so where
//! everything lies; [`build`] copies them. Another thread may change them in between, which can only
//! make the call fail.

use super::credentials::Credentials;
use super::exec_error::ExecError;
use crate::arch;
use crate::errno::Errno;
use crate::memory::fallible;
use crate::memory::{AddressSpace, FRAME_SIZE};
use alloc::vec::Vec;
use linux_raw_sys::auxvec;

/// Bytes of one string, MAX_ARG_STRLEN.
const MAX_STRING: usize = 128 << 10;
/// Bytes of arguments that are kept for /proc, as Linux did until 4.2: they are the
/// kernel's memory, not the program's.
const SHOWN_ARGUMENTS: usize = FRAME_SIZE;
/// Bytes that are copied in a step: few, as most strings are short and are read twice.
const STEP: usize = 64;
/// Bytes of a pointer.
const WORD: usize = size_of::<usize>();

/// Arguments or environment of a program that is to be started.
pub(super) struct Strings<'a> {
    /// The first ones, which come from the kernel.
    pub(super) first: Vec<Vec<u8>>,
    /// The others: an array of pointers in the memory of the program that runs, to a null.
    pub(super) rest: Option<(&'a AddressSpace, usize)>,
}

/// What some strings take.
#[derive(Clone, Copy, Default)]
pub(super) struct Measure {
    pub(super) count: usize,
    /// With their zero bytes.
    pub(super) bytes: usize,
}

impl Measure {
    fn add(&mut self, length: usize, budget: &mut usize) -> Result<(), ExecError> {
        if length >= MAX_STRING {
            return Err(ExecError::TooBig);
        }
        let left = budget.checked_sub(length + 1 + WORD);
        *budget = left.ok_or(ExecError::TooBig)?;
        self.count += 1;
        self.bytes += length + 1;
        Ok(())
    }
}

/// The pointer with this index in an array, or none for the null at its end.
async fn pointer(
    (space, array): (&AddressSpace, usize),
    index: usize,
) -> Result<Option<usize>, ExecError> {
    let at = array.checked_add(WORD * index).ok_or(Errno::EFAULT)?;
    let address = space.read_word(at).await?;
    Ok((address != 0).then_some(address))
}

/// The next part of a string: reads from `address` into `chunk`, not beyond the page, as what
/// follows a string need not be mapped. Returns the bytes before the zero byte, and whether that
/// was found.
async fn read_part<'c>(
    space: &AddressSpace,
    address: usize,
    chunk: &'c mut [u8; STEP],
) -> Result<(&'c [u8], bool), ExecError> {
    let length = STEP.min(FRAME_SIZE - address % FRAME_SIZE);
    let chunk = &mut chunk[..length];
    space.read_bytes(address, chunk).await?;
    let end = chunk.iter().position(|&byte| byte == 0);
    Ok((&chunk[..end.unwrap_or(length)], end.is_some()))
}

impl<'a> Strings<'a> {
    /// Those of an array in the memory of a program; 0 is an empty one.
    pub(super) fn of_program(space: &'a AddressSpace, array: usize) -> Strings<'a> {
        Strings {
            first: Vec::new(),
            rest: (array != 0).then_some((space, array)),
        }
    }

    /// Whether there is none.
    pub(super) async fn is_empty(&self) -> Result<bool, ExecError> {
        Ok(self.first.is_empty()
            && match self.rest {
                Some(array) => pointer(array, 0).await?.is_none(),
                None => true,
            })
    }

    /// Leaves the first one out. There is one.
    pub(super) fn skip_first(&mut self) {
        if !self.first.is_empty() {
            self.first.remove(0);
        } else if let Some((_, array)) = &mut self.rest {
            *array += WORD;
        }
    }

    /// What they take, within a budget of bytes for them and the pointers to them.
    pub(super) async fn measure(&self, budget: &mut usize) -> Result<Measure, ExecError> {
        let mut measure = Measure::default();
        for string in &self.first {
            measure.add(string.len(), budget)?;
        }
        let Some(array) = self.rest else {
            return Ok(measure);
        };
        let mut index = 0;
        while let Some(address) = pointer(array, index).await? {
            let mut length = 0;
            loop {
                let at = address.checked_add(length).ok_or(Errno::EFAULT)?;
                let mut chunk = [0; STEP];
                let (part, is_last) = read_part(array.0, at, &mut chunk).await?;
                length += part.len();
                if is_last {
                    break;
                }
                if length >= MAX_STRING {
                    return Err(ExecError::TooBig);
                }
            }
            measure.add(length, budget)?;
            index += 1;
            // A program can bring hundreds of thousands.
            executor::spend_budget().await;
        }
        Ok(measure)
    }

    /// Copies them, and a pointer to each.
    async fn copy(&self, to: &mut Writer<'_>, expected: Measure) -> Result<(), ExecError> {
        let mut left = expected.count;
        let end = to.strings + expected.bytes;
        for string in &self.first {
            to.begin_string(&mut left)?;
            to.put(string, end)?;
            to.put(&[0], end)?;
        }
        if let Some(array) = self.rest {
            let mut index = 0;
            while let Some(mut address) = pointer(array, index).await? {
                to.begin_string(&mut left)?;
                loop {
                    let mut chunk = [0; STEP];
                    let (part, is_last) = read_part(array.0, address, &mut chunk).await?;
                    to.put(part, end)?;
                    if is_last {
                        break;
                    }
                    address += part.len();
                }
                to.put(&[0], end)?;
                index += 1;
                executor::spend_budget().await;
            }
        }
        // They have changed meanwhile.
        if left != 0 || to.strings != end {
            return Err(Errno::EFAULT.into());
        }
        to.put_word(0)
    }
}

/// Writes to a stack that no thread uses yet.
struct Writer<'a> {
    space: &'a AddressSpace,
    /// Where the next string goes.
    strings: usize,
    /// Where the next word goes.
    words: usize,
    /// The first bytes of the strings, while these are the arguments.
    shown: Option<Vec<u8>>,
}

impl Writer<'_> {
    fn begin_string(&mut self, left: &mut usize) -> Result<(), ExecError> {
        *left = left.checked_sub(1).ok_or(Errno::EFAULT)?;
        self.put_word(self.strings)
    }

    /// Writes bytes of a string, which may go up to `end`.
    fn put(&mut self, bytes: &[u8], end: usize) -> Result<(), ExecError> {
        if bytes.len() > end - self.strings {
            return Err(Errno::EFAULT.into());
        }
        self.space.write_while_private(self.strings, bytes)?;
        self.strings += bytes.len();
        if let Some(shown) = &mut self.shown {
            // It has its final capacity.
            let room = shown.capacity() - shown.len();
            shown.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok(())
    }

    fn put_word(&mut self, word: usize) -> Result<(), ExecError> {
        let bytes = word.to_le_bytes();
        self.space.write_while_private(self.words, &bytes)?;
        self.words += WORD;
        Ok(())
    }
}

/// What the program has to know about itself.
pub(super) struct Facts<'a> {
    pub(super) headers: usize,
    pub(super) header_count: usize,
    pub(super) entry: usize,
    /// Where the interpreter was loaded, or 0.
    pub(super) base: usize,
    /// The path that was executed.
    pub(super) path: &'a [u8],
    /// The users and groups of the program.
    pub(super) credentials: &'a Credentials,
    /// It has got privileges by its file.
    pub(super) is_secure: bool,
}

/// The strings of a program with what they take.
pub(super) struct StackStrings<'a> {
    pub(super) arguments: (&'a Strings<'a>, Measure),
    pub(super) environment: (&'a Strings<'a>, Measure),
}

/// A stack that is ready.
pub(super) struct BuiltStack {
    /// The stack pointer.
    pub(super) sp: usize,
    /// The first bytes of the arguments, for /proc.
    pub(super) shown_arguments: Vec<u8>,
}

/// Writes the stack below `top`.
pub(super) async fn build(
    space: &AddressSpace,
    top: usize,
    strings: &StackStrings<'_>,
    facts: &Facts<'_>,
) -> Result<BuiltStack, ExecError> {
    let mut at = top - WORD;
    let mut push = |bytes: &[u8]| -> Result<usize, ExecError> {
        at -= bytes.len() + 1;
        space.write_while_private(at, bytes)?;
        Ok(at)
    };
    let name = push(facts.path)?;
    let platform = push(b"x86_64")?;
    let random = [arch::random().to_le_bytes(), arch::random().to_le_bytes()];
    let random = push(random.as_flattened())?;
    let uid = facts.credentials.uid;
    let gid = facts.credentials.gid;
    let vector = [
        (auxvec::AT_PHDR, facts.headers),
        (auxvec::AT_PHENT, 56),
        (auxvec::AT_PHNUM, facts.header_count),
        (auxvec::AT_PAGESZ, FRAME_SIZE),
        (auxvec::AT_BASE, facts.base),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, facts.entry),
        (auxvec::AT_UID, uid.real as usize),
        (auxvec::AT_EUID, uid.effective as usize),
        (auxvec::AT_GID, gid.real as usize),
        (auxvec::AT_EGID, gid.effective as usize),
        (auxvec::AT_SECURE, usize::from(facts.is_secure)),
        (auxvec::AT_CLKTCK, 100),
        (auxvec::AT_RANDOM, random),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_EXECFN, name),
        (auxvec::AT_NULL, 0),
    ];
    let (arguments, of_arguments) = strings.arguments;
    let (environment, of_environment) = strings.environment;
    // The number of arguments, and a null behind each of the two lists of pointers.
    let words = 1 + of_arguments.count + 1 + of_environment.count + 1 + 2 * vector.len();
    let strings = at - of_arguments.bytes - of_environment.bytes;
    // The stack pointer is a multiple of 16 at the program's first instruction.
    let sp = (strings - WORD * words) & !15;
    let shown = fallible::vec(of_arguments.bytes.min(SHOWN_ARGUMENTS))?;
    let mut writer = Writer {
        space,
        strings,
        words: sp,
        shown: Some(shown),
    };
    writer.put_word(of_arguments.count)?;
    arguments.copy(&mut writer, of_arguments).await?;
    let shown_arguments = writer.shown.take().unwrap_or_default();
    environment.copy(&mut writer, of_environment).await?;
    // In one piece: to find the page anew for each word costs more than all the words.
    let vector = vector.map(|(key, value)| [(key as usize).to_le_bytes(), value.to_le_bytes()]);
    space.write_while_private(writer.words, vector.as_flattened().as_flattened())?;
    Ok(BuiltStack {
        sp,
        shown_arguments,
    })
}
