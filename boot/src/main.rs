//! `cargo bootimage`: builds, packs and boots cowfork.

use std::process::ExitCode;

use boot::{args, commands, progress};

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)).and_then(commands::run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            progress::note(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
