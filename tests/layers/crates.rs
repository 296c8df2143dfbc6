//! The modules of a crate, read from its sources: what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Meta, TraitItem, UseTree};

/// A path that a module names, and where.
pub struct Mention {
    pub path: Vec<String>,
    pub line: usize,
}

/// A module: a file, or a part of one in braces.
#[derive(Default)]
pub struct Module {
    /// The module that declares it; the crate's root is its own.
    pub parent: usize,
    /// Index into [`Crate::files`].
    pub file: usize,
    pub children: BTreeMap<String, usize>,
    /// What is defined here, other than modules.
    pub items: BTreeSet<String>,
    /// Names that `use` brings in, and what they stand for.
    pub imports: BTreeMap<String, Vec<String>>,
    /// The paths of `use path::*`.
    pub globs: Vec<Vec<String>>,
    pub mentions: Vec<Mention>,
}

/// All modules of a crate; the first one is the root.
pub struct Crate {
    pub modules: Vec<Module>,
    /// Relative to the folder that was given, with `/`.
    pub files: Vec<String>,
    root: PathBuf,
}

impl Crate {
    /// Reads the crate whose `lib.rs` is in `root/folder`.
    pub fn read(root: &Path, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut sources = Self {
            modules: Vec::new(),
            files: Vec::new(),
            root: root.to_path_buf(),
        };
        let path = folder.join("lib.rs");
        sources.modules.push(Module::default());
        sources.read_file(0, &path, folder)?;
        Ok(sources)
    }

    /// Reads the file of `module`. The files of its children lie in `folder`.
    fn read_file(
        &mut self,
        module: usize,
        path: &Path,
        folder: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let full = self.root.join(path);
        let text =
            fs::read_to_string(&full).map_err(|error| format!("{}: {error}", path.display()))?;
        let file =
            syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        self.modules[module].file = self.files.len();
        self.files.push(path.to_string_lossy().into_owned());
        self.read_items(module, &file.items, path, folder)
    }

    fn read_items(
        &mut self,
        module: usize,
        items: &[Item],
        path: &Path,
        folder: &Path,
    ) -> Result<(), Box<dyn Error>> {
        for item in items {
            match item {
                Item::Mod(child) if !only_for_tests(&child.attrs) => {
                    self.read_module(module, child, path, folder)?;
                }
                Item::Mod(_) => {}
                _ => Reader(&mut self.modules[module]).visit_item(item),
            }
        }
        Ok(())
    }

    fn read_module(
        &mut self,
        parent: usize,
        child: &ItemMod,
        path: &Path,
        folder: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let name = child.ident.to_string();
        let index = self.modules.len();
        self.modules.push(Module {
            parent,
            file: self.modules[parent].file,
            ..Module::default()
        });
        self.modules[parent].children.insert(name.clone(), index);
        let inside = folder.join(&name);
        if let Some((_, items)) = &child.content {
            return self.read_items(index, items, path, &inside);
        }
        if let Some(given) = path_attribute(&child.attrs) {
            let file = path.parent().unwrap_or(Path::new("")).join(given);
            let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
            return self.read_file(index, &file, &folder);
        }
        let flat = folder.join(format!("{name}.rs"));
        if self.root.join(&flat).exists() {
            return self.read_file(index, &flat, &inside);
        }
        self.read_file(index, &inside.join("mod.rs"), &inside)
    }
}

/// Whether the attributes keep something for tests, models or documentation tests.
fn only_for_tests(attributes: &[Attribute]) -> bool {
    fn asks(tokens: TokenStream) -> bool {
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "not" => {
                    tokens.next();
                }
                TokenTree::Ident(word) if word == "test" || word == "loom" => return true,
                TokenTree::Group(group) if asks(group.stream()) => return true,
                _ => {}
            }
        }
        false
    }
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => asks(list.tokens.clone()),
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(value) = &pair.value else {
            return None;
        };
        match &value.lit {
            syn::Lit::Str(text) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

/// Fills a module with what its items define and name.
struct Reader<'a>(&'a mut Module);

impl Reader<'_> {
    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => return,
        };
        self.0.items.insert(name.to_string());
    }

    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.import(&part.tree, &path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, &path);
                }
            }
            UseTree::Name(name) => {
                // `use a::b::{self}` stands for `a::b`.
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                let known_as = path.last().cloned().unwrap_or_default();
                self.mention(&path, name.ident.span().start().line);
                self.0.imports.insert(known_as, path);
            }
            UseTree::Rename(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.mention(&path, name.ident.span().start().line);
                self.0.imports.insert(name.rename.to_string(), path);
            }
            UseTree::Glob(glob) => {
                path.push("*".into());
                self.mention(&path, glob.star_token.spans[0].start().line);
                path.pop();
                self.0.globs.push(path);
            }
        }
    }

    fn mention(&mut self, path: &[String], line: usize) {
        let path = path.to_vec();
        self.0.mentions.push(Mention { path, line });
    }

    /// Paths in the arguments of a macro: words with `::` between them.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.end_path(&mut path, line);
                        line = word.span().start().line;
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path, line);
                    colons = 0;
                    self.read_tokens(group.stream());
                }
                _ => {
                    self.end_path(&mut path, line);
                    colons = 0;
                }
            }
        }
        self.end_path(&mut path, line);
    }

    fn end_path(&mut self, path: &mut Vec<String>, line: usize) {
        if path.len() > 1 {
            self.mention(path, line);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if only_for_tests(attributes(item)) {
            return;
        }
        self.define(item);
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let of = match item {
            ImplItem::Fn(function) => &function.attrs[..],
            ImplItem::Const(constant) => &constant.attrs[..],
            _ => &[],
        };
        if !only_for_tests(of) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let of = match item {
            TraitItem::Fn(function) => &function.attrs[..],
            _ => &[],
        };
        if !only_for_tests(of) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, &[]);
        }
    }

    /// Modules inside of functions are no part of the tree.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let words: Vec<_> = path
                .segments
                .iter()
                .map(|part| part.ident.to_string())
                .collect();
            self.mention(&words, path.segments[0].ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.read_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
