//! Names as they may be put on a terminal: harmless, measured, and shortened where they say least.
//!
//! Everything in a session may have been chosen by someone else: the program under observation, its command
//! line, whoever sent the file. A raw ESC in a thread's name could retitle the terminal or hide lines, a
//! right-to-left override could make one function read as another.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks on one character that real scripts use; more of them are an attempt to paint over other lines.
const MARKS_IN_A_ROW: usize = 2;

/// The text with everything that would not print as itself spelled out: control characters, line and
/// paragraph separators, direction overrides, invisible characters, piles of combining marks.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        if c.is_control() || is_invisible(c) || marks > MARKS_IN_A_ROW {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Characters that are not control characters by Unicode's count and still change what a reader sees.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns that a clean text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The longest beginning that fits.
pub(super) fn head(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// The longest end that fits.
fn tail(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

/// The text cut at its end.
pub(super) fn cut_end(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", head(text, columns.saturating_sub(1)).trim_end()))
}

/// The text cut in its middle: of a path or a command line both ends tell something.
pub(super) fn cut_middle(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let first = room / 2;
    Cow::Owned(format!("{}…{}", head(text, first), tail(text, room - first)))
}

/// A function's or module's name in so many columns. Generic arguments go first, then the path between the
/// crate and the last segment, then the crate, and the middle of what is left.
pub(super) fn shorten(name: &str, columns: usize) -> Cow<'_, str> {
    if width(name) <= columns {
        return Cow::Borrowed(name);
    }
    let plain = without_arguments(name);
    if width(&plain) <= columns {
        return Cow::Owned(plain);
    }
    let segments = segments(&plain);
    if let Some((self_type, rest)) = segments.split_first().filter(|(first, _)| first.starts_with('<')) {
        let rest = rest.iter().fold(String::new(), |path, segment| path + "::" + segment);
        return shorten_impl(self_type, &rest, columns)
            .unwrap_or_else(|| shorten_path(&segments, columns))
            .into();
    }
    shorten_path(&segments, columns).into()
}

/// `<app::path::Type as lib::Trait>::method` as `<app::…::Type as Trait>::method`, or as `<app::…::Type>::method`.
fn shorten_impl(self_type: &str, rest: &str, columns: usize) -> Option<String> {
    let inner = self_type.strip_prefix('<')?.strip_suffix('>')?;
    let (name, implemented) = inner.split_once(" as ").unwrap_or((inner, ""));
    let implemented = segments(implemented).pop().unwrap_or_default();
    let with_trait = if implemented.is_empty() { String::new() } else { format!(" as {implemented}") };
    let fixed = width(rest) + 2;
    let whose = segments(name)[0];
    let in_room = |suffix: &str| Some(shorten(name, columns.checked_sub(width(suffix) + fixed)?));
    // The crate tells more than the trait, and the type in a few letters tells nothing.
    if let Some(type_name) = in_room(&with_trait).filter(|short| short.starts_with(whose)) {
        return Some(format!("<{type_name}{with_trait}>{rest}"));
    }
    in_room("").filter(|short| width(short) >= 12).map(|type_name| format!("<{type_name}>{rest}"))
}

fn shorten_path(segments: &[&str], columns: usize) -> String {
    let count = segments.len();
    // As many segments before the last as fit: they tell more than those behind the crate. A name that continues
    // the column before it begins with `::` and has no crate of its own.
    for start in [segments[0], ""] {
        for kept in (1..count).rev() {
            let whole = kept + 1 == count && start == segments[0];
            let gap = if whole {
                "::"
            } else if start.is_empty() {
                "…::"
            } else {
                "::…::"
            };
            let short = format!("{start}{gap}{}", segments[count - kept..].join("::"));
            if width(&short) <= columns {
                return short;
            }
        }
    }
    cut_middle(segments[count - 1], columns).into_owned()
}

/// The name with `<…>` for generic arguments. A leading `<T as Trait>` is the name itself and stays.
fn without_arguments(name: &str) -> String {
    let mut plain = String::with_capacity(name.len().min(256));
    let mut depth = 0_usize;
    let mut before = '\0';
    let mut self_type = false;
    for (at, c) in name.char_indices() {
        match c {
            '<' if at == 0 => {
                self_type = true;
                plain.push(c);
            }
            '<' => {
                depth += 1;
                if depth == 1 {
                    plain.push_str("<…");
                }
            }
            // The arrow of a function type closes nothing.
            '>' if before != '-' && depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    plain.push('>');
                }
            }
            '>' if before != '-' && self_type => {
                self_type = false;
                plain.push(c);
            }
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
        before = c;
    }
    plain
}

