//! What each command does.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};

use crate::args::{Command, Request, Stress, Trace};
use crate::bench;
use crate::console::Output;
use crate::error::{Doing, Result};
use crate::image;
use crate::iso;
use crate::options::Options;
use crate::progress::{note, step};
use crate::qemu::{GDB_PORT, Qemu};
use crate::session::{Input, Outcome, Session};
use crate::setup;
use crate::simulate;
use crate::trace::chrome;
use crate::verdict::Verdict;
use crate::workspace::Workspace;

/// How many lines of the kernel's log are shown when it failed.
const LINES_SHOWN: usize = 100;

/// Does what is asked for; the value is the exit status.
pub fn run(request: Request) -> Result<u8> {
    match request {
        Request::Help(text) => {
            // A closed output has been read far enough.
            let _ = io::stdout().write_all(text.as_bytes());
            Ok(0)
        }
        Request::Do(command) => perform(*command),
    }
}

fn perform(command: Command) -> Result<u8> {
    let workspace = Workspace::find()?;
    step(
        "Using",
        &format!("the checkout {}", workspace.root().display()),
    );
    match command {
        Command::Setup => {
            let tools = setup::ensure(&workspace)?;
            setup::ensure_for_images(&workspace)?;
            note(&format!("ready: {}", tools.qemu.version()));
            Ok(0)
        }
        Command::Build => {
            setup::ensure(&workspace)?;
            let image = image::build(&workspace)?;
            for path in [&image.kernel, &image.initramfs] {
                note(&format!("built {}", workspace.short(path).display()));
            }
            Ok(0)
        }
        Command::Run(run) => {
            let outcome = boot(&workspace, &run.options())?;
            Ok(outcome.verdict.exit_code())
        }
        Command::Stress(stress) => run_stress(&workspace, &stress),
        Command::Bench(bench) => bench::run(&workspace, &bench),
        Command::Trace(trace) => run_trace(&workspace, &trace),
        Command::Image(iso) => {
            setup::ensure_for_images(&workspace)?;
            let image = image::build(&workspace)?;
            iso::make(&workspace, &image, &iso)?;
            note(&format!("built {}", iso.out.display()));
            Ok(0)
        }
        Command::Simulate(simulate) => simulate::run(&workspace, &simulate),
    }
}

fn run_stress(workspace: &Workspace, stress: &Stress) -> Result<u8> {
    let outcome = boot(workspace, &stress.options())?;
    let code = outcome.verdict.exit_code();
    match outcome.verdict {
        Verdict::PoweredOff(0) => note("stress: passed: no mismatch, and the audit is clean"),
        Verdict::PoweredOff(status) => {
            note(&format!(
                "stress: FAILED: forkstorm ended with status {status}"
            ));
        }
        verdict => note(&format!("stress: FAILED: {verdict}")),
    }
    Ok(code)
}

fn run_trace(workspace: &Workspace, run: &Trace) -> Result<u8> {
    let outcome = boot(workspace, &run.options())?;
    if let Some(trace) = &outcome.trace {
        let file = File::create(&run.out).on("create", &run.out)?;
        let mut file = BufWriter::new(file);
        chrome::write(trace, &mut file)
            .and_then(|()| file.flush())
            .on("write", &run.out)?;
        let lost: u64 = trace.lost.iter().sum();
        note(&format!(
            "trace: {}, {} events",
            run.out.display(),
            trace.events.len()
        ));
        if lost > 0 {
            note(&format!(
                "trace: {lost} older events were overwritten; --records keeps more"
            ));
        }
    } else {
        note("there is no trace: the kernel did not come so far");
    }
    Ok(outcome.verdict.exit_code())
}

/// Sets up, builds, boots, and tells what a person needs to know.
fn boot(workspace: &Workspace, options: &Options) -> Result<Outcome> {
    let tools = setup::ensure(workspace)?;
    let image = image::build(workspace)?;
    let input = if io::stdin().is_terminal() {
        note("Ctrl-A X quits");
        Input::Terminal
    } else {
        Input::Stream(Box::new(io::stdin()))
    };
    if options.gdb {
        note(&format!(
            "waiting for gdb: gdb {} -ex 'target remote localhost:{GDB_PORT}'",
            workspace.short(&image.kernel).display()
        ));
    }
    let session = Session::start(
        workspace,
        &tools.qemu,
        &image,
        options,
        input,
        Output::Stdout,
    )?;
    let outcome = session.wait()?;
    report(workspace, &tools.qemu, options, &outcome);
    Ok(outcome)
}

fn report(workspace: &Workspace, qemu: &Qemu, options: &Options, outcome: &Outcome) {
    if outcome.verdict.is_failure() {
        if !options.show_log {
            show(&outcome.log);
        }
        note(&format!("{} ({})", outcome.verdict, qemu.version()));
        if matches!(outcome.verdict, Verdict::QemuFailed(_)) && !options.qemu.is_empty() {
            note(&format!(
                "these options went to QEMU, `cargo bootimage run --help` lists ours: {}",
                options.qemu.join(" ")
            ));
        }
    }
    if let Some(resets) = &outcome.reset_log {
        note(&format!(
            "registers at the reset: {}",
            workspace.short(resets).display()
        ));
    }
    note(&format!(
        "kernel log: {}",
        workspace.short(&outcome.log_path).display()
    ));
}

/// Shows the end of the kernel's log.
fn show(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let left_out = lines.len().saturating_sub(LINES_SHOWN);
    if left_out > 0 {
        note(&format!("... {left_out} lines before"));
    }
    for line in lines.iter().skip(left_out) {
        note(line);
    }
}
