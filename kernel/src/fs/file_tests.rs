use super::super::generated::{Generate, Listing, fixed_entry};
use super::super::open::{open, program};
use super::super::testing::{Program, now};
use super::super::tree::Tree;
use super::super::walk::{Follow, Start};
use super::*;
use crate::memory::Sink;
use crate::wait::Undisturbed;
use crate::wait::Wait;
use alloc::vec;
use alloc::vec::Vec;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use spin::Mutex;

const RW: u32 = abi::O_RDWR;
const CREATE: u32 = abi::O_RDWR | abi::O_CREAT;

fn start(tree: &Tree) -> Start<'_> {
    Start {
        directory: tree.root(),
        caller: 42,
    }
}

fn try_open(tree: &Tree, path: &str, flags: u32) -> Result<Arc<OpenFile>, Errno> {
    now(open(
        tree,
        start(tree),
        path.as_bytes(),
        flags,
        0o640,
        Wait::Never,
    ))
}

fn write(program: &Program, file: &OpenFile, bytes: &[u8]) -> SysResult {
    now(file.write(&mut program.holding(0, bytes), &Undisturbed))
}

fn read(program: &Program, file: &OpenFile, length: usize) -> Result<Vec<u8>, Errno> {
    let n = now(file.read(&mut program.buffer(100_000, length), &Undisturbed))?;
    Ok(program.bytes(100_000, n))
}

fn seek(file: &OpenFile, offset: i64, whence: Whence) -> SysResult {
    now(file.seek(offset, whence))
}

#[test]
fn a_file_gives_back_what_was_written() {
    let program = Program::start();
    let tree = Tree::new();
    let file = try_open(&tree, "/f", CREATE).unwrap();
    let bytes: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(write(&program, &file, &bytes), Ok(50_000));
    assert_eq!(read(&program, &file, 10), Ok(vec![]));
    assert_eq!(seek(&file, 4090, Whence::Start), Ok(4090));
    assert_eq!(read(&program, &file, 20), Ok(bytes[4090..4110].to_vec()));
    assert_eq!(seek(&file, -5, Whence::End), Ok(49_995));
    assert_eq!(read(&program, &file, 20), Ok(bytes[49_995..].to_vec()));
    assert_eq!(seek(&file, -1, Whence::Start), Err(Errno::EINVAL));
    assert_eq!(file.status().size, 50_000);
    assert_eq!(file.status().attributes.permissions, 0o640);
}

#[test]
fn positions_are_shared_by_duplicates_and_not_by_a_second_open() {
    let program = Program::start();
    let tree = Tree::new();
    let one = try_open(&tree, "/f", CREATE).unwrap();
    let same = one.clone();
    let other = try_open(&tree, "/f", RW).unwrap();
    write(&program, &one, b"abc").unwrap();
    write(&program, &same, b"def").unwrap();
    assert_eq!(read(&program, &other, 9), Ok(b"abcdef".to_vec()));
    // Calls with an offset leave the position alone.
    let mut to = program.buffer(0, 2);
    assert_eq!(now(other.read_at(&mut to, 1)), Ok(2));
    assert_eq!(program.bytes(0, 2), b"bc");
    assert_eq!(now(other.write_at(&mut program.holding(0, b"X"), 0)), Ok(1));
    assert_eq!(seek(&other, 0, Whence::Current), Ok(6));
}

#[test]
fn appending_always_goes_to_the_end() {
    let program = Program::start();
    let tree = Tree::new();
    let one = try_open(&tree, "/log", CREATE | abi::O_APPEND).unwrap();
    let two = try_open(&tree, "/log", abi::O_WRONLY | abi::O_APPEND).unwrap();
    for _ in 0..3 {
        write(&program, &one, b"1").unwrap();
        write(&program, &two, b"2").unwrap();
    }
    seek(&one, 0, Whence::Start).unwrap();
    assert_eq!(read(&program, &one, 99), Ok(b"121212".to_vec()));
    one.set_flags(CHANGEABLE, 0);
    seek(&one, 0, Whence::Start).unwrap();
    write(&program, &one, b"9").unwrap();
    assert_eq!(one.status().size, 6);
}

