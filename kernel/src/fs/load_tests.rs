use super::super::cpio::tests::{archive, entry};
use super::super::testing::machine;
use super::*;

fn contents(tree: &Tree, path: &[u8]) -> Vec<u8> {
    let start = Start {
        directory: tree.root(),
        caller: 0,
    };
    let node = tree.node(start, path, Follow::Yes).unwrap();
    let object = node.object().unwrap();
    let mut bytes = alloc::vec![0; object.len() as usize + 1];
    let length = bytes.len();
    let n = object.read_at(0, &mut bytes.as_mut_slice(), length);
    bytes.truncate(n);
    bytes
}

#[test]
fn an_archive_becomes_a_tree() {
    let _machine = machine();
    let big = alloc::vec![0x5a; 10_000];
    let bytes = archive(&[
        entry(b".", 0o040700, 1, 2, b""),
        entry(b"./etc", 0o040711, 2, 2, b""),
        entry(b"etc/big", 0o100640, 3, 1, &big),
        entry(b"no/dirs/listed", 0o100600, 4, 1, b"x"),
        entry(b"link", 0o120777, 5, 1, b"etc/big"),
        entry(b"one", 0o100644, 6, 2, b""),
        entry(b"two", 0o100644, 6, 2, b"same"),
        entry(b"etc/big", 0o100755, 7, 1, b"laid over"),
    ]);
    let tree = Tree::new();
    assert_eq!(load(&tree, &bytes), Ok(8));
    assert_eq!(contents(&tree, b"/etc/big"), b"laid over");
    assert_eq!(contents(&tree, b"/link"), b"laid over");
    assert_eq!(contents(&tree, b"/no/dirs/listed"), b"x");
    assert_eq!(contents(&tree, b"/one"), b"same");
    let start = Start {
        directory: tree.root(),
        caller: 0,
    };
    let status = |path| tree.node(start, path, Follow::Yes).unwrap().status();
    assert_eq!(status(b"/two").links, 2);
    assert_eq!(status(b"/etc").attributes.permissions, 0o711);
    assert_eq!(status(b"/").attributes.permissions, 0o700);
    assert_eq!(status(b"/etc/big").attributes.permissions, 0o755);
    assert_eq!(
        status(b"/etc/big").attributes.modified,
        1_700_000_000 * 1_000_000_000
    );
}

#[test]
fn what_comes_before_the_damage_stays() {
    let _machine = machine();
    let mut bytes = archive(&[
        entry(b"first", 0o100644, 1, 1, b"1"),
        entry(b"second", 0, 2, 1, b""),
    ]);
    let second = entry(b"first", 0o100644, 1, 1, b"1").len();
    bytes[second] = b'!';
    let tree = Tree::new();
    let error = load(&tree, &bytes).unwrap_err();
    assert_eq!(
        alloc::string::ToString::to_string(&error),
        "cpio archive: no magic number at byte 120"
    );
    assert_eq!(contents(&tree, b"first"), b"1");
}

#[test]
fn a_file_below_a_file_is_an_error_with_its_name() {
    let _machine = machine();
    let bytes = archive(&[
        entry(b"a", 0o100644, 1, 1, b""),
        entry(b"a/b", 0o100644, 2, 1, b""),
    ]);
    let error = load(&Tree::new(), &bytes).unwrap_err();
    assert_eq!(error, LoadError::File(b"a/b".to_vec(), Errno::ENOTDIR));
}
