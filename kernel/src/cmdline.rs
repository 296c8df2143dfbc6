//! The kernel's command line, in Linux's form: `key=value` words, then ` -- ` and the
//! words for init.
//!
//! Double quotes keep spaces together, and may stand anywhere in a word: `"a b"`, `key="a
//! b"`.

use alloc::string::String;
use alloc::vec::Vec;

/// The command line, taken apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommandLine {
    parameters: Vec<(String, String)>,
    /// The words for init.
    pub init: Vec<String>,
}

impl CommandLine {
    /// Takes a command line apart.
    pub fn parse(text: &str) -> CommandLine {
        let mut line = CommandLine::default();
        let mut words = words(text).into_iter();
        for word in words.by_ref() {
            if word == "--" {
                break;
            }
            let (key, value) = word.split_once('=').unwrap_or((&word, ""));
            line.parameters.push((key.into(), value.into()));
        }
        line.init = words.collect();
        line
    }

    /// The value of a parameter; of the last one, when it is given more than once.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_end_where_the_words_of_init_begin() {
        let line = CommandLine::parse(r#"log=debug quiet log=info -- -c "a  b" "" x"y z""#);
        assert_eq!(line.get("log"), Some("info"));
        assert_eq!(line.get("quiet"), Some(""));
        assert_eq!(line.get("absent"), None);
        assert_eq!(line.init, ["-c", "a  b", "", "xy z"]);
    }
}
