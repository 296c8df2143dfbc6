//! The tool as a person or a script runs it: what goes where, and exit statuses.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boot"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> (Output, String) {
    let output = tool(arguments).output().expect("the tool");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{errors}");
    (output, errors)
}

/// The file that the last line names.
fn kernel_log(errors: &str) -> String {
    let line = errors
        .lines()
        .rfind(|line| line.starts_with("kernel log: "));
    let path = line
        .expect("the log's name")
        .trim_start_matches("kernel log: ");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).expect("the log")
}

#[test]
fn run_gives_the_programs_output_and_status_and_names_the_log() {
    let (output, errors) = output(&["run", "--timeout", "120", "--exec", "echo out; exit 3"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"out\n");
    assert!(!errors.contains("audit: "), "the log was not asked for");
    assert!(kernel_log(&errors).contains("power-off: status 3"));

    let arguments = [
        "run",
        "-v",
        "--timeout=120",
        "--exec=true",
        "--",
        "-m",
        "64M",
        "-smp",
        "1",
    ];
    let (output, errors) = self::output(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    assert!(errors.contains("audit: clean"), "the log was asked for");
    assert!(errors.contains(", 1 CPU"), "QEMU got `-smp 1`");
}

#[test]
fn failures_have_statuses_of_their_own_and_show_the_log() {
    let panic = [
        "run",
        "--timeout",
        "120",
        "--kernel-arg",
        "selftest=panic",
        "--exec",
        "true",
    ];
    let (output, errors) = output(&panic);
    assert_eq!(output.status.code(), Some(70));
    assert!(output.stdout.is_empty());
    assert!(errors.contains("PANIC: ") && errors.contains("kernel::"));

    let (output, errors) = self::output(&["run", "--timeout", "2", "--exec", "spin"]);
    assert_eq!(output.status.code(), Some(124));
    assert!(errors.contains("not done after 2 s"));

    let (output, errors) = self::output(&["run", "--", "-no-such-option"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(errors.contains("-no-such-option"));

    for wrong in [&["rum"][..], &["run", "-smp", "1"]] {
        let (output, _) = self::output(wrong);
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
    }
}

/// As in `cargo bootimage run --exec ... | head -1`.
#[test]
fn a_reader_who_leaves_ends_the_machine() {
    let mut child = tool(&["run", "--exec", "while true; do echo more; done"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool");
    let mut line = [0; 5];
    child
        .stdout
        .take()
        .expect("its output")
        .read_exact(&mut line)
        .expect("a line");
    assert_eq!(&line, b"more\n");
    assert_eq!(child.wait().expect("its end").code(), Some(141));
}

/// A folder that is not there yet.
fn new_folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).expect("a folder");
    root
}

/// The tree has no shell: ours is there beside what it has.
#[test]
fn a_tree_with_merged_usr_is_the_root_and_our_programs_stay_in_their_folder() {
    let root = new_folder("rootfs");
    fs::create_dir_all(root.join("usr/bin")).expect("a folder");
    symlink("usr/bin", root.join("bin")).expect("a link");
    fs::write(root.join("usr/bin/motd"), "merged\n").expect("a file");
    let root = root.to_str().expect("a name");
    let command = "cat /bin/motd; echo $HOME; ls /bin /usr/lib/cowfork/bin";
    let (output, _) = output(&[
        "run",
        "--timeout",
        "120",
        "--rootfs",
        root,
        "--exec",
        command,
    ]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("merged\n/root\n/bin:\nmotd\n"), "{text}");
    assert!(text.contains("forkbench\n"), "{text}");
}

/// Where the host's Debian packages can be had.
#[test]
fn debians_bash_runs_unmodified() {
    let command = "bash -c 'printf %s- {1..3} | tr 1-3 a-c; echo'";
    let arguments = [
        "run",
        "--timeout",
        "120",
        "--packages",
        "bash",
        "--exec",
        command,
    ];
    let (output, errors) = output(&arguments);
    if errors.contains("cannot be had") {
        println!("not checked: there are no Debian packages to be had here");
        return;
    }
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"a-b-c-\n");
}

/// It is no failure of the kernel's: nothing is lost, and the status says so.
#[test]
fn a_first_program_that_cannot_be_started_leaves_a_clean_machine() {
    let arguments = [
        "run",
        "--timeout",
        "120",
        "--kernel-arg",
        "rdinit=/nonexistent",
    ];
    let (output, errors) = output(&arguments);
    assert_eq!(output.status.code(), Some(127));
    assert!(kernel_log(&errors).contains("/nonexistent cannot be started"));
}

#[test]
fn an_overlay_with_merged_usr_takes_the_built_in_programs_along() {
    let overlay = new_folder("merged-overlay");
    fs::create_dir_all(overlay.join("usr/bin")).expect("a folder");
    symlink("usr/bin", overlay.join("bin")).expect("a link");
    fs::write(overlay.join("usr/bin/motd"), "merged\n").expect("a file");
    let overlay = overlay.to_str().expect("a name");
    let command = "cat /bin/motd; /usr/bin/echo moved";
    let arguments = [
        "run",
        "--timeout",
        "120",
        "--overlay",
        overlay,
        "--exec",
        command,
    ];
    let (output, _) = output(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"merged\nmoved\n");
}

#[test]
fn an_overlay_that_does_not_fit_is_an_error_with_the_memory_that_would_do() {
    let overlay = new_folder("large-overlay");
    let large = fs::File::create(overlay.join("large")).expect("a file");
    large.set_len(200 << 20).expect("a size");
    let overlay = overlay.to_str().expect("a name");
    let run = [
        "run",
        "--timeout",
        "120",
        "--overlay",
        overlay,
        "--exec",
        "wc -c /large",
    ];
    let (refused, errors) = output(&[&run[..], &["--", "-m", "128M"]].concat());
    assert_eq!(refused.status.code(), Some(69));
    assert!(refused.stdout.is_empty());
    let advice = errors.lines().last().unwrap_or_default();
    let size = advice.strip_prefix("Give the machine more: -- -m ");
    let size = size.expect("the size that would do");

    // Without a size the tool takes it by itself.
    for options in [&[][..], &["--", "-m", size]] {
        let (output, _) = output(&[&run[..], options].concat());
        assert_eq!(output.status.code(), Some(0), "{options:?}");
        assert_eq!(output.stdout, b"209715200 /large\n");
    }
}

/// A kernel and a first program that are quickly built, and never started.
const PROGRAM: &str = "\
#![no_std]
#![no_main]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
extern \"C\" fn _start() -> ! {
    loop {}
}
";

/// A small checkout in a folder of its own. The tool was compiled from another one.
fn other_checkout(name: &str) -> PathBuf {
    let root = new_folder(name);
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"kernel\", \"user\"]\n\
         [profile.release]\npanic = \"abort\"\n",
    );
    for (package, source) in [("kernel", "src/main.rs"), ("user", "src/bin/init.rs")] {
        let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n");
        write(&format!("{package}/Cargo.toml"), &manifest);
        write(&format!("{package}/{source}"), PROGRAM);
    }
    root
}

#[test]
fn the_checkout_that_the_current_folder_is_in_is_built_in_its_own_target() {
    let root = other_checkout("copied-checkout");
    let output = tool(&["build"])
        .current_dir(root.join("kernel/src"))
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_MANIFEST_DIR")
        .env("QEMU", env!("CARGO_BIN_EXE_boot"))
        .output()
        .expect("the tool");
    let errors = String::from_utf8_lossy(&output.stderr);
    println!("{errors}");
    assert_eq!(output.status.code(), Some(0));
    let root = root.canonicalize().expect("the folder");
    assert!(errors.contains(&format!("Using the checkout {}\n", root.display())));
    assert!(root.join("target/bootimage/initramfs.cpio").is_file());
}

#[test]
fn outside_of_a_checkout_there_is_nothing_to_build() {
    let output = tool(&["build"])
        .current_dir("/")
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .expect("the tool");
    assert_eq!(output.status.code(), Some(69));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("/ is in no checkout of cowfork"),
        "{errors}"
    );
}
