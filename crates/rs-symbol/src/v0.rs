//! Rust's v0 mangling (RFC 2603), parsed into a tree.
//!
//! The tree keeps what attribution asks for: crates, modules, values, impls and where they are written,
//! closures. Generic arguments, lifetimes and constants are checked and passed over.
//!
//! Back references make the tree a graph that can be exponentially larger than the name when printed, so
//! nodes, nesting and printed length are bounded; a name beyond the bounds counts as not understood.

use std::borrow::Cow;

use rs_schema::event::Body;
use rustc_hash::FxHashMap;

const MAX_NODES: usize = 20_000;
const MAX_DEPTH: u32 = 250;
const MAX_PRINTED: usize = 16 * 1024;

type Id = u32;

/// One path or type.
#[derive(Debug)]
enum Node<'s> {
    Crate(Cow<'s, str>),
    /// `parent::name` in the namespace that `kind` tells: upper case for what has no name of its own
    /// (`C` closure, `S` shim), `t` types and modules, `v` values.
    Nested {
        kind: u8,
        parent: Id,
        name: Cow<'s, str>,
        number: u64,
    },
    /// An inherent impl, written in `scope`.
    Inherent {
        scope: Id,
        self_type: Id,
    },
    /// A trait impl written in `scope`; without one, the definition in the trait itself.
    Trait {
        scope: Option<Id>,
        self_type: Id,
        of: Id,
    },
    Generic(Id),
    Basic(&'static str),
    Pointer {
        sigil: &'static str,
        to: Id,
    },
    Slice(Id),
    Array(Id),
    Tuple(Vec<Id>),
    Fn {
        qualifiers: String,
        params: Vec<Id>,
        output: Option<Id>,
    },
    Dyn(Vec<Id>),
}

/// A parsed name.
#[derive(Debug)]
pub(crate) struct Parsed<'s> {
    nodes: Vec<Node<'s>>,
    root: Id,
    /// What follows the name, such as `.llvm.123`.
    pub(crate) suffix: &'s str,
}

/// Where a function belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) crate_name: String,
    pub(crate) module: String,
    pub(crate) body: Option<Body>,
}

/// Parses a v0 name, with its `_R`.
pub(crate) fn parse(symbol: &str) -> Option<Parsed<'_>> {
    let inner = symbol.strip_prefix("_R").or_else(|| symbol.strip_prefix("__R"))?;
    // A digit would be a later version of the encoding.
    if !inner.is_ascii() || !inner.as_bytes().first()?.is_ascii_uppercase() {
        return None;
    }
    let mut parser = Parser { text: inner, next: 0, depth: 0, nodes: Vec::new(), seen: FxHashMap::default() };
    let root = parser.path()?;
    if parser.peek().is_some_and(|byte| byte.is_ascii_uppercase()) {
        parser.path()?; // the crate that instantiated it
    }
    let suffix = &inner[parser.next..];
    (suffix.is_empty() || suffix.starts_with(['.', '$'])).then_some(Parsed {
        nodes: parser.nodes,
        root,
        suffix,
    })
}

