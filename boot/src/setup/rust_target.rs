//! Gets the Rust target's libraries where they are missing.
//!
//! From rustup; where its server cannot be reached, they are built from Debian's
//! source of the same version, and put where any cargo finds them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Doing, Error, Result};
use crate::image;
use crate::progress;
use crate::setup::debian::Mirror;
use crate::workspace::{TARGET, Workspace};

/// How long rustup may take before its server counts as out of reach.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(120);

/// Suites that may have the source of a compiler that was released since
/// Debian 12. The first one has several versions side by side.
const SUITES: &[&str] = &["trixie-backports", "forky", "sid"];

/// The libraries that a program without an operating system links to.
const LIBRARIES: &[&str] = &["core", "alloc", "compiler_builtins"];

/// Makes sure that [`TARGET`] can be built for.
pub fn ensure(workspace: &Workspace) -> Result<()> {
    let dir = library_dir(workspace)?;
    if has_libraries(&dir) {
        return Ok(());
    }
    progress::step("Installing", &format!("the Rust target {TARGET}"));
    if add_by_rustup(workspace)? && has_libraries(&dir) {
        return Ok(());
    }
    let release = release(workspace)?;
    let missing = |why: &str| Error::Missing {
        what: format!("the Rust target {TARGET} is missing: rustup could not add it, and {why}"),
        advice: format!("Run `rustup target add {TARGET}` when its server can be reached."),
    };
    let Some(mirror) = Mirror::find() else {
        return Err(missing("this is no Debian, which has its source"));
    };
    let packages = workspace.output()?.join("packages");
    let Some(root) = mirror.unpack(&["rust-src"], &format!("{release}+"), SUITES, &packages)?
    else {
        return Err(missing(&format!("Debian has no rust-src {release}")));
    };
    let source = root
        .join("usr/src")
        .join(format!("rustc-{release}/library"));
    if !source.join("Cargo.lock").is_file() {
        return Err(missing("Debian's rust-src is not laid out as expected"));
    }
    progress::step(
        "Building",
        &format!("{} for {TARGET}", LIBRARIES.join(", ")),
    );
    build_from(&source, workspace, &dir)
}

/// The folder that rustc looks for the target's libraries in.
fn library_dir(workspace: &Workspace) -> Result<PathBuf> {
    let text = rustc(workspace, &["--print", "target-libdir", "--target", TARGET])?;
    Ok(PathBuf::from(text.trim_end()))
}

/// The compiler's version, such as 1.95.0.
fn release(workspace: &Workspace) -> Result<String> {
    let text = rustc(workspace, &["-vV"])?;
    text.lines()
        .find_map(|line| line.strip_prefix("release: "))
        .map(String::from)
        .ok_or_else(|| Error::Malformed("rustc -vV tells no release".into()))
}

fn rustc(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(arguments)
        .current_dir(workspace.root())
        // rustup is asked below, and in a way that may fail.
        .env("RUSTUP_AUTO_INSTALL", "0")
        .stderr(Stdio::inherit())
        .output()
        .doing("run rustc")?;
    if !output.status.success() {
        return Err(Error::Child {
            what: format!("rustc {}", arguments.join(" ")),
            status: output.status,
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn has_libraries(dir: &Path) -> bool {
    let names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    LIBRARIES.iter().all(|library| {
        let start = format!("lib{library}-");
        names
            .iter()
            .any(|name| name.starts_with(&start) && name.ends_with(".rlib"))
    })
}

/// Whether rustup added the target.
fn add_by_rustup(workspace: &Workspace) -> Result<bool> {
    let child = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(workspace.root())
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(progress::stderr())
        .spawn();
    let Ok(mut child) = child else {
        // A compiler that did not come by rustup.
        return Ok(false);
    };
    let start = Instant::now();
    while start.elapsed() < RUSTUP_PATIENCE {
        if let Some(status) = child.try_wait().doing("wait for rustup")? {
            return Ok(ExitStatus::success(&status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().doing("stop rustup")?;
    child.wait().doing("wait for rustup")?;
    Ok(false)
}

/// Builds the libraries from `source` and puts them into `to`.
fn build_from(source: &Path, workspace: &Workspace, to: &Path) -> Result<()> {
    let dir = workspace.output()?.join("build-std");
    let package = dir.join("src");
    fs::create_dir_all(&package).on("create", &package)?;
    let manifest = dir.join("Cargo.toml");
    let text = "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(&manifest, text).on("write", &manifest)?;
    let library = package.join("lib.rs");
    fs::write(&library, "#![no_std]\n").on("write", &library)?;

    let status = image::cargo(workspace)
        .args(["build", "--release", "--target", TARGET])
        .arg(format!("-Zbuild-std={}", LIBRARIES.join(",")))
        .arg("--target-dir")
        .arg(dir.join("target"))
        .current_dir(&dir)
        // For this one child: -Z is not for a stable cargo.
        .env("RUSTC_BOOTSTRAP", "1")
        // Cargo's way to name a source outside of the toolchain (`std_resolve`
        // in its source). It is meant for cargo's own tests, and the only one
        // that leaves the toolchain as it is.
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", source)
        // As the prebuilt libraries are: relocatable, which this workspace's own
        // flags are not, and with frame pointers for backtraces.
        .env("RUSTFLAGS", "-C force-frame-pointers=yes")
        .stdout(progress::stderr())
        .status()
        .doing("run cargo")?;
    if !status.success() {
        return Err(Error::Child {
            what: "building Rust's libraries from Debian's source".into(),
            status,
        });
    }
    install(&dir.join("target").join(TARGET).join("release/deps"), to)
}

/// Copies the libraries in `from` to `to`.
fn install(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).on("create", to)?;
    for entry in fs::read_dir(from).on("list", from)? {
        let path = entry.on("list", from)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let wanted = LIBRARIES
            .iter()
            .any(|library| name.starts_with(&format!("lib{library}-")));
        if wanted && name.ends_with(".rlib") {
            // Whole or not at all: another cargo may be looking.
            let new = to.join(format!("{name}.new"));
            fs::copy(&path, &new).on("write", &new)?;
            fs::rename(&new, to.join(name)).on("replace", &to.join(name))?;
        }
    }
    Ok(())
}
