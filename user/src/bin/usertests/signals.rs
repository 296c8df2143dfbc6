//! Signals: default, ignored, blocked. Handlers are tried by the C programs in `tests/c`.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::file;
use user::sys::process::{self, Pid, Status};
use user::sys::signal::{self, Disposition, Signal, SignalSet};
use user::sys::system::sleep_ms;
use user::testing::child::{self, Channel, expect_exit, expect_signal};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Verdict, in_child};

use crate::helper;

pub const CASES: &[Case] = cases![
    default_kills => "signal-default-kills",
    default_ignores => "signal-default-ignores",
    ignored => "signal-ignored",
    blocked => "signal-blocked",
    blocked_then_ignored => "signal-blocked-then-ignored",
    not_to_be_ignored => "signal-kill-not-ignorable",
    inherited => "signal-inherited",
    over_exec => "signal-over-exec",
    dispositions => "signal-dispositions",
    continued_before_it_stopped => "signal-continued-before-it-stopped",
    group_while_forking => "signal-group-while-forking",
    unblockable => "signal-kill-not-blockable",
];

/// A stop that has not been taken yet is forgotten when the process is continued.
fn continued_before_it_stopped() -> Verdict {
    let (go, running) = (Channel::new()?, Channel::new()?);
    let pid = child::start(|| {
        running.send(1)?;
        go.receive().map(drop)
    })?;
    running.receive()?;
    for _ in 0..10 {
        process::kill(pid, Signal::SIGSTOP).or_fail("kill")?;
        process::kill(pid, Signal::SIGCONT).or_fail("kill")?;
    }
    go.send(1)?;
    child::finish(pid)
}

/// A child that is being made when its group is killed does not get away.
fn group_while_forking() -> Verdict {
    for round in 0..100 {
        let alive = file::pipe().or_fail("pipe")?;
        let running = Channel::new()?;
        let outlive = || {
            sleep_ms(2000);
            file::write(alive.write, b"x").or_fail("write").map(drop)
        };
        let leader = child::start(|| {
            process::lead_group().or_fail("setpgid")?;
            running.send(1)?;
            for _ in 0..50 {
                child::start(outlive)?;
            }
            outlive()
        })?;
        running.receive()?;
        process::kill(Pid(-leader.0), Signal::SIGKILL).or_fail("kill")?;
        file::close(alive.write).or_fail("close")?;
        // The end, when the last member of the group has been killed.
        let count = file::read(alive.read, &mut [0]).or_fail("read")?;
        ensure!(count == 0, "round {round}: a process outlived the group");
        file::close(alive.read).or_fail("close")?;
        child::expect_status(leader, Status::Killed(Signal::SIGKILL))?;
    }
    Ok(())
}

fn unblockable() -> Verdict {
    in_child(|| {
        let usr1 = SignalSet::of(Signal::SIGUSR1);
        signal::set_mask(usr1).or_fail("set_mask")?;
        signal::block(SignalSet::of(Signal::SIGKILL)).or_fail("block")?;
        signal::block(SignalSet::of(Signal::SIGSTOP)).or_fail("block")?;
        let held = signal::block(usr1).or_fail("block")?;
        ensure!(held == usr1, "SIGKILL or SIGSTOP is held back");
        Ok(())
    })
}

fn raise(signal: Signal) {
    // To oneself, with a number that exists: it cannot fail.
    let _ = process::kill(process::getpid(), signal);
}

fn default_kills() -> Verdict {
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGILL,
        Signal::SIGABRT,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGKILL,
        Signal::SIGUSR1,
        Signal::SIGSEGV,
        Signal::SIGUSR2,
        Signal::SIGPIPE,
        Signal::SIGALRM,
        Signal::SIGTERM,
        Signal::SIGSYS,
    ] {
        expect_signal(signal, || raise(signal))?;
    }
    Ok(())
}

