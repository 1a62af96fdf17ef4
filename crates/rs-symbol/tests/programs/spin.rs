// A stack of known shape for tests/unwind.rs: 30 frames, then a stop.
unsafe extern "C" {
    fn raise(signal: i32) -> i32;
}

#[inline(never)]
fn recurse(depth: u32) -> u64 {
    let local = std::hint::black_box([u64::from(depth); 4]);
    let below = if depth == 1 {
        // SAFETY: stops this thread.
        unsafe { raise(19) as u64 }
    } else {
        recurse(depth - 1)
    };
    std::hint::black_box(local)[2] + below
}

fn main() {
    println!("{}", recurse(30));
}
