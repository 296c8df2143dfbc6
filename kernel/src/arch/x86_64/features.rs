//! What the CPU can do, and turning it on. All CPUs of a machine are taken to be
//! alike.

use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU32, Ordering};
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};

bitflags::bitflags! {
    /// Features that the kernel uses when they are there.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Features: u32 {
        /// 1 GiB pages.
        const GIGABYTE_PAGES = 1 << 0;
        /// User mode may read and write its FS and GS bases.
        const FSGSBASE = 1 << 1;
        /// XSAVE and XCR0.
        const XSAVE = 1 << 2;
        /// XSAVEOPT.
        const XSAVEOPT = 1 << 3;
        /// The local APIC is reached through MSRs.
        const X2APIC = 1 << 4;
        /// The local APIC's timer compares with the TSC.
        const TSC_DEADLINE = 1 << 5;
        /// RDRAND.
        const RDRAND = 1 << 6;
        /// RDSEED.
        const RDSEED = 1 << 7;
        /// No execution of user pages in the kernel.
        const SMEP = 1 << 8;
        /// No access to user pages in the kernel.
        const SMAP = 1 << 9;
        /// No SGDT and the like in user mode.
        const UMIP = 1 << 10;
        /// Translations that outlive a change of CR3.
        const GLOBAL_PAGES = 1 << 11;
        /// The TSC runs at one rate, whatever the CPU does.
        const INVARIANT_TSC = 1 << 12;
        /// Machine checks come as an exception; without it they end the machine.
        const MACHINE_CHECK = 1 << 14;
        /// A hypervisor is below.
        const HYPERVISOR = 1 << 13;
        /// Translations are tagged with an identifier and outlive a change of CR3.
        const PCID = 1 << 15;
    }
}

/// Paging on, no write to a read-only page, FPU exceptions as exceptions, alignment checks for
/// programs that ask for them (QEMU's emulator never makes one).
pub const CR0: u64 = Cr0Flags::PAGING
    .union(Cr0Flags::WRITE_PROTECT)
    .union(Cr0Flags::ALIGNMENT_MASK)
    .union(Cr0Flags::NUMERIC_ERROR)
    .union(Cr0Flags::EXTENSION_TYPE)
    .union(Cr0Flags::MONITOR_COPROCESSOR)
    .union(Cr0Flags::PROTECTED_MODE_ENABLE)
    .bits();

static FEATURES: AtomicU32 = AtomicU32::new(0);

/// A word of CPUID, or zeros where the CPU has no such leaf.
pub fn cpuid(leaf: u32, part: u32) -> [u32; 4] {
    let max = __cpuid_count(leaf & 0x8000_0000, 0).eax;
    if leaf > max {
        return [0; 4];
    }
    let word = __cpuid_count(leaf, part);
    [word.eax, word.ebx, word.ecx, word.edx]
}

impl Features {
    /// What [`detect`] found.
    pub fn get() -> Features {
        Features::from_bits_truncate(FEATURES.load(Ordering::Relaxed))
    }
}

/// Asks the CPU. Called once, before the other CPUs run.
pub fn detect() {
    let [_, _, basic_c, basic_d] = cpuid(1, 0);
    let [_, seven_b, seven_c, _] = cpuid(7, 0);
    let [_, _, _, extended_d] = cpuid(0x8000_0001, 0);
    let [xsave_a, ..] = cpuid(0xd, 1);
    let [_, _, _, power_d] = cpuid(0x8000_0007, 0);
    // NX and SYSCALL are part of every CPU since the first 64-bit ones.
    assert!(
        extended_d & 1 << 20 != 0,
        "the CPU has no execute-disable bit"
    );

    let xsave = basic_c & 1 << 26;
    let found = [
        (extended_d & 1 << 26, Features::GIGABYTE_PAGES),
        (seven_b & 1 << 0, Features::FSGSBASE),
        (xsave, Features::XSAVE),
        (if xsave != 0 { xsave_a & 1 } else { 0 }, Features::XSAVEOPT),
        (basic_c & 1 << 17, Features::PCID),
        (basic_c & 1 << 21, Features::X2APIC),
        (basic_c & 1 << 24, Features::TSC_DEADLINE),
        (basic_c & 1 << 30, Features::RDRAND),
        (seven_b & 1 << 18, Features::RDSEED),
        (seven_b & 1 << 7, Features::SMEP),
        (seven_b & 1 << 20, Features::SMAP),
        (seven_c & 1 << 2, Features::UMIP),
        (basic_d & 1 << 13, Features::GLOBAL_PAGES),
        (power_d & 1 << 8, Features::INVARIANT_TSC),
        (basic_d & 1 << 7, Features::MACHINE_CHECK),
        (basic_c & 1 << 31, Features::HYPERVISOR),
    ];
    let features = found
        .into_iter()
        .filter(|(bit, _)| *bit != 0)
        .map(|(_, feature)| feature);
    FEATURES.store(features.collect::<Features>().bits(), Ordering::Relaxed);
}

/// Turns the features on, on this CPU. [`detect`] comes first.
pub fn enable() {
    let wanted = [
        (Features::GLOBAL_PAGES, Cr4Flags::PAGE_GLOBAL),
        (Features::MACHINE_CHECK, Cr4Flags::MACHINE_CHECK_EXCEPTION),
        (
            Features::SMEP,
            Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION,
        ),
        (Features::SMAP, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        (Features::UMIP, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
        (Features::FSGSBASE, Cr4Flags::FSGSBASE),
        (Features::XSAVE, Cr4Flags::OSXSAVE),
        // Allowed as CR3 has PCID 0 and none of the flags at that place: no boot table is
        // uncached (Intel SDM vol. 3, 4.10.1).
        (Features::PCID, Cr4Flags::PCID),
    ];
    let always =
        Cr4Flags::PHYSICAL_ADDRESS_EXTENSION | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    let features = Features::get();
    let flags = wanted
        .into_iter()
        .filter(|(feature, _)| features.contains(*feature))
        .fold(always, |flags, (_, flag)| flags | flag);
    // SAFETY: each bit is allowed by CPUID. The kernel touches user memory
    // through the direct map only, so SMEP and SMAP forbid nothing that it does;
    // global entries exist for the kernel's half only, which never changes.
    unsafe {
        Efer::update(|efer| {
            *efer |= EferFlags::NO_EXECUTE_ENABLE | EferFlags::SYSTEM_CALL_EXTENSIONS;
        });
        Cr0::write(Cr0Flags::from_bits_truncate(CR0));
        Cr4::write(flags);
    }
}
