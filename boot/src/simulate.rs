//! `cargo bootimage simulate`: the kernel's memory system on the simulated machine, for as
//! long as one likes.
//!
//! The simulation is a test of the kernel crate, as are the faults which show that it finds
//! something. So this builds the kernel's tests for the host, and runs that one with what
//! it is asked for in the environment. It runs on all CPUs of the host and says how far it
//! is; a seed that finds something is shown with the command that repeats it.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, value_parser};

use crate::error::{Doing, Error, Result};
use crate::progress::note;
use crate::workspace::Workspace;

/// The test that does as the environment says.
const TEST: &str = "memory::tests::simulation::on_request";
/// The exit status when a seed has found something.
const FOUND: u8 = 1;

/// Run its memory system on a simulated machine, in random orders
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(after_help = format!("{TEXT}\n\n{AFTER}"))]
pub struct Simulate {
    /// For how long runs begin
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// The first seed [default: another one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// CPUs of the simulated machine [default: 1 to 8, by the seed]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub cpus: Option<u32>,
    /// Operations of the programs in one run [default: 300]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub steps: Option<u32>,
}

const TEXT: &str = "\
The kernel's own memory system, and random programs on 1 to 8 CPUs, in an
order that follows from a seed, with TLBs, store buffers and interrupts as
nasty as the architecture allows. What the programs see is compared with a
plain model. Needs no QEMU; uses all CPUs of the host.";

const AFTER: &str = "\
A seed that finds something is printed with the command that repeats it, and
made as small as it goes.

Exit status:
  0   nothing was found      1   a seed has found something
  64  the command line is wrong        69  the build failed";

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
