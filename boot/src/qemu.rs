//! QEMU: where it is, and the command line that boots an image.

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::memory;

/// The program's name in `PATH`.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// Where gdb finds the machine with `--gdb`.
pub const GDB_PORT: u16 = 1234;

/// A QEMU that is there.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    /// Where it finds firmware, when that is not where it was built to look.
    firmware: Vec<PathBuf>,
}

/// What QEMU is to boot.
pub struct Boot<'a> {
    /// The kernel image.
    pub kernel: &'a Path,
    /// The packed root file system.
    pub initramfs: &'a Path,
    /// The kernel's command line.
    pub command_line: &'a str,
    /// Where the kernel's log goes.
    pub kernel_log: &'a Path,
    /// Where QEMU logs resets of the CPUs.
    pub reset_log: &'a Path,
    /// The file that the machine's memory shall be, if any.
    pub memory: Option<&'a Path>,
    /// Wait for gdb before the first instruction.
    pub gdb: bool,
    /// How much memory the machine has, in bytes, unless the person says otherwise.
    pub size: u64,
    /// The person's own options. They win over the defaults here.
    pub options: &'a [String],
}

impl Qemu {
    /// The QEMU that the environment variable `QEMU` names, or the one in `PATH`.
    #[must_use]
    pub fn find() -> Option<Self> {
        let program = match env::var_os("QEMU") {
            Some(path) if !path.is_empty() => in_path(&path)?,
            _ => in_path(&PROGRAM.into())?,
        };
        Some(Self::at(program, Vec::new()))
    }

    /// The QEMU at `program`, with its firmware in these folders.
    #[must_use]
    pub fn at(program: PathBuf, firmware: Vec<PathBuf>) -> Self {
        Self { program, firmware }
    }

    /// Whether a person has chosen it, by the environment variable `QEMU`.
    #[must_use]
    pub fn is_chosen() -> bool {
        env::var_os("QEMU").is_some_and(|path| !path.is_empty())
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What it calls itself.
    #[must_use]
    pub fn version(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .next()
            .unwrap_or("QEMU of unknown version")
            .to_owned()
    }

    /// The first number of its version; `None` when it does not even start.
    #[must_use]
    pub fn major_version(&self) -> Option<u32> {
        let version = self.version();
        let (_, numbers) = version.split_once("version ")?;
        numbers.split('.').next()?.parse().ok()
    }

    /// The command that boots.
    ///
    /// The first serial line is the console, on QEMU's standard input and
    /// output; the second one is the kernel's log. `signal=off` hands `^C` to
    /// the guest, `mux=on` gives Ctrl-A X to quit.
    #[must_use]
    pub fn command(&self, boot: &Boot) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
        command.args(["-display", "none"]);
        for dir in &self.firmware {
            command.arg("-L").arg(dir);
        }
        for (option, value) in defaults(boot.options, boot.size) {
            command.args([option, &value]);
        }
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        command.args(["-chardev", "stdio,id=console,mux=on,signal=off"]);
        command.args(["-serial", "chardev:console"]);
        command
            .arg("-chardev")
            .arg(with_path("file,id=log,path=", boot.kernel_log));
        // A device and not another `-serial`, of which some machines (`microvm`) take one only.
        command.args(["-device", "isa-serial,index=1,chardev=log"]);
        if !gives(boot.options, &["-d", "-D"]) {
            command.args(["-d", "cpu_reset", "-D"]).arg(boot.reset_log);
        }
        command.arg("-kernel").arg(boot.kernel);
        command.arg("-initrd").arg(boot.initramfs);
        command.arg("-append").arg(boot.command_line);
        if let Some(path) = boot.memory {
            let size = chosen_memory(boot.options).and_then(memory::bytes);
            let size = size.unwrap_or(boot.size);
            let object = format!("memory-backend-file,id=memory,share=on,size={size},mem-path=");
            command.arg("-object").arg(with_path(&object, path));
            command.args(["-machine", "memory-backend=memory"]);
        }
        if boot.gdb {
            command
                .arg("-gdb")
                .arg(format!("tcp:localhost:{GDB_PORT}"))
                .arg("-S");
        }
        command.args(boot.options);
        command
    }
}

