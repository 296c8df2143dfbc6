//! Programs in C, by glibc and by musl, do here what they do on Linux.
//!
//! Each file in `c/` becomes a static program. It is run on the host's Linux and
//! in the machine; what it prints and its status must be the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::Boot;

/// Shown after a program's output, with its status. No program prints it.
const END: &str = "==== ";

#[test]
fn programs_linked_to_glibc() {
    same_as_on_linux("gcc");
}

#[test]
fn programs_linked_to_musl() {
    same_as_on_linux("musl-gcc");
}

fn same_as_on_linux(compiler: &str) {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("not checked: there is no x86-64 Linux to compare with");
        return;
    }
    tests::need_c_compilers();
    let root = tests::scratch(&format!("c-programs-{compiler}"));
    let programs = root.join("c");
    let names = build(compiler, &programs);
    assert!(!names.is_empty(), "there are no programs");
    let wanted: Vec<String> = names
        .iter()
        .map(|name| on_host(&programs.join(name)))
        .collect();

    let list = names.join(" ");
    let outcome = Boot::new()
        .memory("256M")
        .overlay(&root)
        .exec(&format!(
            "for name in {list}; do /c/$name 2>&1; echo '{END}'$?; done"
        ))
        .run();
    outcome.assert_status(0);
    let console = outcome.console();
    let mut rest = console.as_str();
    for (name, wanted) in names.iter().zip(&wanted) {
        match rest.strip_prefix(wanted) {
            Some(after) => rest = after,
            None => outcome.assert(false, &format!("this of {name}, as on Linux:\n{wanted}")),
        }
    }
}

/// Builds all programs into `dir`, side by side, and returns their names, sorted.
fn build(compiler: &str, dir: &Path) -> Vec<String> {
    fs::create_dir_all(dir).expect("a folder for the programs");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("c");
    let mut compilers = Vec::new();
    for entry in fs::read_dir(sources).expect("the programs' sources") {
        let source = entry.expect("a source").path();
        let Some(name) = source
            .file_stem()
            .filter(|_| source.extension() == Some("c".as_ref()))
        else {
            continue;
        };
        let program = dir.join(name);
        let child = Command::new(compiler)
            .args(["-static", "-O1", "-pthread", "-s", "-o"])
            .arg(&program)
            .arg(&source)
            .arg("-lm")
            .spawn()
            .expect("the compiler");
        compilers.push((name.to_string_lossy().into_owned(), child));
    }
    compilers.sort_by(|(left, _), (right, _)| left.cmp(right));
    let wait = |(name, mut child): (String, std::process::Child)| {
        let status = child.wait().expect("the compiler's end");
        assert!(status.success(), "{compiler} cannot build {name}");
        name
    };
    compilers.into_iter().map(wait).collect()
}

/// What the program prints on the host, to either output, and its status.
fn on_host(program: &Path) -> String {
    // One pipe for both, as in the machine.
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("\"$0\" 2>&1; echo '{END}'$?"))
        .arg(program)
        .stdin(Stdio::null())
        // The machine's programs have an environment of their own.
        .env_clear()
        .env("PATH", "/bin:/usr/bin")
        .output()
        .expect("the program on the host");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
