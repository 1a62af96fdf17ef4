//! scratch
fn main() {
    let mut n = [0u64; 6];
    let quiet = std::env::args().nth(1).is_some();
    let t = std::time::Instant::now();
    for l in std::io::stdin().lines() {
        let l = l.expect("line");
        let s = rs_symbol::attribute(&l);
        n[0] += 1;
        if s.crate_name.is_some() { n[1] += 1 }
        if s.attribution.is_some() { n[2] += 1 }
        if s.language.as_deref() == Some("c") { n[3] += 1 }
        if s.language.as_deref() == Some("c++") { n[4] += 1 }
        if !quiet { println!("{l}\n  {} | {} | {} | {} | {:?} {:?}", s.function.as_deref().unwrap_or("-"), s.crate_name.as_deref().unwrap_or("-"), s.module.as_deref().unwrap_or("-"), s.language.as_deref().unwrap_or("-"), s.body, s.attribution); }
    }
    eprintln!("total {} crate {} estimated {} c {} c++ {} in {:?}", n[0], n[1], n[2], n[3], n[4], t.elapsed());
}
