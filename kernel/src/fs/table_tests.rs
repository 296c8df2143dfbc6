use super::super::node::NodeKind;
use super::super::testing::machine;
use super::super::tree::Tree;
use super::*;

fn file() -> Arc<OpenFile> {
    OpenFile::pipe(0).unwrap().0
}

fn open(table: &FdTable) -> u32 {
    table.add(file(), OnExec::Keep).unwrap().0
}

#[test]
fn the_lowest_free_descriptor_is_given() {
    let _machine = machine();
    let table = FdTable::new();
    assert_eq!([open(&table), open(&table), open(&table)], [0, 1, 2]);
    table.remove(Fd(0)).unwrap();
    table.remove(Fd(1)).unwrap();
    assert_eq!(table.add_from(Fd(1), file(), OnExec::Keep), Ok(Fd(1)));
    assert_eq!(table.add_from(Fd(1), file(), OnExec::Keep), Ok(Fd(3)));
    assert_eq!(table.add_from(Fd(10), file(), OnExec::Keep), Ok(Fd(10)));
    assert_eq!([open(&table), open(&table)], [0, 4]);
    table.set(Fd(6), file(), OnExec::Keep).unwrap();
    assert_eq!([open(&table), open(&table)], [5, 7]);
}

#[test]
fn bad_descriptors_are_errors() {
    let _machine = machine();
    let table = FdTable::new();
    open(&table);
    for fd in [Fd(1), Fd(1023), Fd(1024), Fd(u32::MAX)] {
        assert_eq!(table.get(fd).err(), Some(Errno::EBADF));
        assert_eq!(table.remove(fd).err(), Some(Errno::EBADF));
        assert_eq!(table.set_on_exec(fd, OnExec::Close), Err(Errno::EBADF));
    }
    assert_eq!(
        table.set(Fd(1024), file(), OnExec::Keep).err(),
        Some(Errno::EBADF)
    );
    let beyond = table.add_from(Fd(1024), file(), OnExec::Keep);
    assert_eq!(beyond, Err(Errno::EINVAL));
}

#[test]
fn the_limit_ends_in_emfile_and_gives_the_file_back() {
    let _machine = machine();
    let table = FdTable::new();
    table.set_limit(8).unwrap();
    for n in 0..8 {
        assert_eq!(open(&table), n);
    }
    let one = file();
    assert_eq!(table.add(one.clone(), OnExec::Keep), Err(Errno::EMFILE));
    assert_eq!(Arc::strong_count(&one), 1);
    table.remove(Fd(7)).unwrap();
    // One place is not enough for two: none is taken.
    let two = OpenFile::pipe(0).unwrap();
    assert_eq!(table.add_two(two, OnExec::Keep), Err(Errno::EMFILE));
    assert_eq!(open(&table), 7);
    assert_eq!(table.set_limit(MAX_LIMIT + 1), Err(Errno::EPERM));
}

#[test]
fn a_forked_table_changes_alone() {
    let _machine = machine();
    let parent = FdTable::new();
    let (one, two) = (file(), file());
    parent.add(one.clone(), OnExec::Keep).unwrap();
    let child = parent.fork();
    // Shared until one of them changes.
    assert_eq!(Arc::strong_count(&one), 2);
    child.set(Fd(0), two.clone(), OnExec::Keep).unwrap();
    assert!(Arc::ptr_eq(&parent.get(Fd(0)).unwrap(), &one));
    assert!(Arc::ptr_eq(&child.get(Fd(0)).unwrap(), &two));
    parent.remove(Fd(0)).unwrap();
    assert_eq!(Arc::strong_count(&one), 1);
    assert!(child.get(Fd(0)).is_ok());
    child.clear();
    assert_eq!(Arc::strong_count(&two), 1);
}

#[test]
fn the_last_close_of_all_tables_closes_the_file() {
    let _machine = machine();
    let parent = FdTable::new();
    let (reader, writer) = OpenFile::pipe(0).unwrap();
    parent.add(writer, OnExec::Keep).unwrap();
    let child = parent.fork();
    let hang_up = || reader.ready() & linux_raw_sys::general::POLLHUP != 0;
    parent.remove(Fd(0)).unwrap();
    assert!(!hang_up());
    drop(child);
    assert!(hang_up());
}

#[test]
fn execve_closes_what_is_marked() {
    let _machine = machine();
    let table = FdTable::new();
    let kept = file();
    table.add(kept.clone(), OnExec::Keep).unwrap();
    table.add(file(), OnExec::Close).unwrap();
    open(&table);
    table.set_on_exec(Fd(2), OnExec::Close).unwrap();
    open(&table);
    table.set_on_exec(Fd(3), OnExec::Close).unwrap();
    table.set_on_exec(Fd(3), OnExec::Keep).unwrap();
    table.exec().unwrap();
    let left: alloc::vec::Vec<u32> = (0..5).filter(|&fd| table.get(Fd(fd)).is_ok()).collect();
    assert_eq!(left, [0, 3]);
    assert_eq!(open(&table), 1);
}

#[test]
fn ranges_are_closed_or_marked() {
    let _machine = machine();
    let table = FdTable::new();
    for _ in 0..6 {
        open(&table);
    }
    table.remove_in(Fd(1)..=Fd(2)).unwrap();
    table.close_on_exec_in(Fd(4)..=Fd(u32::MAX)).unwrap();
    assert_eq!(table.on_exec(Fd(3)), Ok(OnExec::Keep));
    table.exec().unwrap();
    let left: alloc::vec::Vec<u32> = (0..6).filter(|&fd| table.get(Fd(fd)).is_ok()).collect();
    assert_eq!(left, [0, 3]);
    assert_eq!([open(&table), open(&table), open(&table)], [1, 2, 4]);
}

/// A file that was unlinked goes with its last descriptor.
#[test]
fn an_unlinked_file_lives_until_it_is_closed() {
    let _machine = machine();
    let tree = Tree::new();
    let node = tree.attach(b"/f", NodeKind::link(b"x").unwrap()).unwrap();
    let table = FdTable::new();
    let opened = super::super::file::Opened::Path;
    let file = OpenFile::new(opened, Some(node.clone()), 0);
    table.add(Arc::new(file), OnExec::Keep).unwrap();
    let weak = Arc::downgrade(&node);
    drop(node);
    tree.attach(b"/f", NodeKind::directory()).unwrap();
    assert!(weak.upgrade().is_some());
    table.clear();
    assert!(weak.upgrade().is_none());
}
