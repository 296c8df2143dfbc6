//! How a boot ended.
//!
//! The kernel tells it twice: by the value that it writes to QEMU's debug-exit
//! device, which becomes QEMU's exit status, and by the last lines of its log. A
//! boot went well only if both say so.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

/// QEMU's exit status is `value << 1 | 1` (`hw/misc/debugexit.c`).
const POWERED_OFF: i32 = 0x10 << 1 | 1;
const AUDIT_FAILED: i32 = 0x11 << 1 | 1;
const PANICKED: i32 = 0x12 << 1 | 1;

/// Exit status of the tool when the kernel failed (`EX_SOFTWARE`).
pub const KERNEL_FAILED: u8 = 70;
/// Exit status of the tool when the time was up, as timeout(1) has it.
pub const TIMED_OUT: u8 = 124;
/// Exit status of the tool when its output was closed at the other end: 128 + SIGPIPE.
pub const OUTPUT_CLOSED: u8 = 141;

/// How a boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In order: the first process ended with this status, the audit is clean.
    PoweredOff(u8),
    /// In order, but the audit found something; its line.
    AuditFailed(String),
    /// The kernel panicked; its line.
    Panicked(String),
    /// The machine was reset: a triple fault.
    TripleFault,
    /// QEMU was told to quit, by keys on the terminal.
    Quit,
    /// QEMU ended in order without these keys, and the kernel did not power off:
    /// it was reset, or QEMU got a signal.
    CutOff,
    /// It was not done in time and was stopped.
    TimedOut(Duration),
    /// The standard output was closed at its other end.
    OutputClosed,
    /// QEMU's exit status and the kernel's log do not fit together.
    Confused(String),
    /// The kernel could not load the whole root file system and started nothing; its line.
    NotLoaded(String),
    /// QEMU itself failed, or was killed.
    QemuFailed(ExitStatus),
}

impl Verdict {
    /// The verdict on a QEMU that ended by itself with `status`, with the
    /// kernel's log and what QEMU said of its end.
    #[must_use]
    pub fn of(status: ExitStatus, log: &str, word: Word) -> Self {
        let log = Ending::parse(log);
        match status.code() {
            Some(POWERED_OFF) if log.not_loaded.is_some() => {
                Self::NotLoaded(log.not_loaded.unwrap_or_default().to_owned())
            }
            Some(POWERED_OFF) => match (log.audit, log.power_off) {
                (Some(audit), Some(status)) if audit.starts_with("clean") => {
                    Self::PoweredOff(status)
                }
                (Some(audit), _) if !audit.starts_with("clean") => {
                    Self::AuditFailed(audit.to_owned())
                }
                (None, _) => Self::Confused("powered off, but its log has no audit".into()),
                (_, None) => Self::Confused("powered off, but its log has no status".into()),
                _ => Self::Confused("powered off, but its log does not end so".into()),
            },
            Some(AUDIT_FAILED) => {
                Self::AuditFailed(log.audit.unwrap_or("FAILED, not logged").to_owned())
            }
            Some(PANICKED) => Self::Panicked(log.panic.unwrap_or("not logged").to_owned()),
            Some(0) => match word {
                Word::TripleFault => Self::TripleFault,
                Word::Terminated => Self::Quit,
                Word::Nothing => Self::CutOff,
            },
            _ => Self::QemuFailed(status),
        }
    }

    /// The exit status that stands for this end.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::PoweredOff(status) => *status,
            Self::Quit => 0,
            Self::TimedOut(_) => TIMED_OUT,
            Self::OutputClosed => OUTPUT_CLOSED,
            Self::AuditFailed(_)
            | Self::Panicked(_)
            | Self::TripleFault
            | Self::CutOff
            | Self::Confused(_) => KERNEL_FAILED,
            Self::NotLoaded(_) | Self::QemuFailed(_) => 69,
        }
    }

    /// Whether the kernel's log should be shown, because the kernel is at fault
    /// or may be.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::PoweredOff(_) | Self::Quit | Self::OutputClosed)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff(status) => write!(f, "powered off with status {status}, audit clean"),
            Self::AuditFailed(audit) => write!(f, "the kernel's audit failed: {audit}"),
            Self::Panicked(panic) => write!(f, "the kernel panicked: {panic}"),
            Self::TripleFault => f.write_str("the machine was reset by a triple fault"),
            Self::Quit => f.write_str("QEMU was told to quit; there was no audit"),
            Self::CutOff => f.write_str("QEMU ended before the kernel powered off"),
            Self::TimedOut(limit) => {
                write!(f, "stopped: not done after {} s", limit.as_secs_f32())
            }
            Self::OutputClosed => f.write_str("stopped: the standard output was closed"),
            Self::Confused(what) => write!(f, "the kernel {what}"),
            Self::NotLoaded(why) => write!(
                f,
                "the kernel could not load the root file system: {why}; more memory (-- -m SIZE) may do"
            ),
            Self::QemuFailed(status) => write!(f, "QEMU failed ({status})"),
        }
    }
}

