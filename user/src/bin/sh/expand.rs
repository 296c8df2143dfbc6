//! Words to arguments: variables and the splitting of what they hold.

use alloc::vec::Vec;

use crate::lex::{Part, Word};
use crate::state::Shell;

/// The arguments that some words come to.
pub fn words(shell: &Shell, words: &[Word]) -> Vec<Vec<u8>> {
    words.iter().flat_map(|word| fields(shell, word)).collect()
}

/// A word as one string, without splitting: for assignments and redirections.
pub fn single(shell: &Shell, word: &Word) -> Vec<u8> {
    let mut text = Vec::new();
    for part in word {
        match part {
            Part::Text { bytes, .. } => text.extend_from_slice(bytes),
            Part::Variable { name, .. } => text.extend_from_slice(&shell.value(name)),
        }
    }
    text
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

fn fields(shell: &Shell, word: &Word) -> Vec<Vec<u8>> {
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
    fields.done
}
