//! Packages of Debian suites that this machine does not use, unpacked into a
//! folder of ours.
//!
//! The mirror and its key come from the machine's own apt configuration. The
//! sources list, the package lists and the downloads are private; nothing of the
//! system is changed, and none of this needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Doing, Result};
use crate::progress;

/// Where Debian's own packages come from on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    uri: String,
    /// The machine's own suite, such as bookworm.
    codename: String,
    /// The value of `Signed-By`, if there is one; else apt's default keys count.
    signed_by: Option<String>,
}

impl Mirror {
    /// The mirror in the machine's apt configuration; `None` where there is none,
    /// because this is no Debian.
    #[must_use]
    pub fn find() -> Option<Self> {
        let system = fs::read_to_string("/etc/os-release").ok()?;
        let value = |key: &str| {
            let line = system.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_matches('"'))
        };
        if value("ID=")? != "debian" {
            return None;
        }
        let codename = value("VERSION_CODENAME=").unwrap_or("sid");
        let mut lists = vec![PathBuf::from("/etc/apt/sources.list")];
        if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
            lists.extend(parts.filter_map(|part| Some(part.ok()?.path())));
        }
        lists.sort();
        lists.iter().find_map(|list| {
            let text = fs::read_to_string(list).ok()?;
            match list.extension()?.to_str()? {
                "sources" => Self::in_deb822(&text, codename),
                "list" => Self::in_one_line_format(&text, codename),
                _ => None,
            }
        })
    }

    /// Looks through a file in the format of `/etc/apt/sources.list`
    /// (sources.list(5), "one-line-style format").
    fn in_one_line_format(text: &str, codename: &str) -> Option<Self> {
        text.lines().find_map(|line| {
            let line = line.strip_prefix("deb ")?.trim_start();
            let (options, rest) = match line.strip_prefix('[') {
                Some(line) => line.split_once(']')?,
                None => ("", line),
            };
            let mut words = rest.split_whitespace();
            let uri = words.next()?.to_owned();
            is_debian(words.next()?, codename).then(|| Self {
                uri,
                codename: codename.to_owned(),
                signed_by: options
                    .split_whitespace()
                    .find_map(|option| option.strip_prefix("signed-by="))
                    .map(String::from),
            })
        })
    }

    /// Looks through a file in the format of `debian.sources` (sources.list(5),
    /// "deb822-style format").
    fn in_deb822(text: &str, codename: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        lines
            .split(|line| line.trim().is_empty())
            .find_map(|stanza| {
                let field = |name: &str| {
                    stanza.iter().find_map(|line| {
                        let (key, value) = line.split_once(':')?;
                        key.eq_ignore_ascii_case(name).then(|| value.trim())
                    })
                };
                let has_binaries = field("Types")?.split_whitespace().any(|kind| kind == "deb");
                let is_on = field("Enabled") != Some("no");
                let mut suites = field("Suites")?.split_whitespace();
                (has_binaries && is_on && suites.any(|suite| is_debian(suite, codename)))
                    .then_some(())?;
                Some(Self {
                    uri: field("URIs")?.split_whitespace().next()?.to_owned(),
                    codename: codename.to_owned(),
                    // A key may also stand here in full; apt's default keys do then.
                    signed_by: field("Signed-By")
                        .filter(|key| key.starts_with('/'))
                        .map(String::from),
                })
            })
    }

    /// The suite of newer packages that are made for this machine's system.
    #[must_use]
    pub fn backports(&self) -> String {
        format!("{}-backports", self.codename)
    }

    /// Downloads the packages `names` of this machine's suite, all that they depend on, and
    /// the essential ones. `dir` is a folder of ours. `None` when they cannot be had.
    pub fn download(&self, names: &[String], dir: &Path) -> Result<Option<Vec<PathBuf>>> {
        let apt = Apt::new(self, &self.codename, dir)?;
        if !apt.run("apt-get", &["update"])? {
            return Ok(None);
        }
        let nothing = apt.dir.join("nothing-installed");
        fs::write(&nothing, "").on("write", &nothing)?;
        let empty = apt.dir.join("empty/partial");
        fs::create_dir_all(&empty).on("create", &empty)?;
        let status = format!("Dir::State::status={}", nothing.display());
        let mut arguments = vec!["-o", &status, "-o", "Debug::NoLocking=true"];
        arguments.extend(["install", "--yes", "--no-install-recommends"]);
        arguments.extend(names.iter().map(String::as_str));
        arguments.extend(ALWAYS);

        // With a cache that has nothing it lists everything.
        let empty = format!("Dir::Cache::archives={}", apt.dir.join("empty").display());
        let mut list = apt.command("apt-get");
        list.args(["-o", &empty, "--print-uris"]).args(&arguments);
        let listed = list.stdout(Stdio::piped()).output().doing("run apt-get")?;
        if !listed.status.success()
            || !apt.run("apt-get", &[&["--download-only"], &*arguments].concat())?
        {
            return Ok(None);
        }
        let archives = apt.dir.join("cache/archives");
        let files = file_names(&String::from_utf8_lossy(&listed.stdout));
        Ok(Some(files.iter().map(|name| archives.join(name)).collect()))
    }

    /// Unpacks the packages `names`, in versions that start with `version`, from
    /// the first of `suites` that has them all. `dir` is a folder of ours; the
    /// value is the root that they were unpacked under. `None` when they cannot
    /// be had.
    pub fn unpack(
        &self,
        names: &[&str],
        version: &str,
        suites: &[&str],
        dir: &Path,
    ) -> Result<Option<PathBuf>> {
        let title = format!("{}-{version}", names.first().copied().unwrap_or_default());
        let root = dir.join(title.trim_end_matches(['-', '+']));
        let done = root.join(".unpacked");
        if done.is_file() {
            return Ok(Some(root));
        }
        for suite in suites {
            let apt = Apt::new(self, suite, dir)?;
            if !apt.run("apt-get", &["update"])? {
                continue;
            }
            let mut unpacked = true;
            for name in names {
                unpacked = unpacked && apt.unpack(name, version, &root)?;
            }
            if unpacked {
                fs::write(&done, "").on("write", &done)?;
                return Ok(Some(root));
            }
        }
        Ok(None)
    }
}

