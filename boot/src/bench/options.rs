//! The command line of `cargo bootimage bench`.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Flag, HELP, describe, number, split};
use crate::error::{Error, Result};

/// How to measure.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Measure Linux too.
    pub vs_linux: bool,
    /// This kernel instead of Debian's.
    pub linux_kernel: Option<PathBuf>,
    /// Count guest instructions instead of time.
    pub count: bool,
    /// Write the counts into the file in the tree.
    pub update: bool,
    pub rounds: u32,
    /// Only these benchmarks or metrics.
    pub only: Vec<String>,
    /// Fewer repetitions.
    pub quick: bool,
    /// Write the results there.
    pub json: Option<PathBuf>,
    pub html: Option<PathBuf>,
    /// Write the results into `docs/performance.md`.
    pub document: bool,
    /// Of one boot.
    pub timeout: Duration,
    /// Options for QEMU.
    pub qemu: Vec<String>,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            vs_linux: false,
            linux_kernel: None,
            count: false,
            update: false,
            rounds: 3,
            only: Vec::new(),
            quick: false,
            json: None,
            html: None,
            document: false,
            timeout: Duration::from_secs(900),
            qemu: Vec::new(),
        }
    }
}

const FLAGS: &[Flag] = &[
    Flag {
        name: "--vs",
        value: Some("linux"),
        help: "Measure Debian's Linux as well, in the same machine\n\
               and with the same root file system, in turn",
    },
    Flag {
        name: "--linux-kernel",
        value: Some("FILE"),
        help: "With this bzImage instead of Debian's",
    },
    Flag {
        name: "--rounds",
        value: Some("N"),
        help: "How often each kernel is booted [3]",
    },
    Flag {
        name: "--bench",
        value: Some("NAME"),
        help: "Only this benchmark or metric; may be repeated.\n\
               `forkbench --list` in the machine names them",
    },
    Flag {
        name: "--quick",
        value: None,
        help: "Fewer repetitions",
    },
    Flag {
        name: "--count",
        value: None,
        help: "Count guest instructions on one CPU, which repeats to\n\
               the digit, and compare with the file in the tree",
    },
    Flag {
        name: "--update",
        value: None,
        help: "With --count: write the counts into that file",
    },
    Flag {
        name: "--json",
        value: Some("FILE"),
        help: "Write all results there",
    },
    Flag {
        name: "--html",
        value: Some("FILE"),
        help: "Write a page with tables and plots",
    },
    Flag {
        name: "--document",
        value: None,
        help: "Write tables and plots into docs/performance.md",
    },
    Flag {
        name: "--timeout",
        value: Some("SECONDS"),
        help: "Of one boot [900]",
    },
    HELP,
];

const TEXT: &str = "\
Boots cowfork, runs the benchmark `forkbench`, and shows what it measures; with
--vs linux the same program on Linux too, with ratios. A ratio above 1 says that
cowfork is the better one.

Usage: cargo bootimage bench [OPTIONS] [-- QEMU OPTIONS]
";

const AFTER: &str = "
Options that are not listed go to QEMU as they are, and so does everything after
`--`. Unless they say otherwise it gets -smp 4 -m 1G, KVM where that works, and
under emulation -cpu max,-erms,-fsrm. The environment variable QEMU names
another qemu-system-x86_64.

Exit status:
  0   it was measured        1   with --count: an operation takes over 10 % more
  64  the command line is wrong        69  set-up, build or a boot failed
";

/// The help.
#[must_use]
pub fn help() -> String {
    format!("{TEXT}\nOptions:\n{}{AFTER}", describe(FLAGS.iter()))
}

/// Reads the arguments after `bench`; `None` asks for help.
pub fn parse(arguments: Vec<String>) -> Result<Option<Bench>> {
    let mut bench = Bench::default();
    let flags: Vec<&Flag> = FLAGS.iter().collect();
    for (name, value) in split(&flags, arguments, &mut bench.qemu)? {
        match name {
            "--help" => return Ok(None),
            "--vs" if value == "linux" => bench.vs_linux = true,
            "--vs" => return Err(Error::Usage(format!("--vs {value}: only `linux` is known"))),
            "--linux-kernel" => {
                bench.linux_kernel = Some(value.into());
                bench.vs_linux = true;
            }
            "--rounds" => bench.rounds = number(name, &value)?,
            "--bench" => bench.only.push(value),
            "--quick" => bench.quick = true,
            "--count" => bench.count = true,
            "--update" => bench.update = true,
            "--json" => bench.json = Some(value.into()),
            "--html" => bench.html = Some(value.into()),
            "--document" => bench.document = true,
            _ => bench.timeout = Duration::from_secs(number(name, &value)?.into()),
        }
    }
    let conflict = |what: &str| Err(Error::Usage(what.into()));
    if bench.update && !bench.count {
        return conflict("--update is for --count");
    }
    if (bench.update || bench.document) && !bench.only.is_empty() {
        return conflict("--update and --document want all benchmarks, without --bench");
    }
    if bench.count && !bench.qemu.is_empty() {
        return conflict("--count takes no QEMU options: counts are of one machine");
    }
    if bench.count && bench.html.is_some() {
        return conflict("--html is for times");
    }
    Ok(Some(bench))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Bench>> {
        parse(line.split_whitespace().map(String::from).collect())
    }

    #[test]
    fn ours_and_qemus_options_are_told_apart() {
        let line = "--vs linux --rounds 5 --bench fork-0 --bench cow.copy --html=x.html -- -smp 2";
        let bench = parsed(line).expect("a line").expect("no help");
        assert!(bench.vs_linux && !bench.count);
        assert_eq!(bench.rounds, 5);
        assert_eq!(bench.only, ["fork-0", "cow.copy"]);
        assert_eq!(bench.html, Some("x.html".into()));
        assert_eq!(bench.qemu, ["-smp", "2"]);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "--vs windows",
            "--rounds 0",
            "--update",
            "--count --update --bench fork-0",
            "--count -- -smp 4",
            "--count --html x",
            "--document --bench fork-0",
        ] {
            assert!(matches!(parsed(line), Err(Error::Usage(_))), "{line}");
        }
    }

    #[test]
    fn the_help_tells_every_option_and_fits_a_terminal() {
        assert!(parsed("--help").expect("a line").is_none());
        let help = help();
        assert!(help.lines().all(|line| line.chars().count() <= 80));
        assert!(FLAGS.iter().all(|flag| help.contains(flag.name)));
    }
}
