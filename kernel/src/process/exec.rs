//! Loading a program in place of the one that runs (execve(2)).
//!
//! The new address space is built beside the old one. All that can fail comes before the
//! old one is given up, so that a failed `execve` leaves the caller as it was. The
//! program's pages are those of the file, mapped privately; nothing is read before it is
//! used. Arguments and environment are copied from the old stack to the new one (`stack`).
//!
//! The new program begins with one thread: once nothing can fail any more the caller ends all
//! others, and takes the number of the leader if that was another.

use super::credentials::Credentials;
use super::elf::{self, Image, Segment};
pub use super::exec_error::ExecError;
use super::executable::Executable;
use super::exit_status::ExitStatus;
use super::registers::Registers;
use super::signal::Signal;
use super::stack::{self, Facts, StackStrings, Strings};
use super::state::{Names, Process};
use super::thread::Thread;
use crate::errno::Errno;
use crate::fs;
use crate::fs::node::Node;
use crate::fs::walk::{Last, Start};
use crate::memory::fallible;
use crate::memory::{
    self, AddressSpace, Backing, FRAME_SIZE, MapRequest, Object, Placement, Protection, USER_END,
    VmaFlags,
};
use crate::trace::{self, Kind};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as linux;

/// Where the stack begins. The page above stays unmapped, so that running over the top is a fault.
const STACK_TOP: usize = USER_END - FRAME_SIZE;
/// Bytes of the stack below its contents that a program has from the start, as on Linux; the
/// rest comes as it grows.
const STACK_SPARE: usize = 128 << 10;
/// Bytes of arguments and environment with their pointers, at least and at most; in between
/// a quarter of what the stack may be (execve(2)).
const MAX_STRINGS: (usize, usize) = (128 << 10, 6 << 20);
/// Where a relocatable program goes, and where its interpreter does.
const PROGRAM_BIAS: usize = 0x5555_5555_4000;
const INTERPRETER_BIAS: usize = 0x7fff_8000_0000 - (256 << 20);
/// How often `#!` may lead to the next script (BINPRM in execve(2)).
const MAX_SCRIPTS: usize = 4;

/// A program that is ready to begin.
pub struct Program {
    pub(super) space: Arc<AddressSpace>,
    /// Its first instruction.
    pub(super) entry: usize,
    /// Its stack pointer.
    pub(super) sp: usize,
    pub(super) names: Names,
    pub(super) executable: Arc<Executable>,
    /// With which users, groups and capabilities it begins.
    pub(super) credentials: Credentials,
}

/// Loads the program that takes the place of the thread's own, and makes the thread the only
/// one of its process.
pub async fn exec(
    thread: &Thread,
    path: &[u8],
    arguments: usize,
    environment: usize,
) -> Result<Program, ExecError> {
    memory::ensure_free()?;
    let process = thread.process();
    let mut arguments = Strings::of_program(thread.space(), arguments);
    if arguments.is_empty().await? {
        // As Linux since 5.18: many programs take it for granted that there is a name.
        arguments = Strings {
            first: one(Vec::new())?,
            rest: None,
        };
    }
    let environment = Strings::of_program(thread.space(), environment);
    let program = load(process, path, arguments, &environment).await?;
    let is_alone = process.threads.len() == 1;
    if is_alone {
        // All or nothing; a table that was borrowed stays with its lender.
        process.files.unshare()?;
        process.files().exec()?;
    }
    // From here on nothing fails.
    if !process.threads.become_only(thread.tcb()).await {
        // The thread does not live to see it.
        return Err(Errno::EINTR.into());
    }
    thread.tcb().become_leader();
    let files = || {
        process
            .files
            .unshare()
            .and_then(|()| process.files().exec())
    };
    if !is_alone && files().is_err() {
        // The others are gone already, so there is no program left to go back to.
        process.threads.end(ExitStatus::Signal(Signal::KILL));
    }
    Ok(program)
}

impl Thread {
    /// Becomes another program.
    pub(super) fn replace(&mut self, program: Program, registers: &mut Registers) {
        let process = self.tcb.process();
        let [name, more] = trace::name(&program.names.short);
        trace::event(Kind::Exec, [process.pid.0.into(), name, more]);
        process.set_names(program.names);
        process.set_executable(Some(program.executable));
        process.set_credentials(program.credentials);
        let ours = process.set_space(Some(program.space.clone()));
        process.attributes.exec();
        process.stops_sharing_memory();
        process.forget_barriers();
        self.tcb.set_name(None);
        process.vfork_done.complete();
        process.threads.reopen();
        let mine = core::mem::replace(&mut self.space, program.space);
        drop((ours, mine));
        registers.reset(program.entry, program.sp);
        process.signals.exec();
        self.tcb.signals.exec();
    }
}

