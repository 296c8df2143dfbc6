//! `/proc/cpuinfo` (proc(5)): what the CPU tells of itself (CPUID; Intel's Software Developer's Manual,
//! volume 2A).

use super::text::Text;
use crate::arch;
use core::fmt::{self, Write};

/// Names of feature bits as Linux has them (its arch/x86/include/asm/cpufeatures.h), with the leaf,
/// the word of it (of EAX, EBX, ECX, EDX), and the bit.
const FLAGS: [(&str, u32, usize, u32); 73] = [
    ("fpu", 1, 3, 0),
    ("vme", 1, 3, 1),
    ("de", 1, 3, 2),
    ("pse", 1, 3, 3),
    ("tsc", 1, 3, 4),
    ("msr", 1, 3, 5),
    ("pae", 1, 3, 6),
    ("mce", 1, 3, 7),
    ("cx8", 1, 3, 8),
    ("apic", 1, 3, 9),
    ("sep", 1, 3, 11),
    ("mtrr", 1, 3, 12),
    ("pge", 1, 3, 13),
    ("mca", 1, 3, 14),
    ("cmov", 1, 3, 15),
    ("pat", 1, 3, 16),
    ("pse36", 1, 3, 17),
    ("clflush", 1, 3, 19),
    ("mmx", 1, 3, 23),
    ("fxsr", 1, 3, 24),
    ("sse", 1, 3, 25),
    ("sse2", 1, 3, 26),
    ("ss", 1, 3, 27),
    ("ht", 1, 3, 28),
    ("syscall", 0x8000_0001, 3, 11),
    ("nx", 0x8000_0001, 3, 20),
    ("mmxext", 0x8000_0001, 3, 22),
    ("fxsr_opt", 0x8000_0001, 3, 25),
    ("pdpe1gb", 0x8000_0001, 3, 26),
    ("rdtscp", 0x8000_0001, 3, 27),
    ("lm", 0x8000_0001, 3, 29),
    ("constant_tsc", 0x8000_0007, 3, 8),
    ("pni", 1, 2, 0),
    ("pclmulqdq", 1, 2, 1),
    ("ssse3", 1, 2, 9),
    ("fma", 1, 2, 12),
    ("cx16", 1, 2, 13),
    ("pcid", 1, 2, 17),
    ("sse4_1", 1, 2, 19),
    ("sse4_2", 1, 2, 20),
    ("x2apic", 1, 2, 21),
    ("movbe", 1, 2, 22),
    ("popcnt", 1, 2, 23),
    ("tsc_deadline_timer", 1, 2, 24),
    ("aes", 1, 2, 25),
    ("xsave", 1, 2, 26),
    ("avx", 1, 2, 28),
    ("f16c", 1, 2, 29),
    ("rdrand", 1, 2, 30),
    ("hypervisor", 1, 2, 31),
    ("lahf_lm", 0x8000_0001, 2, 0),
    ("abm", 0x8000_0001, 2, 5),
    ("sse4a", 0x8000_0001, 2, 6),
    ("3dnowprefetch", 0x8000_0001, 2, 8),
    ("fsgsbase", 7, 1, 0),
    ("bmi1", 7, 1, 3),
    ("avx2", 7, 1, 5),
    ("smep", 7, 1, 7),
    ("bmi2", 7, 1, 8),
    ("erms", 7, 1, 9),
    ("invpcid", 7, 1, 10),
    ("avx512f", 7, 1, 16),
    ("rdseed", 7, 1, 18),
    ("adx", 7, 1, 19),
    ("smap", 7, 1, 20),
    ("clflushopt", 7, 1, 23),
    ("clwb", 7, 1, 24),
    ("sha_ni", 7, 1, 29),
    ("umip", 7, 2, 2),
    ("pku", 7, 2, 3),
    ("vaes", 7, 2, 9),
    ("rdpid", 7, 2, 22),
    ("fsrm", 7, 3, 4),
];

/// Family, model and stepping, as Linux works them out of CPUID.1:EAX.
fn signature() -> (u32, u32, u32) {
    let [word, ..] = arch::cpuid(1, 0);
    let (stepping, mut model, mut family) = (word & 15, word >> 4 & 15, word >> 8 & 15);
    if family == 15 {
        family += word >> 20 & 255;
    }
    if family >= 6 {
        model += (word >> 16 & 15) << 4;
    }
    (family, model, stepping)
}

/// Puts the bytes of some words, without spaces and zeros at the ends.
fn put_words<const N: usize>(text: &mut Text, words: [u32; N]) -> fmt::Result {
    let bytes = words.map(u32::to_le_bytes);
    let bytes = bytes.as_flattened();
    let is_blank = |byte: &u8| matches!(byte, 0 | b' ');
    let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(0);
    let end = bytes
        .iter()
        .rposition(|byte| !is_blank(byte))
        .map_or(0, |at| at + 1);
    text.put(bytes.get(start..end).unwrap_or_default())
}

/// The text of all CPUs, which are alike.
pub(super) fn cpuinfo(text: &mut Text) -> fmt::Result {
    let count = arch::cpu_count();
    let (family, model, stepping) = signature();
    let [largest, b, c, d] = arch::cpuid(0, 0);
    let [addresses, ..] = arch::cpuid(0x8000_0008, 0);
    for cpu in 0..count {
        write!(text, "processor\t: {cpu}\nvendor_id\t: ")?;
        put_words(text, [b, d, c])?;
        write!(
            text,
            "\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: "
        )?;
        for leaf in 0x8000_0002..=0x8000_0004 {
            let words = arch::cpuid(leaf, 0).map(u32::to_le_bytes);
            let bytes = words.as_flattened();
            let end = bytes
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(bytes.len());
            text.put(bytes.get(..end).unwrap_or_default())?;
        }
        write!(
            text,
            "\nstepping\t: {stepping}\nphysical id\t: 0\nsiblings\t: {count}\ncore id\t\t: {cpu}\n\
             cpu cores\t: {count}\napicid\t\t: {cpu}\ninitial apicid\t: {cpu}\nfpu\t\t: yes\n\
             fpu_exception\t: yes\ncpuid level\t: {largest}\nwp\t\t: yes\nflags\t\t:"
        )?;
        for (name, leaf, word, bit) in FLAGS {
            let words = arch::cpuid(leaf, 0);
            if words.get(word).is_some_and(|word| word >> bit & 1 != 0) {
                write!(text, " {name}")?;
            }
        }
        write!(
            text,
            "\nbugs\t\t:\nclflush size\t: 64\ncache_alignment\t: 64\n\
             address sizes\t: {} bits physical, {} bits virtual\npower management:\n\n",
            addresses & 255,
            addresses >> 8 & 255
        )?;
    }
    Ok(())
}
