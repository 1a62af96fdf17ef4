//! `/tmp/perf-PID.map`: names of code made at run time, one `START SIZE NAME` a line, the numbers in hex.
//!
//! The format is that of linux: tools/perf/Documentation/jit-interface.txt. Programs append while they run,
//! so a later entry replaces what it overlaps.

use std::collections::BTreeMap;

use rs_schema::event::Symbol;

/// A parsed map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerfMap {
    /// End and name by start; without overlaps.
    ranges: BTreeMap<u64, (u64, String)>,
    malformed_count: u64,
}

impl PerfMap {
    /// Reads the text of a map. Lines that are none are counted and left out, a last line without an end as
    /// well, since its writer may be amidst it.
    pub fn parse(text: &str) -> PerfMap {
        let mut map = PerfMap::default();
        map.extend(text);
        map
    }

    /// Reads text that was appended since.
    pub fn extend(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n').map(str::trim_end).map(entry) {
                Some(Some((start, end, name))) => self.insert(start, end, name),
                Some(None) if line.trim().is_empty() => {}
                Some(None) => self.malformed_count += 1,
                None => {}
            }
        }
    }

    /// The function at an address.
    pub fn lookup(&self, address: u64) -> Option<Symbol> {
        let (_, (end, name)) = self.ranges.range(..=address).next_back()?;
        (address < *end).then(|| symbol(name))
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Lines that could not be read.
    pub fn malformed_count(&self) -> u64 {
        self.malformed_count
    }

    fn insert(&mut self, start: u64, end: u64, name: &str) {
        let before = self.ranges.range(..start).next_back().map(|(start, (end, _))| (*start, *end));
        let overlapped = before
            .into_iter()
            .filter(|(_, old_end)| *old_end > start)
            .map(|(old_start, _)| old_start)
            .chain(self.ranges.range(start..end).map(|(start, _)| *start))
            .collect::<Vec<_>>();
        for old_start in overlapped {
            let Some((old_end, old_name)) = self.ranges.remove(&old_start) else { continue };
            if old_end > end {
                self.ranges.insert(end, (old_end, old_name.clone()));
            }
            if old_start < start {
                self.ranges.insert(old_start, (start, old_name));
            }
        }
        self.ranges.insert(start, (end, name.to_owned()));
    }
}

fn entry(line: &str) -> Option<(u64, u64, &str)> {
    let (start, rest) = line.split_once(' ')?;
    let (size, name) = rest.trim_start().split_once(' ')?;
    let start = hex(start)?;
    let end = start.checked_add(hex(size)?)?;
    let name = name.trim();
    (start < end && !name.is_empty()).then_some((start, end, name))
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// Module and crate of code that does not tell where it is from.
const JIT: &str = "[jit]";

fn symbol(name: &str) -> Symbol {
    let parsed = python(name).or_else(|| javascript(name));
    let (function, file, line, language) = match parsed {
        Some(parsed) => parsed,
        None => (name, None, None, None),
    };
    Symbol {
        function: Some(function.to_owned()),
        display: (function != name).then(|| name.to_owned()),
        raw_name: Some(name.to_owned()),
        crate_name: Some(JIT.to_owned()),
        module: Some(file.map_or(JIT, module_of_file).to_owned()),
        language: language.map(str::to_owned),
        file: file.map(str::to_owned),
        line,
        ..Symbol::default()
    }
}

type Parsed<'a> = (&'a str, Option<&'a str>, Option<u32>, Option<&'a str>);

/// CPython (`-X perf`): `py::FUNCTION:FILE`.
fn python(name: &str) -> Option<Parsed<'_>> {
    let (function, file) = name.strip_prefix("py::")?.split_once(':')?;
    Some((function, Some(file), None, Some("python")))
}