#[test]
fn holes_read_as_zeros_and_sizes_are_limited() {
    let program = Program::start();
    let tree = Tree::new();
    let file = try_open(&tree, "/f", CREATE).unwrap();
    seek(&file, 10_000, Whence::Start).unwrap();
    write(&program, &file, b"end").unwrap();
    seek(&file, 9_998, Whence::Start).unwrap();
    assert_eq!(read(&program, &file, 9), Ok(b"\0\0end".to_vec()));
    assert_eq!(seek(&file, 0, Whence::Hole), Ok(0));
    assert_eq!(seek(&file, 0, Whence::Data), Ok(8192));
    assert_eq!(seek(&file, 9000, Whence::Hole), Ok(10_003));
    assert_eq!(seek(&file, 10_003, Whence::Data), Err(Errno::ENXIO));

    seek(&file, i64::MAX, Whence::Start).unwrap();
    assert_eq!(write(&program, &file, b"x"), Err(Errno::EFBIG));
    assert_eq!(read(&program, &file, 1), Ok(vec![]));
    assert_eq!(seek(&file, 1, Whence::Current), Err(Errno::EOVERFLOW));

    now(file.truncate(4)).unwrap();
    now(file.truncate(8)).unwrap();
    seek(&file, 0, Whence::Start).unwrap();
    assert_eq!(read(&program, &file, 99), Ok(vec![0; 8]));
    assert_eq!(now(file.truncate(MAX_SIZE + 1)), Err(Errno::EINVAL));
}

#[test]
fn a_bad_address_ends_a_transfer_where_it_is() {
    let program = Program::start();
    let tree = Tree::new();
    let file = try_open(&tree, "/f", CREATE).unwrap();
    assert_eq!(
        now(file.write(&mut program.running_out(700, 1000), &Undisturbed)),
        Ok(700)
    );
    assert_eq!(
        now(file.write(&mut program.running_out(0, 1000), &Undisturbed)),
        Err(Errno::EFAULT)
    );
    assert_eq!(file.status().size, 700);
    write(&program, &file, &[3; 1000]).unwrap();
    seek(&file, 0, Whence::Start).unwrap();
    assert_eq!(
        now(file.read(&mut program.running_out(900, 1000), &Undisturbed)),
        Ok(900)
    );
    assert_eq!(
        now(file.read(&mut program.running_out(0, 1000), &Undisturbed)),
        Err(Errno::EFAULT)
    );
    assert_eq!(seek(&file, 0, Whence::Current), Ok(900));
}

/// A write that is cancelled while it waits for its turn does not block the later ones.
#[test]
fn a_cancelled_write_leaves_the_file_usable() {
    let program = Program::start();
    let tree = Tree::new();
    let file = try_open(&tree, "/f", CREATE).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    {
        // Long enough to yield half-way.
        let mut from = program.buffer(0, 256 * 1024);
        let mut twice = program.buffer(0, 256 * 1024);
        let mut writing = pin!(file.write(&mut from, &Undisturbed));
        assert!(writing.as_mut().poll(&mut context).is_pending());
        let mut waiting = pin!(file.write(&mut twice, &Undisturbed));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(seek(&file, 3, Whence::Start), Ok(3));
    assert_eq!(write(&program, &file, b"x"), Ok(1));
}

#[test]
fn open_does_what_its_flags_say() {
    let program = Program::start();
    let tree = Tree::new();
    let error = |path, flags| try_open(&tree, path, flags).err();
    assert_eq!(error("/f", RW), Some(Errno::ENOENT));
    let file = try_open(&tree, "/f", CREATE | abi::O_EXCL).unwrap();
    write(&program, &file, b"text").unwrap();
    assert_eq!(error("/f", CREATE | abi::O_EXCL), Some(Errno::EEXIST));
    assert_eq!(error("/f", abi::O_DIRECTORY), Some(Errno::ENOTDIR));
    assert_eq!(error("/", RW), Some(Errno::EISDIR));
    assert_eq!(error("/", abi::O_CREAT), Some(Errno::EISDIR));
    assert_eq!(error("/new/", CREATE), Some(Errno::EISDIR));
    assert_eq!(error("/new", abi::O_ACCMODE), Some(Errno::EINVAL));
    assert_eq!(error("/", abi::O_TMPFILE | RW), None);
    assert_eq!(error("/", abi::O_TMPFILE), Some(Errno::EINVAL));
    tree.attach(b"/l", NodeKind::link(b"f").unwrap()).unwrap();
    assert_eq!(error("/l", abi::O_NOFOLLOW), Some(Errno::ELOOP));
    assert_eq!(error("/l", CREATE | abi::O_EXCL), Some(Errno::EEXIST));

    let read_only = try_open(&tree, "/l", abi::O_RDONLY).unwrap();
    assert_eq!(write(&program, &read_only, b"x"), Err(Errno::EBADF));
    assert_eq!(now(read_only.truncate(0)), Err(Errno::EINVAL));
    let write_only = try_open(&tree, "/l", abi::O_WRONLY).unwrap();
    assert_eq!(read(&program, &write_only, 1), Err(Errno::EBADF));
    assert_eq!(write_only.flags() & abi::O_ACCMODE, abi::O_WRONLY);

    let path_only = try_open(&tree, "/l", abi::O_PATH | abi::O_NOFOLLOW).unwrap();
    assert_eq!(path_only.status().file_type, FileType::Link);
    assert_eq!(read(&program, &path_only, 1), Err(Errno::EBADF));

    assert_eq!(file.status().size, 4);
    try_open(&tree, "/f", RW | abi::O_TRUNC).unwrap();
    assert_eq!(file.status().size, 0);
}

#[test]
fn only_executable_files_are_programs() {
    let _program = Program::start();
    let tree = Tree::new();
    let file = try_open(&tree, "/f", CREATE).unwrap();
    let found = |path: &[u8]| program(&tree, start(&tree), path).map(|(_, node)| node.number());
    assert_eq!(found(b"/f"), Err(Errno::EACCES));
    let node = file.node().unwrap();
    node.change(|attributes| attributes.permissions = 0o100);
    assert_eq!(found(b"/f"), Ok(node.number()));
    assert_eq!(found(b"/"), Err(Errno::EACCES));
    assert_eq!(found(b"/f/"), Err(Errno::ENOTDIR));
    assert_eq!(found(b"/g"), Err(Errno::ENOENT));
}

struct Counted(AtomicU32);

impl Generate for Counted {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        let n = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(alloc::format!("opened {n} times before\n").into_bytes())
    }
}

