//! The kernel's symbols, as text, for the backtrace of a panic.
//!
//! The kernel finds them in its root file system under `/boot/symbols`. One line
//! per function, sorted by address: sixteen hexadecimal digits, a space, the
//! demangled name.

use std::fmt::Write;

use object::{Object, ObjectSymbol, SymbolKind};

use crate::error::{Error, Result};

/// Names longer than this are cut: generic code can make them very long, and
/// the table stays in the kernel's memory.
const LONGEST_NAME: usize = 120;

/// The symbol table of the kernel image `elf`.
pub fn table(elf: &[u8]) -> Result<String> {
    let file = object::File::parse(elf).map_err(|error| {
        Error::Malformed(format!("the kernel image is not an ELF file: {error}"))
    })?;
    let mut functions: Vec<(u64, String)> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
        .filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?)))
        .filter(|(_, name)| !name.is_empty())
        .map(|(address, name)| (address, readable(name)))
        .collect();
    functions.sort();
    // Functions with equal code share one address; one name is enough.
    functions.dedup_by_key(|(address, _)| *address);

    let mut text = String::new();
    for (address, name) in functions {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{address:016x} {name}");
    }
    Ok(text)
}

/// `name` without mangling and hash, on one line, and not too long.
fn readable(name: &str) -> String {
    let mut name = format!("{:#}", rustc_demangle::demangle(name));
    if let Some((end, _)) = name.char_indices().nth(LONGEST_NAME) {
        name.truncate(end);
        name.push_str("...");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled_and_lose_their_hash() {
        assert_eq!(
            readable("_ZN6kernel6memory4fork17h0123456789abcdefE"),
            "kernel::memory::fork"
        );
        assert_eq!(readable("_start"), "_start");
    }

    #[test]
    fn long_names_are_cut() {
        let name = readable(&"x".repeat(500));
        assert_eq!(name.len(), LONGEST_NAME + 3);
    }

    #[test]
    fn the_table_of_this_very_program_is_sorted_and_names_this_function() {
        let exe = std::env::current_exe().expect("the path of the test");
        let table = table(&std::fs::read(exe).expect("the test's own file")).expect("an ELF file");
        let addresses: Vec<&str> = table.lines().filter_map(|line| line.get(..16)).collect();
        assert!(addresses.is_sorted(), "not sorted by address");
        assert!(
            table.contains(" boot::symbols::table\n"),
            "no line for `table`"
        );
    }

    #[test]
    fn what_is_not_elf_is_refused() {
        assert!(table(b"#!/bin/sh\n").is_err());
    }
}
