//! execve of programs that are in order.

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};

use user::sys::Errno;
use user::sys::file;
use user::sys::process::{self, StringList};
use user::testing::child::{self, expect_exit};
use user::testing::{Case, Channel, Explain, Failure, Mapping, Verdict, in_child};
use user::{cases, ensure};

use crate::helper;
use crate::scratch::{Scratch, string, write_file};

pub const CASES: &[Case] = cases![
    arguments => "exec-arguments",
    many_arguments => "exec-many-arguments",
    long_argument => "exec-long-argument",
    too_many_arguments => "exec-too-many-arguments",
    too_long_argument => "exec-too-long-argument",
    environment => "exec-environment",
    auxiliary_vector => "exec-auxiliary-vector",
    same_process => "exec-same-process",
    again_and_again => "exec-again-and-again",
    from_a_large_process => "exec-from-a-large-process",
    missing => "exec-missing",
    directory => "exec-directory",
    not_executable => "exec-not-executable",
    no_program => "exec-no-program",
    script => "exec-script",
    script_errors => "exec-script-errors",
    failure_changes_nothing => "exec-failure-changes-nothing",
];

/// `become_helper` in a child that must end well.
fn helper_is_content(words: &[&CStr]) -> Verdict {
    in_child(|| Err(helper::become_helper(words)))
}

fn arguments() -> Verdict {
    helper_is_content(&[c"nothing"])?;
    helper_is_content(&[c"count", c"7", c"", c"with a blank", c"last"])
}

/// Executes the helper `count` with so many words in all, of which the ones in the middle are
/// `filler`. Returns the error.
fn count_helper(count: usize, filler: &CStr) -> Result<Errno, Failure> {
    let path = helper::own_path().ok_or_else(|| Failure::new(format_args!("no AT_EXECFN")))?;
    let number = string(alloc::format!("{count}"));
    let mut words: Vec<*const c_char> = [c"usertests", helper::OPTION, c"count", &number]
        .map(CStr::as_ptr)
        .to_vec();
    words.resize(count - 1, filler.as_ptr());
    words.push(c"last".as_ptr());
    words.push(core::ptr::null());
    // SAFETY: pointers to strings that live longer, and a null.
    let arguments = unsafe { StringList::new(&words) };
    // SAFETY: an empty list.
    let environment = unsafe { StringList::new(&[core::ptr::null()]) };
    Ok(process::execve(path, arguments, environment))
}

fn expect_count(count: usize, filler: &CStr) -> Verdict {
    in_child(|| {
        let errno = count_helper(count, filler)?;
        Err(Failure::new(format_args!("execve: {errno:?}")))
    })
}

fn many_arguments() -> Verdict {
    expect_count(100, c"x")?;
    expect_count(2_000, c"argument")
}

/// One word may have 128 KiB with its end (Linux: MAX_ARG_STRLEN), and all together more.
fn long_argument() -> Verdict {
    expect_count(6, &string(vec![b'a'; 100_000]))?;
    expect_count(6, &string(vec![b'a'; 131_071]))
}

fn too_long_argument() -> Verdict {
    let errno = count_helper(6, &string(vec![b'a'; 131_072]))?;
    ensure!(errno == Errno::E2BIG, "execve: {errno:?}");
    helper_is_content(&[c"nothing"])
}

/// More than a quarter of the stack's limit in all (man 2 execve).
fn too_many_arguments() -> Verdict {
    let errno = count_helper(70, &string(vec![b'a'; 100_000]))?;
    ensure!(errno == Errno::E2BIG, "execve with 7 MB: {errno:?}");
    let errno = count_helper(1_500_000, c"a")?;
    ensure!(
        errno == Errno::E2BIG,
        "execve with 1,500,000 words: {errno:?}"
    );
    helper_is_content(&[c"nothing"])
}

fn environment() -> Verdict {
    helper_is_content(&[c"no-environment"])?;
    in_child(|| {
        let path = helper::own_path().ok_or_else(|| Failure::new(format_args!("no AT_EXECFN")))?;
        let entry = c"NAME=a value";
        let words = [c"usertests", helper::OPTION, c"environment", entry].map(CStr::as_ptr);
        let words: Vec<*const c_char> = words.into_iter().chain([core::ptr::null()]).collect();
        // SAFETY: pointers to strings that live longer, and a null.
        let arguments = unsafe { StringList::new(&words) };
        let entries = [entry.as_ptr(), core::ptr::null()];
        // SAFETY: see above.
        let errno = process::execve(path, arguments, unsafe { StringList::new(&entries) });
        Err(Failure::new(format_args!("execve: {errno:?}")))
    })
}

