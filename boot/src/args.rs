//! The command line of `cargo bootimage`.
//!
//! Options that are not ours go to QEMU as they are, `-smp 4` as well as
//! `--smp 4`, before or after a `--`; after it everything does. The usual
//! parsers cannot do that: to them `-smp` is three short options.

use std::path::PathBuf;
use std::time::Duration;

use crate::bench::options::{self, Bench};
use crate::error::{Error, Result};
use crate::session::Options;
use crate::simulate::{self, Simulate};
use crate::trace::options::{self as trace, TraceRun};

/// What a person wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print this help.
    Help(String),
    /// Only set up.
    Setup,
    /// Set up and build.
    Build,
    /// Set up, build and boot.
    Run(Options),
    /// Set up, build and boot the stress.
    Stress(Stress),
    /// Set up, build and measure.
    Bench(Bench),
    /// Set up, build, boot, and write down what the kernel did.
    Trace(TraceRun),
    /// Build and run the simulation.
    Simulate(Simulate),
}

/// How to stress.
#[derive(Clone, Debug)]
pub struct Stress {
    /// How many forkers run at once.
    pub forkers: u32,
    /// For how long.
    pub seconds: u32,
    /// How many threads each forker has besides.
    pub threads: u32,
    /// How to boot.
    pub options: Options,
}

impl Stress {
    /// What the machine runs.
    pub(crate) fn command(&self) -> String {
        let Stress {
            forkers,
            seconds,
            threads,
            ..
        } = self;
        format!("forkstorm --forkers {forkers} --seconds {seconds} --threads {threads}")
    }
}

/// One option of ours.
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    /// The name of its value, if it takes one.
    pub(crate) value: Option<&'static str>,
    pub(crate) help: &'static str,
}

pub(crate) const HELP: Flag = Flag {
    name: "--help",
    value: None,
    help: "Print this help",
};

pub(crate) const BOOT_FLAGS: &[Flag] = &[
    Flag {
        name: "--overlay",
        value: Some("DIR"),
        help: "Lay the files of DIR over the root file system, such\n\
               as your own static Linux binaries; may be repeated",
    },
    Flag {
        name: "--timeout",
        value: Some("SECONDS"),
        help: "Stop the machine after so long; exit status 124",
    },
    Flag {
        name: "--kernel-arg",
        value: Some("KEY=VALUE"),
        help: "Give the kernel a parameter, such as log=debug; may\n\
               be repeated",
    },
    Flag {
        name: "--gdb",
        value: None,
        help: "Wait for gdb before the first instruction, and say\n\
               how to attach it",
    },
    Flag {
        name: "-v",
        value: None,
        help: "Show the kernel's log on the standard error as it\n\
               comes",
    },
    HELP,
];

pub(crate) const EXEC_FLAG: Flag = Flag {
    name: "--exec",
    value: Some("COMMAND"),
    help: "Have the shell run COMMAND instead of coming up, then\n\
           power off with its exit status",
};

const STRESS_FLAGS: &[Flag] = &[
    Flag {
        name: "--forkers",
        value: Some("N"),
        help: "How many trees of processes fork at once [8]",
    },
    Flag {
        name: "--seconds",
        value: Some("N"),
        help: "For how long [30]",
    },
    Flag {
        name: "--threads",
        value: Some("N"),
        help: "How many threads, up to 16, each forker has besides;\n\
               they write all the time [none]",
    },
];

const MAIN_HELP: &str = "\
Builds cowfork, boots it in QEMU, and says how it went.

Usage: cargo bootimage [COMMAND] [OPTIONS] [-- QEMU OPTIONS]

Commands:
  (none)  Set up what is missing and build the kernel, the user programs and
          the root file system
  run     Build and boot: an interactive shell, or one command with --exec
  stress  Build and boot: concurrent forkers that check each other's memory, and
          a verdict
  bench   Measure it, and Linux in the same machine, with the same program
  trace   Build, boot, and write what the kernel did to a file for Perfetto
  simulate  Run its memory system on a simulated machine, in random orders
  setup   Only set up what is missing: the Rust target, QEMU
  help    Print this help, or that of a command

Examples:
  cargo bootimage run -- -smp 4
  cargo bootimage run --exec \"forkstorm --forkers 8 --seconds 5\" -- -smp 4
  cargo bootimage run --overlay my-bin --exec \"/mybench 3\"
  echo 'ls /bin' | cargo bootimage run
  cargo bootimage stress --seconds 60 -- -smp 4 -m 1G
  cargo bootimage bench --vs linux -- -smp 4
  cargo bootimage trace --exec \"forkstorm --seconds 1\" --out trace.json
  cargo bootimage simulate --seconds 600

`cargo bootimage COMMAND --help` lists the options of a command.
";

const RUN_HELP: &str = "\
Builds cowfork and boots it in QEMU.

Usage: cargo bootimage run [OPTIONS] [-- QEMU OPTIONS]

Without --exec a shell comes up; Ctrl-A X quits at once, `exit` powers off. The
standard output carries what the programs write and nothing else. The kernel's
log goes to a file that is named at the end.
";

