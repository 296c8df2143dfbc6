use super::super::rename::Replace;
use super::super::testing::machine;
use super::*;
use alloc::format;
use alloc::vec;

fn start(tree: &Tree) -> Start<'_> {
    Start {
        directory: tree.root(),
        caller: 7,
    }
}

fn directory(tree: &Tree, path: &str) -> Result<Arc<Node>, Errno> {
    tree.make(
        start(tree),
        path.as_bytes(),
        Node::new(NodeKind::directory()),
    )
}

fn file(tree: &Tree, path: &str) -> Result<Arc<Node>, Errno> {
    let object = crate::memory::Object::new().unwrap();
    tree.make(
        start(tree),
        path.as_bytes(),
        Node::new(NodeKind::regular(object)),
    )
}

fn link(tree: &Tree, target: &str, path: &str) {
    tree.make(
        start(tree),
        path.as_bytes(),
        Node::new(NodeKind::link(target.as_bytes()).unwrap()),
    )
    .unwrap();
}

fn find(tree: &Tree, path: &str) -> Result<Arc<Node>, Errno> {
    tree.node(start(tree), path.as_bytes(), Follow::Yes)
}

fn rename(tree: &Tree, from: &str, to: &str) -> Result<(), Errno> {
    tree.rename(
        (start(tree), from.as_bytes()),
        (start(tree), to.as_bytes()),
        Replace::Yes,
    )
}

fn path_of(tree: &Tree, path: &str) -> Vec<u8> {
    tree.path_of(&find(tree, path).unwrap()).unwrap()
}

/// /a/b/c with a file f in it.
fn sample() -> Tree {
    let tree = Tree::new();
    for path in ["/a", "/a/b", "/a/b/c"] {
        directory(&tree, path).unwrap();
    }
    file(&tree, "/a/b/c/f").unwrap();
    tree
}

#[test]
fn dots_and_slashes_mean_what_they_mean_everywhere() {
    let _machine = machine();
    let tree = sample();
    let f = find(&tree, "/a/b/c/f").unwrap();
    for path in [
        "a/b/c/f",
        "//a//b/./c/../c/f",
        "/../../a/b/c/f",
        "a/b/../../a/b/c/./f",
    ] {
        assert!(Arc::ptr_eq(&find(&tree, path).unwrap(), &f), "{path}");
    }
    for path in ["/", ".", "..", "/a/..", "///", "/a/b/../.."] {
        assert!(
            Arc::ptr_eq(&find(&tree, path).unwrap(), tree.root()),
            "{path}"
        );
    }
    let error = |path| find(&tree, path).err();
    assert_eq!(error(""), Some(Errno::ENOENT));
    assert_eq!(error("/a/x/f"), Some(Errno::ENOENT));
    assert_eq!(error("/a/b/c/f/"), Some(Errno::ENOTDIR));
    assert_eq!(error("/a/b/c/f/."), Some(Errno::ENOTDIR));
    assert_eq!(error("/a/b/c/f/.."), Some(Errno::ENOTDIR));
    assert!(find(&tree, "/a/b/c/").is_ok());
}

#[test]
fn names_and_paths_have_a_longest_length() {
    let _machine = machine();
    let tree = sample();
    assert!(file(&tree, &format!("/{}", "n".repeat(255))).is_ok());
    assert_eq!(
        file(&tree, &format!("/{}", "n".repeat(256))).err(),
        Some(Errno::ENAMETOOLONG)
    );
    let long = format!("{}a", "./".repeat(2047));
    assert_eq!(long.len(), 4095);
    assert!(find(&tree, &long).is_ok());
    assert_eq!(
        find(&tree, &format!("/{long}")).err(),
        Some(Errno::ENAMETOOLONG)
    );
}

#[test]
fn links_are_followed_as_far_as_they_lead() {
    let _machine = machine();
    let tree = sample();
    link(&tree, "b/c", "/a/rel");
    link(&tree, "/a/rel/", "/abs");
    link(&tree, "loop2", "/loop1");
    link(&tree, "loop1", "/loop2");
    link(&tree, "nowhere", "/dangling");
    let f = find(&tree, "/a/b/c/f").unwrap();
    for path in ["/a/rel/f", "/abs/f", "/abs/../c/f", "/a/../abs/./f"] {
        assert!(Arc::ptr_eq(&find(&tree, path).unwrap(), &f), "{path}");
    }
    assert_eq!(find(&tree, "/loop1").err(), Some(Errno::ELOOP));
    assert_eq!(find(&tree, "/loop1/x").err(), Some(Errno::ELOOP));
    assert_eq!(find(&tree, "/dangling").err(), Some(Errno::ENOENT));
    let not_followed = |path: &[u8]| {
        tree.node(start(&tree), path, Follow::No)
            .unwrap()
            .file_type()
    };
    assert_eq!(not_followed(b"/abs"), crate::fs::metadata::FileType::Link);
    // A slash behind a link asks for what it leads to.
    assert_eq!(
        not_followed(b"/abs/"),
        crate::fs::metadata::FileType::Directory
    );
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let _machine = machine();
    let tree = sample();
    link(&tree, "/a", "/l0");
    for n in 1..=40 {
        link(&tree, &format!("l{}", n - 1), &format!("/l{n}"));
    }
    assert!(find(&tree, "/l39").is_ok());
    assert_eq!(find(&tree, "/l40").err(), Some(Errno::ELOOP));
}

