//! Builds, packs and boots cowfork.
