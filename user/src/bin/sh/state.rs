//! What a shell remembers: variables, arguments, the last status, background jobs.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::c_char;

use user::eprintln;
use user::sys::process::{self, Pid, Status, StringList};
use user::sys::system;

struct Variable {
    name: Vec<u8>,
    value: Vec<u8>,
    exported: bool,
}

/// A command in the background, known by the process that it ends with.
pub struct Job {
    pub pid: Pid,
    /// How it ended, once that is known.
    pub status: Option<Status>,
}

pub struct Shell {
    pub interactive: bool,
    /// The exit status of the last pipeline.
    pub status: u8,
    /// The status to exit with, once `exit` was said.
    pub exiting: Option<u8>,
    /// How many more loops to leave (`break`, `continue`).
    pub leaving: Option<Leave>,
    /// How many loops the commands that run are in.
    pub loops: usize,
    pub jobs: Vec<Job>,
    /// The process of the newest job: `$!`.
    pub last_background: Option<Pid>,
    /// The shell's own process, also in a subshell: `$$`.
    pid: Pid,
    variables: Vec<Variable>,
    /// The shell's or script's name and its arguments.
    arguments: Vec<Vec<u8>>,
}

/// What `break` and `continue` leave behind for the loops around them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Break(usize),
    Continue(usize),
}

const DEFAULT_PATH: &[u8] = b"/bin";

impl Shell {
    pub fn new<'a>(environment: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut shell = Self {
            interactive: false,
            status: 0,
            exiting: None,
            leaving: None,
            loops: 0,
            jobs: Vec::new(),
            last_background: None,
            pid: process::getpid(),
            variables: Vec::new(),
            arguments: Vec::new(),
        };
        for entry in environment {
            let mut halves = entry.splitn(2, |byte| *byte == b'=');
            if let (Some(name), Some(value)) = (halves.next(), halves.next()) {
                shell.set(name, value);
                shell.export(name);
            }
        }
        shell
    }

    pub fn set_arguments<'a>(&mut self, arguments: impl Iterator<Item = &'a [u8]>) {
        self.arguments = arguments.map(Vec::from).collect();
    }

    /// The arguments without the name.
    pub fn arguments(&self) -> &[Vec<u8>] {
        self.arguments.get(1..).unwrap_or_default()
    }

    /// Drops the first arguments; false when there are not so many.
    pub fn shift(&mut self, count: usize) -> bool {
        let enough = count <= self.arguments().len();
        if enough {
            self.arguments.drain(1..1 + count);
        }
        enough
    }

    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let variable = self
            .variables
            .iter()
            .find(|variable| variable.name == name)?;
        Some(&variable.value)
    }

    /// What `$NAME` stands for; nothing when it is not set.
    pub fn value(&self, name: &[u8]) -> Vec<u8> {
        match name {
            b"?" => format!("{}", self.status).into_bytes(),
            b"$" => format!("{}", self.pid).into_bytes(),
            b"!" => self
                .last_background
                .map(|pid| format!("{pid}").into_bytes())
                .unwrap_or_default(),
            b"#" => format!("{}", self.arguments().len()).into_bytes(),
            b"@" | b"*" => self.arguments().join(&b' '),
            _ if name.iter().all(u8::is_ascii_digit) => {
                let argument =
                    user::number::parse(name).and_then(|index| self.arguments.get(index as usize));
                argument.cloned().unwrap_or_default()
            }
            _ => self.get(name).map(Vec::from).unwrap_or_default(),
        }
    }

    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        match self
            .variables
            .iter_mut()
            .find(|variable| variable.name == name)
        {
            Some(variable) => variable.value = value.to_vec(),
            None => self.variables.push(Variable {
                name: name.to_vec(),
                value: value.to_vec(),
                exported: false,
            }),
        }
    }

    pub fn unset(&mut self, name: &[u8]) {
        self.variables.retain(|variable| variable.name != name);
    }

    /// Gives a variable to the commands that are started from now on.
    pub fn export(&mut self, name: &[u8]) {
        if self.get(name).is_none() {
            self.set(name, b"");
        }
        for variable in self
            .variables
            .iter_mut()
            .filter(|variable| variable.name == name)
        {
            variable.exported = true;
        }
    }

    /// The exported variables as `NAME=VALUE`.
    pub fn exported(&self) -> impl Iterator<Item = Vec<u8>> {
        self.variables
            .iter()
            .filter(|variable| variable.exported)
            .map(|variable| [variable.name.as_slice(), &variable.value].join(&b'='))
    }

    /// The directories to look for commands in.
    pub fn path(&self) -> &[u8] {
        self.get(b"PATH").unwrap_or(DEFAULT_PATH)
    }

    pub fn host(&self) -> String {
        if system::on_cowfork() {
            return String::from("cowfork");
        }
        String::from("sh")
    }

    /// Takes note of the jobs that have ended; says so at a terminal.
    pub fn report_finished_jobs(&mut self) {
        for job in &mut self.jobs {
            if job.status.is_none()
                && let Ok(Some((_, status))) = process::try_wait(job.pid)
            {
                job.status = Some(status);
                eprintln!("[{}] done: {status}", job.pid);
            }
        }
        if self.interactive {
            self.jobs.retain(|job| job.status.is_none());
        }
    }
}

/// Strings for `execve`, owned.
pub struct Strings {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    /// A string ends at its first null byte, as all of them do for the kernel.
    pub fn new(strings: impl Iterator<Item = Vec<u8>>) -> Self {
        let strings: Vec<CString> = strings.map(c_string).collect();
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([core::ptr::null()])
            .collect();
        Self {
            _strings: strings,
            pointers,
        }
    }

    pub fn list(&self) -> StringList<'_> {
        // SAFETY: the pointers are those of the strings beside them, and a null.
        unsafe { StringList::new(&self.pointers) }
    }
}

/// The bytes up to the first null byte.
pub fn c_string(mut bytes: Vec<u8>) -> CString {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    CString::new(bytes).unwrap_or_default()
}
