use super::*;

fn tree(files: &[&str]) -> Tree {
    let mut tree = Tree::default();
    for path in files {
        let put = match path.split_once(" -> ") {
            Some((path, to)) => tree.put(path, Entry::link(to.into(), Attributes::of_root(0o777))),
            None => match path.strip_suffix('/') {
                Some(folder) => tree.dir(folder),
                None => tree.file(path, path.as_bytes()),
            },
        };
        put.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    tree
}

/// The paths, links with their targets, files with what was last put into them.
fn shown(tree: &Tree) -> Vec<String> {
    let shown = tree.entries.iter().map(|(path, entry)| match &entry.kind {
        Kind::Folder => format!("{path}/"),
        Kind::Link(target) => format!("{path} -> {target}"),
        Kind::File(contents) => match &**contents {
            Contents::Bytes(bytes) => format!("{path}: {}", String::from_utf8_lossy(bytes)),
            Contents::Part { .. } => format!("{path}: a part"),
        },
    });
    shown.collect()
}

#[test]
fn a_path_leads_through_links() {
    for link in [
        "bin -> usr/bin",
        "bin -> /usr/bin",
        "bin -> ./usr/../usr/bin/",
    ] {
        let tree = tree(&["usr/bin/", link, "bin/x"]);
        assert!(shown(&tree).contains(&"usr/bin/x: bin/x".into()), "{link}");
        assert!(tree.has("bin/x") && tree.has("/usr/bin/x") && !tree.has("bin/y"));
    }
}

#[test]
fn a_link_may_come_before_its_folder() {
    let tree = tree(&["lib -> usr/lib", "lib/a/b", "usr/lib/", "lib/"]);
    assert_eq!(
        shown(&tree),
        [
            "lib -> usr/lib",
            "usr/",
            "usr/lib/",
            "usr/lib/a/",
            "usr/lib/a/b: lib/a/b"
        ]
    );
}

/// The built-in root file system has a folder `bin`, and the layer merged it into `/usr`.
#[test]
fn what_is_in_a_folder_moves_where_a_link_over_it_leads() {
    let tree = tree(&["bin/sh", "bin/x", "usr/bin/x", "bin -> usr/bin"]);
    assert_eq!(
        shown(&tree),
        [
            "bin -> usr/bin",
            "usr/",
            "usr/bin/",
            "usr/bin/sh: bin/sh",
            "usr/bin/x: usr/bin/x"
        ]
    );
}

#[test]
fn the_last_layer_wins() {
    let tree = tree(&["x", "dir/y", "x -> dir", "dir", "x"]);
    assert_eq!(shown(&tree), ["dir: dir", "x: x"]);
}

#[test]
fn a_circle_of_links_is_an_error() {
    let mut tree = tree(&["a -> b", "b -> a"]);
    assert!(tree.file("a/x", *b"").is_err());
    assert!(!tree.has("a"));
    let mut inside = self::tree(&["d/x"]);
    let link = Entry::link("d/e".into(), Attributes::of_root(0o777));
    assert!(inside.put("d", link).is_err());
}

#[test]
fn the_root_stays_a_folder() {
    let tree = tree(&["/", "../x", "."]);
    assert_eq!(shown(&tree), ["x: ../x"]);
}
