//! Command lines of `--name NUMBER` options.

use crate::{Arguments, eprintln, number};

/// Sets each option's variable from the arguments. A wrong one is reported, with the usage, and
/// makes it false.
pub fn parse(arguments: Arguments, options: &mut [(&str, &mut u64)], usage: &str) -> bool {
    let mut words = arguments.rest();
    while let Some(word) = words.next() {
        let option = word.to_bytes().strip_prefix(b"--").and_then(|name| {
            options
                .iter_mut()
                .find(|(known, _)| known.as_bytes() == name)
        });
        let value = words
            .next()
            .and_then(|value| number::parse(value.to_bytes()));
        match (option, value) {
            (Some((_, variable)), Some(value)) => **variable = value,
            _ => {
                eprintln!(
                    "{}: not understood\nusage: {usage}",
                    word.to_bytes().escape_ascii()
                );
                return false;
            }
        }
    }
    true
}
