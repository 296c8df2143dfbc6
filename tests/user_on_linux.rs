//! The user programs on the host's Linux: what they expect of a kernel is what
//! Linux does. The same binaries run on the kernel in the other tests.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use boot::bench::report::Report;
use boot::image;
use boot::setup;
use boot::workspace::{TARGET, Workspace};

/// Much longer than any of them takes.
const PATIENCE: Duration = Duration::from_secs(240);

/// Whether the programs can run here; says so when not.
fn on_linux() -> bool {
    let here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    if !here {
        println!("not checked: this is no x86-64 Linux");
    }
    here
}

/// The folder of the programs, which are built first.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let workspace = Workspace::find().unwrap_or_else(|error| panic!("{error}"));
        setup::ensure(&workspace).unwrap_or_else(|error| panic!("set-up: {error}"));
        let status = image::cargo(&workspace)
            .args(["build", "--release", "--target", TARGET])
            .args(["--package", "user", "--bins", "--target-dir"])
            .arg(workspace.target())
            .status()
            .expect("cargo");
        assert!(status.success(), "the user programs cannot be built");
        workspace.target().join(TARGET).join("release")
    })
}

/// How a program ended, and what it wrote.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// As a shell gives it: 128 + N for signal N.
    status: i32,
    output: String,
    errors: String,
}

fn shell_status(status: ExitStatus) -> i32 {
    let signal = || status.signal().map_or(-1, |signal| 128 + signal);
    status.code().unwrap_or_else(signal)
}

/// Runs a program to its end, with some input and a `PATH`.
fn run(program: &Path, arguments: &[&str], input: &str, path: &OsStr) -> Outcome {
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", "/")
        .current_dir("/")
        // Its own group, to be killed as a whole.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let output = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it all may have ended already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let status = wait(&mut child);
    let text = |bytes: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&bytes.join().expect("a reader")).into_owned()
    };
    let outcome = Outcome {
        status: status.map_or(-1, shell_status),
        output: text(output),
        errors: text(errors),
    };
    assert!(
        status.is_some(),
        "{} {arguments:?} was not done after {PATIENCE:?}: {outcome:#?}",
        program.display()
    );
    outcome
}

/// Reads a stream to its end, in a thread of its own.
fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before an error is shown all the same.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// Waits for the end; kills the whole group when there is none in time.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("wait") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.wait();
    None
}

/// Runs one of the user programs, which find each other and nothing else.
fn user(name: &str, arguments: &[&str], input: &str) -> Outcome {
    let dir = programs();
    run(&dir.join(name), arguments, input, dir.as_os_str())
}

/// A program of named cases runs them all, and all pass.
fn all_cases_pass(name: &str) {
    if !on_linux() {
        return;
    }
    let list = user(name, &["--list"], "");
    assert_eq!(list.status, 0, "{list:#?}");
    let names: Vec<&str> = list.output.lines().collect();
    assert!(names.len() > 10, "{names:?}");
    let outcome = user(name, &[], "");
    for case in &names {
        let passed = format!("ok {case}\n");
        assert!(outcome.output.contains(&passed), "{case}: {outcome:#?}");
    }
    let last = format!("{} passed, 0 failed\n", names.len());
    assert!(outcome.output.ends_with(&last), "{outcome:#?}");
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
}

#[test]
fn cowforktest_passes() {
    all_cases_pass("cowforktest");
}

#[test]
fn badaccess_passes() {
    all_cases_pass("badaccess");
}

#[test]
fn usertests_passes() {
    all_cases_pass("usertests");
}

#[test]
fn threadtest_passes() {
    all_cases_pass("threadtest");
}

#[test]
fn litmus_finds_nothing_on_linux() {
    if !on_linux() {
        return;
    }
    let list = user("litmus", &["--list"], "");
    assert_eq!(list.status, 0, "{list:#?}");
    let outcome = user("litmus", &["--all", "--milliseconds", "200"], "");
    for line in list.output.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let passed = outcome.output.contains(&format!("ok {name}: "));
        // Most kernels are built without the file that it needs.
        let skipped = name == "fail-nth" && outcome.output.contains("skipped fail-nth: ");
        assert!(passed || skipped, "{name}: {outcome:#?}");
    }
    assert!(outcome.output.contains(" 0 failed, "), "{outcome:#?}");
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
}