const STRESS_HELP: &str = "\
Boots cowfork and runs forkstorm: concurrent forkers, each with trees of
children that write known patterns into memory shared by copy-on-write and check
that they see theirs and only theirs. The exit status is 0 only if there was no
mismatch and the kernel's audit is clean.

Usage: cargo bootimage stress [OPTIONS] [-- QEMU OPTIONS]
";

pub(crate) const BOOT_HELP: &str = "
Options that are not listed go to QEMU as they are, and so does everything after
`--`. Unless they say otherwise it gets -smp 4 -m 512M -cpu max, and KVM where
that works. The environment variable QEMU names another qemu-system-x86_64.

Exit status:
  that of the command, if the machine powered off with a clean audit
  64  the command line is wrong        69  set-up, build or QEMU failed
  70  the kernel panicked, was reset, or its audit failed; its log is shown
  124 the time was up
";

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command> {
    let mut arguments: Vec<String> = arguments.into_iter().collect();
    let command = match arguments.first() {
        Some(first) if !first.starts_with('-') => arguments.remove(0),
        _ => String::new(),
    };
    match command.as_str() {
        "" | "build" => plain(&arguments, Command::Build),
        "setup" => plain(&arguments, Command::Setup),
        "run" => run(arguments),
        "stress" => stress(arguments),
        "simulate" => match simulate::parse(arguments)? {
            Some(simulate) => Ok(Command::Simulate(simulate)),
            None => Ok(Command::Help(simulate::help())),
        },
        "bench" => match options::parse(arguments)? {
            Some(bench) => Ok(Command::Bench(bench)),
            None => Ok(Command::Help(options::help())),
        },
        "trace" => match trace::parse(arguments)? {
            Some(run) => Ok(Command::Trace(run)),
            None => Ok(Command::Help(trace::help())),
        },
        "help" => match arguments.first().map(String::as_str) {
            Some("run") => Ok(Command::Help(run_help())),
            Some("stress") => Ok(Command::Help(stress_help())),
            Some("bench") => Ok(Command::Help(options::help())),
            Some("trace") => Ok(Command::Help(trace::help())),
            Some("simulate") => Ok(Command::Help(simulate::help())),
            _ => Ok(Command::Help(MAIN_HELP.into())),
        },
        other => Err(Error::Usage(format!("there is no command `{other}`"))),
    }
}

/// A command without options.
fn plain(arguments: &[String], command: Command) -> Result<Command> {
    match arguments.first().map(String::as_str) {
        None => Ok(command),
        Some("-h" | "--help") => Ok(Command::Help(MAIN_HELP.into())),
        Some(other) => Err(Error::Usage(format!(
            "`{other}` means nothing here: options are for `run` and `stress`"
        ))),
    }
}

fn run(arguments: Vec<String>) -> Result<Command> {
    let mut options = Options::default();
    let flags: Vec<&Flag> = std::iter::once(&EXEC_FLAG).chain(BOOT_FLAGS).collect();
    for (name, value) in split(&flags, arguments, &mut options.qemu)? {
        match name {
            "--help" => return Ok(Command::Help(run_help())),
            "--exec" => options.exec = Some(value),
            _ => boot_option(&mut options, name, value)?,
        }
    }
    Ok(Command::Run(options))
}

fn stress(arguments: Vec<String>) -> Result<Command> {
    let mut stress = Stress {
        forkers: 8,
        seconds: 30,
        threads: 0,
        options: Options::default(),
    };
    let flags: Vec<&Flag> = STRESS_FLAGS.iter().chain(BOOT_FLAGS).collect();
    for (name, value) in split(&flags, arguments, &mut stress.options.qemu)? {
        match name {
            "--help" => return Ok(Command::Help(stress_help())),
            "--forkers" => stress.forkers = number(name, &value)?,
            "--seconds" => stress.seconds = number(name, &value)?,
            "--threads" => stress.threads = number(name, &value)?,
            _ => boot_option(&mut stress.options, name, value)?,
        }
    }
    Ok(Command::Stress(stress))
}

/// Takes one of [`BOOT_FLAGS`].
pub(crate) fn boot_option(options: &mut Options, name: &str, value: String) -> Result<()> {
    match name {
        "--overlay" => options.overlays.push(PathBuf::from(value)),
        "--timeout" => {
            options.timeout = Some(Duration::from_secs(number(name, &value)?.into()));
        }
        "--kernel-arg" => match value.split_once('=') {
            Some((key, value)) => options.kernel_args.push((key.into(), value.into())),
            None => return Err(Error::Usage(format!("--kernel-arg {value}: it has no `=`"))),
        },
        "--gdb" => options.gdb = true,
        _ => options.show_log = true,
    }
    Ok(())
}

