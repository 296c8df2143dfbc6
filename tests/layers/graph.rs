//! Which file uses which: the paths of a crate, resolved.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::Crate;

/// That one file uses another.
pub struct Use {
    pub from: usize,
    pub to: usize,
    /// Where `from` does so first.
    pub line: usize,
    /// What stands there.
    pub path: String,
}

/// The files of a crate and what they use of each other.
pub struct Graph {
    pub files: Vec<String>,
    pub uses: Vec<Use>,
}

/// Files that all use each other, directly or by others of them.
pub struct Circle {
    pub files: Vec<String>,
    /// The uses among them, to print.
    pub lines: Vec<String>,
}

impl Graph {
    pub fn of(sources: &Crate) -> Self {
        let mut uses = Vec::new();
        for (index, module) in sources.modules.iter().enumerate() {
            for mention in &module.mentions {
                let mut files = BTreeSet::new();
                let resolver = Resolver { sources };
                resolver.files_of(index, &mention.path, &mut files);
                files.remove(&module.file);
                uses.extend(files.into_iter().map(|to| Use {
                    from: module.file,
                    to,
                    line: mention.line,
                    path: mention.path.join("::"),
                }));
            }
        }
        uses.sort_by_key(|edge| (edge.from, edge.line, edge.to));
        // A `use` and the paths below it that begin with its name are one.
        uses.dedup_by_key(|edge| (edge.from, edge.line, edge.to));
        Self {
            files: sources.files.clone(),
            uses,
        }
    }

    /// The circles of more than `limit` files.
    pub fn circles(&self, limit: usize) -> Vec<Circle> {
        let reach: Vec<_> = (0..self.files.len()).map(|file| self.reach(file)).collect();
        let mut circles: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for file in 0..self.files.len() {
            // Known by the first file that is reached and reaches back.
            let first = (0..=file).find(|&other| {
                other == file || (reach[file].contains(&other) && reach[other].contains(&file))
            });
            circles.entry(first.unwrap_or(file)).or_default().push(file);
        }
        let large = circles.into_values().filter(|files| files.len() > limit);
        large.map(|files| self.circle(&files)).collect()
    }

    fn reach(&self, start: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(file) = open.pop() {
            for edge in self.uses.iter().filter(|edge| edge.from == file) {
                if reached.insert(edge.to) {
                    open.push(edge.to);
                }
            }
        }
        reached
    }

    fn circle(&self, files: &[usize]) -> Circle {
        let inside = |edge: &&Use| files.contains(&edge.from) && files.contains(&edge.to);
        let mut pairs = BTreeSet::new();
        let lines = self.uses.iter().filter(inside);
        let lines = lines.filter(|edge| pairs.insert((edge.from, edge.to)));
        Circle {
            files: files.iter().map(|&file| self.files[file].clone()).collect(),
            lines: lines.map(|edge| self.show(edge)).collect(),
        }
    }

    /// A use as a compiler would print it.
    pub fn show(&self, edge: &Use) -> String {
        let (from, to) = (&self.files[edge.from], &self.files[edge.to]);
        format!("{from}:{}: {} (in {to})", edge.line, edge.path)
    }
}

/// What a name in a module stands for.
enum Meaning {
    Module(usize),
    /// An item that is defined or re-exported in this module.
    Item(usize),
}

struct Resolver<'a> {
    sources: &'a Crate,
}

impl Resolver<'_> {
    /// Adds the files that `path`, named in `module`, leads to: the one in which the item
    /// is found, and those that re-export a module on the way.
    fn files_of(&self, module: usize, path: &[String], files: &mut BTreeSet<usize>) {
        self.resolve(module, path, files, 0);
    }

    fn resolve(
        &self,
        from: usize,
        path: &[String],
        files: &mut BTreeSet<usize>,
        depth: usize,
    ) -> Option<Meaning> {
        let modules = &self.sources.modules;
        // Imports that name each other in a circle do not compile; this ends here, too.
        if depth > 16 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => 0,
            "self" => from,
            "super" => modules[from].parent,
            name => match self.look_up(from, name, depth)? {
                Meaning::Module(module) => module,
                Meaning::Item(module) => {
                    files.insert(modules[module].file);
                    return Some(Meaning::Item(module));
                }
            },
        };
        while let Some((name, after)) = rest.split_first() {
            rest = after;
            module = match name.as_str() {
                "super" => modules[module].parent,
                "*" | "self" => {
                    files.insert(modules[module].file);
                    return Some(Meaning::Module(module));
                }
                name => match self.look_up(module, name, depth) {
                    Some(Meaning::Module(child)) => {
                        let declared = modules[module].children.contains_key(name);
                        if !declared {
                            files.insert(modules[module].file);
                        }
                        child
                    }
                    // Found here, re-exported here, or made by a macro here.
                    _ => {
                        files.insert(modules[module].file);
                        return Some(Meaning::Item(module));
                    }
                },
            };
        }
        Some(Meaning::Module(module))
    }

    /// What `name` means in `module`. Following an import to its definition is no use of
    /// the definition's file: the import itself is one, in its own file.
    fn look_up(&self, module: usize, name: &str, depth: usize) -> Option<Meaning> {
        let here = &self.sources.modules[module];
        if let Some(&child) = here.children.get(name) {
            return Some(Meaning::Module(child));
        }
        if here.items.contains(name) {
            return Some(Meaning::Item(module));
        }
        let mut unused = BTreeSet::new();
        if let Some(path) = here.imports.get(name) {
            // `use x86_64::x` in a module that has no such child is another crate's.
            if path.first().is_some_and(|first| first == name) {
                return None;
            }
            return match self.resolve(module, path, &mut unused, depth + 1)? {
                Meaning::Module(other) => Some(Meaning::Module(other)),
                Meaning::Item(_) => Some(Meaning::Item(module)),
            };
        }
        here.globs.iter().find_map(|path| {
            match self.resolve(module, path, &mut unused, depth + 1)? {
                Meaning::Module(other) => self.look_up(other, name, depth + 1),
                Meaning::Item(_) => None,
            }
        })
    }
}
