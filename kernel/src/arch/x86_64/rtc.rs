//! The time of day, from the battery-backed clock (MC146818 data sheet).

use super::calendar::Date;
use x86_64::instructions::port::Port;

const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const STATUS_A: u8 = 10;
const STATUS_B: u8 = 11;

const UPDATING: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const DAY_OF_24_HOURS: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

fn register(index: u8) -> u8 {
    // SAFETY: reads one of the clock's registers; the boot CPU alone uses them.
    unsafe {
        Port::<u8>::new(0x70).write(index);
        Port::<u8>::new(0x71).read()
    }
}

/// Seconds since 1970-01-01 UTC; 0 if the clock makes no sense.
pub fn seconds() -> u64 {
    let read = || [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR].map(register);
    // Two equal readings outside of an update belong together. A dead device must
    // not hang the boot.
    for _ in 0..1_000_000 {
        if register(STATUS_A) & UPDATING != 0 {
            continue;
        }
        let time = read();
        if register(STATUS_A) & UPDATING == 0 && time == read() {
            return decode(time, register(STATUS_B));
        }
    }
    0
}

fn decode(time: [u8; 6], status: u8) -> u64 {
    let number = |value: u8| match status & BINARY {
        0 => u64::from(value >> 4) * 10 + u64::from(value & 15),
        _ => u64::from(value),
    };
    let [second, minute, hour, day, month, year] = time;
    let afternoon = status & DAY_OF_24_HOURS == 0 && hour & AFTERNOON != 0;
    let mut hour = number(hour & !AFTERNOON);
    if status & DAY_OF_24_HOURS == 0 {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let date = Date {
        // The clock has two digits of the year.
        year: 2000 + number(year),
        month: number(month),
        day: number(day),
    };
    let seconds = hour * 3600 + number(minute) * 60 + number(second);
    date.days().map_or(0, |days| days * 86400 + seconds)
}
