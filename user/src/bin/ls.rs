//! `ls [-l] [NAME...]`: names what is in directories, and the files that are named; `-l` with
//! kind, rights and size.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use user::sys::file::{self, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, Stat};
use user::sys::{Errno, Result};
use user::{Arguments, directory, io, print, program, tool};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let long = arguments.get(1) == Some(c"-l");
    let mut names: Vec<&CStr> = arguments.rest().skip(usize::from(long)).collect();
    if names.is_empty() {
        names.push(c".");
    }
    let mut code = 0;
    for name in &names {
        if let Err(errno) = show(name, long, names.len() > 1) {
            tool::complain("ls", name, errno);
            code = 1;
        }
    }
    code
}

fn show(name: &CStr, long: bool, titled: bool) -> Result<()> {
    if file::stat(name)?.st_mode & S_IFMT != S_IFDIR {
        return line(name, name.to_bytes(), long);
    }
    if titled {
        io::put(name.to_bytes());
        io::put(b":\n");
    }
    for entry in directory::list(name)? {
        let path = [name.to_bytes(), &entry.name].join(&b'/');
        let path = CString::new(path).map_err(|_| Errno::EIO)?;
        line(&path, &entry.name, long)?;
    }
    Ok(())
}

fn line(path: &CStr, shown: &[u8], long: bool) -> Result<()> {
    if long {
        // What is gone since it was listed, or a link to nowhere, has no details.
        match file::stat(path) {
            Ok(stat) => details(&stat),
            Err(errno) => print!("({errno}) "),
        }
    }
    io::put(shown);
    io::put(b"\n");
    Ok(())
}

fn details(stat: &Stat) {
    io::put(match stat.st_mode & S_IFMT {
        S_IFDIR => b"d",
        S_IFCHR => b"c",
        S_IFIFO => b"p",
        _ => b"-",
    });
    for (index, letter) in b"rwxrwxrwx".iter().enumerate() {
        let set = stat.st_mode & (0o400 >> index) != 0;
        io::put(&[if set { *letter } else { b'-' }]);
    }
    print!(" {:>3} {:>10} ", stat.st_nlink, stat.st_size);
}