/// Whether `suite` is the one that the machine was installed from, and not that
/// of its security updates, which may have another mirror.
fn is_debian(suite: &str, codename: &str) -> bool {
    suite == codename || ["stable", "testing", "unstable", "sid"].contains(&suite)
}

/// What a system has beside what is asked for: the essential packages, of which apt calls
/// itself one, and the small one of two that say how `/usr` is laid out.
const ALWAYS: [&str; 2] = ["?and(?essential,?not(?exact-name(apt)))", "usr-is-merged"];

/// Apt with one suite, and lists of its own.
struct Apt {
    suite: String,
    dir: PathBuf,
}

impl Apt {
    fn new(mirror: &Mirror, suite: &str, dir: &Path) -> Result<Self> {
        let dir = dir.join(format!("apt-{suite}"));
        for part in ["lists/partial", "cache/archives/partial", "downloads"] {
            let part = dir.join(part);
            fs::create_dir_all(&part).on("create", &part)?;
        }
        let mut source = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
            mirror.uri
        );
        if let Some(key) = &mirror.signed_by {
            source.push_str(&format!("Signed-By: {key}\n"));
        }
        let list = dir.join("private.sources");
        fs::write(&list, source).on("write", &list)?;
        Ok(Self {
            suite: suite.to_owned(),
            dir,
        })
    }

    /// Downloads one package and unpacks it under `root`; false when that fails.
    fn unpack(&self, name: &str, version: &str, root: &Path) -> Result<bool> {
        let Some(version) = self.version(name, version)? else {
            return Ok(false);
        };
        let what = format!("{name} {version} of Debian's {}", self.suite);
        progress::step("Downloading", &what);
        if !self.run("apt-get", &["download", &format!("{name}={version}")])? {
            return Ok(false);
        }
        let Some(package) = self.downloaded(name)? else {
            return Ok(false);
        };
        let mut dpkg = Command::new("dpkg");
        dpkg.arg("-x").arg(&package).arg(root);
        let unpacked = dpkg.status().doing("run dpkg")?.success();
        fs::remove_file(&package).on("remove", &package)?;
        Ok(unpacked)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut set = |key: &str, value: &Path| {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        };
        set("Dir::Etc::sourcelist", &self.dir.join("private.sources"));
        set("Dir::Etc::sourceparts", Path::new("/dev/null"));
        set("Dir::State::lists", &self.dir.join("lists"));
        set("Dir::Cache", &self.dir.join("cache"));
        // Otherwise apt changes to a user without write permission in our folders.
        set("APT::Sandbox::User", Path::new("root"));
        command
            .arg("-q")
            .current_dir(self.dir.join("downloads"))
            .stdin(Stdio::null())
            .stdout(progress::stderr());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<bool> {
        let mut command = self.command(program);
        let status = command.args(arguments).status();
        Ok(status.doing(format!("run {program}"))?.success())
    }

    /// The newest version of the package `name` that starts with `version`.
    fn version(&self, name: &str, version: &str) -> Result<Option<String>> {
        let mut madison = self.command("apt-cache");
        madison.args(["madison", name]).stdout(Stdio::piped());
        let output = madison.output().doing("run apt-cache")?;
        Ok(newest(&String::from_utf8_lossy(&output.stdout), version))
    }

    /// The downloaded file of the package `name`.
    fn downloaded(&self, name: &str) -> Result<Option<PathBuf>> {
        let dir = self.dir.join("downloads");
        let files = fs::read_dir(&dir).on("list", &dir)?;
        let mut files = files.filter_map(|file| Some(file.ok()?.path()));
        Ok(files.find(|file| {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&format!("{name}_")) && file.ends_with(".deb")
        }))
    }
}