#[test]
fn creating_follows_a_dangling_link() {
    let _machine = machine();
    let tree = sample();
    link(&tree, "/a/made", "/link");
    let make = || {
        Ok(Node::new(NodeKind::regular(
            crate::memory::Object::new().unwrap(),
        )))
    };
    let (node, made) = tree
        .find_or_make(start(&tree), b"/link", Follow::Yes, make)
        .unwrap();
    assert!(made);
    assert!(Arc::ptr_eq(&node, &find(&tree, "/a/made").unwrap()));
    let again = tree
        .find_or_make(start(&tree), b"/link", Follow::Yes, make)
        .unwrap();
    assert!(!again.1 && Arc::ptr_eq(&again.0, &node));
    let slash = tree.find_or_make(start(&tree), b"/new/", Follow::Yes, make);
    assert_eq!(slash.err(), Some(Errno::EISDIR));
    let below_file = tree.find_or_make(start(&tree), b"/a/made/x", Follow::Yes, make);
    assert_eq!(below_file.err(), Some(Errno::ENOTDIR));
}

#[test]
fn making_what_is_there_fails() {
    let _machine = machine();
    let tree = sample();
    assert_eq!(directory(&tree, "/a").err(), Some(Errno::EEXIST));
    assert_eq!(directory(&tree, "/a/").err(), Some(Errno::EEXIST));
    assert_eq!(directory(&tree, "/").err(), Some(Errno::EEXIST));
    assert_eq!(directory(&tree, "/a/.").err(), Some(Errno::EEXIST));
    assert_eq!(directory(&tree, "/x/y").err(), Some(Errno::ENOENT));
    assert!(directory(&tree, "/new/").is_ok());
}

#[test]
fn removing_takes_only_what_it_should() {
    let _machine = machine();
    let tree = sample();
    let unlink = |path: &str| tree.unlink(start(&tree), path.as_bytes());
    let rmdir = |path: &str| tree.remove_directory(start(&tree), path.as_bytes());
    assert_eq!(unlink("/a"), Err(Errno::EISDIR));
    assert_eq!(unlink("/a/b/c/f/"), Err(Errno::ENOTDIR));
    assert_eq!(unlink("/a/b/c/g"), Err(Errno::ENOENT));
    assert_eq!(rmdir("/a/b/c"), Err(Errno::ENOTEMPTY));
    assert_eq!(rmdir("/a/b/c/f"), Err(Errno::ENOTDIR));
    assert_eq!(rmdir("/a/b/c/."), Err(Errno::EINVAL));
    assert_eq!(rmdir("/a/b/.."), Err(Errno::ENOTEMPTY));
    assert_eq!(rmdir("/"), Err(Errno::EBUSY));
    assert_eq!(unlink("/a/b/c/f"), Ok(()));
    assert_eq!(rmdir("/a/b/c/"), Ok(()));
    assert_eq!(find(&tree, "/a/b/c").err(), Some(Errno::ENOENT));
}

#[test]
fn a_removed_directory_is_nowhere() {
    let _machine = machine();
    let tree = sample();
    let gone = directory(&tree, "/gone").unwrap();
    tree.remove_directory(start(&tree), b"/gone").unwrap();
    let inside = Start {
        directory: &gone,
        caller: 7,
    };
    assert_eq!(tree.path_of(&gone), Err(Errno::ENOENT));
    let made = tree.make(inside, b"x", Node::new(NodeKind::directory()));
    assert_eq!(made.err(), Some(Errno::ENOENT));
    assert_eq!(
        tree.node(inside, b"..", Follow::Yes).err(),
        Some(Errno::ENOENT)
    );
    let moved = tree.rename((start(&tree), b"/a"), (inside, b"a"), Replace::Yes);
    assert_eq!(moved, Err(Errno::ENOENT));
}

#[test]
fn a_renamed_directory_knows_its_new_place() {
    let _machine = machine();
    let tree = sample();
    directory(&tree, "/z").unwrap();
    rename(&tree, "/a/b", "/z/y").unwrap();
    assert_eq!(path_of(&tree, "/z/y/c"), b"/z/y/c");
    assert_eq!(path_of(&tree, "/z/y/c/../.."), b"/z");
    assert_eq!(path_of(&tree, "/"), b"/");
    assert_eq!(find(&tree, "/a/b").err(), Some(Errno::ENOENT));
    assert_eq!(find(&tree, "/z").unwrap().status().links, 3);
    assert_eq!(find(&tree, "/a").unwrap().status().links, 2);
}

