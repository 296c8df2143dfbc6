//! Other processors than the one that the boots get otherwise: what the kernel uses of a CPU's
//! features, and does without.

use tests::Boot;

const PROGRAMS: &str = "usertests vectors-over-copies vectors-over-fresh-pages \
     vectors-of-several-programs && forkstorm --forkers 4 --seconds 1 --threads 2";

fn pages_are_moved_by(moves: &str, cpu: &str) {
    // The emulator can play any of them.
    let boot = Boot::new().cpus(2).qemu("-accel", "tcg").qemu("-cpu", cpu);
    let outcome = boot.exec(PROGRAMS).run();
    outcome.assert_status(0);
    outcome.assert_logs(&format!("pages are moved by {moves}"));
    outcome.assert_shows("mismatches 0\n");
}

/// QEMU's emulator does not say that it is one.
#[test]
fn fast_strings_move_pages() {
    pages_are_moved_by("strings", "max,tcg-cpuid=off");
}

#[test]
fn vectors_move_pages_where_strings_are_not_fast() {
    pages_are_moved_by("vectors", "max,-erms,-fsrm,tcg-cpuid=off");
}

/// Strings are loops there, whatever the CPU claims.
#[test]
fn vectors_move_pages_in_the_emulator() {
    pages_are_moved_by("vectors", "max");
}

#[test]
fn without_avx_there_are_no_vectors_to_use() {
    pages_are_moved_by("strings", "max,-erms,-fsrm,-avx");
}

/// The least that there is: no XSAVE either.
#[test]
fn a_cpu_of_the_first_kind() {
    pages_are_moved_by("strings", "qemu64");
}
