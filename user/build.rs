//! Links the programs with `link.ld`, for the bare target only.

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo::rustc-link-arg-bins=-T{directory}/link.ld");
        // Pages of 4 KiB, so that the files stay small; no symbols, for the same reason.
        println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
        println!("cargo::rustc-link-arg-bins=--strip-all");
    }
}
