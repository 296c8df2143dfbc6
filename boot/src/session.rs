//! One boot, from the start of QEMU to the verdict.
//!
//! QEMU is a child of this process and ends with it, come what may. A terminal
//! is handed to QEMU, which makes it raw; any other input goes through
//! [`Console::feed`].

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::console::{Console, Output};
use crate::error::{Doing, Result};
use crate::files::Files;
use crate::follow::Follower;
use crate::image::Image;
use crate::load;
use crate::memory::{self, Need};
use crate::options::Options;
use crate::progress::Spinner;
use crate::qemu::{self, Boot, Qemu};
use crate::rootfs::system;
use crate::trace::Trace;
use crate::verdict::{Verdict, Word};
use crate::workspace::Workspace;

/// How long QEMU has to end when it is asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How often the child is looked at.
const TICK: Duration = Duration::from_millis(5);

/// How often the console is shown to a caller that watches it.
const LOOK: Duration = Duration::from_millis(200);

/// Where the guest's console input comes from.
pub enum Input {
    /// The terminal that is our standard input.
    Terminal,
    /// This, then its end.
    Stream(Box<dyn Read + Send>),
    /// [`Session::send`].
    Calls,
}

/// A boot that is over.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// What the guest wrote to its console, if that was captured.
    pub console: Vec<u8>,
    /// The kernel's log.
    pub log: String,
    /// The file that the log is in.
    pub log_path: PathBuf,
    /// The kernel's trace of events, if there was to be one and the kernel came so far.
    pub trace: Option<Trace>,
    /// QEMU's log of resets, where it tells of a triple fault.
    pub reset_log: Option<PathBuf>,
    /// From the start of QEMU to its end.
    pub took: Duration,
}

/// A boot that is under way. Dropping it stops it.
pub struct Session {
    qemu: Child,
    input: Option<ChildStdin>,
    console: Arc<Console>,
    copier: Option<JoinHandle<()>>,
    follower: Option<Follower>,
    files: Files,
    terminal: Option<Termios>,
    started: Instant,
    timeout: Option<Duration>,
}

impl Session {
    /// Starts `image` in QEMU.
    pub fn start(
        workspace: &Workspace,
        qemu: &Qemu,
        image: &Image,
        options: &Options,
        input: Input,
        output: Output,
    ) -> Result<Self> {
        let files = Files::new(workspace)?;
        let mut command = command(workspace, qemu, image, options, &input, &files)?;
        let terminal = match input {
            Input::Terminal => {
                command.stdin(Stdio::inherit());
                tcgetattr(io::stdin()).ok()
            }
            Input::Stream(_) | Input::Calls => {
                command.stdin(Stdio::piped());
                None
            }
        };
        command.stdout(Stdio::piped());

        let spinner = match (&options.exec, output) {
            // Captured output has no terminal, and gdb is slow by nature.
            (_, Output::Captured) => Spinner::none(),
            _ if options.gdb || options.show_log => Spinner::none(),
            (Some(command), Output::Stdout) => Spinner::start(format!("Running {command}")),
            (None, Output::Stdout) => Spinner::start("Booting"),
        };
        let started = Instant::now();
        let mut child = command.spawn().on("start", qemu.program())?;
        let console = Arc::new(Console::new(output));
        let copier = child.stdout.take().map(|stdout| {
            let console = Arc::clone(&console);
            thread::spawn(move || console.copy(stdout, &spinner))
        });
        let follower = options.show_log.then(|| Follower::start(&files.kernel_log));
        let mut to_guest = child.stdin.take();
        if let Input::Stream(stream) = input
            && let Some(to_guest) = to_guest.take()
        {
            let console = Arc::clone(&console);
            let log = files.kernel_log.clone();
            // It ends when QEMU does, or with this process: it may be waiting
            // for a stream that never ends.
            thread::spawn(move || console.feed(stream, to_guest, &log));
        }
        Ok(Self {
            qemu: child,
            input: to_guest,
            console,
            copier,
            follower,
            files,
            terminal,
            started,
            timeout: options.timeout,
        })
    }

    /// Types `text` on the guest's console. Only for [`Input::Calls`].
    pub fn send(&mut self, text: &str) -> Result<()> {
        match &mut self.input {
            Some(input) => input
                .write_all(text.as_bytes())
                .doing("type on the guest's console"),
            None => Ok(()),
        }
    }

