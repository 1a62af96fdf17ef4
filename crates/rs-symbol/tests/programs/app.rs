// Known functions for tests/flavours.rs: every kind of path that attribution has a rule for.
pub mod memory {
    #[inline(always)]
    pub fn leaf(x: u64) -> u64 {
        std::hint::black_box(x.wrapping_mul(31)) ^ x
    }

    #[inline(always)]
    pub fn middle(x: u64) -> u64 {
        leaf(x).wrapping_add(std::hint::black_box(7))
    }

    #[inline(never)]
    pub fn burn<T: Into<u64>>(x: T) -> u64 {
        let mut sum = x.into();
        for i in 0..10 {
            sum = std::hint::black_box(middle(sum ^ i));
        }
        leaf(sum)
    }

    pub struct Pool<T>(pub T);

    pub trait Work {
        fn go(&self) -> u64;

        #[inline(never)]
        fn by_default(&self) -> u64 {
            std::hint::black_box(self.go())
        }
    }

    mod implementation {
        impl<T: Copy + Into<u64>> super::Work for super::Pool<T> {
            #[inline(never)]
            fn go(&self) -> u64 {
                std::hint::black_box(super::burn(self.0))
            }
        }
    }

    impl<T: Copy + Into<u64>> Pool<T> {
        #[inline(never)]
        pub fn inherent(&self) -> u64 {
            #[inline(never)]
            fn nested(x: u64) -> u64 {
                std::hint::black_box(x + 1)
            }
            nested(self.0.into())
        }
    }

    #[inline(never)]
    pub fn with_closure(x: u64) -> u64 {
        let closure = |y: u64| std::hint::black_box(y + x);
        call(&closure)
    }

    #[inline(never)]
    fn call(f: &dyn Fn(u64) -> u64) -> u64 {
        std::hint::black_box(f)(3)
    }
}

pub mod server {
    #[inline(never)]
    pub async fn handler(x: u64) -> u64 {
        std::hint::black_box(x + 2)
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn exported_by_rust(x: u64) -> u64 {
    std::hint::black_box(x + 3)
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn main() {
    use memory::Work;
    let pool = memory::Pool(3u32);
    let boxed: Box<dyn Work> = Box::new(memory::Pool(4u8));
    let future: std::pin::Pin<Box<dyn std::future::Future<Output = u64>>> = Box::pin(server::handler(5));
    let total = pool.go()
        + pool.by_default()
        + pool.inherent()
        + boxed.go()
        + memory::with_closure(6)
        + block_on(future)
        + exported_by_rust(7);
    println!("{total}");
}