/// Loads the first program of all, whose strings come from the kernel.
pub(super) async fn exec_first(
    process: &Process,
    path: &[u8],
    arguments: Vec<Vec<u8>>,
) -> Result<Program, ExecError> {
    let environment = [&b"PATH=/bin"[..], b"HOME=/", b"TERM=linux"]
        .map(<[u8]>::to_vec)
        .to_vec();
    let of_kernel = |first| Strings { first, rest: None };
    let environment = of_kernel(environment);
    load(process, path, of_kernel(arguments), &environment).await
}

/// A list of one string.
fn one(string: Vec<u8>) -> Result<Vec<Vec<u8>>, ExecError> {
    let mut list = Vec::new();
    list.try_reserve_exact(1)
        .map_err(|_| ExecError::OutOfMemory)?;
    list.push(string);
    Ok(list)
}

/// A copy of a short text.
fn copy(text: &[u8]) -> Result<Vec<u8>, ExecError> {
    let mut copy = fallible::vec(text.len())?;
    copy.extend_from_slice(text);
    Ok(copy)
}

/// An ELF file that was found.
struct Found {
    image: Image,
    executable: Executable,
    /// The path that led to it.
    path: Vec<u8>,
}

/// Follows `#!` lines to an ELF file, and puts what they add before the arguments.
fn find_program(
    process: &Process,
    path: &[u8],
    arguments: &mut Strings<'_>,
) -> Result<Found, ExecError> {
    let cwd = process.cwd();
    let start = Start {
        directory: &cwd,
        caller: process.pid.0 as i32,
    };
    let mut path = copy(path)?;
    for _ in 0..=MAX_SCRIPTS {
        let (target, node) = fs::open::program(fs::tree(), start, &path)?;
        let object = node.object().ok_or(Errno::EACCES)?.clone();
        let Some((interpreter, argument)) = script(&object)? else {
            let Last::Name(name) = &target.last else {
                return Err(Errno::EACCES.into());
            };
            let executable = Executable {
                name: fallible::bytes(name)?,
                directory: target.directory,
                node,
            };
            return Ok(Found {
                image: elf::read(object)?,
                executable,
                path,
            });
        };
        // The interpreter, its one argument, the script's path, the script's arguments.
        arguments.skip_first();
        let mut first = fallible::vec(3 + arguments.first.len())?;
        first.push(copy(&interpreter)?);
        first.extend(argument);
        first.push(path);
        first.append(&mut arguments.first);
        arguments.first = first;
        path = interpreter;
    }
    Err(ExecError::TooManyInterpreters)
}

/// An interpreter and its argument.
type Script = (Vec<u8>, Option<Vec<u8>>);

/// The interpreter and its argument, when the file begins with `#!`.
fn script(object: &Object) -> Result<Option<Script>, ExecError> {
    let mut start = [0; 256];
    let length = object.read_at(0, &mut &mut start[..], 256);
    let line = start[..length]
        .strip_prefix(b"#!")
        .and_then(|text| text.split(|&c| c == b'\n').next());
    let Some(line) = line else {
        return Ok(None);
    };
    let mut parts = line.trim_ascii().splitn(2, |c| c.is_ascii_whitespace());
    let Some(interpreter) = parts.next().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let argument = parts.next().map(|argument| copy(argument.trim_ascii()));
    Ok(Some((copy(interpreter)?, argument.transpose()?)))
}

