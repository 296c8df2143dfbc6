//! System calls: the Linux x86-64 ABI (arch/x86/entry/syscalls/syscall_64.tbl for the
//! numbers, the man pages of section 2 for the rest).
//!
//! A call has a fast and a slow path. [`fast_path`] is tried first, straight from the entry: it
//! completes calls that have nothing to wait for, and otherwise changes nothing. Then [`dispatch`]
//! does the call as a future, from its beginning. The calls are in the modules below, by topic; each
//! takes its arguments as the registers hold them, and returns `Result<usize, Errno>`. A call that is
//! missing returns `ENOSYS`, and is logged once.

mod clone;
mod file;
mod futex;
mod identity;
mod kcmp;
mod memory;
mod other_memory;
mod pidfd;
mod prctl;
mod priority;
mod process;
mod sched;
mod signal;
mod system;
mod threads;
mod time;
mod timer;
mod wait;
mod words;

use crate::arch::UserContext;
use crate::errno::{Errno, SysResult};
use crate::process::{IdChange, Outcome, Registers, Thread};
use crate::trace;
use core::sync::atomic::{AtomicU64, Ordering};
use file::Buffer;
use linux_raw_sys::general as nr;
use other_memory::Direction;

/// Completes a system call that has nothing to wait for. After `None` nothing has happened.
///
/// The thread goes back to its program without a look at its signals. So nothing here sends a signal
/// to the caller itself.
#[inline(always)]
pub fn fast_path(thread: &Thread, number: usize, arguments: [usize; 6]) -> Option<usize> {
    let [a, b, c, ..] = arguments;
    let result = match number as u32 {
        nr::__NR_read => file::read_fast(thread, a, b, c)?,
        nr::__NR_write => file::write_fast(thread, a, b, c)?,
        _ => immediate(thread, number, [a, b])?,
    };
    let result = to_return(result);
    trace::call(number, thread.process().pid.0, thread.tid().0).result = result as u64;
    Some(result)
}

/// The calls that never wait, for both paths. (A program under the trap flag does not get the fast
/// one.)
#[inline(always)]
fn immediate(thread: &Thread, number: usize, [a, b]: [usize; 2]) -> Option<SysResult> {
    Some(match number as u32 {
        nr::__NR_getpid => process::getpid(thread),
        nr::__NR_gettid => process::gettid(thread),
        nr::__NR_getppid => process::getppid(thread),
        nr::__NR_getpgrp => process::getpgid(thread, 0),
        nr::__NR_getpgid => process::getpgid(thread, a),
        nr::__NR_setpgid => process::setpgid(thread, a, b),
        nr::__NR_getsid => process::getsid(thread, a),
        nr::__NR_setsid => process::setsid(thread),
        nr::__NR_set_tid_address => process::set_tid_address(thread, a),
        nr::__NR_set_robust_list => futex::set_robust_list(thread, a, b),
        nr::__NR_getuid => identity::id(thread, |who| who.uid.real),
        nr::__NR_geteuid => identity::id(thread, |who| who.uid.effective),
        nr::__NR_getgid => identity::id(thread, |who| who.gid.real),
        nr::__NR_getegid => identity::id(thread, |who| who.gid.effective),
        _ => return None,
    })
}