#[test]
fn cases_run_by_name() {
    if !on_linux() {
        return;
    }
    let outcome = user("usertests", &["pipe-ring", "exit-status"], "");
    let passed = "ok exit-status\nok pipe-ring\n2 passed, 0 failed\n";
    assert_eq!((outcome.status, outcome.output.as_str()), (0, passed));
    let outcome = user("usertests", &["pipe-ring", "no-such-case"], "");
    assert_eq!((outcome.status, outcome.output.as_str()), (2, ""));
}

#[test]
fn forktest_passes() {
    if !on_linux() {
        return;
    }
    let outcome = user("forktest", &["300"], "");
    assert!(outcome.output.ends_with("forktest: ok\n"), "{outcome:#?}");
    assert_eq!(outcome.status, 0);
}

#[test]
fn forkstorm_finds_no_mismatch() {
    if !on_linux() {
        return;
    }
    for threads in ["0", "2"] {
        let options = ["--forkers", "8", "--seconds", "2", "--threads", threads];
        let outcome = user("forkstorm", &options, "");
        assert!(
            outcome.output.ends_with("crashes 0\nmismatches 0\n"),
            "{outcome:#?}"
        );
        assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
        let forks = outcome.output.strip_prefix("forks ");
        let forks = forks.and_then(|rest| rest.lines().next()?.parse::<u64>().ok());
        assert!(forks.is_some_and(|forks| forks > 20), "{outcome:#?}");
    }
}

/// With few MiB for each hog, as the host has other work.
#[test]
fn oomstorm_finds_nothing_on_linux() {
    if !on_linux() {
        return;
    }
    let arguments = ["--seconds", "3", "--limit", "4", "--hogs", "2"];
    let outcome = user("oomstorm", &arguments, "");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.output.contains("\nfailures 0\n"), "{outcome:?}");
}

#[test]
fn forksize_prints_its_ratio() {
    if !on_linux() {
        return;
    }
    let outcome = user("forksize", &["--max", "16", "--rounds", "2"], "");
    assert_eq!(outcome.status, 0, "{outcome:#?}");
    assert!(
        outcome
            .output
            .contains("ratio 16 MiB : 1 MiB, fork+exit+wait "),
        "{outcome:#?}"
    );
}

#[test]
fn forkbench_measures_what_it_is_told() {
    if !on_linux() {
        return;
    }
    let arguments = ["--quick", "--lines", "--only", "fork-1", "--only", "futex"];
    let outcome = user("forkbench", &arguments, "");
    assert_eq!((outcome.status, outcome.errors.as_str()), (0, ""));
    let report = Report::parse(&outcome.output).expect("results");
    let names: Vec<&str> = report.metrics.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["fork.1M", "fork-wait.1M", "futex.round-trip"]);
    let [fork, wait, _] = report.metrics.as_slice() else {
        panic!("{outcome:#?}");
    };
    assert!(0.0 < fork.median() && fork.median() < wait.median());
    assert!(wait.median() <= wait.quantile(990).unwrap_or(0.0));
}

#[test]
fn memhog_touches_what_it_is_told() {
    if !on_linux() {
        return;
    }
    let outcome = user("memhog", &["20"], "");
    let expected = "16 MiB\nmemhog: touched 20 MiB\n";
    assert_eq!((outcome.status, outcome.output.as_str()), (0, expected));
}

/// The files that `top` reads are cowfork's own.
#[test]
fn top_says_that_there_is_nothing_to_show() {
    if !on_linux() {
        return;
    }
    let outcome = user("top", &["-b", "-n", "1"], "");
    assert_eq!((outcome.status, outcome.output.as_str()), (1, ""));
    assert!(
        outcome.errors.contains("top: /proc/executor: ")
            && outcome.errors.ends_with("does not show its tasks\n"),
        "{outcome:#?}"
    );
}