impl Parsed<'_> {
    /// Folds the name to the function that was written, and places it.
    pub(crate) fn place(&self) -> Option<Place> {
        let (function, body) = self.function();
        let container = match self.node(function) {
            Node::Nested { parent, .. } => *parent,
            _ => function,
        };
        let mut printer = Printer { tree: self, out: String::new(), fold: true };
        printer.node(function)?;
        Some(Place {
            key: printer.out,
            crate_name: self.crate_of(container)?.to_owned(),
            module: self.module_of(container)?,
            body,
        })
    }

    /// The tree without generic arguments, nothing folded: for comparing with other demanglers.
    #[cfg(test)]
    fn plain(&self) -> Option<String> {
        let mut printer = Printer { tree: self, out: String::new(), fold: false };
        printer.node(self.root)?;
        Some(printer.out)
    }

    fn node(&self, id: Id) -> &Node<'_> {
        &self.nodes[id as usize]
    }

    /// The function whose code this is: closures, shims and constants stand for the function they are in,
    /// and a call through a `Fn` trait on a closure or function for that closure or function.
    fn function(&self) -> (Id, Option<Body>) {
        let mut id = self.root;
        let mut body = None;
        loop {
            match self.node(id) {
                Node::Generic(inner) => id = *inner,
                Node::Nested { kind, parent, name, .. } if is_unnamed(*kind, name) => {
                    if *kind == b'C' {
                        body = Some(Body::Closure);
                    }
                    id = *parent;
                }
                Node::Nested { parent, .. } => match self.called_through_trait(*parent) {
                    Some(callee) => id = callee,
                    None => return (id, body),
                },
                _ => return (id, body),
            }
        }
    }

    fn called_through_trait(&self, container: Id) -> Option<Id> {
        let Node::Trait { self_type, of, .. } = self.node(container) else { return None };
        let Node::Nested { name, .. } = self.node(self.without_generics(*of)) else { return None };
        if !matches!(&**name, "Fn" | "FnMut" | "FnOnce") {
            return None;
        }
        let callee = self.without_generics(*self_type);
        matches!(self.node(callee), Node::Nested { kind: b'C' | b'v', .. }).then_some(callee)
    }

    fn without_generics(&self, mut id: Id) -> Id {
        while let Node::Generic(inner) = self.node(id) {
            id = *inner;
        }
        id
    }

    fn crate_of(&self, mut id: Id) -> Option<&str> {
        loop {
            id = match self.node(id) {
                Node::Crate(name) => return Some(name),
                Node::Generic(inner) => *inner,
                Node::Nested { parent, .. } => *parent,
                Node::Inherent { scope, .. } => *scope,
                Node::Trait { scope: Some(scope), .. } => *scope,
                Node::Trait { scope: None, of, .. } => *of,
                _ => return None,
            }
        }
    }

    /// The module around a path. Only impls put functions into types, and a trait's own functions are
    /// marked, so what lies in the type namespace is a module, but for the constructors of an enum.
    fn module_of(&self, mut id: Id) -> Option<String> {
        let mut names = Vec::new();
        loop {
            id = match self.node(id) {
                Node::Crate(name) => {
                    names.push(&**name);
                    break;
                }
                Node::Generic(inner) => *inner,
                Node::Nested { kind: b't', parent, name, .. } => {
                    if !names.is_empty() || !name.starts_with(char::is_uppercase) {
                        names.push(name);
                    }
                    *parent
                }
                Node::Nested { parent, .. } => {
                    names.clear();
                    *parent
                }
                Node::Inherent { scope, .. } | Node::Trait { scope: Some(scope), .. } => {
                    names.clear();
                    *scope
                }
                Node::Trait { scope: None, of, .. } => {
                    names.clear();
                    match self.node(self.without_generics(*of)) {
                        Node::Nested { parent, .. } => *parent,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        names.reverse();
        Some(names.join("::"))
    }
}

/// Closures, shims, anonymous constants, constructors.
fn is_unnamed(kind: u8, name: &str) -> bool {
    kind.is_ascii_uppercase() || name.is_empty()
}

struct Parser<'s> {
    text: &'s str,
    next: usize,
    depth: u32,
    nodes: Vec<Node<'s>>,
    /// Paths and types that back references led to, by position and whether a type was wanted there.
    seen: FxHashMap<(usize, bool), Id>,
}

impl<'s> Parser<'s> {
    fn path(&mut self) -> Option<Id> {
        self.deeper(|p| {
            let node = match p.take()? {
                b'C' => {
                    p.disambiguator()?;
                    Node::Crate(p.ident()?)
                }
                b'N' => {
                    let kind = p.take().filter(u8::is_ascii_alphabetic)?;
                    let parent = p.path()?;
                    let number = p.disambiguator()?;
                    Node::Nested { kind, parent, name: p.ident()?, number }
                }
                b'M' => {
                    p.disambiguator()?;
                    Node::Inherent { scope: p.path()?, self_type: p.type_()? }
                }
                b'X' => {
                    p.disambiguator()?;
                    let scope = Some(p.path()?);
                    Node::Trait { scope, self_type: p.type_()?, of: p.path()? }
                }
                b'Y' => Node::Trait { scope: None, self_type: p.type_()?, of: p.path()? },
                b'I' => {
                    let inner = p.path()?;
                    while !p.eat(b'E') {
                        p.generic_argument()?;
                    }
                    Node::Generic(inner)
                }
                b'B' => return p.back_reference(false),
                _ => return None,
            };
            p.add(node)
        })
    }

    fn type_(&mut self) -> Option<Id> {
        self.eat(b'w'); // a splat marks the type that follows
        let tag = self.peek()?;
        if let Some(name) = basic_type(tag) {
            self.next += 1;
            return self.add(Node::Basic(name));
        }
        self.deeper(|p| {
            p.next += 1;
            let node = match tag {
                b'R' | b'Q' => {
                    if p.eat(b'L') {
                        p.base_62()?;
                    }
                    Node::Pointer { sigil: if tag == b'R' { "&" } else { "&mut " }, to: p.type_()? }
                }
                b'P' => Node::Pointer { sigil: "*const ", to: p.type_()? },
                b'O' => Node::Pointer { sigil: "*mut ", to: p.type_()? },
                b'A' => {
                    let element = p.type_()?;
                    p.constant()?;
                    Node::Array(element)
                }
                b'S' => Node::Slice(p.type_()?),
                b'T' => Node::Tuple(p.types()?),
                b'F' => p.function_pointer()?,
                b'D' => p.trait_object()?,
                b'W' => {
                    let inner = p.type_()?;
                    p.pattern()?;
                    return Some(inner);
                }
                b'B' => return p.back_reference(true),
                _ => {
                    p.next -= 1;
                    return p.path();
                }
            };
            p.add(node)
        })
    }

    fn types(&mut self) -> Option<Vec<Id>> {
        let mut types = Vec::new();
        while !self.eat(b'E') {
            types.push(self.type_()?);
        }
        Some(types)
    }

    fn function_pointer(&mut self) -> Option<Node<'s>> {
        self.binder()?;
        let mut qualifiers = String::new();
        if self.eat(b'U') {
            qualifiers.push_str("unsafe ");
        }
        if self.eat(b'K') {
            let abi = if self.eat(b'C') { "C".into() } else { self.ident()? };
            qualifiers.push_str("extern \"");
            qualifiers.push_str(&abi.replace('_', "-"));
            qualifiers.push_str("\" ");
        }
        let params = self.types()?;
        let output = if self.eat(b'u') { None } else { Some(self.type_()?) };
        Some(Node::Fn { qualifiers, params, output })
    }

    fn trait_object(&mut self) -> Option<Node<'s>> {
        self.binder()?;
        let mut traits = Vec::new();
        while !self.eat(b'E') {
            traits.push(self.path()?);
            while self.eat(b'p') {
                self.ident()?;
                if self.eat(b'K') { self.constant()? } else { self.type_().map(drop)? }
            }
        }
        self.eat(b'L').then_some(())?;
        self.base_62()?;
        Some(Node::Dyn(traits))
    }

    fn generic_argument(&mut self) -> Option<()> {
        if self.eat(b'L') {
            self.base_62().map(drop)
        } else if self.eat(b'K') {
            self.constant()
        } else {
            self.type_().map(drop)
        }
    }

    fn pattern(&mut self) -> Option<()> {
        self.deeper(|p| match p.take()? {
            b'R' => {
                p.constant()?;
                p.constant()
            }
            b'O' => {
                while !p.eat(b'E') {
                    p.pattern()?;
                }
                Some(())
            }
            b'N' => Some(()),
            _ => None,
        })
    }

    fn constant(&mut self) -> Option<()> {
        self.deeper(|p| match p.take()? {
            b'p' => Some(()),
            b'a' | b's' | b'l' | b'x' | b'n' | b'i' => {
                p.eat(b'n');
                p.hex_digits()
            }
            b'h' | b't' | b'm' | b'y' | b'o' | b'j' | b'b' | b'c' | b'e' => p.hex_digits(),
            b'R' | b'Q' => p.constant(),
            b'A' | b'T' => p.constants(),
            b'V' => {
                p.path()?;
                match p.take()? {
                    b'U' => Some(()),
                    b'T' => p.constants(),
                    b'S' => {
                        while !p.eat(b'E') {
                            p.disambiguator()?;
                            p.ident()?;
                            p.constant()?;
                        }
                        Some(())
                    }
                    _ => None,
                }
            }
            // What it refers to was read when it was passed, and no constant is kept.
            b'B' => p.base_62().map(drop),
            _ => None,
        })
    }

    fn constants(&mut self) -> Option<()> {
        while !self.eat(b'E') {
            self.constant()?;
        }
        Some(())
    }

    fn hex_digits(&mut self) -> Option<()> {
        loop {
            match self.take()? {
                b'0'..=b'9' | b'a'..=b'f' => {}
                b'_' => return Some(()),
                _ => return None,
            }
        }
    }

    fn back_reference(&mut self, wants_type: bool) -> Option<Id> {
        let here = self.next - 1;
        let target = usize::try_from(self.base_62()?).ok().filter(|target| *target < here)?;
        if let Some(id) = self.seen.get(&(target, wants_type)) {
            return Some(*id);
        }
        let after = std::mem::replace(&mut self.next, target);
        let id = if wants_type { self.type_() } else { self.path() }?;
        self.next = after;
        self.seen.insert((target, wants_type), id);
        Some(id)
    }

    fn binder(&mut self) -> Option<()> {
        if self.eat(b'G') {
            self.base_62()?;
        }
        Some(())
    }

    fn disambiguator(&mut self) -> Option<u64> {
        if self.eat(b's') { self.base_62()?.checked_add(1) } else { Some(0) }
    }

    fn base_62(&mut self) -> Option<u64> {
        if self.eat(b'_') {
            return Some(0);
        }
        let mut number = 0u64;
        loop {
            let digit = match self.take()? {
                b'_' => return number.checked_add(1),
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'a'..=b'z' => digit - b'a' + 10,
                digit @ b'A'..=b'Z' => digit - b'A' + 36,
                _ => return None,
            };
            number = number.checked_mul(62)?.checked_add(u64::from(digit))?;
        }
    }

    fn ident(&mut self) -> Option<Cow<'s, str>> {
        let is_punycode = self.eat(b'u');
        let start = self.next;
        let first = self.take().filter(u8::is_ascii_digit)?;
        while first != b'0' && self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.next += 1;
        }
        let length: usize = self.text[start..self.next].parse().ok()?;
        self.eat(b'_');
        let end = self.next.checked_add(length)?;
        let ident = self.text.get(self.next..end)?;
        self.next = end;
        if is_punycode { punycode(ident).map(Cow::Owned) } else { Some(Cow::Borrowed(ident)) }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let parsed = if self.depth <= MAX_DEPTH { parse(self) } else { None };
        self.depth -= 1;
        parsed
    }

    fn add(&mut self, node: Node<'s>) -> Option<Id> {
        if self.nodes.len() >= MAX_NODES {
            return None;
        }
        self.nodes.push(node);
        Some(self.nodes.len() as Id - 1)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.next).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.next += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.next += usize::from(is_there);
        is_there
    }
}

