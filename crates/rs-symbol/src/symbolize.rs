//! Addresses of a binary to functions, inlined ones included.
//!
//! Inline chains and lines come from blazesym. Measured against addr2line on the same binaries it gives the
//! same chains at the same cost, and it finds separate debug information by debug link, build id, package
//! (`.dwp`) and alternate link, which addr2line leaves to its user. Chains are looked up for each address:
//! looked up once a symbol, everything inlined into a function would be credited to its first line.
//!
//! Names of whole functions come from our own reading of the symbol table, because blazesym prefers the name
//! in the debug information, and line tables have no linkage names there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use blazesym::symbolize::source::{Elf, Source as BlazesymSource};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer as Blazesym};
use rs_schema::event::{Body, Symbol};
use rs_schema::units::Status;
use rustc_hash::FxHashMap;

use crate::attribute::{attribute, bracketed, finish_for_mapping};
use crate::debug_file;
use crate::image::Image;
use crate::legacy::modules_of_impl;
use crate::namespaces::{FunctionPaths, Namespaces};
use crate::source::{CrateRoots, Source, guessed_source, known_source};
use crate::symtab::plt_target;
use crate::text::strip_generics;
use crate::versions::VersionTable;

/// The names of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The innermost function.
    pub symbol: Symbol,
    /// The functions it is inlined into, outward.
    pub inlined_by: Vec<Symbol>,
    /// Why there is no name, or only a function's boundary for one: `no_symbols`.
    pub reason: Option<&'static str>,
}

/// Names addresses. Holds what it read of the images, and cannot leave its thread.
pub struct Symbolizer {
    blazesym: Blazesym,
    images: FxHashMap<u64, Details>,
    names: FxHashMap<String, Symbol>,
}

/// What is known of one image.
struct Details {
    /// Path under which blazesym opens the image, if there is debug information to be had.
    debug_path: Option<PathBuf>,
    /// The file that holds the symbol table, where it was split off.
    separate: Option<Rc<Image>>,
    mapping: String,
    /// Read when a function is met that only its source file places.
    roots: Option<CrateRoots>,
    /// Read when a function is met whose name does not place it for certain.
    namespaces: Option<Namespaces>,
    /// Read when a legacy name is met.
    functions: Option<FunctionPaths>,
    versions: Option<VersionTable>,
}

const MAX_NAMES: usize = 100_000;

impl Default for Symbolizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Symbolizer {
    /// A symbolizer that has read nothing yet.
    pub fn new() -> Self {
        let blazesym = Blazesym::builder().enable_demangling(false).build();
        Symbolizer { blazesym, images: FxHashMap::default(), names: FxHashMap::default() }
    }

    /// Names one address.
    pub fn symbolize(&mut self, image: &Arc<Image>, svma: u64) -> Resolved {
        self.symbolize_batch(image, &[svma]).pop().unwrap_or_default()
    }

    /// Names the addresses of one image; cheaper than one by one.
    pub fn symbolize_batch(&mut self, image: &Arc<Image>, svmas: &[u64]) -> Vec<Resolved> {
        let mut details = self.images.remove(&image.id()).unwrap_or_else(|| Details::new(image));
        let debug = debug_information(&self.blazesym, image, &mut details, svmas);
        let mut namer = Namer { image, details: &mut details, names: &mut self.names };
        let mut resolved: Vec<Resolved> =
            svmas.iter().zip(debug).map(|(svma, debug)| namer.resolve(*svma, debug)).collect();
        for resolved in &mut resolved {
            namer.add_version(&mut resolved.symbol);
            resolved.inlined_by.iter_mut().for_each(|symbol| namer.add_version(symbol));
        }
        self.images.insert(image.id(), details);
        resolved
    }

    /// Forgets what was read of an image that is gone.
    pub fn forget(&mut self, image_id: u64) {
        self.images.remove(&image_id);
    }
}