/// The slow path: does the system call that the registers describe.
pub async fn dispatch(thread: &Thread, registers: &mut Registers) -> Outcome {
    let [a, b, c, d, e, f] = registers.user.arguments();
    let number = registers.user.syscall_number();
    let mut span = trace::call(number, thread.process().pid.0, thread.tid().0);
    let result = match number as u32 {
        // Ending and replacing the program.
        nr::__NR_exit => return process::exit(a),
        nr::__NR_exit_group => return process::exit_group(a),
        nr::__NR_execve => return process::execve(thread, a, b, c).await,
        nr::__NR_execveat => return process::execveat(thread, a, b, c, d, e).await,

        // Transfers.
        nr::__NR_read => file::read(thread, a, Buffer::Range(b, c)).await,
        nr::__NR_write => file::write(thread, a, Buffer::Range(b, c)).await,
        nr::__NR_readv => file::read(thread, a, Buffer::Segments(b, c)).await,
        nr::__NR_writev => file::write(thread, a, Buffer::Segments(b, c)).await,
        nr::__NR_pread64 => file::pread(thread, a, Buffer::Range(b, c), d).await,
        nr::__NR_pwrite64 => file::pwrite(thread, a, Buffer::Range(b, c), d).await,
        nr::__NR_preadv => file::pread(thread, a, Buffer::Segments(b, c), d).await,
        nr::__NR_pwritev => file::pwrite(thread, a, Buffer::Segments(b, c), d).await,
        nr::__NR_lseek => file::lseek(thread, a, b, c).await,
        nr::__NR_getdents64 => file::getdents64(thread, a, b, c).await,
        nr::__NR_fsync | nr::__NR_fdatasync => file::fsync(thread, a),
        nr::__NR_sync => Ok(0),
        nr::__NR_flock => file::flock(thread, a, b).await,
        nr::__NR_syncfs => file::syncfs(thread, a),
        nr::__NR_sync_file_range => file::sync_file_range(thread, a, b, c, d),
        nr::__NR_fadvise64 => file::fadvise64(thread, a, b, c, d),
        nr::__NR_readahead => file::readahead(thread, a),
        nr::__NR_fallocate => file::fallocate(thread, a, b, c, d).await,
        nr::__NR_sendfile => file::sendfile(thread, a, b, c, d).await,
        nr::__NR_copy_file_range => file::copy_file_range(thread, a, b, c, d, (e, f)).await,
        nr::__NR_splice => file::splice(thread, a, b, c, d, (e, f)).await,
        nr::__NR_tee => file::tee(thread, a, b, c, d).await,
        nr::__NR_vmsplice => file::vmsplice(thread, a, b, c, d).await,

        // Descriptors.
        nr::__NR_open => file::open(thread, a, b, c).await,
        nr::__NR_openat => file::openat(thread, a, b, c, d).await,
        nr::__NR_creat => file::creat(thread, a, b).await,
        nr::__NR_memfd_create => file::memfd_create(thread, a, b).await,
        nr::__NR_close => file::close(thread, a).await,
        nr::__NR_close_range => file::close_range(thread, a, b, c).await,
        nr::__NR_pipe => file::pipe(thread, a).await,
        nr::__NR_pipe2 => file::pipe2(thread, a, b).await,
        nr::__NR_dup => file::dup(thread, a).await,
        nr::__NR_dup2 => file::dup2(thread, a, b).await,
        nr::__NR_dup3 => file::dup3(thread, a, b, c).await,
        nr::__NR_fcntl => file::fcntl(thread, a, b, c).await,
        nr::__NR_ioctl => file::ioctl(thread, a, b, c).await,
        nr::__NR_poll => file::poll(thread, a, b, c).await,
        nr::__NR_select => file::select(thread, a, b, c, d, e).await,
        nr::__NR_pselect6 => file::pselect6(thread, a, b, c, d, e, f).await,
        nr::__NR_ppoll => file::ppoll(thread, a, b, c, d, e).await,

        // Names and attributes.
        nr::__NR_statfs => file::statfs(thread, a, b).await,
        nr::__NR_fstatfs => file::fstatfs(thread, a, b).await,
        nr::__NR_ustat => file::ustat(),
        nr::__NR_stat => file::stat(thread, a, b).await,
        nr::__NR_lstat => file::lstat(thread, a, b).await,
        nr::__NR_fstat => file::fstat(thread, a, b).await,
        nr::__NR_newfstatat => file::newfstatat(thread, a, b, c, d).await,
        nr::__NR_statx => file::statx(thread, a, b, c, d, e).await,
        nr::__NR_access => file::access(thread, a, b).await,
        nr::__NR_faccessat => file::faccessat(thread, a, b, c).await,
        nr::__NR_faccessat2 => file::faccessat2(thread, a, b, c, d).await,
        nr::__NR_readlink => file::readlink(thread, a, b, c).await,
        nr::__NR_readlinkat => file::readlinkat(thread, a, b, c, d).await,
        nr::__NR_getcwd => file::getcwd(thread, a, b).await,
        nr::__NR_chdir => file::chdir(thread, a).await,
        nr::__NR_fchdir => file::fchdir(thread, a).await,
        nr::__NR_mkdir => file::mkdir(thread, a, b).await,
        nr::__NR_mkdirat => file::mkdirat(thread, a, b, c).await,
        nr::__NR_rmdir => file::rmdir(thread, a).await,
        nr::__NR_unlink => file::unlink(thread, a).await,
        nr::__NR_unlinkat => file::unlinkat(thread, a, b, c).await,
        nr::__NR_rename => file::rename(thread, a, b).await,
        nr::__NR_renameat => file::renameat(thread, a, b, c, d).await,
        nr::__NR_renameat2 => file::renameat2(thread, a, b, c, d, e).await,
        nr::__NR_link => file::link(thread, a, b).await,
        nr::__NR_linkat => file::linkat(thread, a, b, c, d, e).await,
        nr::__NR_symlink => file::symlink(thread, a, b).await,
        nr::__NR_symlinkat => file::symlinkat(thread, a, b, c).await,
        nr::__NR_chmod => file::chmod(thread, a, b).await,
        nr::__NR_fchmod => file::fchmod(thread, a, b).await,
        nr::__NR_fchmodat => file::fchmodat(thread, a, b, c).await,
        nr::__NR_chown => file::chown(thread, a, b, c).await,
        nr::__NR_lchown => file::lchown(thread, a, b, c).await,
        nr::__NR_fchown => file::fchown(thread, a, b, c).await,
        nr::__NR_fchownat => file::fchownat(thread, a, b, c, d, e).await,
        nr::__NR_utimensat => file::utimensat(thread, a, b, c, d).await,
        nr::__NR_truncate => file::truncate(thread, a, b).await,
        nr::__NR_ftruncate => file::ftruncate(thread, a, b).await,
        nr::__NR_umask => file::umask(thread, a).await,

        // Memory.
        nr::__NR_brk => memory::brk(thread, a).await,
        nr::__NR_mmap => memory::mmap(thread, a, b, c, d, e, f).await,
        nr::__NR_munmap => memory::munmap(thread, a, b).await,
        nr::__NR_mprotect => memory::mprotect(thread, a, b, c).await,
        nr::__NR_mremap => memory::mremap(thread, a, b, c, d, e).await,
        nr::__NR_madvise => memory::madvise(thread, a, b, c).await,
        nr::__NR_mincore => memory::mincore(thread, a, b, c).await,
        nr::__NR_pkey_alloc => memory::pkey_alloc(a, b),
        nr::__NR_pkey_free => memory::pkey_free(),
        nr::__NR_pkey_mprotect => memory::pkey_mprotect(thread, a, b, c, d).await,
        nr::__NR_remap_file_pages => memory::remap_file_pages(thread, [a, b, c, d, e]).await,
        nr::__NR_msync => memory::msync(thread, a, b, c).await,
        nr::__NR_mlock => memory::mlock(thread, a, b).await,
        nr::__NR_mlock2 => memory::mlock2(thread, a, b, c).await,
        nr::__NR_munlock => memory::munlock(thread, a, b).await,
        nr::__NR_mlockall => memory::mlockall(thread, a).await,
        nr::__NR_munlockall => memory::munlockall(thread).await,

        // Processes.
        nr::__NR_fork => clone::fork(thread, registers).await,
        nr::__NR_vfork => clone::vfork(thread, registers).await,
        nr::__NR_clone => clone::clone(thread, registers, a, b, c, d, e).await,
        nr::__NR_clone3 => clone::clone3(thread, registers, a, b).await,
        nr::__NR_wait4 => wait::wait4(thread, a, b, c, d).await,
        nr::__NR_waitid => wait::waitid(thread, a, b, c, d, e).await,
        nr::__NR_futex_waitv => futex::futex_waitv(thread, [a, b, c, d, e]).await,
        nr::__NR_pidfd_open => pidfd::pidfd_open(thread, a, b),
        nr::__NR_pidfd_send_signal => pidfd::pidfd_send_signal(thread, a, b, c, d).await,
        nr::__NR_pidfd_getfd => pidfd::pidfd_getfd(thread, a, b, c),
        nr::__NR_process_vm_readv => {
            other_memory::process_vm(thread, a, (b, c), (d, e), f, Direction::Read).await
        }
        nr::__NR_process_vm_writev => {
            other_memory::process_vm(thread, a, (b, c), (d, e), f, Direction::Write).await
        }
        nr::__NR_process_madvise => other_memory::process_madvise(thread, [a, b, c, d, e]).await,
        nr::__NR_kcmp => kcmp::kcmp(thread, [a, b, c, d, e]),
        nr::__NR_unshare => clone::unshare(thread, a),
        nr::__NR_get_robust_list => futex::get_robust_list(thread, a, b, c).await,
        nr::__NR_futex => futex::futex(thread, [a, b, c, d, e, f]).await,
        nr::__NR_getcpu => sched::getcpu(thread, a, b).await,
        nr::__NR_membarrier => sched::membarrier(thread, a, b).await,
        nr::__NR_prctl => prctl::prctl(thread, a, [b, c, d, e]).await,
        nr::__NR_arch_prctl => process::arch_prctl(thread, &mut registers.user, a, b).await,
        nr::__NR_getpriority => priority::getpriority(thread, a, b).await,
        nr::__NR_setpriority => priority::setpriority(thread, a, b, c).await,
        nr::__NR_sched_setscheduler => priority::sched_setscheduler(thread, a, b, c).await,
        nr::__NR_sched_getscheduler => priority::sched_getscheduler(thread, a),
        nr::__NR_sched_setparam => priority::sched_setparam(thread, a, b).await,
        nr::__NR_sched_getparam => priority::sched_getparam(thread, a, b).await,
        nr::__NR_sched_setattr => priority::sched_setattr(thread, a, b, c).await,
        nr::__NR_sched_getattr => priority::sched_getattr(thread, a, b, c, d).await,
        nr::__NR_sched_get_priority_min => priority::sched_get_priority_min(a),
        nr::__NR_sched_get_priority_max => priority::sched_get_priority_max(a),
        nr::__NR_sched_rr_get_interval => priority::sched_rr_get_interval(thread, a, b).await,
        nr::__NR_sched_yield => sched::sched_yield().await,
        nr::__NR_sched_setaffinity => sched::sched_setaffinity(thread, a, b, c).await,
        nr::__NR_sched_getaffinity => sched::sched_getaffinity(thread, a, b, c).await,

        // Identity.
        nr::__NR_getresuid => identity::three_ids(thread, |who| who.uid, [a, b, c]).await,
        nr::__NR_getresgid => identity::three_ids(thread, |who| who.gid, [a, b, c]).await,
        nr::__NR_setuid => identity::set_users(thread, IdChange::one(a)),
        nr::__NR_setgid => identity::set_groups_of(thread, IdChange::one(a)),
        nr::__NR_setreuid => identity::set_users(thread, IdChange::two(a, b)),
        nr::__NR_setregid => identity::set_groups_of(thread, IdChange::two(a, b)),
        nr::__NR_setresuid => identity::set_users(thread, IdChange::three(a, b, c)),
        nr::__NR_setresgid => identity::set_groups_of(thread, IdChange::three(a, b, c)),
        nr::__NR_setfsuid => identity::set_files_id(thread, |who| who.set_files_user(a as u32)),
        nr::__NR_setfsgid => identity::set_files_id(thread, |who| who.set_files_group(a as u32)),
        nr::__NR_getgroups => identity::getgroups(thread, a, b).await,
        nr::__NR_setgroups => identity::setgroups(thread, a, b).await,
        nr::__NR_capget => identity::capget(thread, a, b).await,
        nr::__NR_capset => identity::capset(thread, a, b).await,

        // Signals.
        nr::__NR_kill => signal::kill(thread, a, b),
        nr::__NR_tkill => signal::tkill(thread, a, b),
        nr::__NR_tgkill => signal::tgkill(thread, a, b, c),
        nr::__NR_rt_sigqueueinfo => signal::rt_sigqueueinfo(thread, a, b, c).await,
        nr::__NR_rt_tgsigqueueinfo => signal::rt_tgsigqueueinfo(thread, a, b, c, d).await,
        nr::__NR_rt_sigreturn => return signal::rt_sigreturn(thread, registers).await,
        nr::__NR_sigaltstack => signal::sigaltstack(thread, &registers.user, a, b).await,
        nr::__NR_rt_sigaction => signal::rt_sigaction(thread, a, b, c, d).await,
        nr::__NR_rt_sigprocmask => signal::rt_sigprocmask(thread, a, b, c, d).await,
        nr::__NR_rt_sigpending => signal::rt_sigpending(thread, a, b).await,
        nr::__NR_pause => Err(thread.pause().await),
        nr::__NR_rt_sigsuspend => signal::rt_sigsuspend(thread, a, b).await,
        nr::__NR_rt_sigtimedwait => signal::rt_sigtimedwait(thread, a, b, c, d).await,
        nr::__NR_restart_syscall => signal::restart_syscall(thread).await,

        // Time.
        nr::__NR_alarm => timer::alarm(thread, a),
        nr::__NR_getitimer => timer::getitimer(thread, a, b).await,
        nr::__NR_setitimer => timer::setitimer(thread, a, b, c).await,
        nr::__NR_nanosleep => time::nanosleep(thread, a, b).await,
        nr::__NR_clock_nanosleep => time::clock_nanosleep(thread, a, b, c, d).await,
        nr::__NR_clock_gettime => time::clock_gettime(thread, a, b).await,
        nr::__NR_clock_getres => time::clock_getres(thread, a, b).await,
        nr::__NR_gettimeofday => time::gettimeofday(thread, a, b).await,
        nr::__NR_time => time::time(thread, a).await,
        nr::__NR_times => time::times(thread, a).await,

        // The system.
        nr::__NR_uname => system::uname(thread, a).await,
        nr::__NR_sysinfo => system::sysinfo(thread, a).await,
        nr::__NR_getrandom => system::getrandom(thread, a, b, c).await,
        nr::__NR_prlimit64 => system::prlimit64(thread, a, b, c, d).await,
        nr::__NR_getrlimit => system::prlimit64(thread, 0, a, 0, b).await,
        nr::__NR_setrlimit => system::prlimit64(thread, 0, a, b, 0).await,
        nr::__NR_getrusage => system::getrusage(thread, a, b).await,

        _ => match immediate(thread, number, [a, b]) {
            Some(result) => result,
            None => unknown(thread, number),
        },
    };
    span.result = to_return(result) as u64;
    Outcome::Return(result)
}

/// Whether memory was out for the call, and it may be done once more. That is sound as a call that
/// fails with `ENOMEM` has done nothing, or what can be done twice. The exception is mremap, which
/// may have given places away.
pub fn may_be_repeated(user: &UserContext, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Return(Err(Errno::ENOMEM)))
        && user.syscall_number() as u32 != nr::__NR_mremap
}

/// The result as the program gets it.
pub fn to_return(result: SysResult) -> usize {
    result.unwrap_or_else(|errno| errno.to_return())
}

/// One bit for each number that has been complained of.
static COMPLAINED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

fn unknown(thread: &Thread, number: usize) -> SysResult {
    if let Some(word) = COMPLAINED.get(number / 64) {
        let bit = 1 << (number % 64);
        if word.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            log::warn!(
                "process {}: system call {number} is not there",
                thread.process().pid
            );
        }
    }
    Err(Errno::ENOSYS)
}

/// Logs once that a form of a system call is not there yet.
fn not_yet(once: &AtomicU64, what: &str) -> Errno {
    if once.swap(1, Ordering::Relaxed) == 0 {
        log::warn!("not there yet: {what}");
    }
    Errno::ENOSYS
}
