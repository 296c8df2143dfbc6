//! Boots the kernel for a test and looks at it from outside.
//!
//! ```no_run
//! let boot = tests::Boot::new().cpus(4).memory("64M");
//! let outcome = boot.exec("echo hello").run();
//! outcome.assert_status(0);
//! assert_eq!(outcome.console(), "hello\n");
//! ```
//!
//! A test that fails shows the console and the kernel's log. Two machines run at
//! once at most, whatever runs the tests: on few host CPUs more of them only get
//! in each other's way, and their time-outs with them.

use std::fs::{self, File, TryLockError};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use boot::bench::counts::{self, Counts};
use boot::console::Output;
use boot::image::{self, Image};
use boot::iso::{self, Iso};
use boot::options::Options;
use boot::session::{self, Input, Session};
use boot::setup::{self, Tools};
use boot::trace::Trace;
use boot::verdict::Verdict;
use boot::workspace::Workspace;

/// How many machines run at once.
const MACHINES: usize = 2;

/// How long a boot may take unless the test says otherwise. It is long because
/// an emulated machine on a busy host is slow; a test that hangs is rare.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the shell shows when it waits for a command.
pub const PROMPT: &str = "# ";

/// What all boots share; made by the first one.
struct Shared {
    workspace: Workspace,
    tools: Tools,
    image: Image,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let workspace = Workspace::find().unwrap_or_else(|error| panic!("{error}"));
        let tools = setup::ensure(&workspace).unwrap_or_else(|error| panic!("set-up: {error}"));
        let image = image::build(&workspace).unwrap_or_else(|error| panic!("build: {error}"));
        Shared {
            workspace,
            tools,
            image,
        }
    })
}

/// Where tests may build things: a folder of cargo's target folder.
#[must_use]
pub fn scratch(name: &str) -> PathBuf {
    let output = shared().workspace.output();
    let dir = output.unwrap_or_else(|error| panic!("{error}")).join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    dir
}

/// The image of `cargo bootimage image` that runs `command`, made anew.
#[must_use]
pub fn bootable(name: &str, command: &str) -> PathBuf {
    let shared = shared();
    let out = scratch("images").join(name);
    setup::ensure_for_images(&shared.workspace).unwrap_or_else(|error| panic!("{error}"));
    iso::make(
        &shared.workspace,
        &shared.image,
        &Iso::running(command, &out),
    )
    .unwrap_or_else(|error| panic!("{}: {error}", out.display()));
    out
}

/// The QEMU that the boots use.
#[must_use]
pub fn qemu() -> &'static Path {
    shared().tools.qemu.program()
}

/// Makes sure of the C compilers: `gcc -static` and `musl-gcc -static`.
pub fn need_c_compilers() {
    setup::ensure_for_tests(&shared().workspace).unwrap_or_else(|error| panic!("{error}"));
}

/// The counts of instructions in the tree, and those of now.
#[must_use]
pub fn count_instructions() -> (Counts, Counts) {
    let workspace = &shared().workspace;
    let _slot = Slot::take();
    let tree = counts::read(workspace).unwrap_or_else(|error| panic!("{error}"));
    let report = counts::count(workspace, &[], PATIENCE);
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    (tree, counts::counts(&report))
}

/// A boot to be.
#[derive(Clone, Debug)]
#[must_use]
pub struct Boot {
    options: Options,
    input: Vec<u8>,
}

impl Default for Boot {
    fn default() -> Self {
        Self::new()
    }
}

impl Boot {
    /// Two CPUs, 128 MiB, no input.
    pub fn new() -> Self {
        let options = Options {
            timeout: Some(PATIENCE),
            ..Options::default()
        };
        Self {
            options,
            input: Vec::new(),
        }
        .cpus(2)
        .memory("128M")
    }

    /// With so many CPUs.
    pub fn cpus(self, count: usize) -> Self {
        self.qemu("-smp", &count.to_string())
    }

    /// With so much memory, as QEMU's `-m` takes it.
    pub fn memory(self, size: &str) -> Self {
        self.qemu("-m", size)
    }

    /// With another option for QEMU. Of the same option the last one counts.
    pub fn qemu(mut self, option: &str, value: &str) -> Self {
        self.options.qemu.extend([option.into(), value.into()]);
        self
    }

    /// Runs `command` by the shell instead of an interactive shell.
    pub fn exec(mut self, command: &str) -> Self {
        self.options.exec = Some(command.into());
        self
    }

    /// Lays a folder over the root file system.
    pub fn overlay(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.overlays.push(dir.into());
        self
    }

    /// Gives the kernel a parameter.
    pub fn kernel_arg(mut self, key: &str, value: &str) -> Self {
        self.options.kernel_args.push((key.into(), value.into()));
        self
    }

    /// Has the kernel record so many events of each CPU.
    pub fn trace(mut self, records: u32) -> Self {
        self.options.trace = Some(records);
        self
    }

