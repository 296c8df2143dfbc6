//! `head [-n LINES] [FILE...]`: prints the first lines, ten by default.
#![no_std]
#![no_main]

use user::sys::file::{self, Fd};
use user::{Arguments, eprintln, number, program, tool};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let (most, skipped) = match arguments.get(1) {
        Some(option) if option == c"-n" => (
            arguments
                .get(2)
                .and_then(|text| number::parse(text.to_bytes())),
            2,
        ),
        _ => (Some(10), 0),
    };
    let Some(most) = most else {
        eprintln!("usage: head [-n LINES] [FILE...]");
        return 2;
    };
    tool::each_input("head", arguments.rest().skip(skipped), |fd, _| {
        let mut left = most;
        if left == 0 {
            return Ok(());
        }
        tool::blocks(fd, |block| {
            // Up to the end of the last line that is wanted.
            let end = block.iter().position(|byte| {
                left -= u64::from(*byte == b'\n');
                left == 0
            });
            let wanted = end.and_then(|end| block.get(..=end)).unwrap_or(block);
            file::write_all(Fd::STDOUT, wanted)?;
            Ok(end.is_none())
        })
    })
}