#[test]
fn renaming_replaces_like_with_like() {
    let _machine = machine();
    let tree = sample();
    let f = find(&tree, "/a/b/c/f").unwrap();
    let g = file(&tree, "/g").unwrap();
    directory(&tree, "/empty").unwrap();
    assert_eq!(rename(&tree, "/g", "/empty"), Err(Errno::EISDIR));
    assert_eq!(rename(&tree, "/empty", "/g"), Err(Errno::ENOTDIR));
    assert_eq!(rename(&tree, "/empty", "/a"), Err(Errno::ENOTEMPTY));
    assert_eq!(rename(&tree, "/a", "/a/b/c/x"), Err(Errno::EINVAL));
    assert_eq!(rename(&tree, "/a", "/a/x"), Err(Errno::EINVAL));
    // A directory over one that holds it is not empty by that alone.
    assert_eq!(rename(&tree, "/a/b/c", "/a/b"), Err(Errno::ENOTEMPTY));
    assert_eq!(rename(&tree, "/a/.", "/x"), Err(Errno::EBUSY));
    assert_eq!(rename(&tree, "/g/", "/x"), Err(Errno::ENOTDIR));
    assert_eq!(rename(&tree, "/g", "/g"), Ok(()));
    let kept = tree.rename(
        (start(&tree), b"/g"),
        (start(&tree), b"/a/b/c/f"),
        Replace::No,
    );
    assert_eq!(kept, Err(Errno::EEXIST));
    rename(&tree, "/g", "/a/b/c/f").unwrap();
    assert!(Arc::ptr_eq(&find(&tree, "/a/b/c/f").unwrap(), &g));
    assert_eq!((f.status().links, g.status().links), (0, 1));
    rename(&tree, "/a/b", "/empty").unwrap();
    assert_eq!(path_of(&tree, "/empty/c"), b"/empty/c");
}

#[test]
fn two_names_change_places() {
    let _machine = machine();
    let tree = sample();
    let exchange = |from: &str, to: &str| {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        tree.rename((start(&tree), from), (start(&tree), to), Replace::Exchange)
    };
    let g = file(&tree, "/g").unwrap();
    let b = find(&tree, "/a/b").unwrap();
    let root_links = tree.root().status().links;
    assert_eq!(exchange("/g", "/none"), Err(Errno::ENOENT));
    assert_eq!(exchange("/a", "/a/b"), Err(Errno::EINVAL));
    assert_eq!(exchange("/a/b", "/a"), Err(Errno::EINVAL));
    exchange("/g", "/a/b").unwrap();
    assert!(Arc::ptr_eq(&find(&tree, "/a/b").unwrap(), &g));
    assert!(Arc::ptr_eq(&find(&tree, "/g").unwrap(), &b));
    assert_eq!(path_of(&tree, "/g/c"), b"/g/c");
    assert_eq!(g.status().links, 1);
    assert_eq!(tree.root().status().links, root_links + 1);
    assert_eq!(find(&tree, "/a").unwrap().status().links, 2);
}

#[test]
fn a_file_with_two_names_goes_with_the_second() {
    let _machine = machine();
    let tree = sample();
    let f = find(&tree, "/a/b/c/f").unwrap();
    tree.link(start(&tree), b"/second", f.clone()).unwrap();
    assert_eq!(f.status().links, 2);
    tree.unlink(start(&tree), b"/a/b/c/f").unwrap();
    assert_eq!(f.status().links, 1);
    assert!(Arc::ptr_eq(&find(&tree, "/second").unwrap(), &f));
}

#[test]
fn a_deep_tree_is_dismantled_without_recursion() {
    let _machine = machine();
    let tree = Tree::new();
    let mut parent = tree.root().clone();
    for _ in 0..100_000 {
        let inside = Start {
            directory: &parent,
            caller: 7,
        };
        parent = tree
            .make(inside, b"d", Node::new(NodeKind::directory()))
            .unwrap();
    }
    let deepest = Arc::downgrade(&parent);
    drop(parent);
    tree.dismantle();
    assert!(deepest.upgrade().is_none());
}

/// Two threads move directories into each other's way; whatever happens, the
/// tree stays a tree, and each directory is found where it says it is.
#[test]
fn concurrent_renames_leave_a_tree() {
    let _machine = machine();
    let tree = Tree::new();
    for path in ["/x", "/y", "/x/m", "/y/n"] {
        directory(&tree, path).unwrap();
    }
    std::thread::scope(|scope| {
        for (from, to) in [("/x", "/y/n/x"), ("/y", "/x/m/y"), ("/x/m", "/y/m")] {
            let tree = &tree;
            scope.spawn(move || {
                let _machine = machine();
                for _ in 0..2000 {
                    let _ = rename(tree, from, to);
                    let _ = rename(tree, to, from);
                }
            });
        }
    });
    let mut pending = vec![tree.root().clone()];
    let mut count = 0;
    while let Some(node) = pending.pop() {
        count += 1;
        let path = tree.path_of(&node).unwrap();
        assert!(Arc::ptr_eq(
            &find(&tree, core::str::from_utf8(&path).unwrap()).unwrap(),
            &node
        ));
        let NodeKind::Directory(entries) = node.kind() else {
            continue;
        };
        pending.extend(
            [b"x", b"y", b"m", b"n"]
                .iter()
                .filter_map(|name| entries.get(*name)),
        );
    }
    assert_eq!(count, 5);
}
