//! Rust's legacy mangling: `_ZN`, length-prefixed path components, `17h` and 16 hex digits, `E`.
//!
//! The components hold types as text with `$LT$`-like escapes. Where a type begins within a path is a
//! matter of convention (upper case). An impl's module is written out as `<impl …>` unless it is that of the type
//! or of the trait.

use std::cmp::Ordering;

use rs_schema::event::Body;

use crate::text::{last_segment, split_qualified, strip_generics};
use crate::v0::Place;

const MAX_COMPONENTS: usize = 256;

/// A decoded legacy name.
#[derive(Debug)]
pub(crate) struct Parsed<'s> {
    /// Decoded components, without the hash.
    components: Vec<String>,
    /// What follows the name, such as `.llvm.123`.
    pub(crate) suffix: &'s str,
}

/// Takes a legacy name apart; `None` for C++ names, which begin the same way but end without a hash.
pub(crate) fn parse(symbol: &str) -> Option<Parsed<'_>> {
    let mut rest = symbol.strip_prefix("_ZN").or_else(|| symbol.strip_prefix("__ZN"))?;
    if !rest.is_ascii() {
        return None;
    }
    let mut raw = Vec::new();
    loop {
        if let Some(suffix) = rest.strip_prefix('E') {
            let hash = raw.pop()?;
            return (is_hash(hash) && !raw.is_empty())
                .then(|| Parsed { components: raw.into_iter().map(decode).collect(), suffix });
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let length: usize = rest[..digits].parse().ok()?;
        let end = digits.checked_add(length)?;
        raw.push(rest.get(digits..end)?);
        rest = &rest[end..];
        if raw.len() > MAX_COMPONENTS {
            return None;
        }
    }
}

