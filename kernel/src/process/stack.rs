//! The first stack of a program: arguments, environment, auxiliary vector (AMD64 psABI
//! 3.4.1, getauxval(3)).

use super::exec::ExecError;
use crate::arch;
use crate::memory::{AddressSpace, FRAME_SIZE};
use alloc::vec::Vec;
use linux_raw_sys::auxvec;

/// The strings that a program gets.
pub(super) struct Strings {
    /// Arguments, without their zero bytes.
    pub(super) arguments: Vec<Vec<u8>>,
    /// The environment, likewise.
    pub(super) environment: Vec<Vec<u8>>,
}

/// What the program has to know about itself.
pub(super) struct Facts {
    pub(super) headers: usize,
    pub(super) header_count: usize,
    pub(super) entry: usize,
    /// Where the interpreter was loaded, or 0.
    pub(super) base: usize,
}

/// Writes the stack below `top`, and returns the stack pointer.
pub(super) fn build(
    space: &AddressSpace,
    top: usize,
    strings: &Strings,
    path: &[u8],
    facts: &Facts,
) -> Result<usize, ExecError> {
    let mut at = top - 8;
    let mut push = |bytes: &[u8]| -> Result<usize, ExecError> {
        at -= bytes.len() + 1;
        space.write_while_private(at, bytes)?;
        Ok(at)
    };
    let name = push(path)?;
    let platform = push(b"x86_64")?;
    let random = push(&[arch::random().to_le_bytes(), arch::random().to_le_bytes()].concat())?;
    let mut place = |strings: &[Vec<u8>]| -> Result<Vec<usize>, ExecError> {
        // From the last to the first, so that they lie in order in memory, as Linux has them.
        let mut places: Vec<usize> = strings
            .iter()
            .rev()
            .map(|s| push(s))
            .collect::<Result<_, _>>()?;
        places.reverse();
        Ok(places)
    };
    let environment = place(&strings.environment)?;
    let arguments = place(&strings.arguments)?;

    let vector = [
        (auxvec::AT_PHDR, facts.headers),
        (auxvec::AT_PHENT, 56),
        (auxvec::AT_PHNUM, facts.header_count),
        (auxvec::AT_PAGESZ, FRAME_SIZE),
        (auxvec::AT_BASE, facts.base),
        (auxvec::AT_FLAGS, 0),
        (auxvec::AT_ENTRY, facts.entry),
        (auxvec::AT_UID, 0),
        (auxvec::AT_EUID, 0),
        (auxvec::AT_GID, 0),
        (auxvec::AT_EGID, 0),
        (auxvec::AT_SECURE, 0),
        (auxvec::AT_CLKTCK, 100),
        (auxvec::AT_RANDOM, random),
        (auxvec::AT_PLATFORM, platform),
        (auxvec::AT_EXECFN, name),
        (auxvec::AT_NULL, 0),
    ];
    let mut words = Vec::with_capacity(arguments.len() + environment.len() + 3 + 2 * vector.len());
    words.push(arguments.len());
    words.extend(arguments);
    words.push(0);
    words.extend(environment);
    words.push(0);
    words.extend(
        vector
            .iter()
            .flat_map(|&(key, value)| [key as usize, value]),
    );
    // The stack pointer is a multiple of 16 at the program's first instruction.
    let sp = (at - 8 * words.len()) & !15;
    let bytes: Vec<u8> = words.into_iter().flat_map(usize::to_le_bytes).collect();
    space.write_while_private(sp, &bytes)?;
    Ok(sp)
}