/// Finds a program and builds its address space.
async fn load(
    process: &Process,
    path: &[u8],
    mut arguments: Strings<'_>,
    environment: &Strings<'_>,
) -> Result<Program, ExecError> {
    let Found {
        image,
        executable,
        path,
    } = find_program(process, path, &mut arguments)?;
    let limits = process.limits.of_memory();
    let mut budget = (limits.stack / 4).clamp(MAX_STRINGS.0, MAX_STRINGS.1);
    let strings = StackStrings {
        arguments: (&arguments, arguments.measure(&mut budget).await?),
        environment: (environment, environment.measure(&mut budget).await?),
    };
    let mut credentials = process.credentials();
    let is_secure = become_owner(&mut credentials, &executable.node);
    let space = AddressSpace::limited(limits)?;
    let bias = if image.is_relocatable {
        PROGRAM_BIAS
    } else {
        0
    };
    map_image(&space, &image, bias).await?;
    space.set_heap_start(bias + image.span().1).await;
    let mut facts = Facts {
        headers: image.headers.map_or(0, |at| at + bias),
        header_count: image.header_count,
        entry: image.entry + bias,
        base: 0,
        path: &path,
        credentials: &credentials,
        is_secure,
    };
    let mut entry = facts.entry;
    if let Some(interpreter) = &image.interpreter {
        let cwd = process.cwd();
        let start = Start {
            directory: &cwd,
            caller: process.pid.0 as i32,
        };
        let (_, node) = fs::open::program(fs::tree(), start, interpreter)?;
        let loader = elf::read(node.object().ok_or(Errno::EACCES)?.clone())?;
        let bias = if loader.is_relocatable {
            INTERPRETER_BIAS
        } else {
            0
        };
        map_image(&space, &loader, bias).await?;
        facts.base = bias;
        entry = loader.entry + bias;
    }
    let mut rights = Protection::READ | Protection::WRITE;
    rights.set(Protection::EXECUTE, image.stack_executable);
    space
        .map_as(MapRequest {
            place: Placement::FixedNoReplace(STACK_TOP - FRAME_SIZE),
            length: FRAME_SIZE,
            protection: rights,
            allowed: Protection::all(),
            backing: Backing::Anonymous,
            flags: VmaFlags::GROWS_DOWN,
            populated: false,
        })
        .await?;
    let stack = match stack::build(&space, STACK_TOP, &strings, &facts).await {
        // The stack may not grow so far.
        Err(ExecError::BadLayout) => return Err(ExecError::TooBig),
        stack => stack?,
    };
    space.grow_while_private(stack.sp - STACK_SPARE)?;
    let short = path.rsplit(|&c| c == b'/').next().unwrap_or(&path);
    let names = Names {
        short: copy(&short[..short.len().min(15)])?,
        arguments: stack.shown_arguments,
    };
    Ok(Program {
        space,
        entry,
        sp: stack.sp,
        names,
        executable: fallible::arc(executable)?,
        credentials,
    })
}

/// Gives a program the owner or the group of its file, if the file says so (S_ISUID and S_ISGID in
/// inode(7)). Returns whether the program has to be careful (`AT_SECURE`).
fn become_owner(credentials: &mut Credentials, node: &Node) -> bool {
    let attributes = node.status().attributes;
    let has = |bits| attributes.permissions & bits == bits;
    let owner = has(linux::S_ISUID).then_some(attributes.user);
    // Without the right to execute the bit of the group means something else.
    let group = has(linux::S_ISGID | linux::S_IXGRP).then_some(attributes.group);
    credentials.exec(owner, group)
}

async fn map_image(space: &AddressSpace, image: &Image, bias: usize) -> Result<(), ExecError> {
    let (_, end) = image.span();
    if end.checked_add(bias).is_none_or(|end| end > USER_END) {
        return Err(ExecError::BadLayout);
    }
    for segment in &image.segments {
        map_segment(space, image, segment, bias).await?;
    }
    Ok(())
}

/// Maps the pages of the file, and fresh ones behind them for what the file does not
/// contain.
async fn map_segment(
    space: &AddressSpace,
    image: &Image,
    segment: &Segment,
    bias: usize,
) -> Result<(), ExecError> {
    let within = segment.address % FRAME_SIZE;
    let start = segment.address + bias - within;
    let file_end = segment.address + bias + segment.file_size;
    let end = segment.address + bias + segment.memory_size;
    let (file_pages_end, pages_end) = (
        file_end.next_multiple_of(FRAME_SIZE),
        end.next_multiple_of(FRAME_SIZE),
    );
    let mut fresh_start = start;
    if segment.file_size != 0 {
        let backing = Backing::Private(image.object.clone(), segment.file_offset - within as u64);
        space
            .map(
                Placement::Fixed(start),
                file_pages_end - start,
                segment.protection,
                backing,
            )
            .await?;
        fresh_start = file_pages_end;
    }
    if pages_end > fresh_start {
        let length = pages_end - fresh_start;
        space
            .map(
                Placement::Fixed(fresh_start),
                length,
                segment.protection,
                Backing::Anonymous,
            )
            .await?;
    }
    // In its last page the file's bytes are followed by others of the file; the program shall
    // see zeroes, as on Linux to the end of the page: glibc's loader takes its first memory
    // from there.
    if segment.memory_size > segment.file_size
        && segment.file_size != 0
        && segment.protection.contains(Protection::WRITE)
    {
        space.clear_while_private(file_end, file_pages_end - file_end)?;
    }
    Ok(())
}
