//! What a program knows about its own profile, and how it says so.

use std::fmt::Write as _;

use crate::clock::process_cpu_ns;

/// A function as a profiler must name it.
#[derive(Clone, Copy)]
pub struct Site {
    function: &'static str,
    module: Option<&'static str>,
    legacy_module: Option<&'static str>,
    also: Option<&'static str>,
    mapping: Option<&'static str>,
    inlined_into: &'static [(&'static str, &'static str)],
    under: &'static [(&'static str, &'static str)],
}

impl Site {
    /// A Rust function: its key, and the module its code is written in.
    pub const fn rust(function: &'static str, module: &'static str) -> Site {
        Site {
            function,
            module: Some(module),
            legacy_module: None,
            also: None,
            mapping: None,
            inlined_into: &[],
            under: &[],
        }
    }

    /// A C function and the file name of the binary it is mapped from.
    pub const fn c(function: &'static str, mapping: &'static str) -> Site {
        Site {
            function,
            module: None,
            legacy_module: None,
            also: None,
            mapping: Some(mapping),
            inlined_into: &[],
            under: &[],
        }
    }

    /// The module a profiler may name when all it has is a legacy symbol, which cannot tell.
    pub const fn legacy_module(mut self, module: &'static str) -> Site {
        self.legacy_module = Some(module);
        self
    }

    /// Another spelling that is as good.
    pub const fn also(mut self, function: &'static str) -> Site {
        self.also = Some(function);
        self
    }

    /// Has no code of its own: inlined through these (function, module), the last of which is the physical one.
    pub const fn inlined_into(mut self, chain: &'static [(&'static str, &'static str)]) -> Site {
        self.inlined_into = chain;
        self
    }

    /// These (function, module) are on the stack whenever this function works.
    pub const fn under(mut self, callers: &'static [(&'static str, &'static str)]) -> Site {
        self.under = callers;
        self
    }
}

struct Row {
    site: Site,
    self_ns: u64,
    total_ns: u64,
    intended_ns: f64,
}

/// Where the time went, by function.
#[derive(Default)]
pub struct Truth {
    rows: Vec<Row>,
    threads: Vec<(String, u64)>,
}

impl Truth {
    /// Adds time spent in a function itself, and to the total of those it is under.
    pub fn add(&mut self, site: Site, self_ns: u64, intended_ns: f64) {
        let row = self.row(site);
        row.site = site;
        row.self_ns += self_ns;
        row.total_ns += self_ns;
        row.intended_ns += intended_ns;
        for &(function, module) in site.inlined_into.iter().chain(site.under) {
            // A function that is under itself (recursion) has the time in its total already.
            if function != site.function {
                self.row(Site::rust(function, module)).total_ns += self_ns;
            }
        }
    }

    fn row(&mut self, site: Site) -> &mut Row {
        let index =
            self.rows.iter().position(|row| row.site.function == site.function).unwrap_or_else(|| {
                self.rows.push(Row { site, self_ns: 0, total_ns: 0, intended_ns: 0.0 });
                self.rows.len() - 1
            });
        &mut self.rows[index]
    }

    /// Adds what another part of the program, or another thread, knows.
    pub fn merge(&mut self, other: Truth) {
        for row in other.rows {
            let mine = self.row(row.site);
            if row.self_ns > 0 {
                mine.site = row.site;
            }
            mine.self_ns += row.self_ns;
            mine.total_ns += row.total_ns;
            mine.intended_ns += row.intended_ns;
        }
        self.threads.extend(other.threads);
    }

    /// Notes the CPU time of a named thread.
    pub fn thread(&mut self, name: String, cpu_ns: u64) {
        self.threads.push((name, cpu_ns));
    }

    /// Prints the one line of JSON.
    pub fn print(&self, program: &str) {
        println!("{}", self.to_json(program));
    }

    fn to_json(&self, program: &str) -> String {
        let total_ns: u64 = self.rows.iter().map(|row| row.self_ns).sum();
        let share = |ns: u64| ns as f64 / total_ns.max(1) as f64;
        let intended_ns: f64 = self.rows.iter().map(|row| row.intended_ns).sum();

        let rows: Vec<String> = self.rows.iter().map(|row| row_json(row, share, intended_ns)).collect();
        let mut json = format!(
            r#"{{"program":"{program}","total_ns":{total_ns},"process_cpu_ns":{},"truth":[{}]"#,
            process_cpu_ns(),
            rows.join(",")
        );
        if !self.threads.is_empty() {
            let threads: Vec<String> = self
                .threads
                .iter()
                .map(|(name, ns)| format!(r#"{{"name":"{name}","cpu_ns":{ns},"share":{:.6}}}"#, share(*ns)))
                .collect();
            let _ = write!(json, r#","threads":[{}]"#, threads.join(","));
        }
        json.push('}');
        json
    }
}

fn row_json(row: &Row, share: impl Fn(u64) -> f64, intended_ns: f64) -> String {
    let site = &row.site;
    let crate_name = site.module.map(|module| module.split("::").next().unwrap_or(module));
    let mut json = format!(
        r#"{{"function":"{}","crate":{},"module":{},"language":"{}""#,
        site.function,
        quoted(crate_name),
        quoted(site.module),
        if site.module.is_some() { "rust" } else { "c" }
    );
    for (name, value) in
        [("legacy_module", site.legacy_module), ("also", site.also), ("mapping", site.mapping)]
    {
        if value.is_some() {
            let _ = write!(json, r#","{name}":{}"#, quoted(value));
        }
    }
    let _ = write!(
        json,
        r#","self_ns":{},"total_ns":{},"share":{:.6},"total_share":{:.6},"intended":{:.6},"inlined":{}"#,
        row.self_ns,
        row.total_ns,
        share(row.self_ns),
        share(row.total_ns),
        row.intended_ns / intended_ns.max(1.0),
        !site.inlined_into.is_empty()
    );
    if !site.inlined_into.is_empty() {
        let chain: Vec<String> =
            site.inlined_into.iter().map(|(function, _)| quoted(Some(function))).collect();
        let _ = write!(json, r#","inlined_into":[{}]"#, chain.join(","));
    }
    json.push('}');
    json
}

fn quoted(text: Option<&str>) -> String {
    text.map_or("null".to_owned(), |text| format!("\"{text}\""))
}