fn debug_information<'a>(
    blazesym: &'a Blazesym,
    image: &Image,
    details: &mut Details,
    svmas: &[u64],
) -> Vec<Option<Sym<'a>>> {
    // blazesym adds to addresses without looking.
    let is_inside = |svma: &u64| image.elf().loads.iter().any(|load| load.addresses().contains(svma));
    let inside: Vec<u64> = svmas.iter().copied().filter(is_inside).collect();
    // Damaged debug information, or a debug link whose checksum differs, costs the names in it only.
    // blazesym gives an error for most of it, and panics on file numbers that no line table has.
    let symbolized = details.debug_path.take().and_then(|path| {
        let source = BlazesymSource::Elf(Elf::new(&path));
        let input = Input::VirtOffset(inside.as_slice());
        let symbolized = catch_unwind(AssertUnwindSafe(|| blazesym.symbolize(&source, input))).ok()?.ok()?;
        details.debug_path = Some(path);
        Some(symbolized)
    });
    let mut found = symbolized.unwrap_or_default().into_iter();
    svmas
        .iter()
        .map(|svma| match is_inside(svma).then(|| found.next()).flatten() {
            Some(Symbolized::Sym(sym)) => Some(sym),
            _ => None,
        })
        .collect()
}

impl Details {
    fn new(image: &Image) -> Details {
        let has = |name: &str| image.elf().section(name).is_some();
        let has_debug_information = has(".debug_info") || has(".debug_line") || has(".zdebug_info");
        let is_linked = has(".gnu_debuglink") && !debug_file::is_system_library(image.path());
        let separate = if image.symbols().is_full() { None } else { debug_file::find(image) };
        Details {
            debug_path: (has_debug_information || is_linked).then(|| openable_path(image)).flatten(),
            separate: separate.map(Rc::new),
            mapping: image.file_name(),
            roots: None,
            namespaces: None,
            functions: None,
            versions: None,
        }
    }
}

/// The image's path if that still is the image, so that debug files are found beside it; else the open file.
#[cfg(unix)]
fn openable_path(image: &Image) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    let file = image.file()?;
    let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
    let named = std::fs::metadata(image.path()).ok().map(identity);
    if named.is_some() && named == file.metadata().ok().map(identity) {
        return Some(image.path().to_owned());
    }
    Some(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}

#[cfg(not(unix))]
fn openable_path(image: &Image) -> Option<PathBuf> {
    Some(image.path().to_owned())
}

/// Puts together what the tables say of one address.
struct Namer<'a> {
    image: &'a Arc<Image>,
    details: &'a mut Details,
    names: &'a mut FxHashMap<String, Symbol>,
}

