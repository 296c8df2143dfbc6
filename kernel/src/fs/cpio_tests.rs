use super::*;
use alloc::format;
use alloc::vec::Vec;

pub fn entry(path: &[u8], mode: u32, number: u32, links: u32, contents: &[u8]) -> Vec<u8> {
    let fields = [
        number,
        mode,
        0,
        0,
        links,
        1_700_000_000,
        contents.len() as u32,
        8,
        1,
        0,
        0,
        path.len() as u32 + 1,
        0,
    ];
    let mut bytes = b"070701".to_vec();
    for field in fields {
        bytes.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    bytes.extend_from_slice(path);
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(contents);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend(entry(TRAILER, 0, 0, 1, b""));
    bytes
}

fn sample() -> Vec<u8> {
    archive(&[
        entry(b"bin", 0o040755, 1, 2, b""),
        entry(b"bin/hello", 0o100755, 2, 1, b"\x7fELF and so on"),
        entry(b"motd", 0o100644, 3, 1, b"hi\n"),
    ])
}

#[test]
fn entries_come_with_their_contents() {
    let archive = sample();
    let entries: Vec<_> = Archive::new(&archive).map(|entry| entry.unwrap()).collect();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[1].path, b"bin/hello");
    assert_eq!(entries[1].mode, 0o100755);
    assert_eq!(entries[1].contents, b"\x7fELF and so on");
    assert_eq!(entries[2].contents, b"hi\n");
    assert_eq!(entries[2].modified, 1_700_000_000);
}

#[test]
fn a_name_may_be_padded() {
    let archive = archive(&[entry(b"bin/hello\0\0\0\0\0", 0o100755, 2, 1, b"contents")]);
    let entries: Vec<_> = Archive::new(&archive).map(|entry| entry.unwrap()).collect();
    assert_eq!(entries[0].path, b"bin/hello");
    assert_eq!(entries[0].contents, b"contents");
}

#[test]
fn archives_may_follow_each_other() {
    let mut two = sample();
    two.resize(two.len().next_multiple_of(512), 0);
    two.extend(archive(&[entry(b"over", 0o100600, 9, 1, b"laid")]));
    two.extend([0; 512]);
    let paths: Vec<_> = Archive::new(&two)
        .map(|entry| entry.unwrap().path)
        .collect();
    assert_eq!(paths, [b"bin".as_slice(), b"bin/hello", b"motd", b"over"]);
}

#[test]
fn an_archive_that_is_cut_off_says_so() {
    let whole = sample();
    // Without the trailer the end is still a whole number of entries.
    let last = whole.len() - entry(TRAILER, 0, 0, 1, b"").len();
    for length in 1..last {
        let result: Result<Vec<_>, _> = Archive::new(&whole[..length]).collect();
        match result {
            Err(corrupt) => assert_eq!(corrupt.problem, Problem::Truncated),
            // Only a cut in the padding after an entry is not seen.
            Ok(_) => assert!(
                whole[length..length.next_multiple_of(4)]
                    .iter()
                    .all(|&b| b == 0)
            ),
        }
    }
}

#[test]
fn any_damaged_byte_is_survived() {
    let whole = sample();
    for at in 0..whole.len() {
        for value in [0, 0x20, b'0', b'f', b'F', 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            // No panic, no endless loop; nothing after an error.
            let mut archive = Archive::new(&damaged);
            let count = archive.by_ref().take_while(Result::is_ok).count();
            // One more when the damage makes the trailer a file.
            assert!(count <= 4);
            assert!(archive.next().is_none());
        }
    }
    let mut damaged = whole.clone();
    damaged[0] = b'x';
    let first = Archive::new(&damaged).next();
    assert_eq!(
        first,
        Some(Err(Corrupt {
            offset: 0,
            problem: Problem::Magic
        }))
    );
}

#[test]
fn huge_sizes_are_no_trouble() {
    let mut archive = sample();
    // The size of the first entry's contents, then of its name.
    for field in [6, 11] {
        archive[6 + 8 * field..][..8].copy_from_slice(b"ffffffff");
        let first = Archive::new(&archive).next();
        let corrupt = Corrupt {
            offset: 0,
            problem: Problem::Truncated,
        };
        assert_eq!(first, Some(Err(corrupt)));
        archive[6 + 8 * field..][..8].copy_from_slice(b"00000004");
    }
}