    /// What comes in on the console, before its end.
    pub fn input(mut self, input: &str) -> Self {
        self.input = input.into();
        self
    }

    /// Stops the machine after so long.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Boots and waits for the end.
    #[must_use]
    pub fn run(self) -> Outcome {
        let slot = Slot::take();
        let input = Input::Stream(Box::new(Cursor::new(self.input)));
        let session = start(&self.options, input);
        end(session, slot)
    }

    /// Boots with a terminal that the test types on.
    #[must_use]
    pub fn start(self) -> Machine {
        let slot = Slot::take();
        Machine {
            session: start(&self.options, Input::Calls),
            seen: 0,
            slot,
        }
    }
}

fn start(options: &Options, input: Input) -> Session {
    let shared = shared();
    Session::start(
        &shared.workspace,
        &shared.tools.qemu,
        &shared.image,
        options,
        input,
        Output::Captured,
    )
    .unwrap_or_else(|error| panic!("the boot: {error}"))
}

fn end(session: Session, slot: Slot) -> Outcome {
    let outcome = session
        .wait()
        .unwrap_or_else(|error| panic!("the end of the boot: {error}"));
    drop(slot);
    Outcome(outcome)
}

/// A machine that runs and is typed on.
pub struct Machine {
    session: Session,
    /// How much of the console's output was waited for already.
    seen: usize,
    slot: Slot,
}

impl Machine {
    /// Types `text`.
    pub fn send(&mut self, text: &str) {
        if let Err(error) = self.session.send(text) {
            self.fail(&error.to_string());
        }
    }

    /// Waits until `text` appears on the console, after what was waited for
    /// before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        match self.session.console().wait_for(text, self.seen, PATIENCE) {
            Some(end) => self.seen = end,
            None => self.fail(&format!("{text:?} did not appear")),
        }
    }

    /// Types a command and returns what appears until the next prompt.
    #[track_caller]
    pub fn command(&mut self, command: &str) -> String {
        let before = self.seen;
        self.send(&format!("{command}\n"));
        self.wait_for(PROMPT);
        let output = self.session.console().captured();
        let output = output.get(before..self.seen).unwrap_or_default();
        String::from_utf8_lossy(output).into_owned()
    }

    /// How long QEMU runs already.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.session.started().elapsed()
    }

    /// The CPU time that QEMU has used; `None` where the host does not tell it
    /// as Linux does.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        self.session.cpu_time()
    }

    /// Waits for the end.
    #[must_use]
    pub fn end(self) -> Outcome {
        end(self.session, self.slot)
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        let console = self.session.console().captured();
        show(&console, &self.session.log());
        panic!("{why}");
    }
}

/// A boot that is over.
#[derive(Debug)]
pub struct Outcome(session::Outcome);

impl Outcome {
    /// What the programs wrote.
    #[must_use]
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.0.console).into_owned()
    }

    /// What the programs wrote, to the byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.console
    }

    /// What the kernel logged.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// What the kernel recorded, if it was to.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.0.trace.as_ref()
    }

    /// How it ended.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.0.verdict
    }

    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.0.took
    }

    /// The command ended with `status`, and the audit was clean.
    #[track_caller]
    pub fn assert_status(&self, status: u8) {
        let as_wanted = *self.verdict() == Verdict::PoweredOff(status);
        self.assert(as_wanted, &format!("status {status} and a clean audit"));
    }

    /// The console shows `text`.
    #[track_caller]
    pub fn assert_shows(&self, text: &str) {
        self.assert(
            self.console().contains(text),
            &format!("{text:?} on the console"),
        );
    }

    /// The kernel's log has `text`.
    #[track_caller]
    pub fn assert_logs(&self, text: &str) {
        self.assert(self.log().contains(text), &format!("{text:?} in the log"));
    }

    /// What a test wants; shows everything when it is not so.
    #[track_caller]
    pub fn assert(&self, holds: bool, wanted: &str) {
        if !holds {
            show(&self.0.console, self.log());
            panic!("wanted {wanted}; {}", self.verdict());
        }
    }
}

fn show(console: &[u8], log: &str) {
    let console = String::from_utf8_lossy(console);
    println!("---- console ----\n{console}\n---- kernel log ----\n{log}\n----");
}

/// The right to run one of [`MACHINES`]. The files are locked, so it holds over
/// test programs that run side by side.
struct Slot(#[expect(dead_code, reason = "its lock is what counts")] File);

impl Slot {
    fn take() -> Self {
        let dir = shared()
            .workspace
            .output()
            .unwrap_or_else(|error| panic!("{error}"));
        let start = Instant::now();
        loop {
            for number in 0..MACHINES {
                let path = dir.join(format!("slot-{number}"));
                let file = File::create(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                match file.try_lock() {
                    Ok(()) => return Self(file),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => panic!("{}: {error}", path.display()),
                }
            }
            assert!(
                start.elapsed() < Duration::from_secs(3600),
                "no machine came free for an hour"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}