    /// The guest's console.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Since when QEMU runs.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The CPU time that QEMU has used so far, from proc_pid_stat(5); `None`
    /// where the system has none.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.qemu.id())).ok()?;
        // The second field is the name in parentheses and may have spaces.
        let (_, after_name) = stat.rsplit_once(") ")?;
        let mut fields = after_name.split(' ');
        // Fields 14 and 15 of the line, 3 being the first one here.
        let user: f64 = fields.nth(14 - 3)?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Some(Duration::from_secs_f64((user + system) / ticks))
    }

    /// What the kernel has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        read_log(&self.files.kernel_log)
    }

    /// Waits for the end, however it comes.
    pub fn wait(self) -> Result<Outcome> {
        self.wait_watched(|_| ())
    }

    /// Waits for the end, and has a look at the console now and then meanwhile.
    pub fn wait_watched(mut self, look: impl Fn(&Console)) -> Result<Outcome> {
        let mut looked = Instant::now();
        let stopped = loop {
            if looked.elapsed() > LOOK {
                look(&self.console);
                looked = Instant::now();
            }
            if let Some(status) = self.qemu.try_wait().doing("wait for QEMU")? {
                break Err(status);
            }
            if self.console.is_refused() {
                break Ok(Verdict::OutputClosed);
            }
            if let Some(limit) = self.timeout.filter(|limit| self.started.elapsed() > *limit) {
                break Ok(Verdict::TimedOut(limit));
            }
            thread::sleep(TICK);
        };
        self.stop();
        let log = self.log();
        let resets = fs::read(&self.files.reset_log).unwrap_or_default();
        let triple_fault = resets.windows(12).any(|window| window == b"Triple fault");
        let word = match (triple_fault, self.console.says_terminated()) {
            (true, _) => Word::TripleFault,
            (false, true) => Word::Terminated,
            (false, false) => Word::Nothing,
        };
        Ok(Outcome {
            trace: Trace::read(&self.files.memory, &log)?,
            verdict: match stopped {
                Ok(verdict) => verdict,
                Err(status) => Verdict::of(status, &log, word),
            },
            console: self.console.take(),
            log,
            log_path: self.files.kernel_log.clone(),
            reset_log: triple_fault.then(|| self.files.reset_log.clone()),
            took: self.started.elapsed(),
        })
    }

    /// Ends QEMU if it still runs, and whatever waits for it.
    fn stop(&mut self) {
        if self.is_running() {
            // Asked, QEMU leaves the terminal as it was.
            if let Some(pid) = i32::try_from(self.qemu.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let asked = Instant::now();
            while self.is_running() && asked.elapsed() < GRACE {
                thread::sleep(TICK);
            }
            let _ = self.qemu.kill();
            let _ = self.qemu.wait();
        }
        if let Some(terminal) = self.terminal.take() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &terminal);
        }
        if let Some(copier) = self.copier.take() {
            let _ = copier.join();
        }
        if let Some(follower) = self.follower.take() {
            follower.finish();
        }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.qemu.try_wait(), Ok(None))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The command that boots, with a root file system of its own where it needs one.
fn command(
    workspace: &Workspace,
    qemu: &Qemu,
    image: &Image,
    options: &Options,
    input: &Input,
    files: &Files,
) -> Result<Command> {
    let console = match input {
        Input::Terminal | Input::Calls => "terminal",
        Input::Stream(_) => "stream",
    };
    let parameters = options
        .trace
        .map(|records| ("trace".into(), records.to_string()));
    let load = load::prepare(
        workspace,
        image,
        options,
        &parameters.map_or_else(Vec::new, |trace| vec![trace]),
        console,
        |is_distribution| init_options(input, is_distribution),
    )?;
    let (mut initramfs, mut need) = (&image.initramfs, image.need);
    if let Some(tree) = &load.tree {
        initramfs = &files.initramfs;
        need = Need::of(tree, tree.pack(initramfs)?);
    }
    if let Some(given) = qemu::chosen_memory(&options.qemu).and_then(memory::bytes) {
        need.check(given)?;
    }
    let mut command = qemu.command(&Boot {
        kernel: &image.kernel,
        initramfs,
        command_line: &load.command_line,
        kernel_log: &files.kernel_log,
        reset_log: &files.reset_log,
        memory: options.trace.map(|_| files.memory.as_path()),
        gdb: options.gdb,
        size: need.size(),
        options: &options.qemu,
    });
    end_with_parent(&mut command);
    Ok(command)
}

/// What the first process is told of the terminal, and of a distribution's folders.
fn init_options(input: &Input, is_distribution: bool) -> Vec<String> {
    let mut options = Vec::new();
    let mut set = |name: &str, value: &str| {
        options.extend(["--env".into(), format!("{name}={value}")]);
    };
    if is_distribution {
        set("PATH", system::PATH);
        set("HOME", "/root");
    }
    if matches!(input, Input::Terminal) {
        match env::var("TERM") {
            Ok(term) if !term.contains(['"', ' ']) => set("TERM", &term),
            _ => {}
        }
        if let Ok(size) = tcgetwinsize(io::stdin()) {
            let size = format!("{}x{}", size.ws_row, size.ws_col);
            options.extend(["--size".into(), size]);
        }
    }
    options
}

/// Lets the system end the child when the thread that starts it ends: a machine
/// must not go on when its owner was killed.
#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    let ask = || {
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
        Ok(())
    };
    // SAFETY: the closure runs in the child between fork and exec. It makes one
    // system call; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(ask) };
}

/// Only Linux has this.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}

fn read_log(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
