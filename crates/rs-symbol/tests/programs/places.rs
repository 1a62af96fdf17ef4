// Known functions for tests/flavours.rs whose module the legacy mangling leaves open.
mod placed_in_file;

pub mod shapes {
    pub struct Square(pub u64);
    pub struct Circle(pub u64);

    impl super::traits::Work for Square {
        #[inline(never)]
        fn work(&self) -> u64 {
            std::hint::black_box(self.0 + 1)
        }
    }

    impl Iterator for Square {
        type Item = u64;

        #[inline(never)]
        fn next(&mut self) -> Option<u64> {
            std::hint::black_box(Some(self.0 + 2))
        }
    }
}

pub mod traits {
    pub trait Work {
        fn work(&self) -> u64;

        #[inline(always)]
        fn inlined(&self) -> u64 {
            0
        }
    }

    impl Work for super::shapes::Circle {
        #[inline(never)]
        fn work(&self) -> u64 {
            std::hint::black_box(self.0 + 3)
        }

        #[inline(always)]
        fn inlined(&self) -> u64 {
            std::hint::black_box(std::hint::black_box(self.0) * 31)
        }
    }

    impl Work for u64 {
        #[inline(never)]
        fn work(&self) -> u64 {
            std::hint::black_box(*self + 4)
        }
    }

    impl<T> Work for Vec<T> {
        #[inline(never)]
        fn work(&self) -> u64 {
            std::hint::black_box(self.len() as u64 + 5)
        }
    }
}

pub mod scopes {
    #[inline(never)]
    pub fn host(x: u64) -> u64 {
        #[inline(never)]
        fn guest(x: u64) -> u64 {
            std::hint::black_box(x + 6)
        }
        struct Local(u64);
        impl super::traits::Work for Local {
            #[inline(never)]
            fn work(&self) -> u64 {
                std::hint::black_box(self.0 + 7)
            }
        }
        std::hint::black_box(guest(x) + dynamic(&Local(x)).work())
    }

    // Has no symbol: it is inlined.
    #[inline(always)]
    pub fn inlined_host(x: u64) -> u64 {
        #[inline(never)]
        fn second_guest(x: u64) -> u64 {
            std::hint::black_box(x + 8)
        }
        second_guest(std::hint::black_box(x))
    }

    #[inline(never)]
    pub fn dynamic(work: &dyn super::traits::Work) -> &dyn super::traits::Work {
        std::hint::black_box(work)
    }
}

pub mod service {
    pub trait Handle {
        async fn handle(&self) -> u64;
    }

    pub mod server {
        pub struct Server(pub u64);
    }

    impl Handle for server::Server {
        async fn handle(&self) -> u64 {
            std::hint::black_box(self.0 + 9)
        }
    }
}

// A function with the name of a module beside it.
#[inline(never)]
pub fn placed_in_file(x: u64) -> u64 {
    std::hint::black_box(x + 10)
}

#[inline(never)]
pub fn with_inlined(circle: &shapes::Circle) -> u64 {
    use traits::Work;
    std::hint::black_box(circle.inlined())
}

fn main() {
    use placed_in_file::Far;
    use scopes::dynamic;
    use service::Handle;
    let (mut square, circle) = (shapes::Square(1), shapes::Circle(2));
    let server = service::server::Server(3);
    let future: std::pin::Pin<Box<dyn Future<Output = u64>>> = Box::pin(server.handle());
    let mut future = std::hint::black_box(future);
    let polled = future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let total = dynamic(&square).work()
        + dynamic(&circle).work()
        + dynamic(&4u64).work()
        + dynamic(&vec![5u8]).work()
        + square.next().unwrap_or(0)
        + scopes::host(6)
        + scopes::inlined_host(7)
        + placed_in_file(8)
        + placed_in_file::helper(9)
        + circle.far()
        + with_inlined(&circle);
    println!("{total} {polled:?}");
}
