// A module of places.rs that is a file.
pub trait Far {
    fn far(&self) -> u64;
}

impl Far for super::shapes::Circle {
    #[inline(never)]
    fn far(&self) -> u64 {
        std::hint::black_box(self.0 + 1)
    }
}

#[inline(never)]
pub fn helper(x: u64) -> u64 {
    std::hint::black_box(x + 2)
}
