//! Names of kernel code from `/proc/kallsyms`.
//!
//! Reading it takes the kernel some 60 ms, so it is read when the first kernel address is asked for.

use std::path::PathBuf;

use rs_schema::event::Symbol;

/// Why the kernel's functions cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelUnavailable {
    /// The file cannot be read.
    Unreadable,
    /// All addresses are hidden (`kernel.kptr_restrict`, or no CAP_SYSLOG).
    KptrRestrict,
}

impl KernelUnavailable {
    /// The reason as a stream words it.
    pub fn reason(self) -> &'static str {
        match self {
            KernelUnavailable::Unreadable => "kallsyms_unreadable",
            KernelUnavailable::KptrRestrict => "kptr_restrict",
        }
    }
}

/// The kernel's functions.
#[derive(Debug)]
pub struct KernelSymbols {
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    Unread,
    Read(Kallsyms),
    Unavailable(KernelUnavailable),
}

impl Default for KernelSymbols {
    fn default() -> Self {
        Self::new()
    }
}

impl KernelSymbols {
    /// The running kernel; nothing is read yet.
    pub fn new() -> Self {
        Self::from_path("/proc/kallsyms")
    }

    /// A file of the same format.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        KernelSymbols { path: path.into(), state: State::Unread }
    }

    /// The function at an address; `None` if it lies in none.
    pub fn lookup(&mut self, address: u64) -> Result<Option<Symbol>, KernelUnavailable> {
        if matches!(self.state, State::Unread) {
            self.state = match std::fs::read(&self.path) {
                Ok(bytes) => match Kallsyms::parse(&String::from_utf8_lossy(&bytes)) {
                    Ok(symbols) => State::Read(symbols),
                    Err(why) => State::Unavailable(why),
                },
                Err(_) => State::Unavailable(KernelUnavailable::Unreadable),
            };
        }
        match &self.state {
            State::Read(symbols) => Ok(symbols.lookup(address)),
            State::Unavailable(why) => Err(*why),
            State::Unread => Ok(None),
        }
    }
}

/// Parsed kallsyms: the start of each function, its name and module.
#[derive(Debug, Default)]
pub struct Kallsyms {
    /// Sorted by address.
    starts: Vec<(u64, Name)>,
    names: String,
    modules: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    start: u32,
    end: u32,
    /// Number of the module and one; 0 is the kernel proper.
    module: u32,
}

impl Kallsyms {
    /// Reads `ADDRESS TYPE NAME [MODULE]` lines; only code is kept.
    pub fn parse(text: &str) -> Result<Kallsyms, KernelUnavailable> {
        let mut symbols = Kallsyms::default();
        let mut hidden = 0;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            if !matches!(kind, "t" | "T" | "w" | "W") {
                continue;
            }
            if address == 0 {
                hidden += 1;
                continue;
            }
            let module = words.next().map_or(0, |module| symbols.module(module.trim_matches(['[', ']'])));
            let start = symbols.names.len() as u32;
            symbols.names.push_str(name);
            symbols.starts.push((address, Name { start, end: symbols.names.len() as u32, module }));
        }
        if symbols.starts.is_empty() {
            return Err(if hidden > 0 {
                KernelUnavailable::KptrRestrict
            } else {
                KernelUnavailable::Unreadable
            });
        }
        // Stable: of several names for one address the first stays first.
        symbols.starts.sort_by_key(|(address, _)| *address);
        symbols.starts.dedup_by_key(|(address, _)| *address);
        Ok(symbols)
    }

    /// The function at an address.
    pub fn lookup(&self, address: u64) -> Option<Symbol> {
        let index = self.starts.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (_, name) = self.starts[index];
        let function = &self.names[name.start as usize..name.end as usize];
        let module = match name.module.checked_sub(1) {
            Some(module) => format!("[{}]", self.modules[module as usize]),
            None => "[kernel]".to_owned(),
        };
        let key = crate::attribute::strip_suffixes(function);
        Some(Symbol {
            function: Some(key.to_owned()),
            display: (key != function).then(|| function.to_owned()),
            raw_name: Some(function.to_owned()),
            crate_name: Some("[kernel]".to_owned()),
            module: Some(module),
            ..Symbol::default()
        })
    }

    fn module(&mut self, name: &str) -> u32 {
        // The lines of a module follow each other.
        if self.modules.last().is_none_or(|last| last != name) {
            self.modules.push(name.to_owned());
        }
        self.modules.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
ffffffff81000000 T _stext
ffffffff81000100 t do_syscall_64
ffffffff81000100 t alias
ffffffff81000200 t vfs_read.cold
ffffffff82000000 D some_data
ffffffffc0000000 t ext4_read\t[ext4]
ffffffffc0000080 t ext4_write\t[ext4]
ffffffffc0100000 t ip_rcv\t[nf]
";

    #[test]
    fn functions_and_modules() {
        let symbols = Kallsyms::parse(TEXT).unwrap();
        let at = |address| symbols.lookup(address).map(|s| (s.function.unwrap(), s.module.unwrap()));
        assert_eq!(at(0xffff_ffff_8100_01ff), Some(("do_syscall_64".into(), "[kernel]".into())));
        assert_eq!(at(0xffff_ffff_8100_0200), Some(("vfs_read".into(), "[kernel]".into())));
        assert_eq!(at(0xffff_ffff_c000_0090), Some(("ext4_write".into(), "[ext4]".into())));
        assert_eq!(at(0xffff_ffff_c010_0000), Some(("ip_rcv".into(), "[nf]".into())));
        assert_eq!(at(0x1000), None);
    }

    #[test]
    fn hidden_addresses_are_a_reason_not_a_name() {
        let hidden = "0000000000000000 T _stext\n0000000000000000 t other\n";
        assert_eq!(Kallsyms::parse(hidden).unwrap_err(), KernelUnavailable::KptrRestrict);
        assert_eq!(Kallsyms::parse("").unwrap_err(), KernelUnavailable::Unreadable);
    }

    #[test]
    fn the_file_is_read_on_first_need() {
        let mut symbols = KernelSymbols::from_path("/nonexistent");
        assert_eq!(symbols.lookup(1), Err(KernelUnavailable::Unreadable));
    }
}
