//! temporary
use object::{Object, ObjectSymbol};
use std::{fs::File, path::Path, sync::Arc, time::Instant};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).map_or(300, |n| n.parse().unwrap());
    let data = std::fs::read(&path).unwrap();
    let elf =
        object::read::elf::ElfFile::<object::elf::FileHeader64<object::LittleEndian>>::parse(&*data).unwrap();
    let mut all: Vec<u64> = elf
        .symbols()
        .filter(|s| s.size() > 0 && s.kind() == object::SymbolKind::Text)
        .map(|s| s.address() + s.size() / 2)
        .collect();
    all.sort();
    let step = (all.len() / n).max(1);
    let addresses: Vec<u64> = all.iter().copied().step_by(step).collect();
    let mut best = [f64::MAX; 2];
    let mut est = 0;
    let mut tot = 0;
    for _ in 0..5 {
        let image = Arc::new(rs_symbol::Image::open(File::open(&path).unwrap(), Path::new(&path)).unwrap());
        let mut s = rs_symbol::Symbolizer::new();
        let t = Instant::now();
        let r = s.symbolize_batch(&image, &addresses);
        best[0] = best[0].min(t.elapsed().as_secs_f64() * 1e3);
        let t = Instant::now();
        let _ = s.symbolize_batch(&image, &addresses);
        best[1] = best[1].min(t.elapsed().as_secs_f64() * 1e3);
        est = 0;
        tot = 0;
        for x in &r {
            for y in std::iter::once(&x.symbol).chain(&x.inlined_by) {
                tot += 1;
                est += usize::from(y.attribution.is_some());
                if std::env::args().nth(3).is_some() {
                    println!(
                        "{:?} {:?} {:?} {:?} {:?}",
                        y.function.as_deref().unwrap_or("-"),
                        y.module.as_deref().unwrap_or("-"),
                        y.crate_name.as_deref().unwrap_or("-"),
                        y.attribution,
                        y.file
                    );
                }
            }
        }
        if std::env::args().nth(3).is_some() {
            break;
        }
    }
    eprintln!(
        "{path} {} addresses first {:.1} ms again {:.1} ms; {est} of {tot} estimated",
        addresses.len(),
        best[0],
        best[1]
    );
}
