//! `cargo bootimage`: builds, packs and boots cowfork.

use std::process::ExitCode;

use boot::{args, commands, progress};

fn main() -> ExitCode {
    // What is not UTF-8 can only be a path, and is shown with a mark in it.
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    match args::parse(arguments).and_then(commands::run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            progress::note(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