struct Numbers;

impl Window for Numbers {
    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> SysResult {
        let end = 20_000_u64;
        let mut put = 0;
        while put < max && offset + (put as u64) < end {
            let byte = [(offset + put as u64) as u8];
            if sink.put(&byte) == 0 {
                break;
            }
            put += 1;
        }
        Ok(put)
    }
}

/// A window that takes what is written.
struct Slate(Mutex<Vec<u8>>);

impl Window for Slate {
    fn is_writable(&self) -> bool {
        true
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        *self.0.lock() = text.to_vec();
        Ok(())
    }

    fn read_at(&self, _: u64, _: &mut dyn Sink, _: usize) -> SysResult {
        Ok(0)
    }
}

#[test]
fn some_windows_are_written_a_call_at_a_time() {
    let program = Program::start();
    let tree = Tree::new();
    let slate = Arc::new(Slate(Mutex::new(Vec::new())));
    tree.attach(b"/slate", NodeKind::Window(slate.clone()))
        .unwrap();
    tree.attach(b"/numbers", NodeKind::Window(Arc::new(Numbers)))
        .unwrap();
    assert_eq!(try_open(&tree, "/numbers", RW).err(), Some(Errno::EACCES));
    let file = try_open(&tree, "/slate", RW).unwrap();
    assert_eq!(write(&program, &file, b"first"), Ok(5));
    assert_eq!(write(&program, &file, b"last"), Ok(4));
    assert_eq!(write(&program, &file, &[b'x'; 33]), Err(Errno::EINVAL));
    assert_eq!(*slate.0.lock(), b"last");
}

struct Shown;

impl Listing for Shown {
    fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<NodeKind>, Errno> {
        Ok(match name {
            b"self" => Some(NodeKind::link(alloc::format!("{caller}").as_bytes())?),
            b"42" => Some(NodeKind::Computed(Arc::new(Shown))),
            b"count" => Some(NodeKind::Generated(Arc::new(Counted(AtomicU32::new(7))))),
            _ => None,
        })
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names: [(&[u8], _); 2] = [(b"self", FileType::Link), (b"42", FileType::Directory)];
        fixed_entry(names.into_iter(), position, show)
    }
}

#[test]
fn a_generated_text_is_of_one_moment() {
    let program = Program::start();
    let tree = Tree::new();
    tree.attach(
        b"/count",
        NodeKind::Generated(Arc::new(Counted(AtomicU32::new(0)))),
    )
    .unwrap();
    let one = try_open(&tree, "/count", abi::O_RDONLY).unwrap();
    let two = try_open(&tree, "/count", abi::O_RDONLY).unwrap();
    assert_eq!(
        read(&program, &two, 99),
        Ok(b"opened 1 times before\n".to_vec())
    );
    assert_eq!(read(&program, &one, 8), Ok(b"opened 0".to_vec()));
    assert_eq!(read(&program, &one, 99), Ok(b" times before\n".to_vec()));
    assert_eq!(read(&program, &one, 99), Ok(vec![]));
    assert_eq!(try_open(&tree, "/count", RW).err(), Some(Errno::EACCES));
}