#[test]
fn wrong_options_are_refused() {
    if !on_linux() {
        return;
    }
    for (name, arguments) in [
        ("forkstorm", ["--forkers", "0"]),
        ("forkstorm", ["--nonsense", "1"]),
        ("forksize", ["--rounds", "x"]),
        ("memhog", ["much", ""]),
        ("sleep", ["a", "while"]),
        ("kill", ["-NOSUCH", "1"]),
        ("top", ["-n", "x"]),
        ("litmus", ["no-such-case", "--all"]),
        ("litmus", ["--cpus", "1"]),
    ] {
        let outcome = user(name, &arguments, "");
        assert_eq!(outcome.status, 2, "{name} {arguments:?}: {outcome:#?}");
    }
}

#[test]
fn init_ends_as_its_command_does() {
    if !on_linux() {
        return;
    }
    // It asks for /bin/sh, which here is another one.
    assert_eq!(user("init", &["-c", "exit 3"], "").status, 3);
    assert_eq!(user("init", &["-c", "kill -9 $$"], "").status, 137);
    let hello = programs().join("hello");
    let hello = hello.to_str().expect("a path in UTF-8");
    let outcome = user("init", &[hello, "a b"], "");
    assert_eq!(outcome.status, 0);
    assert!(
        outcome.output.ends_with("argument 1: a b\n"),
        "{outcome:#?}"
    );
    assert_eq!(user("init", &["/no/such/program"], "").status, 127);
}

/// A script, what it prints, and its status.
type Script = (&'static str, &'static str, i32);