fn is_hash(component: &str) -> bool {
    component.len() == 17
        && component.starts_with('h')
        && component[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn decode(component: &str) -> String {
    let mut rest = match component.strip_prefix('_') {
        Some(escaped) if escaped.starts_with('$') => escaped,
        _ => component,
    };
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find(['$', '.']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("..") {
            out.push_str("::");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            out.push('.');
            rest = after;
        } else {
            let Some((character, after)) = escape(rest) else { break };
            out.push(character);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn escape(text: &str) -> Option<(char, &str)> {
    let (name, after) = text.strip_prefix('$')?.split_once('$')?;
    let character = match name {
        "SP" => '@',
        "BP" => '*',
        "RF" => '&',
        "LT" => '<',
        "GT" => '>',
        "LP" => '(',
        "RP" => ')',
        "C" => ',',
        _ => {
            let code = u32::from_str_radix(name.strip_prefix('u')?, 16).ok()?;
            char::from_u32(code).filter(|character| !character.is_control())?
        }
    };
    Some((character, after))
}

/// A placed function, and whether crate and module had to be inferred.
pub(crate) struct Placed {
    pub(crate) place: Place,
    pub(crate) is_estimated: bool,
}

impl Parsed<'_> {
    /// Folds the name to the function that was written, and places it.
    pub(crate) fn place(&self) -> Option<Placed> {
        let mut body = None;
        let mut components: Vec<&str> = Vec::new();
        for component in &self.components {
            if component.starts_with("{{") {
                if component == "{{closure}}" {
                    body = Some(Body::Closure);
                }
                continue;
            }
            // A function with a name inside a closure is no part of it.
            body = None;
            components.push(
                component
                    .strip_suffix("{{vtable.shim}}")
                    .or(component.strip_suffix("{{reify.shim}}"))
                    .unwrap_or(component),
            );
        }
        let (first, rest) = components.split_first()?;
        let (key, crate_name, module, is_estimated) =
            if let Some(qualified) = first.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
                qualified_impl(qualified, rest)
            } else if let Some(index) = components.iter().position(|component| is_impl(component)) {
                impl_in_module(&components, index)
            } else {
                plain(&components)
            };
        let place = Place { key, crate_name, module, body };
        Some(Placed { place, is_estimated })
    }
}

fn is_impl(component: &str) -> bool {
    component.starts_with("<impl ") && component.ends_with('>')
}

/// `<Type as Trait>::function`: the impl is beside the type or beside the trait, or else the name would tell
/// its module. Often only one of the two can be.
fn qualified_impl(qualified: &str, rest: &[&str]) -> (String, String, String, bool) {
    let (self_type, of) = split_qualified(qualified);
    let self_type = strip_generics(self_type);
    let of = of.map(strip_generics);
    let (home, is_estimated) = match (Home::of(&self_type), of.as_deref().map(Home::of)) {
        (Home::Path(of_type), Some(Home::Path(of_trait))) => {
            // An impl is in the crate of either, and a crate that the other builds on does not know the other.
            match level(of_type).cmp(&level(of_trait)) {
                Ordering::Less => (of_trait, false),
                Ordering::Greater => (of_type, false),
                Ordering::Equal => (of_type, parent_module(of_type) != parent_module(of_trait)),
            }
        }
        (Home::Nowhere, Some(Home::Path(of_trait))) => (of_trait, false),
        (of_type, of_trait) => (of_type.path().or(of_trait.and_then(Home::path)).unwrap_or("core::"), true),
    };
    let of_part = of.as_deref().map(|of| format!(" as {of}")).unwrap_or_default();
    let key = join(&format!("<{self_type}{of_part}>"), rest);
    (key, crate_of(home), parent_module(home), is_estimated)
}

/// The modules of type and trait of an impl, if it can be in either.
pub(crate) fn modules_of_impl(symbol: &str) -> Option<(String, String)> {
    let parsed = parse(symbol)?;
    let qualified = parsed.components.first()?.strip_prefix('<')?.strip_suffix('>')?;
    let (self_type, of) = split_qualified(qualified);
    match (Home::of(&strip_generics(self_type)), Home::of(&strip_generics(of?))) {
        (Home::Path(of_type), Home::Path(of_trait)) => {
            Some((parent_module(of_type), parent_module(of_trait)))
        }
        _ => None,
    }
}

/// What places a type or a trait.
enum Home<'t> {
    /// The path that it is, behind references and brackets.
    Path(&'t str),
    /// Primitives and parameters have no place.
    Nowhere,
    /// Tuples, function pointers, associated types, types inside of impls; with the best path there is.
    Unclear(Option<&'t str>),
}

impl<'t> Home<'t> {
    fn of(text: &'t str) -> Home<'t> {
        let mut inner = text;
        loop {
            let outer = inner;
            inner = inner.trim_start_matches(['&', '*', '[', ' ']);
            for word in ["mut ", "const ", "dyn "] {
                inner = inner.strip_prefix(word).unwrap_or(inner);
            }
            if inner == outer {
                break;
            }
        }
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let (path, after) = inner.split_at(inner.find(|c| !is_name(c)).unwrap_or(inner.len()));
        let is_whole = after.is_empty() || after.starts_with([']', ';']) || after.starts_with(" + ");
        if !is_whole || path.is_empty() || path.ends_with(':') {
            Home::Unclear(path_in_type(text))
        } else if path.contains("::") {
            Home::Path(path)
        } else {
            Home::Nowhere
        }
    }

    fn path(self) -> Option<&'t str> {
        match self {
            Home::Path(path) => Some(path),
            Home::Nowhere => None,
            Home::Unclear(path) => path,
        }
    }
}

/// The standard library's crates know no other but those below; its own dependencies are left aside.
fn level(path: &str) -> usize {
    let of_crate = path.split("::").next();
    ["core", "alloc", "std"].iter().position(|name| of_crate == Some(name)).unwrap_or(3)
}

/// `module::<impl Trait for Type>::function`: the module is told.
fn impl_in_module(components: &[&str], index: usize) -> (String, String, String, bool) {
    let (module, rest) = components.split_at(index);
    let what = rest[0].trim_start_matches("<impl ").trim_end_matches('>');
    let head = match what.split_once(" for ") {
        Some((of, self_type)) => format!("<{} as {}>", strip_generics(self_type), strip_generics(of)),
        None => {
            let self_type = strip_generics(what);
            if path_in_type(&self_type) == Some(&self_type) { self_type } else { format!("<{self_type}>") }
        }
    };
    (join(&head, &rest[1..]), crate_of(module[0]), module.join("::"), false)
}

fn plain(components: &[&str]) -> (String, String, String, bool) {
    let components: Vec<String> = components.iter().map(|component| strip_generics(component)).collect();
    let function = components.len() - 1;
    let is_type = |component: &String| component.starts_with(|c: char| c.is_uppercase() || c == '<');
    let module_end = components[..function].iter().position(is_type).unwrap_or(function).max(1);
    (
        components.join("::"),
        components[0].clone(),
        components[..module_end.min(components.len())].join("::"),
        false,
    )
}

/// The first path in a type.
fn path_in_type(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(['&', '*', '[', '(', ' ']);
    let text = ["mut ", "const ", "dyn "].iter().fold(text, |text, word| text.trim_start_matches(word));
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let path = text[..end].trim_end_matches(':');
    path.contains("::").then_some(path)
}

fn crate_of(path: &str) -> String {
    path.split("::").next().unwrap_or(path).to_owned()
}

fn parent_module(path: &str) -> String {
    let last = last_segment(path);
    path[..path.len() - last.len()].trim_end_matches("::").to_owned()
}

fn join(head: &str, rest: &[&str]) -> String {
    rest.iter().fold(head.to_owned(), |path, component| path + "::" + &strip_generics(component))
}