/// The name's parts between the `::` that are not inside brackets.
fn segments(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let mut parts = Vec::new();
    let (mut depth, mut start, mut at) = (0_usize, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') => {
                parts.push(&name[start..at]);
                start = at + 2;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(&name[start..]);
    parts
}

/// What `name` adds to `outer`, beginning with `::`; the whole name when it does not lie in `outer`.
pub(super) fn within<'a>(name: &'a str, outer: &str) -> &'a str {
    match name.strip_prefix(outer) {
        Some(rest) if rest.starts_with("::") => rest,
        _ => name,
    }
}

/// A command line as it could be typed again.
pub(super) fn command_line(arguments: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    let words: Vec<Cow<'_, str>> = arguments
        .iter()
        .map(|word| {
            if !word.is_empty() && word.chars().all(plain) {
                Cow::Borrowed(word.as_str())
            } else {
                Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
            }
        })
        .collect();
    words.join(" ")
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(clean("a\x1b]0;owned\x07b\nc\td\u{9b}"), "a\\u{1b}]0;owned\\u{7}b\\nc\\td\\u{9b}");
        assert_eq!(clean("x\u{202e}y\u{2028}z\u{200d}"), "x\\u{202e}y\\u{2028}z\\u{200d}");
        assert_eq!(clean("größe::计算"), "größe::计算");
        assert_eq!(clean("a\u{301}\u{301}\u{301}"), "a\u{301}\u{301}\\u{301}");
    }

    #[test]
    fn long_names_keep_crate_and_last_segment() {
        let name = "tokio::runtime::scheduler::multi_thread::worker::Context::run";
        assert_eq!(shorten(name, 80), name);
        assert_eq!(shorten(name, 40), "tokio::…::worker::Context::run");
        assert_eq!(shorten(name, 20), "tokio::…::run");
        assert_eq!(shorten(name, 10), "…::run");
        assert_eq!(shorten("::very::long::path", 14), "…::long::path");
        assert_eq!(shorten("app::fill::<alloc::vec::Vec<u64>>", 20), "app::fill::<…>");
        assert_eq!(
            shorten("<app::Foo<T> as core::iter::Iterator>::next", 42),
            "<app::Foo<…> as Iterator>::next"
        );
        assert_eq!(
            shorten("<app::a::b::Foo as core::iter::Iterator>::next", 31),
            "<app::…::Foo as Iterator>::next"
        );
        assert_eq!(shorten("<app::a::b::Foo as core::iter::Iterator>::next", 24), "<app::a::b::Foo>::next");
        assert_eq!(shorten("app::call::<fn(u8) -> u8>::inner", 22), "app::call::<…>::inner");
    }

    #[test]
    fn shortened_names_fit_whatever_they_are() {
        let names = [
            "计算::大小::函数函数函数函数",
            "<<<<::>>>",
            "::::::::::",
            "a",
            "->->->",
            "f::<(((((((",
            "é::ü::ñ",
        ];
        for name in names {
            for columns in 1..30 {
                let short = shorten(name, columns);
                assert!(width(&short) <= columns, "{name} in {columns}: {short}");
            }
        }
    }

    #[test]
    fn a_name_continues_only_its_own_path() {
        assert_eq!(within("app::memory::fill", "app::memory"), "::fill");
        assert_eq!(within("app::memory2", "app::memory"), "app::memory2");
    }

    #[test]
    fn commands_can_be_typed_again() {
        let words = ["./app", "two words", "it's", ""].map(String::from);
        assert_eq!(command_line(&words), r"./app 'two words' 'it'\''s' ''");
    }
}