/// The names of the files in what `apt-get --print-uris` prints: lines of an address in
/// quotes, the name, and more.
fn file_names(uris: &str) -> Vec<String> {
    let lines = uris.lines().filter(|line| line.starts_with('\''));
    let names = lines.filter_map(|line| line.split_whitespace().nth(1));
    names.map(String::from).collect()
}

/// The first version that starts with `version` in what `apt-cache madison`
/// prints, which is sorted, newest first.
fn newest(madison: &str, version: &str) -> Option<String> {
    madison.lines().find_map(|line| {
        let found = line.split('|').nth(1)?.trim();
        found.starts_with(version).then(|| found.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_deb822_sources() {
        let text = "# comment\n\
                    Types: deb\nURIs: http://security.example/debian-security\n\
                    Suites: bookworm-security\nComponents: main\n\n\
                    Types: deb deb-src\n# another\nURIs: http://mirror.example/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
        let mirror = Mirror::in_deb822(text, "bookworm").expect("a mirror");
        assert_eq!(mirror.uri, "http://mirror.example/debian");
        let key = mirror.signed_by.expect("a key");
        assert_eq!(key, "/usr/share/keyrings/debian-archive-keyring.gpg");
    }

    #[test]
    fn sources_that_are_off_or_of_others_do_not_count() {
        let off = "Types: deb\nEnabled: no\nURIs: http://m.example/\nSuites: bookworm\n";
        assert_eq!(Mirror::in_deb822(off, "bookworm"), None);
        let other = "Types: deb\nURIs: http://m.example/\nSuites: nodistro\n";
        assert_eq!(Mirror::in_deb822(other, "bookworm"), None);
    }

    #[test]
    fn the_mirror_is_found_in_one_line_sources() {
        let text = "#deb http://off.example/debian bookworm main\n\
                    deb [signed-by=/k.gpg arch=amd64] http://mirror.example/debian bookworm main\n";
        let mirror = Mirror::in_one_line_format(text, "bookworm").expect("a mirror");
        assert_eq!(mirror.uri, "http://mirror.example/debian");
        assert_eq!(mirror.signed_by.as_deref(), Some("/k.gpg"));
        let plain = "deb http://mirror.example/debian stable main\n";
        assert!(Mirror::in_one_line_format(plain, "bookworm").is_some());
    }

    #[test]
    fn files_are_named_beside_their_addresses() {
        let text = "Reading package lists...\n\
                    'http://m/pool/b/bash_5.2.15-2+b7_amd64.deb' bash_5.2.15-2+b7_amd64.deb 1 MD5Sum:0\n\
                    'http://m/l_1%3a2_all.deb' l_1%3a2_all.deb 7 SHA256:1\n";
        assert_eq!(
            file_names(text),
            ["bash_5.2.15-2+b7_amd64.deb", "l_1%3a2_all.deb"]
        );
    }

    #[test]
    fn the_version_must_be_the_one_that_is_wanted() {
        let madison = " rust-src | 1.96.1+dfsg1-2 | http://m trixie-backports/main amd64 Packages\n \
                        rust-src | 1.95.0+dfsg1-2 | http://m trixie-backports/main amd64 Packages\n";
        assert_eq!(
            newest(madison, "1.95.0+").as_deref(),
            Some("1.95.0+dfsg1-2")
        );
        assert_eq!(newest(madison, "1.9.0+"), None);
    }
}
