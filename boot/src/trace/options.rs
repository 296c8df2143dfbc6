//! The command line of `cargo bootimage trace`.

use std::path::PathBuf;

use crate::args::{BOOT_FLAGS, BOOT_HELP, EXEC_FLAG, Flag, boot_option, describe, number, split};
use crate::error::Result;
use crate::session::Options;

/// What to trace.
#[derive(Clone, Debug)]
pub struct TraceRun {
    /// The file for Perfetto.
    pub out: PathBuf,
    /// How to boot.
    pub options: Options,
}

const FLAGS: &[Flag] = &[
    EXEC_FLAG,
    Flag {
        name: "--out",
        value: Some("FILE"),
        help: "Where the trace goes [trace.json]",
    },
    Flag {
        name: "--records",
        value: Some("N"),
        help: "How many events are kept of each CPU, the newest;\n\
               rounded up to a power of two [65536]",
    },
];

const TEXT: &str = "\
Boots cowfork with its event trace on, and writes the events in the Chrome trace
format, for https://ui.perfetto.dev: a row for each CPU with slices for polls,
system calls, faults, shootdowns, acknowledgements and drops of references, and
arrows from each shootdown to its acknowledgements, and from there to what it
released. A kernel that panics or hangs (--timeout) leaves a trace as well.

Usage: cargo bootimage trace [OPTIONS] [-- QEMU OPTIONS]
";

/// The help.
#[must_use]
pub fn help() -> String {
    let flags = describe(FLAGS.iter().chain(BOOT_FLAGS));
    format!("{TEXT}\nOptions:\n{flags}{BOOT_HELP}")
}

/// Reads the arguments after `trace`; `None` asks for help.
pub fn parse(arguments: Vec<String>) -> Result<Option<TraceRun>> {
    let mut run = TraceRun {
        out: PathBuf::from("trace.json"),
        options: Options {
            trace: Some(1 << 16),
            ..Options::default()
        },
    };
    let flags: Vec<&Flag> = FLAGS.iter().chain(BOOT_FLAGS).collect();
    for (name, value) in split(&flags, arguments, &mut run.options.qemu)? {
        match name {
            "--help" => return Ok(None),
            "--exec" => run.options.exec = Some(value),
            "--out" => run.out = PathBuf::from(value),
            "--records" => run.options.trace = Some(number(name, &value)?),
            _ => boot_option(&mut run.options, name, value)?,
        }
    }
    Ok(Some(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<TraceRun>> {
        parse(line.split_whitespace().map(String::from).collect())
    }

    #[test]
    fn a_trace_has_a_file_and_a_size() {
        let run = parsed("--exec ls --records 9 --out t -smp 2");
        let run = run.expect("good options").expect("no help");
        assert_eq!(run.out, PathBuf::from("t"));
        assert_eq!(run.options.trace, Some(9));
        assert_eq!(run.options.exec.as_deref(), Some("ls"));
        assert_eq!(run.options.qemu, ["-smp", "2"]);
        assert!(parsed("--records 0").is_err());
        assert!(matches!(parsed("--exec ls -h"), Ok(None)));
    }
}
