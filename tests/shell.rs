//! What a person or a script sees on the console.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tests::Boot;

#[test]
fn the_status_of_the_command_is_passed_on() {
    Boot::new().exec("exit 42").run().assert_status(42);
    Boot::new().exec("false").run().assert_status(1);
}

#[test]
fn the_console_has_what_programs_write_and_nothing_else() {
    let outcome = Boot::new()
        .exec("echo one; echo two >&2; echo; echo -n three")
        .run();
    outcome.assert_status(0);
    assert_eq!(outcome.console(), "one\ntwo\n\nthree");
}

#[test]
fn quotes_of_both_kinds_reach_the_shell() {
    let outcome = Boot::new()
        .exec(r#"echo "two  blanks" 'and "these"'"#)
        .run();
    outcome.assert_status(0);
    assert_eq!(outcome.console(), "two  blanks and \"these\"\n");
}

#[test]
fn pipes_redirections_and_background_jobs() {
    let outcome = Boot::new()
        .exec(
            "echo a b | while read line; do echo got $line; done; \
             echo kept > /tmp/file; read line < /tmp/file; echo $line; \
             (exit 3) & wait $!; echo $?",
        )
        .run();
    outcome.assert_status(0);
    assert_eq!(outcome.console(), "got a b\nkept\n3\n");
}

#[test]
fn a_script_by_the_console_runs_to_its_end() {
    let outcome = Boot::new().input("echo hello\nexit 5\n").run();
    outcome.assert_status(5);
    outcome.assert_shows("hello\n");
}

#[test]
fn the_end_of_the_input_ends_the_shell() {
    Boot::new().run().assert_status(0);
    // A last line without an end counts.
    let outcome = Boot::new().input("echo last").run();
    outcome.assert_status(0);
    outcome.assert_shows("last\n");
}

/// More than the terminal's buffer, the serial port and the pipe to QEMU hold
/// together.
#[test]
fn no_input_is_lost_when_the_reader_is_slow() {
    const LINES: usize = 6_000;
    let input: String = (0..LINES)
        .map(|number| format!("echo this is line {number}\n"))
        .collect();
    let outcome = Boot::new().input(&input).run();
    outcome.assert_status(0);
    let console = outcome.console();
    let mut rest = console.as_str();
    for number in 0..LINES {
        let line = format!("this is line {number}\n");
        match rest.split_once(&line) {
            Some((_, after)) => rest = after,
            None => outcome.assert(false, &format!("line {number} of {LINES} on the console")),
        }
    }
}

#[test]
fn a_person_types_on_a_terminal() {
    let mut machine = Boot::new().start();
    machine.wait_for(tests::PROMPT);
    assert!(
        machine
            .command("echo typed")
            .ends_with("\r\ntyped\r\ncowfork:/# ")
    );
    // ^U takes back what was typed so far.
    assert!(
        machine
            .command("echo wrong\x15echo right")
            .contains("\r\nright\r\n")
    );
    // ^C ends the command, not the shell. The command itself says that it has started: a ^C that
    // comes before it has finds only the shell, which ignores it.
    machine.send("sh -c 'echo started; spin'\n");
    machine.wait_for("\r\nstarted\r\n");
    machine.send("\x03");
    machine.wait_for(tests::PROMPT);
    machine.send("exit 9\n");
    machine.end().assert_status(9);
}

/// Files and rights of one's own, in a folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cowfork-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the overlay");
        Self(path)
    }

    fn file(self, name: &str, contents: &[u8], mode: u32) -> Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder in the overlay");
        fs::write(&path, contents).expect("a file in the overlay");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its rights");
        self
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_overlay_brings_files_of_ones_own() {
    let folder = Folder::new("overlay")
        .file("etc/motd", b"from the overlay\n", 0o644)
        .file(
            "own/script",
            b"read line < /etc/motd; echo $1: $line\n",
            0o755,
        );
    let outcome = Boot::new()
        .overlay(&folder.0)
        .exec("sh /own/script read")
        .run();
    outcome.assert_status(0);
    assert_eq!(outcome.console(), "read: from the overlay\n");
}

/// 126 is "found and cannot be run", 127 "not found" (POSIX, Shell Command
/// Language, 2.8.2).
#[test]
fn what_is_no_program_is_refused_with_the_proper_error() {
    let mut elf = b"\x7fELF\x02\x01\x01\0".to_vec();
    elf.resize(64, 0xee);
    let folder = Folder::new("programs")
        .file("bad/truncated", &elf[..20], 0o755)
        .file("bad/corrupt", &elf, 0o755)
        .file("bad/interpreter", b"#!/no/such/shell\n", 0o755)
        .file("bad/rights", b"#!/bin/sh\n", 0o644);
    let outcome = Boot::new()
        .overlay(&folder.0)
        .exec(
            "for name in truncated corrupt interpreter rights missing; do \
             /bad/$name; echo $name $?; done; /bad; echo folder $?",
        )
        .run();
    outcome.assert_status(0);
    for line in [
        "truncated 126\n",
        "corrupt 126\n",
        "interpreter 127\n",
        "rights 126\n",
        "missing 127\n",
        "folder 126\n",
    ] {
        outcome.assert_shows(line);
    }
}