impl Namer<'_> {
    fn resolve(&mut self, svma: u64, debug: Option<Sym<'_>>) -> Resolved {
        let image = Arc::clone(self.image);
        let separate = self.details.separate.clone();
        let in_table = separate
            .as_ref()
            .and_then(|file| file.symbols().lookup(file, svma))
            .or_else(|| image.symbols().lookup(&image, svma));
        let Some(name) = outer_name(debug.as_ref(), in_table) else { return self.without_name(svma) };
        let place = debug.as_ref().and_then(|sym| sym.code_info.as_deref());
        let outer = self.function(svma, name, place, None);
        let mut chain = vec![outer];
        for inlined in debug.iter().flat_map(|sym| sym.inlined.iter()) {
            let hint = chain[0].crate_name.clone();
            chain.push(self.function(svma, &inlined.name, inlined.code_info.as_ref(), hint.as_deref()));
        }
        let symbol = chain.pop().unwrap_or_default();
        chain.reverse();
        Resolved { symbol, inlined_by: chain, reason: None }
    }

    /// One function, by a name of any kind and the place in its source.
    fn function(
        &mut self,
        svma: u64,
        name: &str,
        place: Option<&CodeInfo<'_>>,
        hint: Option<&str>,
    ) -> Symbol {
        let mut symbol = self.by_name(name);
        // Line 0 is code that no line accounts for; its file may be that of something merged into it.
        if let Some(place) = place.filter(|place| place.line != Some(0)) {
            symbol.file = Some(place.to_path().to_string_lossy().into_owned());
            symbol.line = place.line;
        }
        let is_rust_source = symbol.file.as_deref().is_some_and(|file| file.ends_with(".rs"));
        let is_unplaced = symbol.crate_name.is_none() && is_rust_source;
        let is_inferred = symbol.attribution == Some(Status::Estimated);
        self.leave_functions(&mut symbol, hint);
        if (is_unplaced || symbol.attribution == Some(Status::Estimated))
            && !self.place_by_namespace(&mut symbol, svma)
            && (is_unplaced || is_inferred)
        {
            self.place_by_source(&mut symbol, hint);
        }
        self.learn_version(&symbol);
        finish_for_mapping(&mut symbol, &self.details.mapping);
        symbol
    }

    fn by_name(&mut self, name: &str) -> Symbol {
        if let Some(symbol) = self.names.get(name) {
            return symbol.clone();
        }
        if self.names.len() >= MAX_NAMES {
            self.names.clear();
        }
        let symbol = attribute(name);
        self.names.insert(name.to_owned(), symbol.clone());
        symbol
    }

    /// A legacy name does not say which part of its path is a function: a function inside another, or an impl
    /// there, is in the module of the outer one. That there is such a function shows in the other names.
    fn leave_functions(&mut self, symbol: &mut Symbol, hint: Option<&str>) {
        let is_legacy = symbol.raw_name.as_deref().is_some_and(|name| name.starts_with("_ZN"));
        let Some(module) = symbol.module.as_deref() else { return };
        if !is_legacy || symbol.language.as_deref() != Some("rust") || !module.contains("::") {
            return;
        }
        let (image, separate) = (self.image, self.details.separate.as_deref());
        let functions = self
            .details
            .functions
            .get_or_insert_with(|| FunctionPaths::read([Some(&**image), separate].into_iter().flatten()));
        if functions.module(module, |_| false) == module {
            return;
        }
        // A module in a file is one, whatever else has its name.
        let source = symbol.file.as_deref().and_then(|file| self.source(file, hint));
        let is_file = |path: &str| source.as_ref().is_some_and(|source| is_within(&source.module, path));
        let Some(functions) = &self.details.functions else { return };
        let outer = functions.module(module, is_file);
        if outer != module {
            symbol.module = Some(outer.to_owned());
            symbol.attribution = Some(Status::Estimated);
        }
    }

    /// Where the name does not place a function for certain, the namespace it is declared in does.
    fn place_by_namespace(&mut self, symbol: &mut Symbol, svma: u64) -> bool {
        let Some(name) = symbol.raw_name.as_deref() else { return false };
        let image = match self.details.separate.as_deref() {
            Some(separate) if self.image.elf().section(".debug_info").is_none() => separate,
            _ => self.image,
        };
        // As with blazesym, damage costs the names in it.
        let mut namespaces = self.details.namespaces.take();
        let module = catch_unwind(AssertUnwindSafe(|| {
            namespaces.get_or_insert_with(|| Namespaces::read(image)).module(image, svma, name)
        }));
        let module = match module {
            Ok(module) => module,
            Err(_) => {
                namespaces = Some(Namespaces::default());
                None
            }
        };
        self.details.namespaces = namespaces;
        let Some(module) = module else { return false };
        let crate_name = module.split("::").next().unwrap_or_default().to_owned();
        place(symbol, Source { crate_name, module, version: None });
        symbol.attribution = None;
        true
    }

    /// Else the source file may tell better.
    fn place_by_source(&mut self, symbol: &mut Symbol, hint: Option<&str>) {
        let Some(source) = symbol.file.as_deref().and_then(|file| self.source(file, hint)) else { return };
        let known = symbol.module.as_deref().filter(|_| symbol.language.as_deref() == Some("rust"));
        let better = match (symbol.raw_name.as_deref().and_then(modules_of_impl), known) {
            // One of two. Modules written inside a file are not in its path.
            (Some((of_type, of_trait)), _) => {
                let is_in_file = |module: &str| is_within(module, &source.module);
                let is_trait = !is_in_file(&of_type) && is_in_file(&of_trait);
                is_trait.then(|| {
                    let crate_name = of_trait.split("::").next().unwrap_or_default().to_owned();
                    Source { crate_name, module: of_trait, version: None }
                })
            }
            (None, Some(module)) => (!is_within(module, &source.module)).then_some(source),
            (None, None) => Some(source),
        };
        let Some(better) = better else { return };
        place(symbol, better);
        symbol.attribution = Some(Status::Estimated);
        self.leave_functions(symbol, hint);
    }

    fn source(&mut self, file: &str, hint: Option<&str>) -> Option<Source> {
        let image = self.image;
        known_source(file)
            .or_else(|| self.details.roots.get_or_insert_with(|| CrateRoots::read(image)).find(file, hint))
            .or_else(|| guessed_source(file))
    }

    /// The path of a package's source holds its version, which is then known for all of the crate's functions.
    fn learn_version(&mut self, symbol: &Symbol) {
        if let (Some(name), Some(file)) = (&symbol.crate_name, &symbol.file)
            && let Some(Source { crate_name, version: Some(version), .. }) = known_source(file)
            && crate_name == *name
        {
            self.versions().learn(name, &version);
        }
    }

    fn add_version(&mut self, symbol: &mut Symbol) {
        if let (Some(name), Some("rust")) = (&symbol.crate_name, symbol.language.as_deref())
            && let Some((version, source)) = self.versions().get(name)
        {
            symbol.crate_version = Some(version);
            symbol.crate_version_source = Some(source.to_owned());
        }
    }

    fn versions(&mut self) -> &mut VersionTable {
        let image = self.image;
        self.details.versions.get_or_insert_with(|| VersionTable::read(image))
    }

    /// Stripped code and linkage stubs.
    fn without_name(&self, svma: u64) -> Resolved {
        let mapping = bracketed(&self.details.mapping);
        let of_mapping = |function: String| Symbol {
            function: Some(function),
            crate_name: Some(mapping.clone()),
            module: Some(mapping.clone()),
            ..Symbol::default()
        };
        if let Some((_, target)) = plt_target(self.image, svma) {
            let target = attribute(target);
            let function = format!("{}@plt", target.function.unwrap_or_default());
            return Resolved {
                symbol: Symbol { raw_name: target.raw_name, ..of_mapping(function) },
                ..Resolved::default()
            };
        }
        let symbol = match self.image.eh_frame_function_start(svma) {
            Some(start) => of_mapping(format!("{mapping}+{start:#x}")),
            None => Symbol::default(),
        };
        Resolved { symbol, inlined_by: Vec::new(), reason: Some("no_symbols") }
    }
}