struct Printer<'a, 's> {
    tree: &'a Parsed<'s>,
    out: String,
    /// Leave out what has no name of its own, and the brackets around a named type of an inherent impl.
    fold: bool,
}

impl Printer<'_, '_> {
    fn node(&mut self, id: Id) -> Option<()> {
        if self.out.len() > MAX_PRINTED {
            return None;
        }
        match &self.tree.nodes[id as usize] {
            Node::Crate(name) => self.out.push_str(name),
            Node::Nested { kind, parent, name, number } => {
                self.node(*parent)?;
                match (kind, self.fold) {
                    (kind, true) if is_unnamed(*kind, name) => {}
                    (kind, false) if kind.is_ascii_uppercase() => self.unnamed(*kind, name, *number),
                    _ if name.is_empty() => {}
                    _ => {
                        self.out.push_str("::");
                        self.out.push_str(name);
                    }
                }
            }
            Node::Inherent { self_type, .. } => {
                let bare = self.fold && self.tree.is_path(*self_type);
                self.out.push_str(if bare { "" } else { "<" });
                self.node(*self_type)?;
                self.out.push_str(if bare { "" } else { ">" });
            }
            Node::Trait { self_type, of, .. } => {
                self.out.push('<');
                self.node(*self_type)?;
                self.out.push_str(" as ");
                self.node(*of)?;
                self.out.push('>');
            }
            Node::Generic(inner) => self.node(*inner)?,
            Node::Basic(name) => self.out.push_str(name),
            Node::Pointer { sigil, to } => {
                self.out.push_str(sigil);
                self.node(*to)?;
            }
            Node::Slice(element) => {
                self.out.push('[');
                self.node(*element)?;
                self.out.push(']');
            }
            Node::Array(element) => {
                self.out.push('[');
                self.node(*element)?;
                self.out.push_str("; _]");
            }
            Node::Tuple(types) => {
                self.out.push('(');
                self.list(types, ", ")?;
                self.out.push_str(if types.len() == 1 { ",)" } else { ")" });
            }
            Node::Fn { qualifiers, params, output } => {
                self.out.push_str(qualifiers);
                self.out.push_str("fn(");
                self.list(params, ", ")?;
                self.out.push(')');
                if let Some(output) = output {
                    self.out.push_str(" -> ");
                    self.node(*output)?;
                }
            }
            Node::Dyn(traits) => {
                self.out.push_str("dyn ");
                self.list(traits, " + ")?;
            }
        }
        Some(())
    }