/// Splits `arguments` into our options with their values, and QEMU's.
pub(crate) fn split(
    flags: &[&Flag],
    arguments: Vec<String>,
    qemu: &mut Vec<String>,
) -> Result<Vec<(&'static str, String)>> {
    let mut ours = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            qemu.extend(rest);
            break;
        }
        let (name, glued) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let name = match name {
            "-h" => "--help",
            "--verbose" => "-v",
            name => name,
        };
        let Some(flag) = flags.iter().find(|flag| flag.name == name) else {
            qemu.push(argument);
            continue;
        };
        let value = match (flag.value, glued) {
            (None, None) => String::new(),
            (None, Some(_)) => return Err(Error::Usage(format!("{name} takes no value"))),
            (Some(_), Some(value)) => value,
            (Some(what), None) => rest
                .next()
                .ok_or_else(|| Error::Usage(format!("{name} needs a value: {name} {what}")))?,
        };
        ours.push((flag.name, value));
    }
    Ok(ours)
}

pub(crate) fn number(name: &str, value: &str) -> Result<u32> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Error::Usage(format!(
            "{name} {value}: a number above 0 is wanted"
        ))),
    }
}

fn run_help() -> String {
    let flags = describe(std::iter::once(&EXEC_FLAG).chain(BOOT_FLAGS));
    format!("{RUN_HELP}\nOptions:\n{flags}{BOOT_HELP}")
}

fn stress_help() -> String {
    let flags = describe(STRESS_FLAGS.iter().chain(BOOT_FLAGS));
    format!("{STRESS_HELP}\nOptions:\n{flags}{BOOT_HELP}")
}

pub(crate) fn describe(flags: impl Iterator<Item = &'static Flag>) -> String {
    let mut text = String::new();
    for flag in flags {
        let name = match (flag.name, flag.value) {
            (name, Some(value)) => format!("{name} {value}"),
            ("-v", None) => "-v, --verbose".into(),
            ("--help", None) => "-h, --help".into(),
            (name, None) => name.into(),
        };
        for (index, line) in flag.help.lines().enumerate() {
            let name = if index == 0 { name.as_str() } else { "" };
            text.push_str(&format!("  {name:<23} {}\n", line.trim_start()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(String::from))
    }

    fn run_options(line: &str) -> Options {
        match parsed(line) {
            Ok(Command::Run(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_a_command_it_builds() {
        assert!(matches!(parsed(""), Ok(Command::Build)));
        assert!(matches!(parsed("setup"), Ok(Command::Setup)));
    }

    #[test]
    fn qemu_gets_what_is_not_ours_with_or_without_dashes() {
        for line in ["run -- -smp 4", "run -smp 4"] {
            assert_eq!(run_options(line).qemu, ["-smp", "4"], "{line}");
        }
        let options = run_options("run -smp 4 --exec ls -m 64M --gdb -- -v --exec x");
        assert_eq!(
            options.qemu,
            ["-smp", "4", "-m", "64M", "-v", "--exec", "x"]
        );
        assert_eq!(options.exec.as_deref(), Some("ls"));
        assert!(options.gdb && !options.show_log);
    }

    #[test]
    fn values_may_be_glued_on() {
        let options = run_options("run --exec=ls --timeout=5 --kernel-arg=log=debug");
        assert_eq!(options.exec.as_deref(), Some("ls"));
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
        assert_eq!(options.kernel_args, [("log".into(), "debug".into())]);
    }

    #[test]
    fn overlays_and_kernel_arguments_add_up() {
        let options = run_options("run --overlay a --overlay b --kernel-arg x=1 --kernel-arg y=");
        assert_eq!(options.overlays, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(
            options.kernel_args,
            [("x".into(), "1".into()), ("y".into(), "".into())]
        );
    }

    #[test]
    fn the_stress_has_its_own_numbers() {
        let Ok(Command::Stress(stress)) = parsed("stress --forkers 3 -m 64M") else {
            panic!("no stress");
        };
        assert_eq!((stress.forkers, stress.seconds, stress.threads), (3, 30, 0));
        assert_eq!(stress.options.qemu, ["-m", "64M"]);
        assert_eq!(
            stress.command(),
            "forkstorm --forkers 3 --seconds 30 --threads 0"
        );
        let Ok(Command::Stress(stress)) = parsed("stress --threads 2 --seconds=5") else {
            panic!("no stress with threads");
        };
        assert_eq!(
            stress.command(),
            "forkstorm --forkers 8 --seconds 5 --threads 2"
        );
    }

    #[test]
    fn mistakes_are_refused() {
        for line in [
            "rum",
            "--release",
            "run --exec",
            "run --timeout soon",
            "run --timeout 0",
            "run --gdb=yes",
            "run --kernel-arg log",
            "stress --threads",
            "stress --threads many",
        ] {
            assert!(matches!(parsed(line), Err(Error::Usage(_))), "{line}");
        }
    }

    #[test]
    fn help_tells_every_option_and_fits_a_terminal() {
        for line in ["run --help", "stress -h", "--help", "help run"] {
            let Ok(Command::Help(help)) = parsed(line) else {
                panic!("{line}: no help");
            };
            assert!(
                help.lines().all(|line| line.chars().count() <= 80),
                "{line}"
            );
        }
        let help = run_help();
        for flag in std::iter::once(&EXEC_FLAG).chain(BOOT_FLAGS) {
            assert!(help.contains(flag.name), "{}", flag.name);
        }
    }
}
