//! `wc [-l | -w | -c] [FILE...]`: counts lines, words and bytes, or one of them.
#![no_std]
#![no_main]

use user::sys::Result;
use user::sys::file::Fd;
use user::{Arguments, io, print, program, tool};

program!(main);

#[derive(Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
    in_word: bool,
}

impl Counts {
    fn add(&mut self, block: &[u8]) {
        for byte in block {
            self.bytes += 1;
            self.lines += u64::from(*byte == b'\n');
            let blank = byte.is_ascii_whitespace();
            self.words += u64::from(!blank && !self.in_word);
            self.in_word = !blank;
        }
    }
}

fn main(arguments: Arguments) -> i32 {
    let only = match arguments.get(1).map(|option| option.to_bytes()) {
        Some([b'-', which @ (b'l' | b'w' | b'c')]) => Some(*which),
        _ => None,
    };
    let names = arguments.rest().skip(usize::from(only.is_some()));
    tool::each_input("wc", names, |fd, name| {
        let counts = count(fd)?;
        match only {
            Some(b'l') => print!("{}", counts.lines),
            Some(b'w') => print!("{}", counts.words),
            Some(_) => print!("{}", counts.bytes),
            None => print!("{} {} {}", counts.lines, counts.words, counts.bytes),
        }
        if let Some(name) = name {
            io::put(b" ");
            io::put(name.to_bytes());
        }
        io::put(b"\n");
        Ok(())
    })
}

fn count(fd: Fd) -> Result<Counts> {
    let mut counts = Counts::default();
    tool::blocks(fd, |block| {
        counts.add(block);
        Ok(true)
    })?;
    Ok(counts)
}