fn default_ignores() -> Verdict {
    expect_exit(3, || {
        raise(Signal::SIGCHLD);
        raise(Signal::SIGURG);
        raise(Signal::SIGCONT);
        3
    })
}

fn ignore(signal: Signal) -> Verdict {
    signal::set_disposition(signal, Disposition::Ignore)
        .or_fail("sigaction")
        .map(drop)
}

fn ignored() -> Verdict {
    in_child(|| {
        ignore(Signal::SIGTERM)?;
        ignore(Signal::SIGINT)?;
        raise(Signal::SIGTERM);
        raise(Signal::SIGINT);
        Ok(())
    })?;
    // And then again not.
    expect_signal(Signal::SIGTERM, || {
        let _ = ignore(Signal::SIGTERM);
        raise(Signal::SIGTERM);
        let _ = signal::set_disposition(Signal::SIGTERM, Disposition::Default);
        raise(Signal::SIGTERM);
    })
}

/// A blocked signal waits until it is let in.
fn blocked() -> Verdict {
    expect_signal(Signal::SIGUSR1, || {
        let set = SignalSet::of(Signal::SIGUSR1);
        let Ok(before) = signal::block(set) else {
            process::exit(1);
        };
        raise(Signal::SIGUSR1);
        if signal::set_mask(set) != Ok(set) {
            process::exit(2);
        }
        let _ = signal::set_mask(before);
        process::exit(3)
    })
}

fn blocked_then_ignored() -> Verdict {
    in_child(|| {
        let before = signal::block(SignalSet::of(Signal::SIGUSR1)).or_fail("block")?;
        raise(Signal::SIGUSR1);
        ignore(Signal::SIGUSR1)?;
        signal::set_mask(before).or_fail("unblock").map(drop)
    })
}

fn not_to_be_ignored() -> Verdict {
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        let result = signal::set_disposition(signal, Disposition::Ignore);
        expect_error("sigaction", result, Errno::EINVAL)?;
    }
    // Blocking it is no error and does nothing.
    expect_signal(Signal::SIGKILL, || {
        let _ = signal::block(SignalSet(u64::MAX));
        raise(Signal::SIGKILL);
    })
}

fn inherited() -> Verdict {
    in_child(|| {
        ignore(Signal::SIGTERM)?;
        signal::block(SignalSet::of(Signal::SIGUSR2)).or_fail("block")?;
        in_child(|| {
            raise(Signal::SIGTERM);
            raise(Signal::SIGUSR2);
            let mask = signal::block(SignalSet(0)).or_fail("block")?;
            ensure!(
                mask == SignalSet::of(Signal::SIGUSR2),
                "the mask is {:#x}",
                mask.0
            );
            Ok(())
        })
    })?;
    // A signal that waits for the parent is not the child's.
    in_child(|| {
        signal::block(SignalSet::of(Signal::SIGUSR2)).or_fail("block")?;
        raise(Signal::SIGUSR2);
        in_child(|| signal::set_mask(SignalSet(0)).or_fail("unblock").map(drop))
    })
}

/// A new program finds the signals ignored that were, and the mask as it was.
fn over_exec() -> Verdict {
    in_child(|| {
        ignore(Signal::SIGTERM)?;
        signal::block(SignalSet::of(Signal::SIGUSR2)).or_fail("block")?;
        Err(helper::become_helper(&[c"signals"]))
    })
}

fn dispositions() -> Verdict {
    let before = signal::set_disposition(Signal::SIGUSR1, Disposition::Ignore).or_fail("set")?;
    ensure!(before == Disposition::Default, "at first it was {before:?}");
    let before = signal::set_disposition(Signal::SIGUSR1, Disposition::Default).or_fail("set")?;
    ensure!(before == Disposition::Ignore, "then it was {before:?}");
    for number in [0, -1, 65, 1000] {
        let result = signal::set_disposition(Signal(number), Disposition::Ignore);
        expect_error("sigaction of no signal", result, Errno::EINVAL)?;
    }
    Ok(())
}
