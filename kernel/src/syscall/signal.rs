//! Signals: sending them, and what is to be done with them.

use super::words::{read_words, write_words};
use super::{file, time};
use crate::arch::{StackNote, UserContext};
use crate::errno::{Errno, SysResult};
use crate::process::{
    self, Action, Continuation, Outcome, Pid, Process, QueueFull, Registers, Sent, SigInfo, Signal,
    Thread, futex,
};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

/// The bytes of a set of signals, as the kernel has it.
const SET_SIZE: usize = 8;

fn check_set_size(size: usize) -> Result<(), Errno> {
    match size {
        SET_SIZE => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

impl From<QueueFull> for Errno {
    fn from(_: QueueFull) -> Errno {
        Errno::EAGAIN
    }
}

fn checked(number: usize) -> Result<Option<Signal>, Errno> {
    // Zero sends nothing, and asks whether one could.
    match number as u32 {
        0 => Ok(None),
        number => Signal::new(number as usize).map(Some).ok_or(Errno::EINVAL),
    }
}

/// kill(2).
pub fn kill(thread: &Thread, pid: usize, signal: usize) -> SysResult {
    let own = thread.process();
    let uid = own.with_credentials(|own| own.uid.real);
    let info = checked(signal)?.map(|signal| SigInfo::user(signal, own.pid, uid));
    let sent = match pid as i32 {
        0 => process::send_to_group(own.group.load(Ordering::Relaxed), info, Some(own)),
        -1 => process::send_to_all(own, info),
        i32::MIN => Sent::NoSuch,
        group if group < 0 => process::send_to_group(group.unsigned_abs(), info, Some(own)),
        pid => {
            let process = process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?;
            send_to_process(thread, &process, info)?;
            Sent::ToSome
        }
    };
    match sent {
        Sent::ToSome => Ok(0),
        Sent::NotAllowed => Err(Errno::EPERM),
        Sent::NoSuch => Err(Errno::ESRCH),
    }
}

/// Sends one process a signal, if any, and if the caller may.
pub(super) fn send_to_process(
    thread: &Thread,
    to: &Process,
    info: Option<SigInfo>,
) -> Result<(), Errno> {
    if !process::may_signal(thread.process(), to, info) {
        return Err(Errno::EPERM);
    }
    if let Some(info) = info {
        process::send(to, info)?;
    }
    Ok(())
}

/// tkill(2).
pub fn tkill(thread: &Thread, tid: usize, signal: usize) -> SysResult {
    check_number(tid)?;
    send_to_thread(thread, None, tid, by_thread(thread, signal)?)
}

/// tgkill(2).
pub fn tgkill(thread: &Thread, group: usize, tid: usize, signal: usize) -> SysResult {
    check_number(group)?;
    check_number(tid)?;
    send_to_thread(
        thread,
        Some(Pid(group as u32)),
        tid,
        by_thread(thread, signal)?,
    )
}

/// The number of a process or thread is positive.
fn check_number(number: usize) -> Result<(), Errno> {
    match number as i32 {
        1.. => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// What a thread is told by tkill and tgkill.
fn by_thread(sender: &Thread, signal: usize) -> Result<Option<SigInfo>, Errno> {
    let sender = sender.process();
    let uid = sender.with_credentials(|own| own.uid.real);
    Ok(checked(signal)?.map(|signal| SigInfo::thread(signal, sender.pid, uid)))
}

/// Sends a signal to a thread; its default actions are those of the whole process.
fn send_to_thread(
    sender: &Thread,
    group: Option<Pid>,
    tid: usize,
    info: Option<SigInfo>,
) -> SysResult {
    let (process, thread) = process::find_thread(Pid(tid as u32))
        .filter(|(process, _)| group.is_none_or(|group| process.pid == group))
        .ok_or(Errno::ESRCH)?;
    if !process::may_signal(sender.process(), &process, info) {
        return Err(Errno::EPERM);
    }
    // A leader that has left before the others still has its number.
    if let (Some(thread), Some(info)) = (thread, info) {
        thread.send(info)?;
    }
    Ok(0)
}

/// rt_sigqueueinfo(2).
pub async fn rt_sigqueueinfo(
    thread: &Thread,
    pid: usize,
    signal: usize,
    address: usize,
) -> SysResult {
    let info = given(thread, pid, signal, address).await?;
    let process = process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?;
    send_to_process(thread, &process, info)?;
    Ok(0)
}

/// rt_tgsigqueueinfo(2).
pub async fn rt_tgsigqueueinfo(
    thread: &Thread,
    group: usize,
    tid: usize,
    signal: usize,
    address: usize,
) -> SysResult {
    check_number(group)?;
    check_number(tid)?;
    let info = given(thread, group, signal, address).await?;
    send_to_thread(thread, Some(Pid(group as u32)), tid, info)
}

/// What a program says about a signal. Only to itself may it pretend to be the kernel, or
/// `tgkill`.
pub(super) async fn given(
    thread: &Thread,
    pid: usize,
    signal: usize,
    address: usize,
) -> Result<Option<SigInfo>, Errno> {
    crate::memory::ensure_free().map_err(|_| Errno::ENOMEM)?;
    let mut bytes = [0; SigInfo::SIZE];
    thread.space().read_bytes(address, &mut bytes).await?;
    // Without a signal there is nothing to say, but the question is checked all the same.
    let info = SigInfo::given(Signal::KILL, bytes);
    let pretends = info.code() >= 0 || info.code() == linux::SI_TKILL;
    if pretends && pid as u32 != thread.process().pid.0 {
        return Err(Errno::EPERM);
    }
    Ok(checked(signal)?.map(|signal| SigInfo::given(signal, bytes)))
}

/// rt_sigaction(2).
pub async fn rt_sigaction(
    thread: &Thread,
    signal: usize,
    new: usize,
    old: usize,
    set_size: usize,
) -> SysResult {
    check_set_size(set_size)?;
    let space = thread.space();
    let mut wanted = None;
    if new != 0 {
        let mut bytes = [0; Action::SIZE];
        space.read_bytes(new, &mut bytes).await?;
        // The table may have to be made, or copied.
        crate::memory::ensure_free().map_err(|_| Errno::ENOMEM)?;
        wanted = Some(Action::from_bytes(&bytes));
    }
    let signal = Signal::new(signal as u32 as usize).ok_or(Errno::EINVAL)?;
    let process = thread.process();
    let before = match wanted {
        Some(_) if signal == Signal::KILL || signal == Signal::STOP => return Err(Errno::EINVAL),
        Some(action) => process.set_action(signal, action),
        None => process.action(signal),
    };
    if old != 0 {
        space.write_bytes(old, &before.to_bytes()).await?;
    }
    Ok(0)
}

/// rt_sigreturn(2): what a handler returns to.
pub async fn rt_sigreturn(thread: &Thread, registers: &mut Registers) -> Outcome {
    if thread.return_from_handler(registers).await.is_err() {
        thread.force(SigInfo::kernel(Signal::SEGV));
    }
    Outcome::Resume
}

/// sigaltstack(2).
pub async fn sigaltstack(thread: &Thread, user: &UserContext, new: usize, old: usize) -> SysResult {
    // stack_t: the base, the flags and a gap, the size.
    let mut wanted = None;
    if new != 0 {
        let [base, flags, size] = read_words(thread, new).await?;
        wanted = Some(StackNote {
            base: base as usize,
            flags: flags as u32,
            size: size as usize,
        });
    }
    let before = thread.change_stack(wanted, user.sp())?;
    if old != 0 {
        let words = [before.base as u64, before.flags.into(), before.size as u64];
        write_words(thread, old, words).await?;
    }
    Ok(0)
}

/// rt_sigprocmask(2).
pub async fn rt_sigprocmask(
    thread: &Thread,
    how: usize,
    new: usize,
    old: usize,
    set_size: usize,
) -> SysResult {
    check_set_size(set_size)?;
    let before = thread.blocked();
    if new != 0 {
        let [set] = read_words(thread, new).await?;
        thread.set_blocked(match how as u32 {
            linux::SIG_BLOCK => before | set,
            linux::SIG_UNBLOCK => before & !set,
            linux::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
    }
    if old != 0 {
        write_words(thread, old, [before]).await?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub async fn rt_sigpending(thread: &Thread, address: usize, set_size: usize) -> SysResult {
    if set_size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let set = thread.pending().to_le_bytes();
    thread
        .space()
        .write_bytes(address, &set[..set_size])
        .await?;
    Ok(0)
}

/// rt_sigsuspend(2).
pub async fn rt_sigsuspend(thread: &Thread, set: usize, set_size: usize) -> SysResult {
    check_set_size(set_size)?;
    let [set] = read_words(thread, set).await?;
    thread.set_blocked_for_call(set);
    Err(thread.pause().await)
}

/// rt_sigtimedwait(2).
pub async fn rt_sigtimedwait(
    thread: &Thread,
    set: usize,
    info: usize,
    timeout: usize,
    set_size: usize,
) -> SysResult {
    check_set_size(set_size)?;
    let [set] = read_words(thread, set).await?;
    let time = match timeout {
        0 => None,
        address => Some(time::read_timespec(thread, address).await?),
    };
    let told = thread.wait_for_signal(set, time).await?;
    if info != 0 {
        let mut bytes = [0; linux::SI_MAX_SIZE as usize];
        bytes[..SigInfo::SIZE].copy_from_slice(told.bytes());
        thread.space().write_bytes(info, &bytes).await?;
    }
    Ok(told.signal().number() as usize)
}

/// restart_syscall(2): what a call that was interrupted goes on with.
pub async fn restart_syscall(thread: &Thread) -> SysResult {
    match thread.take_continuation() {
        None => Err(Errno::EINTR),
        Some(Continuation::Sleep {
            deadline,
            remainder,
        }) => time::sleep(thread, deadline, remainder).await,
        Some(Continuation::Poll {
            address,
            count,
            deadline,
        }) => file::go_on_polling(thread, address, count, deadline).await,
        Some(Continuation::Futex {
            place,
            expected,
            bits,
            deadline,
        }) => {
            futex::wait(thread, place, expected, bits, Some(deadline)).await?;
            Ok(0)
        }
    }
}