/// Defaults for what the person's own options leave open.
fn defaults(options: &[String], size: u64) -> Vec<(&'static str, String)> {
    let mut defaults = Vec::new();
    let usual = [
        ("-smp", "4".into()),
        ("-m", memory::shown(size)),
        ("-cpu", "max".into()),
    ];
    for (option, value) in usual {
        if !gives(options, &[option]) {
            defaults.push((option, value));
        }
    }
    let machine_says = options.iter().any(|option| option.contains("accel="));
    if !machine_says && !gives(options, &["-accel", "-enable-kvm"]) {
        let accel = if kvm_is_usable() {
            "kvm"
        } else {
            "tcg,thread=multi"
        };
        defaults.push(("-accel", accel.into()));
    }
    defaults
}

/// The value of the last `-m`.
pub(crate) fn chosen_memory(options: &[String]) -> Option<&str> {
    let last = options.windows(2).rfind(|pair| gives(&pair[..1], &["-m"]));
    last.map(|pair| pair[1].as_str())
}

/// Whether one of `names` is among `options`. QEMU takes one dash or two.
pub(crate) fn gives(options: &[String], names: &[&str]) -> bool {
    options.iter().any(|option| {
        let option = option
            .strip_prefix('-')
            .filter(|rest| rest.starts_with('-'))
            .unwrap_or(option);
        names.contains(&option)
    })
}

/// Whether KVM can run any kernel here: its device may be opened, and the CPU
/// has hardware virtualisation. There are hosts with the one without the other
/// (nested guests with paravirtual KVM), where only guests made for it run.
pub(crate) fn kvm_is_usable() -> bool {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let hardware = cpu
        .lines()
        .find(|line| line.starts_with("flags"))
        .is_some_and(|flags| {
            flags
                .split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        });
    hardware
        && OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}

/// The file of the program `name`, looked up as a shell does.
fn in_path(name: &OsString) -> Option<PathBuf> {
    let direct = Path::new(name);
    if direct.components().count() > 1 {
        return direct.is_file().then(|| direct.to_path_buf());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// `path` as a value in QEMU's option syntax, where a comma is doubled.
fn with_path(prefix: &str, path: &Path) -> String {
    format!("{prefix}{}", path.display().to_string().replace(',', ",,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(options: &[&str]) -> Vec<String> {
        let options: Vec<String> = options.iter().map(|option| (*option).into()).collect();
        let qemu = Qemu::at(PROGRAM.into(), Vec::new());
        let command = qemu.command(&Boot {
            kernel: Path::new("kernel"),
            initramfs: Path::new("initramfs"),
            command_line: "-- -c \"ls\"",
            kernel_log: Path::new("a,b.log"),
            reset_log: Path::new("reset.log"),
            memory: Some(Path::new("memory")),
            gdb: false,
            size: 512 << 20,
            options: &options,
        });
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect()
    }

    fn values(arguments: &[String], option: &str) -> Vec<String> {
        arguments
            .windows(2)
            .filter(|pair| pair[0] == option)
            .map(|pair| pair[1].clone())
            .collect()
    }

    #[test]
    fn four_cpus_and_half_a_gigabyte_unless_told_otherwise() {
        let default = arguments(&[]);
        assert_eq!(values(&default, "-smp"), ["4"]);
        assert_eq!(values(&default, "-m"), ["512M"]);
        assert_eq!(values(&default, "-cpu"), ["max"]);
        assert_eq!(values(&default, "-accel").len(), 1);
    }

    #[test]
    fn the_persons_options_are_not_given_twice() {
        let own = arguments(&["-smp", "2", "--m", "64M", "-accel", "tcg,thread=single"]);
        assert_eq!(values(&own, "-smp"), ["2"]);
        assert!(values(&own, "-m").is_empty());
        assert_eq!(values(&own, "--m"), ["64M"]);
        assert_eq!(values(&own, "-accel"), ["tcg,thread=single"]);
        assert!(values(&arguments(&["-machine", "q35,accel=tcg"]), "-accel").is_empty());
    }

    #[test]
    fn the_file_of_the_memory_is_as_large_as_the_memory() {
        for (options, mib) in [
            (&[][..], 512u64),
            (&["-m", "64", "--m", "1G"], 1024),
            (&["-m", "256"], 256),
            (&["-m", "size=2G,slots=2"], 2048),
        ] {
            let object = &values(&arguments(options), "-object")[0];
            assert!(object.contains(&format!("size={},", mib << 20)), "{object}");
        }
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(
            values(&arguments(&[]), "-chardev")[1],
            "file,id=log,path=a,,b.log"
        );
    }
}