/// The linkage name if either table has one.
fn outer_name<'a>(debug: Option<&'a Sym<'_>>, in_table: Option<&'a str>) -> Option<&'a str> {
    let in_debug = debug.map(|sym| &*sym.name).filter(|name| !name.is_empty());
    match (in_debug, in_table) {
        (Some(name), _) if is_mangled(name) => Some(name),
        (_, Some(name)) => Some(name),
        (name, None) => name,
    }
}

fn is_mangled(name: &str) -> bool {
    name.starts_with("_R") || name.starts_with("_Z")
}

/// Whether a module is another or in it.
fn is_within(module: &str, outer: &str) -> bool {
    module.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn place(symbol: &mut Symbol, source: Source) {
    if symbol.language.as_deref() != Some("rust") {
        name_in_module(symbol, &source);
    }
    symbol.crate_name = Some(source.crate_name);
    symbol.module = Some(source.module);
    symbol.language = Some("rust".to_owned());
}

/// A name as line tables have it, `push<u8>` or `{closure#0}`, becomes a path under its file's module.
fn name_in_module(symbol: &mut Symbol, source: &Source) {
    let Some(name) = symbol.raw_name.as_deref() else { return };
    let full = format!("{}::{name}", source.module);
    let kind = name.strip_prefix('{').and_then(|name| name.split(['#', '}', ':']).next());
    symbol.body = match kind {
        Some(kind) if kind.starts_with("async") => Some(Body::Async),
        Some(kind) if kind.starts_with("closure") => Some(Body::Closure),
        _ => None,
    };
    let key = match kind {
        Some(kind) => format!("{}::{{{kind}}}", source.module),
        None => format!("{}::{}", source.module, strip_generics(name)),
    };
    symbol.display = (full != key).then_some(full);
    symbol.function = Some(key);
}
