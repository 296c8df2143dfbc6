//! The kernel's command line.
//!
//! Words are separated by spaces; double quotes keep a word together, as on
//! Linux (`next_arg` in `lib/cmdline.c`), which knows no way to write a double
//! quote itself. Words before `--` are the kernel's, words after it the
//! arguments of the first process.

use crate::error::{Error, Result};

/// Where a command that cannot be quoted is put in the root file system.
pub const SCRIPT: &str = "/boot/command";

/// A command line, and the file that it relies on.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The text for QEMU's `-append`.
    pub text: String,
    /// What has to be in the root file system as [`SCRIPT`].
    pub script: Option<String>,
}

/// The command line for the kernel's parameters, for options of the first process, and for
/// the shell command `exec`; without one the first process starts an interactive shell.
pub fn build(
    parameters: &[(String, String)],
    init: &[String],
    exec: Option<&str>,
) -> Result<CommandLine> {
    let mut words = Vec::new();
    for (key, value) in parameters {
        if key.is_empty() || key.contains([' ', '"', '=']) || value.contains('"') {
            return Err(Error::Usage(format!(
                "--kernel-arg {key}={value}: a key cannot be empty or have spaces, and neither can have double quotes"
            )));
        }
        words.push(match value.as_str() {
            // A switch, as Linux has many.
            "" => key.clone(),
            value => format!("{key}={}", quoted(value)),
        });
    }
    let mut script = None;
    if !init.is_empty() || exec.is_some() {
        words.push("--".into());
    }
    words.extend(init.iter().map(|word| quoted(word)));
    if let Some(exec) = exec {
        words.push("-c".into());
        if exec.contains('"') {
            script = Some(format!("{exec}\n"));
            words.push(format!("\"sh {SCRIPT}\""));
        } else {
            words.push(format!("\"{exec}\""));
        }
    }
    Ok(CommandLine {
        text: words.join(" "),
        script,
    })
}

fn quoted(value: &str) -> String {
    if value.contains(char::is_whitespace) {
        format!("\"{value}\"")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn the_command_is_one_word_after_the_dashes() {
        let line =
            build(&[pair("log", "debug")], &[], Some("forkstorm --forkers 8")).expect("a line");
        assert_eq!(line.text, r#"log=debug -- -c "forkstorm --forkers 8""#);
        assert_eq!(line.script, None);
    }

    #[test]
    fn without_a_command_there_are_no_dashes() {
        assert_eq!(build(&[], &[], None).expect("a line").text, "");
    }

    #[test]
    fn options_of_the_first_process_come_before_the_command() {
        let init = ["--env".into(), "TERM=x".into()];
        let line = |exec| build(&[], &init, exec).expect("a line").text;
        assert_eq!(line(None), "-- --env TERM=x");
        assert_eq!(line(Some("ls")), r#"-- --env TERM=x -c "ls""#);
    }

    #[test]
    fn a_command_with_double_quotes_goes_into_a_file() {
        let line = build(&[], &[], Some(r#"echo "a  b""#)).expect("a line");
        assert_eq!(line.text, r#"-- -c "sh /boot/command""#);
        assert_eq!(line.script.as_deref(), Some("echo \"a  b\"\n"));
    }

    #[test]
    fn a_key_without_a_value_is_a_word_alone() {
        let line = build(&[pair("quiet", ""), pair("panic", "-1")], &[], None).expect("a line");
        assert_eq!(line.text, "quiet panic=-1");
    }

    #[test]
    fn values_with_spaces_are_quoted() {
        let line = build(&[pair("note", "two words")], &[], None).expect("a line");
        assert_eq!(line.text, r#"note="two words""#);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert!(build(&[pair("a b", "c")], &[], None).is_err());
        assert!(build(&[pair("", "c")], &[], None).is_err());
        assert!(build(&[pair("a", "\"")], &[], None).is_err());
    }
}
