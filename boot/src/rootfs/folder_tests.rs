use super::*;
use crate::rootfs::tree::Kind;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A folder of the host, which goes with it.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        Self(dir)
    }

    fn file(&self, path: &str, data: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, data).expect("a file");
        path
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_layer_replaces_files_and_keeps_rights_and_links() {
    let host = Host::new("layer-test");
    host.file("etc/motd", "mine\n");
    let program = host.file("run", "program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4700)).expect("rights");
    fs::hard_link(&program, host.0.join("same")).expect("a name");
    symlink("run", host.0.join("link")).expect("a link");

    let mut tree = Tree::default();
    tree.file("/etc/motd", *b"theirs\n").expect("a place");
    tree.file("/etc/other", *b"stays\n").expect("a place");
    tree.lay_folder(&host.0, Owners::Root).expect("the layer");

    assert_eq!(tree.length(), 5 + 6 + 7);
    let entry = |path: &str| tree.entries.get(path).expect(path);
    assert_eq!(entry("run").attributes, Attributes::of_root(0o4700));
    match (&entry("run").kind, &entry("same").kind, &entry("link").kind) {
        (Kind::File(run), Kind::File(same), Kind::Link(target)) => {
            assert!(Arc::ptr_eq(run, same));
            assert_eq!(target, "run");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn special_files_are_left_out() {
    let host = Host::new("special-test");
    let _socket = std::os::unix::net::UnixListener::bind(host.0.join("socket")).expect("a socket");
    host.file("file", "x");
    let mut tree = Tree::default();
    tree.lay_folder(&host.0, Owners::Kept).expect("the layer");
    let paths: Vec<&String> = tree.entries.keys().collect();
    assert_eq!(paths, ["file"]);
    let file = tree.entries.get("file").expect("the file");
    assert_eq!((file.attributes.uid, file.attributes.gid), (0, 0));
    assert!(file.attributes.modified > 1_700_000_000);
}
