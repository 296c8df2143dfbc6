//! Words to arguments: variables and the splitting of what they hold.

use alloc::format;
use alloc::vec::Vec;

use crate::arithmetic::{self, Trouble};
use crate::lex::{Part, Word};
use crate::state::Shell;

/// The arguments that some words come to.
pub fn words(shell: &Shell, words: &[Word]) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut all = Vec::new();
    for word in words {
        all.append(&mut fields(shell, word)?);
    }
    Ok(all)
}

/// A word as one string, without splitting: for assignments and redirections.
pub fn single(shell: &Shell, word: &Word) -> Result<Vec<u8>, Trouble> {
    let mut text = Vec::new();
    for part in word {
        match part {
            Part::Text { bytes, .. } => text.extend_from_slice(bytes),
            Part::Variable { name, .. } => text.extend_from_slice(&shell.value(name)),
            Part::Arithmetic { expression } => text.extend_from_slice(&value(shell, expression)?),
        }
    }
    Ok(text)
}

fn value(shell: &Shell, expression: &[u8]) -> Result<Vec<u8>, Trouble> {
    arithmetic::evaluate(shell, expression).map(|value| format!("{value}").into_bytes())
}

/// The arguments that grow out of one word.
struct Fields {
    done: Vec<Vec<u8>>,
    /// The one that is being put together, once there is something that makes it one.
    current: Option<Vec<u8>>,
}

impl Fields {
    fn extend(&mut self, bytes: &[u8]) {
        self.current
            .get_or_insert_default()
            .extend_from_slice(bytes);
    }

    fn finish(&mut self) {
        self.done.extend(self.current.take());
    }
}

fn fields(shell: &Shell, word: &Word) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut fields = Fields {
        done: Vec::new(),
        current: None,
    };
    // `"$@"` alone, without arguments, comes to nothing, quotes or not.
    let all_quoted =
        |part: &Part| matches!(part, Part::Variable { name, quoted: true } if name == b"@");
    let only_arguments = word.iter().any(all_quoted) && shell.arguments().is_empty();
    for part in word {
        match part {
            Part::Text { bytes, .. } if bytes.is_empty() && only_arguments => {}
            Part::Text { bytes, .. } => fields.extend(bytes),
            Part::Variable { name, quoted: true } if name == b"@" => {
                for (index, argument) in shell.arguments().iter().enumerate() {
                    if index > 0 {
                        fields.finish();
                    }
                    fields.extend(argument);
                }
            }
            Part::Variable { name, quoted: true } => fields.extend(&shell.value(name)),
            Part::Arithmetic { expression } => fields.extend(&value(shell, expression)?),
            Part::Variable {
                name,
                quoted: false,
            } => {
                for byte in shell.value(name) {
                    match byte {
                        b' ' | b'\t' | b'\n' => fields.finish(),
                        byte => fields.extend(&[byte]),
                    }
                }
            }
        }
    }
    fields.finish();
    Ok(fields.done)
}