/// What QEMU itself said of its end, when its exit status does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// In its log, that there was a triple fault.
    TripleFault,
    /// On the console, that it was told to quit by Ctrl-A X.
    Terminated,
    /// Neither.
    Nothing,
}

/// What the kernel's log says about the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ending<'a> {
    /// What follows `audit: `.
    audit: Option<&'a str>,
    /// The number after `power-off: status `.
    power_off: Option<u8>,
    /// What follows `PANIC: `.
    panic: Option<&'a str>,
    /// What follows `the initramfs is not complete: `.
    not_loaded: Option<&'a str>,
}

impl<'a> Ending<'a> {
    fn parse(log: &'a str) -> Self {
        let mut ending = Self::default();
        for text in log.lines().map(text) {
            if let Some(audit) = text.strip_prefix("audit: ") {
                ending.audit = Some(audit);
            } else if let Some(status) = text.strip_prefix("power-off: status ") {
                ending.power_off = status.parse().ok();
            } else if let Some(why) = text.strip_prefix("the initramfs is not complete: ") {
                ending.not_loaded = Some(why);
            } else if let Some(panic) = text.strip_prefix("PANIC:") {
                // The first panic is the cause of those after it.
                ending.panic = ending.panic.or(Some(panic.trim()));
            }
        }
        ending
    }
}

/// A line of the log without its `[   0.123456 cpu0 INFO ] `.
fn text(line: &str) -> &str {
    let line = line.trim_end();
    match line.split_once("] ") {
        Some((head, text)) if head.starts_with('[') => text,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn verdict(code: i32, log: &str) -> Verdict {
        Verdict::of(ExitStatus::from_raw(code << 8), log, Word::Nothing)
    }

    const CLEAN: &str = "[   0.1 cpu0 INFO ] audit: clean, 70 frames in use as at the start\n\
                         [   0.1 cpu0 INFO ] power-off: status 3\n";

    #[test]
    fn the_status_of_the_first_process_is_passed_on() {
        assert_eq!(verdict(33, CLEAN), Verdict::PoweredOff(3));
        assert_eq!(verdict(33, CLEAN).exit_code(), 3);
    }

    #[test]
    fn lines_without_a_head_count_as_well() {
        let log = "audit: clean, 1 frames in use as at the start\r\npower-off: status 0\r\n";
        assert_eq!(verdict(33, log), Verdict::PoweredOff(0));
    }

    #[test]
    fn an_end_in_order_needs_both_lines() {
        assert!(matches!(verdict(33, ""), Verdict::Confused(_)));
        assert!(matches!(
            verdict(33, "audit: clean, 1\n"),
            Verdict::Confused(_)
        ));
        assert!(matches!(
            verdict(33, "power-off: status 0\n"),
            Verdict::Confused(_)
        ));
        assert_eq!(verdict(33, "").exit_code(), KERNEL_FAILED);
    }

    #[test]
    fn a_failed_audit_is_a_failure_whatever_the_status() {
        let log = "audit: FAILED, 2 frames lost\npower-off: status 0\n";
        for code in [33, 35] {
            assert_eq!(
                verdict(code, log),
                Verdict::AuditFailed("FAILED, 2 frames lost".into())
            );
        }
        assert_eq!(verdict(35, log).exit_code(), KERNEL_FAILED);
    }

    #[test]
    fn a_root_file_system_that_is_not_whole_is_no_command_that_failed() {
        let log = format!("[ 0.1 cpu0 ERROR] the initramfs is not complete: /big: ENOMEM\n{CLEAN}");
        assert_eq!(verdict(33, &log), Verdict::NotLoaded("/big: ENOMEM".into()));
        assert_eq!(verdict(33, &log).exit_code(), 69);
    }

    #[test]
    fn the_first_panic_is_named() {
        let log = "[ 1.0 cpu1 ERROR] PANIC: rule M1 broken\n[ 1.0 cpu1 ERROR] PANIC: again\n";
        assert_eq!(verdict(37, log), Verdict::Panicked("rule M1 broken".into()));
        assert_eq!(verdict(37, log).exit_code(), KERNEL_FAILED);
    }

    #[test]
    fn only_a_person_who_quits_is_no_failure() {
        let end = |word| Verdict::of(ExitStatus::from_raw(0), "", word);
        assert_eq!(end(Word::Terminated), Verdict::Quit);
        assert_eq!(end(Word::Terminated).exit_code(), 0);
        assert_eq!(end(Word::TripleFault), Verdict::TripleFault);
        assert_eq!(end(Word::TripleFault).exit_code(), KERNEL_FAILED);
        assert_eq!(end(Word::Nothing), Verdict::CutOff);
        assert_eq!(end(Word::Nothing).exit_code(), KERNEL_FAILED);
    }

    #[test]
    fn a_qemu_that_fails_is_not_the_kernels_fault() {
        assert!(matches!(verdict(1, ""), Verdict::QemuFailed(_)));
        assert!(matches!(
            Verdict::of(ExitStatus::from_raw(9), "", Word::Nothing),
            Verdict::QemuFailed(_)
        ));
    }
}