/// Scripts that mean the same to every shell.
const SCRIPTS: &[Script] = &[
    // Words and quotes.
    ("echo hello world", "hello world\n", 0),
    (r#"echo "a  b" 'c  d' e\ f"#, "a  b c  d e f\n", 0),
    ("echo ''", "\n", 0),
    (r#"echo "" x"#, " x\n", 0),
    ("echo a#b # comment", "a#b\n", 0),
    ("# nothing", "", 0),
    ("echo one \\\n two", "one two\n", 0),
    (
        r#"echo "it's" '"quoted"' \"so\""#,
        "it's \"quoted\" \"so\"\n",
        0,
    ),
    // Variables.
    ("x=5; echo $x \"$x\" '$x' ${x}y", "5 5 $x 5y\n", 0),
    ("x='a  b'; echo $x; echo \"$x\"", "a b\na  b\n", 0),
    ("x=; echo [$x] [$undefined]", "[] []\n", 0),
    ("x=1 y=2; echo $x$y; unset x; echo $x$y", "12\n2\n", 0),
    ("X=1 sh -c 'echo $X'; echo [$X]", "1\n[]\n", 0),
    (
        "Y=2; sh -c 'echo [$Y]'; export Y; sh -c 'echo [$Y]'",
        "[]\n[2]\n",
        0,
    ),
    ("export Z=3; sh -c 'echo $Z'", "3\n", 0),
    ("x=1; x=2 true; echo $x", "1\n", 0),
    ("echo cost: 5$", "cost: 5$\n", 0),
    // Arithmetic.
    (
        "echo $((1+2*3)) $(((1+2)*3)) $((7/2)) $((-7%3))",
        "7 9 3 -1\n",
        0,
    ),
    (
        "x=4; echo $((x*2)) $(($x+1)) \"$((1 < 2))\" $((y))",
        "8 5 1 0\n",
        0,
    ),
    (
        "i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done",
        "1\n2\n3\n",
        0,
    ),
    ("echo $((1/0)); echo never", "", 2),
    // Status.
    ("false; echo $?; true; echo $?", "1\n0\n", 0),
    ("true && echo yes || echo no", "yes\n", 0),
    ("false && echo yes || echo no", "no\n", 0),
    ("! true; echo $?; ! false; echo $?", "1\n0\n", 0),
    ("exit 7", "", 7),
    ("exit 300", "", 44),
    ("false; exit", "", 1),
    ("true | false; echo $?; false | true; echo $?", "1\n0\n", 0),
    ("no-such-command; echo $?", "127\n", 0),
    ("no-such-command", "", 127),
    ("/dev; echo $?", "126\n", 0),
    ("/dev/null; echo $?", "126\n", 0),
    ("/no/such/command; echo $?", "127\n", 0),
    ("'' ; echo $?", "127\n", 0),
    ("sh -c 'kill -9 $$'; echo $?", "137\n", 0),
    ("sh -c 'kill -TERM $$'", "", 143),
    // Lists, groups, subshells.
    ("echo a; echo b && echo c", "a\nb\nc\n", 0),
    ("{ echo a; echo b; } | wc -l", "2\n", 0),
    ("(exit 3); echo $?", "3\n", 0),
    ("x=1; (x=2; echo $x); echo $x", "2\n1\n", 0),
    ("false; (echo $?)", "1\n", 0),
    ("cd /tmp && pwd; (cd /dev); pwd", "/tmp\n/tmp\n", 0),
    ("cd /no/such/place; echo $?", "2\n", 0),
    // Pipes.
    ("echo a b c | wc -w", "3\n", 0),
    ("echo through | cat | cat | cat", "through\n", 0),
    ("echo one | { read a b; echo [$a] [$b]; }", "[one] []\n", 0),
    (
        "echo a b c | while read x y; do echo $y $x; done",
        "b c a\n",
        0,
    ),
    ("while true; do echo y; done | head -n 2", "y\ny\n", 0),
    // Redirections.
    ("echo gone > /dev/null; echo kept", "kept\n", 0),
    ("echo to errors >&2", "", 0),
    ("{ echo out; echo err >&2; } 2>&1 | wc -l", "2\n", 0),
    ("{ echo out; echo err >&2; } 2> /dev/null", "out\n", 0),
    ("cat < /dev/null; echo $?", "0\n", 0),
    ("cat < /no/such/file; echo $?", "2\n", 0),
    ("echo x > /no/such/file; echo $?", "2\n", 0),
    ("exec 3> /dev/null; echo gone >&3; echo $?", "0\n", 0),
    (
        "f=/tmp/sh-test-$$; echo one > $f; echo two >> $f; cat $f; wc -l < $f; rm $f; cat $f 2> /dev/null",
        "one\ntwo\n2\n",
        1,
    ),
    // Background.
    ("sleep 0.05 & wait; echo $?", "0\n", 0),
    ("sh -c 'exit 4' & wait $!; echo $?", "4\n", 0),
    ("sh -c 'exit 1' & sh -c 'exit 2' & wait; echo $?", "0\n", 0),
    ("wait 1; echo $?", "127\n", 0),
    (
        "cat & wait; echo the input is empty",
        "the input is empty\n",
        0,
    ),
    // Conditions and loops.
    ("if true; then echo t; else echo f; fi", "t\n", 0),
    (
        "if false; then echo t; elif true; then echo e; else echo f; fi",
        "e\n",
        0,
    ),
    ("if false; then echo t; fi; echo $?", "0\n", 0),
    ("for i in 1 2 3; do echo $i; done", "1\n2\n3\n", 0),
    (
        "for i in a b; do for j in 1 2; do echo $i$j; done; done",
        "a1\na2\nb1\nb2\n",
        0,
    ),
    ("for i in; do echo $i; done; echo $?", "0\n", 0),
    (
        "for i in 1 2 3; do if [ $i = 2 ]; then break; fi; echo $i; done",
        "1\n",
        0,
    ),
    (
        "for i in 1 2 3; do if [ $i = 2 ]; then continue; fi; echo $i; done",
        "1\n3\n",
        0,
    ),
    (
        "for i in 1 2; do for j in 1 2; do break 2; done; echo no; done; echo done",
        "done\n",
        0,
    ),
    ("while false; do echo x; done; echo $?", "0\n", 0),
    ("until true; do echo x; done", "", 0),
    (
        "i=; while [ \"$i\" != aa ]; do i=a$i; echo $i; done",
        "a\naa\n",
        0,
    ),
    (
        "test 1 -lt 2 && echo lt; [ 2 -le 1 ] || echo gt",
        "lt\ngt\n",
        0,
    ),
    (
        "[ -d /tmp ] && [ ! -f /tmp ] && [ -e /dev/null ] && [ -z '' ] && echo all",
        "all\n",
        0,
    ),
    // Builtins.
    ("exec echo replaced; echo never", "replaced\n", 0),
    ("exec no-such-command; echo never", "", 127),
    ("kill -0 $$; echo $?", "0\n", 0),
    (": ignored; echo $?", "0\n", 0),
    (
        "sh -c 'echo $0 $1 $#; shift; echo \"$@\"' name 'a  b' c",
        "name a b 2\nc\n",
        0,
    ),
    (
        "sh -c 'for i in \"$@\"; do echo $i; done' name 'a b' c",
        "a b\nc\n",
        0,
    ),
    // No commands.
    ("echo a |", "", 2),
    ("echo a &&", "", 2),
    ("(echo a", "", 2),
    ("if true", "", 2),
    ("fi", "", 2),
    ("; echo", "", 2),
    ("| cat", "", 2),
    ("echo a )", "", 2),
    ("echo \"no end", "", 2),
];

#[test]
fn scripts_do_what_they_should() {
    if !on_linux() {
        return;
    }
    for (script, output, status) in SCRIPTS {
        let outcome = user("sh", &["-c", script], "");
        assert_eq!(
            (outcome.status, outcome.output.as_str()),
            (*status, *output),
            "{script:?}: {outcome:#?}"
        );
    }
}

/// The table itself is right: another shell says the same. Only dash, whose
/// status for its own errors is the same as here.
#[test]
fn another_shell_does_the_same() {
    if !on_linux() {
        return;
    }
    let shell = fs::canonicalize("/bin/sh").unwrap_or_default();
    if shell.file_name() != Some("dash".as_ref()) {
        println!("not checked: /bin/sh is {}", shell.display());
        return;
    }
    for (script, output, status) in SCRIPTS {
        let outcome = run(&shell, &["-c", script], "", "/bin:/usr/bin".as_ref());
        assert_eq!(
            (outcome.status, outcome.output.as_str()),
            (*status, *output),
            "{script:?}: {outcome:#?}"
        );
    }
}

#[test]
fn a_crash_is_told() {
    if !on_linux() {
        return;
    }
    let outcome = user("sh", &["-c", "sh -c 'kill -SEGV $$'; exit $?"], "");
    assert_eq!(outcome.status, 139);
    assert_eq!(outcome.errors, "Segmentation fault\n");
}

#[test]
fn a_script_comes_by_file_or_by_input() {
    if !on_linux() {
        return;
    }
    let script =
        "echo one\nfor i in 2 3\ndo\n  echo $i\ndone\necho \"fo\nur\"; exit 5\necho never\n";
    let expected = "one\n2\n3\nfo\nur\n";
    let outcome = user("sh", &[], script);
    assert_eq!((outcome.status, outcome.output.as_str()), (5, expected));
    let path = std::env::temp_dir().join(format!("script-{}", std::process::id()));
    fs::write(&path, script).expect("a script in the folder for temporary files");
    let name = path.to_str().expect("a path in UTF-8");
    let outcome = user("sh", &[name], "");
    let missing = user("sh", &["/no/such/script"], "");
    fs::remove_file(&path).expect("the script is there");
    assert_eq!((outcome.status, outcome.output.as_str()), (5, expected));
    assert_eq!(missing.status, 127);
    // The last line needs no end.
    assert_eq!(user("sh", &[], "echo last").output, "last\n");
}

#[test]
fn tools_do_what_their_names_say() {
    if !on_linux() {
        return;
    }
    let script = "d=/tmp/tools-$$; mkdir $d && cd $d || exit 9\n\
        echo 'one two' > a; echo three >> a; echo b > b; mkdir c\n\
        ls; wc a; wc -c < a; head -n 1 a; cat a b; ls -l b | wc -w\n\
        rm a b c; ls; ls missing; echo $?; cd /; rm $d; [ -e $d ]; echo $?\n";
    let outcome = user("sh", &["-c", script], "");
    let expected = "a\nb\nc\n2 3 14 a\n14\none two\none two\nthree\nb\n\
        4\n1\n1\n";
    assert_eq!(outcome.output, expected, "{outcome:#?}");
    assert_eq!(outcome.errors, "ls: missing: No such file or directory\n");
    let outcome = user("ps", &[], "");
    assert!(outcome.output.lines().count() > 1, "{outcome:#?}");
    let outcome = user("free", &[], "");
    assert!(outcome.output.starts_with("total "), "{outcome:#?}");
}