#[test]
fn a_window_is_read_by_offset() {
    let program = Program::start();
    let tree = Tree::new();
    tree.attach(b"/numbers", NodeKind::Window(Arc::new(Numbers)))
        .unwrap();
    let file = try_open(&tree, "/numbers", abi::O_RDONLY).unwrap();
    assert_eq!(seek(&file, 300, Whence::Start), Ok(300));
    assert_eq!(read(&program, &file, 3), Ok(vec![44, 45, 46]));
    assert_eq!(read(&program, &file, 50_000).unwrap().len(), 20_000 - 303);
    assert_eq!(read(&program, &file, 50_000), Ok(vec![]));
}

#[test]
fn computed_directories_know_who_asks_and_where_they_are() {
    let program = Program::start();
    let tree = Tree::new();
    tree.attach(b"/proc", NodeKind::Computed(Arc::new(Shown)))
        .unwrap();
    let file = try_open(&tree, "/proc/self/count", abi::O_RDONLY).unwrap();
    assert_eq!(read(&program, &file, 8), Ok(b"opened 7".to_vec()));
    let node = tree
        .node(start(&tree), b"/proc/self/self", Follow::Yes)
        .unwrap();
    assert_eq!(tree.path_of(&node), Ok(b"/proc/42/42".to_vec()));
    let inside = Start {
        directory: &node,
        caller: 42,
    };
    let up = tree.node(inside, b"../..", Follow::Yes).unwrap();
    assert_eq!(tree.path_of(&up), Ok(b"/proc".to_vec()));
    assert_eq!(try_open(&tree, "/proc/x", CREATE).err(), Some(Errno::EPERM));
    assert_eq!(tree.unlink(start(&tree), b"/proc/self"), Err(Errno::EPERM));
}

/// The names of a directory, by reads of `size` bytes each.
fn names(program: &Program, file: &OpenFile, size: usize) -> Vec<(Vec<u8>, u8)> {
    let mut names = Vec::new();
    loop {
        let n = now(file.read_entries(&mut program.buffer(5000, size))).unwrap();
        if n == 0 {
            return names;
        }
        let mut bytes = &program.bytes(5000, n)[..];
        while !bytes.is_empty() {
            let length = usize::from(u16::from_ne_bytes([bytes[16], bytes[17]]));
            assert_eq!(length % 8, 0);
            let end = bytes[19..].iter().position(|&byte| byte == 0).unwrap();
            names.push((bytes[19..19 + end].to_vec(), bytes[18]));
            bytes = &bytes[length..];
        }
    }
}

#[test]
fn a_directory_lists_each_entry_once() {
    let program = Program::start();
    let tree = Tree::new();
    let long = "n".repeat(255);
    for name in ["/b", "/a", &alloc::format!("/{long}")] {
        try_open(&tree, name, CREATE).unwrap();
    }
    tree.attach(b"/d", NodeKind::directory()).unwrap();
    tree.attach(b"/l", NodeKind::link(b"x").unwrap()).unwrap();
    let expected: Vec<(&[u8], u8)> = vec![
        (b".", 4),
        (b"..", 4),
        (b"b", 8),
        (b"a", 8),
        (long.as_bytes(), 8),
        (b"d", 4),
        (b"l", 10),
    ];
    for size in [280, 300, 4096] {
        let file = try_open(&tree, "/", abi::O_DIRECTORY).unwrap();
        let names = names(&program, &file, size);
        let names: Vec<(&[u8], u8)> = names
            .iter()
            .map(|(name, kind)| (&name[..], *kind))
            .collect();
        assert_eq!(names, expected);
    }
    let file = try_open(&tree, "/", abi::O_DIRECTORY).unwrap();
    assert_eq!(
        now(file.read_entries(&mut program.buffer(0, 23))),
        Err(Errno::EINVAL)
    );
    // Some of it was delivered before the address went bad.
    let mut to = program.running_out(50, 4096);
    assert_eq!(now(file.read_entries(&mut to)), Ok(48));
    // What is removed or added in the midst of the reading makes no other entry be skipped; rewinding
    // shows it.
    tree.unlink(start(&tree), b"/a").unwrap();
    assert_eq!(names(&program, &file, 4096).len(), 4);
    assert_eq!(seek(&file, 0, Whence::Start), Ok(0));
    assert_eq!(names(&program, &file, 4096).len(), 6);
    assert_eq!(read(&program, &file, 10), Err(Errno::EISDIR));
}

