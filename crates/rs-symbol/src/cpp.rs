//! C++ names (Itanium mangling).
//!
//! The mangling does not tell a class from a namespace, so a method's module is its class.

use std::fmt::{self, Write};

use cpp_demangle::{BorrowedSymbol, DemangleOptions};
use rs_schema::event::Body;

use crate::text::last_segment;

const MAX_PRINTED: usize = 16 * 1024;

/// A demangled C++ function.
pub(crate) struct CppName {
    pub(crate) key: String,
    pub(crate) namespace: Option<String>,
    pub(crate) display: String,
    pub(crate) body: Option<Body>,
}

/// Takes a mangled name apart, compiler suffixes already off.
pub(crate) fn parse(symbol: &str) -> Option<CppName> {
    let display = print(symbol, DemangleOptions::new())?;
    let target = thunk_target(symbol);
    let bare =
        print(target.as_deref().unwrap_or(symbol), DemangleOptions::new().no_params().no_return_type())?;
    let mut key = strip_arguments(&bare);
    let mut body = None;
    if let Some(at) = key.find("::{lambda") {
        key.truncate(at);
        body = Some(Body::Closure);
    }
    let last = last_segment(&key);
    let namespace = key[..key.len() - last.len()].trim_end_matches("::");
    Some(CppName { namespace: (!namespace.is_empty()).then(|| namespace.to_owned()), key, display, body })
}

fn print(symbol: &str, options: DemangleOptions) -> Option<String> {
    let parsed = BorrowedSymbol::new(symbol.as_bytes()).ok()?;
    let mut out = Bounded(String::new());
    parsed.structured_demangle(&mut out, &options).ok()?;
    Some(out.0)
}

/// The function that a thunk (`_ZTh`, `_ZTv`) or a transactional clone (`_ZGT`) stands for.
fn thunk_target(symbol: &str) -> Option<String> {
    let offset = |text: &str| text.split_once('_').map(|(_, rest)| rest.to_owned());
    let rest = if let Some(rest) = symbol.strip_prefix("_ZTh") {
        offset(rest)?
    } else if let Some(rest) = symbol.strip_prefix("_ZTv") {
        offset(&offset(rest)?)?
    } else {
        symbol.strip_prefix("_ZGTt").or_else(|| symbol.strip_prefix("_ZGTn"))?.to_owned()
    };
    Some(format!("_Z{rest}"))
}

/// Substitutions can make the text exponentially longer than the name.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_PRINTED {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Operators with the brackets that would be taken for template arguments.
const OPERATORS: [&str; 12] = ["<=>", "<<=", ">>=", "->*", "<<", ">>", "<=", ">=", "->", "<", ">", "()"];

/// Drops template arguments, ABI tags, and the parameters of functions that a local name is in.
fn strip_arguments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut depth = 0usize;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("operator")
            && let Some(operator) = OPERATORS.iter().find(|operator| after.starts_with(**operator))
        {
            let length = "operator".len() + operator.len();
            if depth == 0 {
                out.push_str(&rest[..length]);
            }
            rest = &rest[length..];
            continue;
        }
        if let Some(after) = rest.strip_prefix("[abi:") {
            rest = after.split_once(']').map_or("", |(_, after)| after);
            continue;
        }
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            // `(anonymous namespace)` begins a component, parameters end one.
            '(' if !out.is_empty() && !out.ends_with([':', ' ']) => {
                rest = behind_parameters(rest);
                continue;
            }
            other => out.push(other),
        }
        rest = &rest[character.len_utf8()..];
    }
    out.truncate(out.trim_end().len());
    out
}

/// Behind the closing parenthesis and what qualifies the function.
fn behind_parameters(text: &str) -> &str {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let qualified = &text[at + 1..];
            let bare = [" const", " volatile", " &&", " &", "&&", "&"]
                .iter()
                .fold(qualified, |text, word| text.strip_prefix(word).unwrap_or(text));
            return if bare.is_empty() || bare.starts_with("::") { bare } else { qualified };
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::strip_arguments;

    #[test]
    fn operators_are_no_brackets() {
        assert_eq!(strip_arguments("a<b<c> >::operator<< <int>"), "a::operator<<");
        assert_eq!(strip_arguments("a::operator-><x>"), "a::operator->");
        assert_eq!(strip_arguments("a<b>::f[abi:cxx11]"), "a::f");
        assert_eq!(strip_arguments("a<b>::operator()"), "a::operator()");
    }

    #[test]
    fn parameters_go_and_namespaces_stay() {
        assert_eq!(strip_arguments("a(b<c>, void (*)(d)) const::e"), "a::e");
        assert_eq!(strip_arguments("(anonymous namespace)::f(int)"), "(anonymous namespace)::f");
        assert_eq!(strip_arguments("a::(anonymous namespace)::f"), "a::(anonymous namespace)::f");
        assert_eq!(strip_arguments("a::operator()(int) const"), "a::operator()");
        assert_eq!(strip_arguments("a(b"), "a");
    }
}
