//! Splitting printed types and paths, where names come as text: legacy mangling, C++, DWARF.

/// Drops generic arguments: `Vec<T,A>` becomes `Vec`, `<T as U<V>>::f::<W>` becomes `<T as U>::f`. A `<` that
/// begins a type is kept with what is in it.
pub(crate) fn strip_generics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0usize;
    let bytes = text.as_bytes();
    for (at, character) in text.char_indices() {
        let after_name = out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '}' | ')'));
        match character {
            '<' if depth > 0 => depth += 1,
            '<' if after_name => {
                depth = 1;
                let end = out.trim_end_matches(':').len();
                out.truncate(end);
            }
            // The arrow of a function's type.
            '>' if at > 0 && bytes[at - 1] == b'-' => {
                if depth == 0 {
                    out.push('>');
                }
            }
            '>' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            other => out.push(other),
        }
    }
    out
}

/// `Type as Trait` in two, at the top level.
pub(crate) fn split_qualified(text: &str) -> (&str, Option<&str>) {
    let mut depth = 0i32;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth -= 1,
            b' ' if depth == 0 => {
                if let Some(of) = text[at..].strip_prefix(" as ") {
                    return (&text[..at], Some(of));
                }
            }
            _ => {}
        }
    }
    (text, None)
}

/// Behind the last `::` that is not inside brackets.
pub(crate) fn last_segment(path: &str) -> &str {
    let mut depth = 0i32;
    let bytes = path.as_bytes();
    let mut start = 0;
    for at in 0..bytes.len() {
        match bytes[at] {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') => start = at + 2,
            _ => {}
        }
    }
    &path[start.min(path.len())..]
}
