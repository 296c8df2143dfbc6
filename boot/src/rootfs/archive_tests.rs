use super::*;

/// What an archive says of a file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: String,
    mode: u32,
    names: u32,
    number: u32,
    contents: Vec<u8>,
    /// Where the contents begin.
    begin: usize,
}

fn archive(tree: &Tree) -> Vec<u8> {
    let mut archive = Vec::new();
    tree.write(&mut archive).expect("an archive");
    archive
}

fn found(tree: &Tree) -> Vec<Found> {
    let archive = archive(tree);
    let mut files = Vec::new();
    let mut rest = archive.as_slice();
    loop {
        let mut reader = cpio::NewcReader::new(rest).expect("an entry");
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return files;
        }
        let mut contents = Vec::new();
        io::copy(&mut reader, &mut contents).expect("its contents");
        rest = reader.finish().expect("the next entry");
        let end = archive.len() - rest.len();
        files.push(Found {
            path: entry.name().to_owned(),
            mode: entry.mode(),
            names: entry.nlink(),
            number: entry.ino(),
            begin: end - contents.len().next_multiple_of(4),
            contents,
        });
    }
}

#[test]
fn folders_come_before_what_is_in_them() {
    let mut tree = Tree::default();
    tree.program("/bin/sh", *b"shell").expect("a place");
    tree.file("/etc/motd", *b"hello\n").expect("a place");
    let files: Vec<(String, u32, Vec<u8>)> = found(&tree)
        .into_iter()
        .map(|file| (file.path, file.mode, file.contents))
        .collect();
    assert_eq!(
        files,
        [
            ("bin".into(), 0o040_755, vec![]),
            ("bin/sh".into(), 0o100_755, b"shell".to_vec()),
            ("etc".into(), 0o040_755, vec![]),
            ("etc/motd".into(), 0o100_644, b"hello\n".to_vec()),
        ]
    );
}

/// Whatever stands before it, and however long its name is.
#[test]
fn contents_of_a_page_or_more_begin_at_a_page() {
    for length in (1..300).chain([4000, 4090]) {
        let mut tree = Tree::default();
        tree.file("a", vec![b'a'; length * 13 % 5000])
            .expect("a place");
        tree.file(&"n".repeat(length), vec![b'n'; 5000])
            .expect("a place");
        tree.file("x/y", vec![b'y'; 4096]).expect("a place");
        for file in found(&tree) {
            if file.contents.len() >= 4096 {
                assert_eq!(file.begin % 4096, 0, "a name of {length}: {}", file.path);
            }
        }
    }
}

/// At each place of a page; a folder may come twice.
#[test]
fn no_name_is_longer_than_linux_takes() {
    for length in 0..1100 {
        let mut tree = Tree::default();
        tree.file("a", vec![b'a'; length * 4]).expect("a place");
        tree.file("folder/long-name", vec![b'n'; 5000])
            .expect("a place");
        let archive = archive(&tree);
        let files = found(&tree);
        let file = files.last().expect("a file");
        assert_eq!(
            (file.path.as_str(), file.begin % 4096),
            ("folder/long-name", 0)
        );
        assert!(files.len() <= 4, "{files:?}");
        let mut at = 0;
        while let Some(header) = archive.get(at..at + 110) {
            let field = |index: usize| {
                let digits = str::from_utf8(&header[6 + 8 * index..][..8]).expect("digits");
                usize::from_str_radix(digits, 16).expect("a number")
            };
            let (size, name) = (field(6), field(11));
            assert!(name <= 4096, "a name of {name} bytes");
            at = ((at + 110 + name).next_multiple_of(4) + size).next_multiple_of(4);
        }
    }
}

#[test]
fn names_of_one_file_have_its_number_and_the_first_has_the_contents() {
    let mut tree = Tree::default();
    tree.file("first", *b"both").expect("a place");
    assert!(tree.put_name("second", "first").expect("a place"));
    tree.file("third", *b"both").expect("a place");
    let files = found(&tree);
    let [first, second, third] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert_eq!((first.names, second.names, third.names), (2, 2, 1));
    assert_eq!(first.number, second.number);
    assert_ne!(first.number, third.number);
    assert_eq!((first.contents.len(), second.contents.len()), (4, 0));
}

/// As Linux unpacks it: GNU cpio, where there is one, reads the same tree.
#[test]
fn other_programs_read_it() {
    let mut tree = Tree::default();
    tree.file("big", vec![b'b'; 9000]).expect("a place");
    tree.program("bin/x", vec![b'x'; 5000]).expect("a place");
    let list = std::process::Command::new("cpio")
        .args(["--list", "--quiet"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut list) = list else {
        println!("not checked: there is no cpio");
        return;
    };
    let mut stdin = list.stdin.take().expect("its input");
    stdin.write_all(&archive(&tree)).expect("to write");
    drop(stdin);
    let output = list.wait_with_output().expect("its output");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "big\nbin\nbin/x\n");
}
