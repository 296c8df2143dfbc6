//! Programs in C, by glibc and by musl, do here what they do on Linux.
//!
//! Each file in `c/` becomes a static program, and one that is linked as it starts. It is
//! run on the host's Linux and in the machine; what it prints and its status must be the
//! same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::Boot;

/// Shown after a program's output, with its status. No program prints it.
const END: &str = "==== ";

#[test]
fn programs_linked_to_glibc() {
    same_as_on_linux("gcc", Linked::AtBuild);
}

#[test]
fn programs_linked_to_musl() {
    same_as_on_linux("musl-gcc", Linked::AtBuild);
}

#[test]
fn programs_linked_to_glibc_at_start() {
    same_as_on_linux("gcc", Linked::AtStart);
}

/// When a program gets its libraries.
#[derive(Clone, Copy, Debug)]
enum Linked {
    /// They are in its file.
    AtBuild,
    /// The loader that its file names finds and maps them.
    AtStart,
}

fn same_as_on_linux(compiler: &str, linked: Linked) {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        println!("not checked: there is no x86-64 Linux to compare with");
        return;
    }
    tests::need_c_compilers();
    let root = tests::scratch(&format!("c-programs-{compiler}-{linked:?}"));
    let programs = root.join("c");
    let names = build(compiler, linked, &programs);
    assert!(!names.is_empty(), "there are no programs");
    if let Linked::AtStart = linked {
        for name in &names {
            add_libraries(&programs.join(name), &root);
        }
    }
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
fn build(compiler: &str, linked: Linked, dir: &Path) -> Vec<String> {
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
        // glibc looks for libgcc_s when a thread is cancelled; named here, it is found with
        // the others.
        let how: &[&str] = match linked {
            Linked::AtBuild => &["-static"],
            Linked::AtStart => &["-pie", "-Wl,--no-as-needed", "-lgcc_s"],
        };
        let child = Command::new(compiler)
            .args(how)
            .args(["-O1", "-pthread", "-s", "-o"])
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

/// Copies the loader and the libraries of a program to where they are on the host, below
/// `root`.
fn add_libraries(program: &Path, root: &Path) {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8_lossy(&output.stdout);
    // A line is "name => /path (address)", or "/path (address)" for the loader.
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    for path in paths {
        let to = root.join(path.trim_start_matches('/'));
        if !to.exists() {
            fs::create_dir_all(to.parent().expect("a library's folder")).expect("that folder");
            fs::copy(path, to).expect("a library");
        }
    }
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