#[test]
fn a_listing_ends_though_its_reader_adds_names() {
    let program = Program::start();
    let tree = Tree::new();
    for name in 0..40 {
        try_open(&tree, &alloc::format!("/{name}"), CREATE).unwrap();
    }
    let file = try_open(&tree, "/", abi::O_DIRECTORY).unwrap();
    let mut seen = Vec::new();
    loop {
        let n = now(file.read_entries(&mut program.buffer(5000, 24))).unwrap();
        if n == 0 {
            break;
        }
        let bytes = program.bytes(5000 + 19, n - 19);
        let end = bytes.iter().position(|&byte| byte == 0).unwrap();
        let name = alloc::string::String::from_utf8(bytes[..end].to_vec()).unwrap();
        if let Ok(number) = name.parse::<usize>() {
            let (from, to) = (alloc::format!("/{name}"), alloc::format!("/n{number}"));
            let replace = super::super::rename::Replace::Yes;
            let from = (start(&tree), from.as_bytes());
            tree.rename(from, (start(&tree), to.as_bytes()), replace)
                .unwrap();
        }
        seen.push(name);
    }
    assert_eq!(seen.len(), 42);
    seen.dedup();
    assert_eq!(seen.len(), 42);
}

#[test]
fn devices_do_what_their_names_say() {
    let program = Program::start();
    let tree = Tree::new();
    super::super::start(&tree, &[]).unwrap();
    let open = |path| try_open(&tree, path, RW).unwrap();
    let null = open("/dev/null");
    assert_eq!(write(&program, &null, b"gone"), Ok(4));
    assert_eq!(read(&program, &null, 9), Ok(vec![]));
    assert_eq!(seek(&null, 99, Whence::Start), Ok(0));
    program.holding(100_000, &[9; 10_000]);
    assert_eq!(
        read(&program, &open("/dev/zero"), 10_000),
        Ok(vec![0; 10_000])
    );
    assert_eq!(
        write(&program, &open("/dev/full"), b"x"),
        Err(Errno::ENOSPC)
    );
    assert_eq!(read(&program, &open("/dev/full"), 3), Ok(vec![0; 3]));
    assert_eq!(
        read(&program, &open("/dev/urandom"), 101).unwrap().len(),
        101
    );
    assert_eq!(
        now(open("/dev/zero").read(&mut program.running_out(10, 10), &Undisturbed)),
        Ok(10)
    );
    assert_eq!(
        now(open("/dev/zero").read(&mut program.running_out(0, 10), &Undisturbed)),
        Err(Errno::EFAULT)
    );
    let status = open("/dev/null").status();
    assert_eq!(
        (status.file_type, status.device),
        (FileType::Character, 0x103)
    );
    assert!(open("/dev/console").tty().is_some());
}

#[test]
fn poll_wakes_for_what_it_waits_for() {
    use super::super::poll::{Interest, any_ready};
    let program = Program::start();
    let (reader, writer) = OpenFile::pipe(0).unwrap();
    let tree = Tree::new();
    let mut context = Context::from_waker(Waker::noop());
    let interests = [&reader, &writer].map(|file| Interest {
        file: file.clone(),
        events: abi::POLLIN,
    });
    let mut waiting = pin!(any_ready(&interests));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    write(&program, &writer, b"x").unwrap();
    assert_eq!(waiting.poll(&mut context), Poll::Ready(Ok(())));
    assert_eq!(interests[0].ready(), abi::POLLIN);
    assert_eq!(interests[1].ready(), 0);
    let file = try_open(&tree, "/f", CREATE).unwrap();
    let always = Interest {
        file,
        events: abi::POLLIN | abi::POLLOUT,
    };
    assert_eq!(always.ready(), abi::POLLIN | abi::POLLOUT);
}

/// Every thread's future has room for the largest of its system calls, and
/// moves between CPUs.
#[test]
fn futures_are_small_and_can_move() {
    fn size<F: Future + Send>(future: F) -> usize {
        let size = size_of_val(&future);
        drop(future);
        size
    }
    let program = Program::start();
    let tree = Tree::new();
    let file = try_open(&tree, "/f", CREATE).unwrap();
    let (one, two) = (&mut program.buffer(0, 1), &mut program.buffer(0, 1));
    let sizes = [
        size(file.read(one, &Undisturbed)),
        size(file.write(two, &Undisturbed)),
        size(file.read_entries(one)),
        size(open(&tree, start(&tree), b"/f", 0, 0, Wait::Never)),
        size(super::super::poll::any_ready(&[])),
    ];
    // A page of the buffer may have to be faulted in, which may have to wait for other CPUs.
    assert!(sizes.into_iter().all(|size| size <= 720), "{sizes:?}");
}
