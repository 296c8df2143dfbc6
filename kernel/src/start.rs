//! From the first function of the kernel proper to the last: start-up, the worker of each
//! CPU, and power-off with its audit.

use crate::arch::{self, BootInfo};
use crate::cmdline::CommandLine;
use crate::fs::cpio::Archive;
use crate::memory::{self, Audit};
use crate::process::{self, ExitStatus, NOT_STARTED};
use crate::trace::{self, Kind};
use crate::{fs, log as kernel_log, panic as kernel_panic, sched, selftest};
use alloc::string::String;
use alloc::vec::Vec;

/// What QEMU is told at the end (the debug-exit device doubles it and adds one).
const EXIT_CLEAN: u8 = 0x10;
const EXIT_AUDIT_FAILED: u8 = 0x11;

/// Starts everything. `arch` declares it (`arch/upward.rs`) and calls it on the first CPU.
#[unsafe(no_mangle)]
fn kernel_start(boot: BootInfo) -> ! {
    let aside = memory::init(&boot, trace::bytes_wanted(&boot));
    let counters: Vec<&str> = memory::statistics().map(|(name, _)| name).collect();
    // SAFETY: the memory system has set it aside for this.
    unsafe { trace::init(aside, &counters) };
    let line = CommandLine::parse(boot.command_line);
    if let Some(level) = line.get("log") {
        kernel_log::set_level(level);
    }
    log::info!(
        "cowfork {}, {} CPUs",
        env!("CARGO_PKG_VERSION"),
        arch::cpu_count()
    );
    log::info!(
        "{} KiB of memory managed, {} KiB free",
        memory::managed_frames() * memory::FRAME_SIZE / 1024,
        memory::free_frames() * memory::FRAME_SIZE / 1024,
    );
    log::info!("pages are moved by {}", arch::page_moves());
    if line.get("console") == Some("stream") {
        fs::tty::console().make_stream();
    }
    fs::tty::start(fs::tty::Hooks {
        send_signal: process::signal_by_terminal,
        session_of: process::session_of,
    });
    let loaded = fs::start(fs::tree(), boot.initramfs);
    if let Err(error) = &loaded {
        log::error!("the initramfs is not complete: {error}");
    }
    let (size, nodes) = (line.get("tmpfs_size"), line.get("tmpfs_nodes"));
    fs::limits::set(fs::tree(), size, nodes);
    if let Some(symbols) = symbols(boot.initramfs) {
        kernel_panic::set_symbols(symbols);
    }
    process::init();
    process::run::init();
    process::attach_procfs();
    sched::init(sched::Hooks {
        between_polls: memory::between_polls,
        leave_space: memory::leave,
    });
    for cpu in 0..arch::cpu_count() {
        drop(sched::executor().spawn_on(cpu, "reclaim", memory::run_reclaimer()));
    }
    drop(sched::executor().spawn("dead maps", memory::run_dead_maps()));
    drop(sched::executor().spawn_background("zero", memory::run_zeroed_pool()));
    drop(sched::executor().spawn("kernel", whole_life(line, loaded.is_ok())));
    arch::start_cpus(worker);
    worker()
}

/// The kernel's symbols, straight from the archive: a panic shall not need the file
/// system.
fn symbols(initramfs: &'static [u8]) -> Option<&'static [u8]> {
    let mut entries = Archive::new(initramfs).filter_map(Result::ok);
    entries
        .find(|entry| entry.path.ends_with(b"boot/symbols"))
        .map(|entry| entry.contents)
}

/// What a CPU does.
fn worker() -> ! {
    sched::executor().run();
    // The executor only ends in tests.
    arch::halt()
}

/// From the first program to power-off. With half of its files missing no program is started.
async fn whole_life(line: CommandLine, is_loaded: bool) {
    if !is_loaded {
        power_off(ExitStatus::Code(NOT_STARTED)).await;
        return;
    }
    match line.get("selftest") {
        Some("panic") => panic!("the parameter selftest=panic asks for a panic"),
        Some("stuck") => drop(sched::executor().spawn("stuck", stuck())),
        Some("executor") => selftest::executor().await,
        Some(other) => log::warn!("selftest={other}: no such test"),
        None => {}
    }
    if let Some(which) = line.get("fail_allocation") {
        fail_allocations(which);
    }
    if line.get("fail_heap").is_some() {
        memory::reach_heap();
    }
    if line.get("fail_nth").is_some() {
        process::allow_failing();
    }
    let path = line.get("rdinit").unwrap_or("/init");
    let arguments = core::iter::once(path).chain(line.init.iter().map(String::as_str));
    let arguments: Vec<Vec<u8>> = arguments.map(|word| word.as_bytes().to_vec()).collect();
    let status = match process::start_init(path.as_bytes(), arguments).await {
        Ok(init) => init.wait_for_end().await,
        Err(error) => {
            log::error!("{path} cannot be started: {error:?}");
            ExitStatus::Code(NOT_STARTED)
        }
    };
    power_off(status).await
}

/// `N`: the N-th allocation of a frame for the programs fails; `N,M`: and every M-th after it.
fn fail_allocations(which: &str) {
    let (first, period) = which.split_once(',').unwrap_or((which, "0"));
    match (first.parse(), period.parse()) {
        (Ok(first), Ok(period)) => memory::fail_allocations(first, period),
        _ => log::warn!("fail_allocation={which}: not a number, nor two"),
    }
}

/// Keeps its CPU for some seconds, for the test of the watchdog.
async fn stuck() {
    let end = arch::clock() + 5_000_000_000;
    while arch::clock() < end {
        core::hint::spin_loop();
    }
}

/// Ends all that is left, gives everything back, and checks that it adds up (rule M11).
async fn power_off(status: ExitStatus) {
    process::end_all().await;
    fs::tree().dismantle();
    memory::leave();
    let mut audit = quiescent_audit().await;
    // A CPU that runs tasks of the kernel may be in the address space of a process that is
    // gone, until it is idle.
    for _ in 0..100 {
        if is_clean(&audit) {
            break;
        }
        sched::executor().sleep(10_000_000).await;
        audit = quiescent_audit().await;
    }
    let clean = is_clean(&audit);
    report(&audit, clean);
    for (number, (_, value)) in (0..).zip(memory::statistics()) {
        trace::event(Kind::Total, [number, value]);
    }
    kernel_log::plain(format_args!(
        "power-off: status {}",
        status.to_shell_status()
    ));
    arch::power_off(if clean { EXIT_CLEAN } else { EXIT_AUDIT_FAILED });
}

async fn quiescent_audit() -> Audit {
    memory::quiesce().await;
    memory::audit(&[], &[])
}

/// Nothing is in use but the heap, as before the first program.
fn is_clean(audit: &Audit) -> bool {
    audit.is_clean() && audit.held == audit.heap
}

fn report(audit: &Audit, clean: bool) {
    if clean {
        kernel_log::plain(format_args!(
            "audit: clean, no frame in use but {} of the kernel's heap, as at the start",
            audit.heap
        ));
        return;
    }
    kernel_log::plain(format_args!(
        "audit: FAILED, {} frames in use, {} of the kernel's heap; {} with a wrong count, the first with its count and holders: {:?}",
        audit.held, audit.heap, audit.wrong, audit.example
    ));
}