    fn list(&mut self, ids: &[Id], separator: &str) -> Option<()> {
        for (index, id) in ids.iter().enumerate() {
            if index > 0 {
                self.out.push_str(separator);
            }
            self.node(*id)?;
        }
        Some(())
    }

    fn unnamed(&mut self, kind: u8, name: &str, number: u64) {
        let kind = match kind {
            b'C' => "closure".to_owned(),
            b'S' => "shim".to_owned(),
            other => char::from(other).to_string(),
        };
        let colon = if name.is_empty() { "" } else { ":" };
        self.out.push_str(&format!("::{{{kind}{colon}{name}#{number}}}"));
    }
}

impl Parsed<'_> {
    fn is_path(&self, id: Id) -> bool {
        matches!(self.node(id), Node::Crate(_) | Node::Nested { .. } | Node::Generic(_) | Node::Trait { .. })
    }
}

fn basic_type(tag: u8) -> Option<&'static str> {
    Some(match tag {
        b'b' => "bool",
        b'c' => "char",
        b'e' => "str",
        b'u' => "()",
        b'a' => "i8",
        b's' => "i16",
        b'l' => "i32",
        b'x' => "i64",
        b'n' => "i128",
        b'i' => "isize",
        b'h' => "u8",
        b't' => "u16",
        b'm' => "u32",
        b'y' => "u64",
        b'o' => "u128",
        b'j' => "usize",
        b'f' => "f32",
        b'd' => "f64",
        b'z' => "!",
        b'p' => "_",
        b'v' => "...",
        _ => return None,
    })
}

