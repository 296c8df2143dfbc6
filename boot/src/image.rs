//! Builds the kernel and the user programs, and packs the root file system.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::LittleEndian;
use object::elf::{FileHeader64, SymbolSection};
use object::read::elf::FileHeader;
use serde_json::Value;

use crate::error::{Doing, Error, Result};
use crate::memory::Need;
use crate::rootfs::Tree;
use crate::symbols;
use crate::workspace::{TARGET, Workspace};

/// What QEMU is given: a kernel and a root file system.
#[derive(Clone, Debug)]
pub struct Image {
    /// The kernel, an ELF file with a PVH note.
    pub kernel: PathBuf,
    /// The packed root file system.
    pub initramfs: PathBuf,
    /// The same, not packed yet, to lay more over it.
    pub tree: Tree,
    /// How much memory that needs.
    pub need: Need,
}

/// A program that cargo has built.
struct Artifact {
    package: String,
    name: String,
    path: PathBuf,
}

/// Builds everything that is out of date and packs it.
pub fn build(workspace: &Workspace) -> Result<Image> {
    let _guard = workspace.lock()?;
    let artifacts = compile(workspace)?;
    let kernel = artifacts
        .iter()
        .find(|artifact| artifact.package == "kernel")
        .map(|artifact| artifact.path.clone())
        .ok_or_else(|| Error::Malformed("the package `kernel` has no program".into()))?;
    let tree = root_file_system(&kernel, &artifacts)?;
    let initramfs = workspace.output()?.join("initramfs.cpio");
    let need = Need::of(&tree, pack_whole(&tree, &initramfs)?);
    Ok(Image {
        need,
        kernel,
        initramfs,
        tree,
    })
}

/// Runs cargo and collects the programs that it names.
fn compile(workspace: &Workspace) -> Result<Vec<Artifact>> {
    let mut cargo = cargo(workspace);
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args(["--package", "kernel", "--package", "user", "--bins"])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(workspace.target())
        .stdout(Stdio::piped());
    let mut child = cargo.spawn().doing("run cargo")?;
    let mut artifacts = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            artifacts.extend(artifact(&line.doing("read cargo's messages")?));
        }
    }
    let status = child.wait().doing("wait for cargo")?;
    if !status.success() {
        return Err(Error::Child {
            what: "building the kernel and the user programs".into(),
            status,
        });
    }
    Ok(artifacts)
}

/// A cargo for the bare target, free of what the outer cargo was told for the
/// host: `RUSTFLAGS` would replace the target's own flags, which place the
/// kernel and its programs.
#[must_use]
pub fn cargo(workspace: &Workspace) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace.root())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null());
    command
}

/// The program in one of cargo's messages, if it tells of one.
fn artifact(line: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    Some(Artifact {
        package: manifest.parent()?.file_name()?.to_str()?.to_owned(),
        name: message.pointer("/target/name")?.as_str()?.to_owned(),
        path: message.get("executable")?.as_str()?.into(),
    })
}

fn root_file_system(kernel: &Path, artifacts: &[Artifact]) -> Result<Tree> {
    let mut tree = Tree::default();
    for dir in ["/bin", "/dev", "/etc", "/proc", "/tmp"] {
        tree.dir(dir)?;
    }
    let elf = fs::read(kernel).on("read", kernel)?;
    tree.file("/boot/symbols", symbols::table(&elf)?)?;
    for artifact in artifacts
        .iter()
        .filter(|artifact| artifact.package == "user")
    {
        let data = fs::read(&artifact.path).on("read", &artifact.path)?;
        let data = segments_only(&artifact.name, data)?;
        match artifact.name.as_str() {
            "init" => tree.program("/init", data)?,
            name => tree.program(&format!("/bin/{name}"), data)?,
        }
    }
    Ok(tree)
}

/// The program `elf` without section headers and what only they lead to: debug
/// information and symbols. The root file system stays in memory, and a program
/// is started by its segments alone.
fn segments_only(name: &str, mut elf: Vec<u8>) -> Result<Vec<u8>> {
    let malformed = |why: &str| Error::Malformed(format!("the user program {name}: {why}"));
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(elf.as_slice())
        .map_err(|error| malformed(&error.to_string()))?;
    let segments = header
        .program_headers(endian, elf.as_slice())
        .map_err(|error| malformed(&error.to_string()))?;
    let headers_end = header.e_phoff.get(endian) + size_of_val(segments) as u64;
    let end = segments
        .iter()
        .map(|segment| {
            segment
                .p_offset
                .get(endian)
                .saturating_add(segment.p_filesz.get(endian))
        })
        .fold(headers_end, u64::max);
    let end = usize::try_from(end)
        .ok()
        .filter(|end| *end <= elf.len())
        .ok_or_else(|| malformed("it is cut off"))?;
    elf.truncate(end);
    let (header, _) = object::pod::from_bytes_mut::<FileHeader64<LittleEndian>>(&mut elf)
        .map_err(|()| malformed("it is cut off"))?;
    header.e_shoff.set(endian, 0);
    header.e_shnum.set(endian, 0);
    header.e_shstrndx.set(endian, SymbolSection(0));
    Ok(elf)
}

/// Packs into a file that others may be reading: they see the old or the new one.
fn pack_whole(tree: &Tree, path: &Path) -> Result<u64> {
    let new = path.with_extension("new");
    let length = tree.pack(&new)?;
    fs::rename(&new, path).on("replace", path)?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/src/user/Cargo.toml",
            "target":{"kind":["bin"],"name":"sh"},"executable":"/t/release/sh"}"#;
        let artifact = artifact(line).expect("an artifact");
        assert_eq!(artifact.package, "user");
        assert_eq!(artifact.name, "sh");
        assert_eq!(artifact.path, Path::new("/t/release/sh"));
    }

    #[test]
    fn libraries_and_other_messages_are_passed_over() {
        let library = r#"{"reason":"compiler-artifact","manifest_path":"/src/user/Cargo.toml",
            "target":{"kind":["lib"],"name":"user"},"executable":null}"#;
        assert!(artifact(library).is_none());
        assert!(artifact(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert!(artifact("not JSON").is_none());
    }

    /// A file header, one program header, a segment, and a tail.
    fn small_elf(segment: usize, tail: usize) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[32] = 64;
        elf[40..48].fill(0xff);
        elf[54] = 56;
        elf[56] = 1;
        elf[64 + 8] = 64 + 56;
        elf[64 + 32] = u8::try_from(segment).expect("a small segment");
        elf.extend(vec![b's'; segment]);
        elf.extend(vec![b't'; tail]);
        elf
    }

    #[test]
    fn what_no_segment_covers_is_cut_off() {
        let cut = segments_only("x", small_elf(10, 100)).expect("a small program");
        assert_eq!(cut.len(), 64 + 56 + 10);
        assert!(cut.ends_with(b"ssssssssss"));
        assert_eq!(cut[40..48], [0; 8]);
    }

    #[test]
    fn a_program_that_is_cut_off_is_refused() {
        let mut elf = small_elf(10, 0);
        elf.pop();
        assert!(segments_only("x", elf).is_err());
        assert!(segments_only("x", vec![0x7f]).is_err());
    }
}
