//! `forktest [MOST]`: forks until the kernel refuses or there are MOST (1,000) children, reaps
//! each, and then forks again, to see that all that they held has come back.
#![no_std]
#![no_main]

use user::sys::file::{self, Pipe};
use user::sys::process::{self, Pid, Status};
use user::sys::{Errno, system};
use user::testing::{Explain, Failure, Verdict};
use user::{Arguments, ensure, eprintln, fail, number, println, program};

program!(main);

const MOST: u64 = 1_000;

fn main(arguments: Arguments) -> i32 {
    let most = match arguments.get(1).map(|text| number::parse(text.to_bytes())) {
        None => MOST,
        Some(Some(most)) => most,
        Some(None) => {
            eprintln!("usage: forktest [MOST]");
            return 2;
        }
    };
    match test(most) {
        Ok(()) => {
            println!("forktest: ok");
            0
        }
        Err(failure) => {
            println!("forktest: FAILED: {failure}");
            1
        }
    }
}

fn test(most: u64) -> Verdict {
    let (first, refusal) = round(most)?;
    match refusal {
        None => println!("{first} children, as many as asked for"),
        Some(errno) => println!("{first} children, then {errno:?}"),
    }
    ensure!(first > 0, "not one child");
    nobody_left()?;
    // A second crowd of the size of the first. Other programs may have grown meanwhile, so a few
    // less are no fault.
    let (second, _) = round(first)?;
    println!("{second} children again");
    ensure!(
        second >= first - first / 10,
        "{first} children at first, {second} the second time"
    );
    nobody_left()
}

/// Makes up to `most` children that all live at once, then lets them go and reaps each. Says
/// how many there were, and what stopped it.
fn round(most: u64) -> Result<(u64, Option<Errno>), Failure> {
    let gate = file::pipe().or_fail("pipe")?;
    let mut count = 0;
    let mut refusal = None;
    while count < most {
        match process::spawn(|| child(gate)) {
            Ok(_) => count += 1,
            Err(errno @ (Errno::EAGAIN | Errno::ENOMEM)) => {
                refusal = Some(errno);
                break;
            }
            Err(errno) => return Err(errno).or_fail("fork"),
        }
    }
    // The children's reads end when the last writer is gone, and that is this process.
    file::close(gate.write).or_fail("close")?;
    file::close(gate.read).or_fail("close")?;
    for _ in 0..count {
        let (pid, status) = process::wait().or_fail("wait")?;
        // A child may die for want of memory where that is what stopped the forks.
        let starved = refusal.is_some() && matches!(status, Status::Killed(_));
        if status != Status::Exited(0) && !starved {
            return Err(Failure::new(format_args!(
                "child {pid} ended with {status}"
            )));
        }
    }
    Ok((count, refusal))
}

/// Waits at the gate until the parent opens it.
fn child(gate: Pipe) -> i32 {
    if file::close(gate.write).is_err() {
        return 1;
    }
    match file::read(gate.read, &mut [0]) {
        Ok(0) => 0,
        _ => 1,
    }
}

fn nobody_left() -> Verdict {
    match process::try_wait(Pid(-1)) {
        Err(Errno::ECHILD) => {}
        other => fail!("there should be no child left, wait says {other:?}"),
    }
    // What the children held is given back in the background.
    system::sleep_ms(100);
    Ok(())
}