/// V8 (`--perf-basic-prof`): `JS:*FUNCTION FILE:LINE:COLUMN`, where a mark tells the tier, or
/// `Function:~FUNCTION FILE:LINE`; the function's name is missing for anonymous ones.
fn javascript(name: &str) -> Option<Parsed<'_>> {
    let kinds = ["JS:", "LazyCompile:", "Function:", "Script:", "Eval:"];
    let rest = kinds.iter().find_map(|kind| name.strip_prefix(kind))?;
    let rest = rest.trim_start_matches(['*', '~', '^', '+']);
    let (function, place) = rest.split_once(' ').unwrap_or((rest, ""));
    let function = if function.is_empty() { "(anonymous)" } else { function };
    let (file, line) = split_place(place);
    Some((function, file, line, Some("js")))
}

/// `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`; a file may hold colons itself (`node:internal/main`).
fn split_place(place: &str) -> (Option<&str>, Option<u32>) {
    let number = |text: &str| text.parse::<u32>().ok();
    let (file, line) = match place.rsplit_once(':') {
        Some((rest, last)) if number(last).is_some() => match rest.rsplit_once(':') {
            Some((file, line)) if number(line).is_some() => (file, number(line)),
            _ => (rest, number(last)),
        },
        _ => (place.split_once(' ').map_or(place, |(file, _)| file), None),
    };
    (Some(file).filter(|file| !file.is_empty()), line)
}

fn module_of_file(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_entries_replace_what_they_overlap() {
        let map = PerfMap::parse("1000 100 old\n1040 20 new\n2000 10 other\n");
        let at = |address| map.lookup(address).and_then(|symbol| symbol.function);
        assert_eq!(at(0x1000).as_deref(), Some("old"));
        assert_eq!(at(0x103f).as_deref(), Some("old"));
        assert_eq!(at(0x1040).as_deref(), Some("new"));
        assert_eq!(at(0x105f).as_deref(), Some("new"));
        assert_eq!(at(0x1060).as_deref(), Some("old"));
        assert_eq!(at(0x1100), None);
        assert_eq!(at(0x0fff), None);
        assert_eq!(map.len(), 4);
    }

    #[test]
    fn an_entry_may_cover_several() {
        let map = PerfMap::parse("1000 10 a\n1010 10 b\n1020 10 c\n1008 20 all\n");
        let at = |address| map.lookup(address).and_then(|symbol| symbol.function).unwrap_or_default();
        assert_eq!(
            (at(0x1000), at(0x1010), at(0x1027), at(0x1028)),
            ("a".into(), "all".into(), "all".into(), "c".into())
        );
    }

    #[test]
    fn bad_lines_are_counted_and_an_unfinished_line_waits() {
        let map = PerfMap::parse(
            "zz 10 a\n1000 10\n1000 0 empty\n\nffffffffffffffff 2 wraps\n1000 10 ok\n2000 10 unfini",
        );
        assert_eq!(map.malformed_count(), 4);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn names_of_python_and_node() {
        let map = PerfMap::parse(concat!(
            "1000 10 py::leaf:/srv/app.py\n",
            "2000 10 JS:*leafJs /srv/file.js:3:12\n",
            "3000 10 LazyCompile:~emit node:events:495:44\n",
            "4000 10 JS:~ file.js:1\n",
            "5000 10 Builtin:ArgumentsAdaptorTrampoline\n",
        ));
        let at = |address| map.lookup(address).unwrap_or_default();
        let place = |s: Symbol| (s.function.unwrap(), s.language, s.module.unwrap(), s.line);
        assert_eq!(place(at(0x1000)), ("leaf".into(), Some("python".into()), "app.py".into(), None));
        assert_eq!(place(at(0x2000)), ("leafJs".into(), Some("js".into()), "file.js".into(), Some(3)));
        assert_eq!(place(at(0x3000)), ("emit".into(), Some("js".into()), "node:events".into(), Some(495)));
        assert_eq!(place(at(0x4000)), ("(anonymous)".into(), Some("js".into()), "file.js".into(), Some(1)));
        assert_eq!(
            place(at(0x5000)),
            ("Builtin:ArgumentsAdaptorTrampoline".into(), None, "[jit]".into(), None)
        );
        assert_eq!(at(0x2000).raw_name.as_deref(), Some("JS:*leafJs /srv/file.js:3:12"));
    }
}
