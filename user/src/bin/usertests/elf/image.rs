//! ELF files made to order: a small program that is in order, and ways to spoil it.

use alloc::vec;
use alloc::vec::Vec;

pub const HEADER: usize = 64;
pub const PROGRAM_HEADER: usize = 56;
/// Where the code is, in the file and in memory.
pub const CODE: usize = 0x1000;
pub const PLACE: u64 = 0x1000_0000;
/// What the good program exits with.
pub const GOOD: u8 = 7;

pub const PT_LOAD: u32 = 1;
pub const PT_INTERP: u32 = 3;
pub const R: u32 = 4;
pub const RX: u32 = 5;
pub const RW: u32 = 6;

/// `exit_group(GOOD)`
pub const PROGRAM: [u8; 12] = [0xbf, GOOD, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];

/// A program header (`Elf64_Phdr`).
#[derive(Clone, Copy)]
pub struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub in_file: u64,
    pub in_memory: u64,
}

pub const TEXT: Segment = Segment {
    kind: PT_LOAD,
    flags: RX,
    offset: CODE as u64,
    address: PLACE,
    in_file: PROGRAM.len() as u64,
    in_memory: PROGRAM.len() as u64,
};

/// Second in the good program: a page of data.
pub const DATA: Segment = Segment {
    flags: RW,
    offset: 0,
    address: PLACE + 0x10000,
    in_file: 64,
    in_memory: 64,
    ..TEXT
};

/// A file with these segments, and with the code at its place.
pub fn image(segments: &[Segment]) -> Vec<u8> {
    let mut file = vec![0; CODE];
    let mut put = |at: usize, bytes: &[u8]| {
        for (slot, byte) in file.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
    };
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &2u16.to_le_bytes()); // ET_EXEC
    put(18, &62u16.to_le_bytes()); // EM_X86_64
    put(20, &1u32.to_le_bytes());
    put(24, &PLACE.to_le_bytes()); // e_entry
    put(32, &(HEADER as u64).to_le_bytes()); // e_phoff
    put(52, &(HEADER as u16).to_le_bytes());
    put(54, &(PROGRAM_HEADER as u16).to_le_bytes());
    put(56, &(segments.len() as u16).to_le_bytes()); // e_phnum
    for (index, segment) in segments.iter().enumerate() {
        let at = HEADER + index * PROGRAM_HEADER;
        put(at, &segment.kind.to_le_bytes());
        put(at + 4, &segment.flags.to_le_bytes());
        put(at + 8, &segment.offset.to_le_bytes());
        put(at + 16, &segment.address.to_le_bytes());
        put(at + 24, &segment.address.to_le_bytes());
        put(at + 32, &segment.in_file.to_le_bytes());
        put(at + 40, &segment.in_memory.to_le_bytes());
        put(at + 48, &0x1000u64.to_le_bytes());
    }
    file.extend_from_slice(&PROGRAM);
    file
}

/// The good image with some bytes of it changed.
pub fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = image(&[TEXT, DATA]);
    file.splice(at..at + bytes.len(), bytes.iter().copied());
    file
}