fn auxiliary_vector() -> Verdict {
    helper_is_content(&[c"vector"])
}

fn same_process() -> Verdict {
    in_child(|| {
        let pid = string(alloc::format!("{}", process::getpid()));
        Err(helper::become_helper(&[c"pid", &pid]))
    })
}

fn again_and_again() -> Verdict {
    (0..50).try_for_each(|_| {
        expect_exit(0, || {
            process::execute(c"/bin/true", &[c"true"]);
            99
        })
    })
}

/// The old memory goes, and a parent's that was shared with it stays.
fn from_a_large_process() -> Verdict {
    let area = Mapping::private(1024)?;
    area.fill_all(1);
    for _ in 0..5 {
        in_child(|| {
            (0..1024).step_by(2).for_each(|page| area.set(page, 0, 5));
            Err(helper::become_helper(&[c"nothing"]))
        })?;
    }
    area.check_all(1)
}

/// Executes a path in this process, which must fail with that error.
fn expect_refusal(what: &str, path: &CStr, expected: Errno) -> Verdict {
    let errno = process::execute(path, &[c"refused"]);
    ensure!(errno == expected, "{what}: {errno:?}, not {expected:?}");
    Ok(())
}

fn missing() -> Verdict {
    expect_refusal("no file", c"/bin/no-such-program", Errno::ENOENT)?;
    expect_refusal("no directory", c"/no-such/program", Errno::ENOENT)?;
    expect_refusal("no name", c"", Errno::ENOENT)?;
    expect_refusal("in a file", c"/dev/null/program", Errno::ENOTDIR)?;
    expect_refusal("a long name", &string([b'n'; 256]), Errno::ENAMETOOLONG)?;
    expect_refusal(
        "a long path",
        &string(vec![b'/'; 5000]),
        Errno::ENAMETOOLONG,
    )
}

fn directory() -> Verdict {
    expect_refusal("/", c"/", Errno::EACCES)?;
    expect_refusal("/bin", c"/bin", Errno::EACCES)?;
    expect_refusal("a device", c"/dev/null", Errno::EACCES)
}

fn not_executable() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"text", b"#!/bin/true\n", 0o644)?;
    expect_refusal("a text", c"text", Errno::EACCES)
}

fn no_program() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"empty", b"", 0o755)?;
    write_file(c"text", b"echo this is no program\n", 0o755)?;
    write_file(c"zeroes", &[0; 8192], 0o755)?;
    expect_refusal("nothing", c"empty", Errno::ENOEXEC)?;
    expect_refusal("a text", c"text", Errno::ENOEXEC)?;
    expect_refusal("zeroes", c"zeroes", Errno::ENOEXEC)
}

/// `#!` names the program that gets the script's path as its argument.
fn script() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"true", b"#!/bin/true\n", 0o755)?;
    write_file(c"false", b"#! /bin/false  \nanything", 0o755)?;
    write_file(c"shell", b"#!/bin/sh\nexit 42\n", 0o755)?;
    for (path, code) in [(c"./true", 0), (c"./false", 1), (c"./shell", 42)] {
        expect_exit(code, || {
            process::execute(path, &[path]);
            99
        })?;
    }
    Ok(())
}

fn script_errors() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"missing", b"#!/bin/no-such-program\n", 0o755)?;
    write_file(c"nothing", b"#!\n", 0o755)?;
    write_file(c"directory", b"#!/bin\n", 0o755)?;
    expect_refusal("a missing interpreter", c"missing", Errno::ENOENT)?;
    expect_refusal("no interpreter", c"nothing", Errno::ENOEXEC)?;
    expect_refusal("a directory as interpreter", c"directory", Errno::EACCES)
}

/// After all the errors the program is what it was.
fn failure_changes_nothing() -> Verdict {
    let area = Mapping::private(8)?;
    area.fill_all(1);
    let pipe = file::pipe().or_fail("pipe")?;
    file::set_descriptor_flags(pipe.read, file::FD_CLOEXEC).or_fail("F_SETFD")?;
    for _ in 0..20 {
        missing()?;
        directory()?;
    }
    area.check_all(1)?;
    file::write(pipe.write, b"x").or_fail("write")?;
    let count = file::read(pipe.read, &mut [0]).or_fail("read")?;
    ensure!(count == 1, "read {count} bytes");
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    let go = Channel::new()?;
    let pid = child::start(|| {
        missing()?;
        go.send(1)
    })?;
    go.receive()?;
    child::finish(pid)
}