/// Decodes an identifier that is not ASCII (RFC 3492, with `_` for the delimiter).
fn punycode(text: &str) -> Option<String> {
    let (ascii, encoded) = text.rsplit_once('_').unwrap_or(("", text));
    let mut chars: Vec<char> = ascii.chars().collect();
    let (mut bias, mut index, mut code) = (72u32, 0u32, 128u32);
    let mut digits = encoded.bytes();
    let mut first = true;
    while digits.len() > 0 {
        let before = index;
        let (mut weight, mut k) = (1u32, 36u32);
        loop {
            let digit = match digits.next()? {
                byte @ b'a'..=b'z' => byte - b'a',
                byte @ b'0'..=b'9' => byte - b'0' + 26,
                _ => return None,
            };
            index = index.checked_add(u32::from(digit).checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if u32::from(digit) < threshold {
                break;
            }
            weight = weight.checked_mul(36 - threshold)?;
            k += 36;
        }
        let count = chars.len() as u32 + 1;
        let mut delta = (index - before) / if first { 700 } else { 2 };
        first = false;
        delta += delta / count;
        bias = 0;
        while delta > 455 {
            delta /= 35;
            bias += 36;
        }
        bias += 36 * delta / (delta + 38);
        code = code.checked_add(index / count)?;
        index %= count;
        // Inserting is quadratic; no identifier is that long.
        if chars.len() >= 4096 {
            return None;
        }
        chars.insert(index as usize, char::from_u32(code)?);
        index += 1;
    }
    Some(chars.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::strip_generics;

    fn key(symbol: &str) -> Option<(String, String, String)> {
        let place = parse(symbol)?.place()?;
        Some((place.key, place.crate_name, place.module))
    }

    /// Our tree against the demangler of the Rust project, on every v0 name of this test's own binary and of
    /// the files named in RS_SYMBOL_CORPUS (one symbol a line).
    #[test]
    fn agrees_with_rustc_demangle() {
        let own = crate::symtab::tests::own_symbol_names();
        let more = std::env::var("RS_SYMBOL_CORPUS").map(|path| std::fs::read_to_string(path).unwrap());
        let more = more.unwrap_or_default();
        let mut count = 0;
        let mut differences = Vec::new();
        for symbol in own.iter().map(String::as_str).chain(more.lines()) {
            if !symbol.starts_with("_R") || rustc_demangle::try_demangle(symbol).is_err() {
                continue;
            }
            count += 1;
            let parsed = parse(symbol).unwrap_or_else(|| panic!("not parsed: {symbol}"));
            let demangled = rustc_demangle::demangle(&symbol[..symbol.len() - parsed.suffix.len()]);
            let ours = parsed.plain().unwrap_or_else(|| panic!("not printed: {symbol}"));
            let theirs = normalized(&format!("{demangled:#}"));
            if ours != theirs || parsed.place().is_none() {
                differences.push(format!("{symbol}\n{demangled:#}\n{ours}\n{theirs}\n"));
            }
        }
        assert!(
            differences.is_empty(),
            "{} of {count}:\n{}",
            differences.len(),
            differences[..8.min(differences.len())].join("\n")
        );
        assert!(count > 1000, "only {count} names");
        println!("{count} names");
    }

    /// What is left of a printed name when arguments, lifetimes and array lengths are dropped.
    fn normalized(name: &str) -> String {
        let mut out = String::new();
        let mut rest = strip_generics(&without_binders(name));
        while let Some(at) = rest.find('\'') {
            out.push_str(rest[..at].trim_end_matches(" + "));
            let after = rest[at + 1..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            rest = after.strip_prefix(' ').unwrap_or(after).to_owned();
        }
        out.push_str(&rest);
        let mut lengths = String::new();
        let mut rest = out.as_str();
        while let Some(at) = rest.find("; ") {
            lengths.push_str(&rest[..at]);
            lengths.push_str("; _");
            rest = rest[at..].find(']').map_or("", |end| &rest[at + end..]);
        }
        lengths + rest
    }

    fn without_binders(name: &str) -> String {
        let mut out = String::new();
        let mut rest = name;
        while let Some(at) = rest.find("for<'") {
            out.push_str(&rest[..at]);
            rest = rest[at..].split_once("> ").map_or("", |(_, after)| after);
        }
        out + rest
    }

    #[test]
    fn names_beyond_ascii() {
        let name = "_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y";
        assert_eq!(key(name).unwrap().0, "utf8_idents::საჭმელად_გემრიელი_სადილი");
        assert_eq!(punycode("bcher_kva").as_deref(), Some("bücher"));
    }

    #[test]
    fn damaged_names_are_none() {
        for name in [
            "",
            "_R",
            "_RN",
            "_RNvC",
            "_RNvC1a",
            "_RNvC1a99999999999999999999x",
            "_R1NvC1a1b",
            "_RB_",
            "_RNvB_1a",
        ] {
            assert!(parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn back_references_cannot_explode() {
        // Each tuple refers twice to the one before: 2^60 leaves when printed.
        let mut name = String::from("_RINvC1a1fTuuE");
        let mut previous = name.len() - 2 - 4;
        for _ in 0..60 {
            let here = name.len() - 2;
            let reference = base_62(previous as u64);
            name.push_str(&format!("TB{reference}B{reference}E"));
            previous = here;
        }
        name.push('E');
        assert_eq!(key(&name).unwrap().0, "a::f");
        let in_self_type = name.replacen("_RINvC1a1f", "_RNvYTuuEC1t1f", 0);
        assert!(parse(&in_self_type).is_some());
        let mut nested = String::from("_RNvY");
        nested.push_str(&"R".repeat(100_000));
        assert!(parse(&nested).is_none());
    }

    fn base_62(number: u64) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        if number == 0 {
            return "_".into();
        }
        let mut rest = number - 1;
        let mut digits = vec![b'_'];
        loop {
            digits.push(DIGITS[(rest % 62) as usize]);
            rest /= 62;
            if rest == 0 {
                break;
            }
        }
        digits.reverse();
        String::from_utf8(digits).unwrap()
    }
}
