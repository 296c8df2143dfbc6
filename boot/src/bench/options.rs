//! The command line of `cargo bootimage bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

use crate::options::seconds;

/// Measure it, and Linux in the same machine, with the same program
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("{TEXT}\n\n{AFTER}"))]
pub struct Bench {
    /// Measure Debian's Linux as well, in the same machine and with the same root file
    /// system, in turn
    #[arg(long, value_name = "linux", value_enum, hide_possible_values = true)]
    vs: Option<Other>,
    /// The same with this bzImage instead of Debian's
    #[arg(long, value_name = "FILE")]
    pub linux_kernel: Option<PathBuf>,
    /// How often each kernel is booted
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Only this benchmark or metric; may be repeated. `forkbench --list` in the machine names
    /// them
    #[arg(long = "bench", value_name = "NAME", conflicts_with_all = ["update", "document"])]
    pub only: Vec<String>,
    /// Fewer repetitions
    #[arg(long)]
    pub quick: bool,
    /// Count guest instructions on one CPU, which repeats to the digit, and compare with the
    /// file in the tree
    #[arg(long, conflicts_with_all = ["qemu", "html"])]
    pub count: bool,
    /// With --count: write the counts into that file
    #[arg(long, requires = "count")]
    pub update: bool,
    /// Write all results there
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with tables and plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write tables and plots into docs/performance.md
    #[arg(long)]
    pub document: bool,
    /// Of one boot
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub timeout: Duration,
    /// Options for QEMU, such as -smp 2
    #[arg(last = true, value_name = "QEMU OPTIONS")]
    pub qemu: Vec<String>,
}

/// What cowfork is measured against.
#[derive(ValueEnum, Clone, Copy, Debug)]
enum Other {
    Linux,
}

impl Bench {
    /// Whether Linux is measured too.
    #[must_use]
    pub fn vs_linux(&self) -> bool {
        self.vs.is_some() || self.linux_kernel.is_some()
    }
}

const TEXT: &str = "\
Boots cowfork, runs the benchmark `forkbench`, and shows what it measures;
with --vs linux the same program on Linux too, with ratios. A ratio above 1
says that cowfork is the better one.";

const AFTER: &str = "\
Everything after `--` goes to QEMU as it is. Unless it says otherwise QEMU gets
-smp 4 -m 1G, KVM where that works, and under emulation -cpu max,-erms,-fsrm.
What needs more memory is measured in a machine of its own, with -m 4G. The
environment variable QEMU names another qemu-system-x86_64.

Exit status:
  0   it was measured        1   with --count: an operation takes over 10 % more
  64  the command line is wrong        69  set-up, build or a boot failed";

#[cfg(test)]
impl Default for Bench {
    /// As without any option.
    fn default() -> Self {
        use clap::FromArgMatches;

        let none = Bench::augment_args(clap::Command::new("bench")).get_matches_from(["bench"]);
        Bench::from_arg_matches(&none).expect("every option has a default")
    }
}
