//! `cargo bootimage simulate`: the kernel's memory system on the simulated machine, for as
//! long as one likes.
//!
//! The simulation is a test of the kernel crate, as are the faults which show that it finds
//! something. So this builds the kernel's tests for the host, and runs that one with what
//! it is asked for in the environment. It runs on all CPUs of the host and says how far it
//! is; a seed that finds something is shown with the command that repeats it.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::args::{Flag, HELP, describe, number, split};
use crate::error::{Doing, Error, Result};
use crate::progress::note;
use crate::workspace::Workspace;

/// The test that does as the environment says.
const TEST: &str = "memory::tests::simulation::on_request";
/// The exit status when a seed has found something.
const FOUND: u8 = 1;

/// What to simulate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulate {
    /// For how long runs begin.
    pub seconds: u32,
    /// The first seed; one that was not there before if none is given.
    pub seed: Option<u64>,
    /// CPUs of the machine; otherwise each seed chooses.
    pub cpus: Option<u32>,
    /// Operations in a run.
    pub steps: Option<u32>,
}

const FLAGS: &[Flag] = &[
    Flag {
        name: "--seconds",
        value: Some("N"),
        help: "For how long [60]",
    },
    Flag {
        name: "--seed",
        value: Some("N"),
        help: "The first seed [another one each time]",
    },
    Flag {
        name: "--cpus",
        value: Some("N"),
        help: "CPUs of the simulated machine [1 to 8, by the seed]",
    },
    Flag {
        name: "--steps",
        value: Some("N"),
        help: "Operations of the programs in one run [300]",
    },
    HELP,
];

const TEXT: &str = "\
Runs the kernel's own memory system on a simulated machine: random programs on
1 to 8 CPUs, in an order that follows from a seed, with TLBs, store buffers and
interrupts as nasty as the architecture allows. What the programs see is
compared with a plain model. Needs no QEMU; uses all CPUs of the host.

Usage: cargo bootimage simulate [OPTIONS]
";

const AFTER: &str = "
A seed that finds something is printed with the command that repeats it, and
made as small as it goes.

Exit status:
  0   nothing was found      1   a seed has found something
  64  the command line is wrong        69  the build failed
";

/// The help.
#[must_use]
pub fn help() -> String {
    format!("{TEXT}\nOptions:\n{}{AFTER}", describe(FLAGS.iter()))
}

/// Reads the arguments after `simulate`; `None` asks for help.
pub fn parse(arguments: Vec<String>) -> Result<Option<Simulate>> {
    let mut simulate = Simulate {
        seconds: 60,
        ..Simulate::default()
    };
    let (flags, mut rest): (Vec<&Flag>, _) = (FLAGS.iter().collect(), Vec::new());
    for (name, value) in split(&flags, arguments, &mut rest)? {
        match name {
            "--help" => return Ok(None),
            "--seconds" => simulate.seconds = number(name, &value)?,
            "--seed" => {
                let seed = value.parse();
                let seed = seed.map_err(|_| Error::Usage(format!("--seed {value}: a number")))?;
                simulate.seed = Some(seed);
            }
            "--cpus" => simulate.cpus = Some(number(name, &value)?),
            _ => simulate.steps = Some(number(name, &value)?),
        }
    }
    match rest.first() {
        None => Ok(Some(simulate)),
        Some(other) => Err(Error::Usage(format!(
            "`{other}` means nothing to `simulate`"
        ))),
    }
}

/// Builds the simulation and runs it; the value is the exit status.
pub fn run(workspace: &Workspace, simulate: &Simulate) -> Result<u8> {
    let built = test(workspace)
        .arg("--no-run")
        .status()
        .doing("run cargo for the simulation")?;
    if !built.success() {
        return Err(Error::Child {
            what: "building the simulation".into(),
            status: built,
        });
    }
    let seed = simulate.seed.unwrap_or_else(fresh_seed);
    note(&format!("from seed {seed} on"));
    let mut command = test(workspace);
    command
        .args(["--", "--exact", TEST, "--nocapture"])
        .env("SIM_SEED", seed.to_string())
        .env("SIM_SECONDS", simulate.seconds.to_string())
        .env_remove("SIM_RUNS");
    for (name, value) in [("SIM_CPUS", simulate.cpus), ("SIM_STEPS", simulate.steps)] {
        match value {
            Some(value) => command.env(name, value.to_string()),
            None => command.env_remove(name),
        };
    }
    let found = !command.status().doing("run the simulation")?.success();
    Ok(if found { FOUND } else { 0 })
}

/// Cargo, for the kernel's tests on the host.
fn test(workspace: &Workspace) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace.root())
        .args(["test", "--quiet", "--package", "kernel", "--lib"]);
    command
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Simulate>> {
        parse(line.split_whitespace().map(String::from).collect())
    }

    #[test]
    fn numbers_are_taken() {
        let simulate = parsed("--seconds 5 --seed=27393623581629 --cpus 8").ok();
        let expected = Simulate {
            seconds: 5,
            seed: Some(27_393_623_581_629),
            cpus: Some(8),
            steps: None,
        };
        assert_eq!(simulate, Some(Some(expected)));
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["--seconds 0", "--seed x", "-smp 4", "--cpus"] {
            assert!(matches!(parsed(line), Err(Error::Usage(_))), "{line}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal() {
        assert!(help().lines().all(|line| line.chars().count() <= 80));
    }
}
