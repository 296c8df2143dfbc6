//! `sleep SECONDS`, with decimals or without.
#![no_std]
#![no_main]

use user::sys::system;
use user::{Arguments, eprintln, number, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let Some(nanoseconds) = arguments.get(1).and_then(|text| parse(text.to_bytes())) else {
        eprintln!("usage: sleep SECONDS");
        return 2;
    };
    match system::sleep(nanoseconds) {
        Ok(()) => 0,
        Err(errno) => {
            eprintln!("sleep: {errno}");
            1
        }
    }
}

/// `12.5` as nanoseconds; digits beyond the ninth decimal are dropped.
fn parse(text: &[u8]) -> Option<u64> {
    let mut halves = text.splitn(2, |byte| *byte == b'.');
    let seconds = match halves.next()? {
        b"" => 0,
        digits => number::parse(digits)?,
    };
    let mut decimals = 0;
    let mut unit = 100_000_000;
    for digit in halves.next().unwrap_or_default() {
        decimals += u64::from((*digit as char).to_digit(10)?) * unit;
        unit /= 10;
    }
    seconds.checked_mul(1_000_000_000)?.checked_add(decimals)
}
