use super::*;
use crate::rootfs::tree::Kind;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use tar::Builder;

fn header(kind: EntryType, path: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path(path).expect("a path");
    header.set_size(size);
    header.set_mode(0o2750);
    header.set_uid(5);
    header.set_gid(6);
    header.set_mtime(7);
    header.set_cksum();
    header
}

/// As a distribution's: merged `/usr`, two names of a file, a device.
fn archive() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let mut add = |kind, path, to: Option<&str>, data: &[u8]| {
        let mut header = header(kind, path, data.len() as u64);
        if let Some(to) = to {
            header.set_link_name(to).expect("a target");
            header.set_cksum();
        }
        builder.append(&header, data).expect("an entry");
    };
    add(EntryType::Symlink, "bin", Some("usr/bin"), b"");
    add(EntryType::Directory, "usr/bin/", None, b"");
    add(EntryType::Regular, "./bin/tool", None, b"contents");
    add(EntryType::Link, "usr/bin/same", Some("bin/tool"), b"");
    add(EntryType::Char, "dev/null", None, b"");
    builder.into_inner().expect("an archive")
}

fn laid(name: &str, bytes: &[u8]) -> Tree {
    let dir = std::env::temp_dir().join(format!("tar-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    let file = dir.join("root");
    fs::write(&file, bytes).expect("the file");
    let mut tree = Tree::default();
    let laid = tree.lay_tar(&file, &dir.join("cache"));
    let again = Tree::default().lay_tar(&file, &dir.join("cache"));
    let packed = tree.pack(&dir.join("packed"));
    let _ = fs::remove_dir_all(&dir);
    laid.and(again).and(packed).expect("the archive");
    tree
}

fn check(tree: &Tree) {
    let paths: Vec<&str> = tree.entries.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        ["bin", "usr", "usr/bin", "usr/bin/same", "usr/bin/tool"]
    );
    let entry = |path: &str| tree.entries.get(path).expect(path);
    let attributes = Attributes {
        permissions: 0o2750,
        uid: 5,
        gid: 6,
        modified: 7,
    };
    assert_eq!(entry("usr/bin/tool").attributes, attributes);
    match (&entry("usr/bin/tool").kind, &entry("usr/bin/same").kind) {
        (Kind::File(tool), Kind::File(same)) => assert!(Arc::ptr_eq(tool, same)),
        other => panic!("{other:?}"),
    }
    assert_eq!(tree.length(), 8);
}

#[test]
fn owners_rights_and_names_are_those_of_the_archive() {
    check(&laid("plain", &archive()));
}

#[test]
fn a_compressed_archive_is_known_by_its_first_bytes() {
    let mut gzip = GzEncoder::new(Vec::new(), Level::default());
    gzip.write_all(&archive()).expect("to compress");
    check(&laid("gzip", &gzip.finish().expect("to compress")));

    let zstd = ruzstd::encoding::compress_to_vec(
        archive().as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    check(&laid("zstd", &zstd));
}

/// Where the host has the program.
#[test]
fn an_archive_by_xz_is_read() {
    let dir = std::env::temp_dir().join(format!("xz-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("root"), archive()).expect("the file");
    let compressed = std::process::Command::new("xz")
        .args(["--compress", "--stdout"])
        .arg(dir.join("root"))
        .output();
    let _ = fs::remove_dir_all(&dir);
    match compressed {
        Ok(output) if output.status.success() => check(&laid("xz", &output.stdout)),
        _ => println!("not checked: there is no xz"),
    }
}

#[test]
fn what_is_no_archive_is_an_error() {
    let dir = std::env::temp_dir().join(format!("no-tar-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    let file = dir.join("root.tar");
    fs::write(&file, vec![b'x'; 1024]).expect("the file");
    let laid = Tree::default().lay_tar(&file, &dir);
    let _ = fs::remove_dir_all(&dir);
    assert_eq!(laid.expect_err("no archive").exit_code(), 69);
}
