//! The command line of `cargo bootimage`, read by `clap`.
//!
//! Options for QEMU stand after `--`, and only there. They look like no others (`-smp 4` is
//! one option of QEMU's and three short ones to any other parser), so a parser that takes them
//! anywhere cannot tell a misspelt option of ours from one of QEMU's: the mistake surfaces as
//! an error of QEMU, or not at all. With the dashes an unknown option is an error that names
//! it, and an ordinary parser does the rest: values, conflicts, help.
//!
//! Of clap's features only what this needs: no colours, no guesses at what was meant.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand, value_parser};

use crate::bench::options::Bench;
use crate::error::{Error, Result};
use crate::iso::Iso;
use crate::options::Options;
use crate::simulate::Simulate;

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Request {
    /// To print this text.
    Help(String),
    /// To do something.
    Do(Box<Command>),
}

/// What the tool does.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Set up what is missing and build the kernel, the user programs and the root file
    /// system; so does no command at all
    Build,
    Run(Run),
    Stress(Stress),
    Bench(Bench),
    Trace(Trace),
    Simulate(Simulate),
    Image(Iso),
    /// Only set up what is missing: the Rust target, QEMU
    Setup,
}

/// Builds cowfork, boots it in QEMU, and says how it went
#[derive(Parser)]
#[command(
    bin_name = "cargo bootimage",
    no_binary_name = true,
    override_usage = "cargo bootimage [COMMAND] [OPTIONS] [-- QEMU OPTIONS]",
    subcommand_help_heading = "Commands",
    max_term_width = 80,
    after_help = EXAMPLES
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Build and boot: an interactive shell, or one command with --exec
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{RUN}\n\n{BOOT_HELP}"))]
pub struct Run {
    /// Have the shell run COMMAND instead of coming up, then power off with its exit status
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// Build and boot: forkers that check each other's memory, and a verdict
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{STRESS}\n\n{BOOT_HELP}"))]
pub struct Stress {
    /// How many trees of processes fork at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = value_parser!(u32).range(1..))]
    forkers: u32,
    /// For how long
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many threads, up to 16, each forker has besides; they write all the time [none]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    threads: Option<u32>,
    #[command(flatten)]
    options: Options,
}

/// Build, boot, and write what the kernel did to a file for Perfetto
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{TRACE}\n\n{BOOT_HELP}"))]
pub struct Trace {
    /// Have the shell run COMMAND instead of coming up, then power off with its exit status
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Where the trace goes
    #[arg(long, value_name = "FILE", default_value = "trace.json")]
    pub(crate) out: PathBuf,
    /// How many events are kept of each CPU, the newest; rounded up to a power of two
    #[arg(long, value_name = "N", default_value_t = 65536, value_parser = value_parser!(u32).range(1..))]
    records: u32,
    #[command(flatten)]
    options: Options,
}

impl Run {
    /// How to boot.
    pub(crate) fn options(&self) -> Options {
        Options {
            exec: self.exec.clone(),
            ..self.options.clone()
        }
    }
}

impl Stress {
    /// How to boot.
    pub(crate) fn options(&self) -> Options {
        let (forkers, seconds) = (self.forkers, self.seconds);
        let threads = self.threads.unwrap_or(0);
        let command =
            format!("forkstorm --forkers {forkers} --seconds {seconds} --threads {threads}");
        Options {
            exec: Some(command),
            ..self.options.clone()
        }
    }
}

impl Trace {
    /// How to boot.
    pub(crate) fn options(&self) -> Options {
        Options {
            exec: self.exec.clone(),
            trace: Some(self.records),
            ..self.options.clone()
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  cargo bootimage run -- -smp 4
  cargo bootimage run --exec \"forkstorm --forkers 8 --seconds 5\" -- -smp 4
  cargo bootimage run --overlay my-bin --exec \"/mybench 3\"
  cargo bootimage run --packages bash,python3-minimal
  cargo bootimage run --rootfs alpine-minirootfs.tar.gz --exec \"apk --version\"
  echo 'ls /bin' | cargo bootimage run
  cargo bootimage stress --seconds 60 -- -smp 4 -m 1G
  cargo bootimage bench --vs linux -- -smp 4
  cargo bootimage trace --exec \"forkstorm --seconds 1\" --out trace.json
  cargo bootimage simulate --seconds 600
  cargo bootimage image --exec cowforktest --out c.iso

`cargo bootimage COMMAND --help` lists the options of a command. The tool works
on the checkout that the current folder is in.";

const RUN: &str = "\
Without --exec a shell comes up; Ctrl-A X quits at once, `exit` powers off.
The standard output carries what the programs write and nothing else. The
kernel's log goes to a file that is named at the end.";

const STRESS: &str = "\
Runs forkstorm: concurrent forkers, each with trees of children that write
known patterns into memory shared by copy-on-write and check that they see
theirs and only theirs. The exit status is 0 only if there was no mismatch and
the kernel's audit is clean.";

const TRACE: &str = "\
The file has the Chrome trace format, for https://ui.perfetto.dev: a row for
each CPU with slices for polls, system calls, faults, shootdowns,
acknowledgements and drops of references, and arrows from each shootdown to
its acknowledgements, and from there to what it released. A kernel that panics
or hangs (--timeout) leaves a trace as well.";

const BOOT_HELP: &str = "\
Everything after `--` goes to QEMU as it is. Unless it says otherwise QEMU gets
-smp 4 -cpu max, -m 512M or what the root file system needs, and KVM where that
works. The environment variable QEMU names another qemu-system-x86_64.

With --rootfs and --packages our own programs are in /usr/lib/cowfork/bin.

Exit status:
  that of the command, if the machine powered off with a clean audit
  64  the command line is wrong
  69  set-up, build or QEMU failed, or the root file system does not fit
  70  the kernel panicked, was reset, or its audit failed; its log is shown
  124 the time was up";

/// Where to write an option that was taken for one of ours.
const QEMU_HINT: &str = "Options for QEMU stand after `--`, as in `cargo bootimage run -- -smp 4`.";

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Request> {
    match CommandLine::try_parse_from(arguments) {
        Ok(line) => Ok(Request::Do(Box::new(
            line.command.unwrap_or(Command::Build),
        ))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp => Ok(Request::Help(error.to_string())),
            _ => Err(Error::Usage(explained(error))),
        },
    }
}

/// The parser's words, and where QEMU's options go.
fn explained(mut error: clap::Error) -> String {
    // Its own advice for a word with a dash is to put that word alone after `--`.
    error.remove(ContextKind::Suggested);
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    let (text, _) = text.split_once("\n\nFor more").unwrap_or((text, ""));
    // The usage says whether the command takes any.
    let takes_qemu_options = text.contains("<QEMU OPTIONS>");
    if error.kind() == ErrorKind::UnknownArgument && takes_qemu_options {
        format!("{text}\n{QEMU_HINT}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use clap::CommandFactory;

    fn parsed(line: &str) -> Result<Command> {
        match parse(line.split_whitespace())? {
            Request::Do(command) => Ok(*command),
            Request::Help(text) => panic!("{line}: {text}"),
        }
    }

    fn run_options(line: &str) -> Options {
        match parsed(line) {
            Ok(Command::Run(run)) => run.options(),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn bench(line: &str) -> Bench {
        match parsed(line) {
            Ok(Command::Bench(bench)) => bench,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn without_a_command_it_builds() {
        for line in ["", "build"] {
            assert!(matches!(parsed(line), Ok(Command::Build)), "{line}");
        }
        assert!(matches!(parsed("setup"), Ok(Command::Setup)));
    }

    #[test]
    fn qemu_gets_what_stands_after_the_dashes() {
        assert_eq!(run_options("run -- -smp 4").qemu, ["-smp", "4"]);
        let options = run_options("run --exec ls --gdb -- -m 64M -v --exec x -- y");
        assert_eq!(options.qemu, ["-m", "64M", "-v", "--exec", "x", "--", "y"]);
        assert_eq!(options.exec.as_deref(), Some("ls"));
        assert!(options.gdb && !options.show_log);
    }

    #[test]
    fn a_qemu_option_before_the_dashes_is_refused_with_advice() {
        for line in ["run -smp 4", "stress -m 64M", "bench --smp 2"] {
            let error = parsed(line).expect_err(line).to_string();
            assert!(error.contains(QEMU_HINT), "{line}: {error}");
        }
        let error = parsed("simulate -smp 4").expect_err("no QEMU").to_string();
        assert!(!error.contains(QEMU_HINT), "{error}");
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
        for (line, command) in [
            ("stress --forkers 3", "--forkers 3 --seconds 30 --threads 0"),
            (
                "stress --threads 2 --seconds=5",
                "--forkers 8 --seconds 5 --threads 2",
            ),
        ] {
            let Ok(Command::Stress(stress)) = parsed(line) else {
                panic!("no stress");
            };
            let exec = stress.options().exec.unwrap_or_default();
            assert_eq!(exec, format!("forkstorm {command}"));
        }
    }

    #[test]
    fn a_trace_has_a_file_and_a_size() {
        let Ok(Command::Trace(trace)) = parsed("trace --exec ls --records 9 --out t -- -smp 2")
        else {
            panic!("no trace");
        };
        let options = trace.options();
        assert_eq!(trace.out, PathBuf::from("t"));
        assert_eq!(options.trace, Some(9));
        assert_eq!(options.exec.as_deref(), Some("ls"));
        assert_eq!(options.qemu, ["-smp", "2"]);
    }

    #[test]
    fn benchmarks_are_chosen_by_name() {
        let line = "bench --rounds 5 --bench fork-0 --bench cow.copy --html=x.html -- -smp 2";
        let measured = bench(line);
        assert!(!measured.vs_linux() && !measured.count);
        assert_eq!(measured.rounds, 5);
        assert_eq!(measured.only, ["fork-0", "cow.copy"]);
        assert_eq!(measured.html, Some("x.html".into()));
        assert_eq!(measured.qemu, ["-smp", "2"]);
        assert!(bench("bench --vs linux").vs_linux());
        assert!(bench("bench --linux-kernel bzImage").vs_linux());
    }

    #[test]
    fn a_simulation_has_a_seed() {
        let Ok(Command::Simulate(simulate)) =
            parsed("simulate --seconds 5 --seed=27393623581629 --cpus 8")
        else {
            panic!("no simulation");
        };
        let expected = Simulate {
            seconds: 5,
            seed: Some(27_393_623_581_629),
            cpus: Some(8),
            steps: None,
        };
        assert_eq!(simulate, expected);
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
            "trace --records 0",
            "bench --vs windows",
            "bench --rounds 0",
            "bench --update",
            "bench --count --update --bench fork-0",
            "bench --count -- -smp 4",
            "bench --count --html x",
            "bench --document --bench fork-0",
            "simulate --seconds 0",
            "simulate --seed x",
            "simulate -- -smp 4",
            "simulate --cpus",
        ] {
            let error = parsed(line).expect_err(line);
            assert_eq!(error.exit_code(), 64, "{line}");
        }
    }

    #[test]
    fn every_command_has_a_help_that_fits_a_terminal() {
        CommandLine::command().debug_assert();
        let commands = [
            "run", "stress", "bench", "trace", "simulate", "build", "setup",
        ];
        let of_commands = commands
            .iter()
            .flat_map(|command| [format!("{command} --help"), format!("help {command}")]);
        for line in of_commands.chain(["-h", "--help", "help"].map(String::from)) {
            let Ok(Request::Help(help)) = parse(line.split_whitespace()) else {
                panic!("{line}: no help");
            };
            let fits = |line: &str| line.chars().count() <= 80;
            assert!(help.lines().all(fits), "{help}");
            assert!(help.contains("--help"), "{help}");
        }
    }
}
