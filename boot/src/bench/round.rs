//! One boot with the benchmark in it.

use std::time::Duration;

use crate::bench::guest::Guest;
use crate::bench::report::Report;
use crate::console::Output;
use crate::error::{Error, Result};
use crate::image::{self, Image};
use crate::options::Options;
use crate::progress::{self, Spinner};
use crate::qemu;
use crate::session::{Input, Session};
use crate::setup::{self, Tools};
use crate::verdict::Verdict;
use crate::workspace::Workspace;

/// Linux powers off with its last lines still on their way to the console.
const DRAIN: &str = "; sleep 1";

/// What the boots of one run have in common.
pub struct Machine<'a> {
    workspace: &'a Workspace,
    tools: Tools,
    image: Image,
    /// Of one boot.
    timeout: Duration,
}

impl<'a> Machine<'a> {
    /// Sets up and builds.
    pub fn new(workspace: &'a Workspace, timeout: Duration) -> Result<Self> {
        Ok(Self {
            workspace,
            tools: setup::ensure(workspace)?,
            image: image::build(workspace)?,
            timeout,
        })
    }

    /// What QEMU calls itself.
    #[must_use]
    pub fn qemu_version(&self) -> String {
        self.tools.qemu.version()
    }

    /// Boots `guest` with these options for QEMU, has the shell run `command`, and reads the
    /// benchmark's results. `title` is shown meanwhile.
    pub fn boot(
        &self,
        guest: Guest,
        qemu: &[String],
        command: &str,
        title: &str,
    ) -> Result<Report> {
        let mut image = self.image.clone();
        if let Guest::Linux(linux, _) = guest {
            image.kernel = linux.kernel().to_path_buf();
        }
        let options = Options {
            exec: Some(format!("{command}{DRAIN}")),
            kernel_args: guest.parameters(),
            qemu: qemu.to_vec(),
            timeout: Some(self.timeout),
            ..Options::default()
        };
        let spinner = Spinner::start(title);
        let session = Session::start(
            self.workspace,
            &self.tools.qemu,
            &image,
            &options,
            // Nothing is typed: input would come at moments of the host's choice.
            Input::Calls,
            Output::Captured,
        )?;
        let outcome = session.wait_watched(|console| {
            if let Some(name) = latest(&console.captured()) {
                spinner.say(format!("{title}: {name}"));
            }
        })?;
        drop(spinner);
        let console = String::from_utf8_lossy(&outcome.console);
        let ended_well = match (&outcome.verdict, guest) {
            (Verdict::PoweredOff(0), Guest::Cowfork) => true,
            // What Linux calls power-off ends QEMU as a reset does; the benchmark's
            // own last line tells them apart.
            (Verdict::CutOff, Guest::Linux(..)) => true,
            _ => false,
        };
        match Report::parse(&console) {
            Ok(report) if ended_well => Ok(report),
            parsed => {
                progress::note(&console);
                progress::note(&outcome.log);
                let why = match parsed {
                    Err(error) if ended_well => error.to_string(),
                    _ => outcome.verdict.to_string(),
                };
                Err(Error::Malformed(format!("{}: {why}", guest.name())))
            }
        }
    }
}

/// The metric that was measured last.
fn latest(console: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(console);
    let line = text.lines().rfind(|line| line.starts_with("metric "))?;
    line.split_whitespace().nth(1).map(String::from)
}

/// The CPU that all kernels get unless the person says otherwise. QEMU's emulator
/// runs the string instructions byte by byte, and Linux uses them for copying and
/// clearing where the CPU claims that they are fast.
#[must_use]
pub fn fair_cpu() -> &'static str {
    if qemu::kvm_is_usable() {
        "max"
    } else {
        "max,-erms,-fsrm"
    }
}
