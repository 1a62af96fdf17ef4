//! Async functions under a hand-written executor; the time belongs to the functions that wrote the bodies.
//!
//! | planted | % | what it is |
//! |---|---|---|
//! | `tasks::fetch` | 35 | an async fn that yields to the executor half way |
//! | `tasks::outer` | 20 | an async fn that works, then awaits `inner` |
//! | `tasks::inner` | 15 | always polled by `outer` |
//! | `<service::Server as service::Handle>::handle` | 12 | an async fn of a trait |
//! | `service::Server::serve` | 8 | an async method |
//! | `blocks::block` | 6 | an `async` block |
//! | `blocks::lambda` | 4 | an async closure |
//!
//! Futures are boxed, so every body keeps code of its own; its symbol is `...::{closure#0}`.

use rustscope_examples::{Args, Flag, Plan, Site};

mod executor {
    use std::future::Future;
    use std::hint::black_box;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    pub(crate) type Boxed<'a> = Pin<Box<dyn Future<Output = u64> + 'a>>;

    /// Hides the future's type, so that its body is not inlined into whoever polls it.
    pub(crate) fn boxed<'a>(future: impl Future<Output = u64> + 'a) -> Boxed<'a> {
        black_box(Box::pin(future))
    }

    /// Polls until the future is ready. Nothing here ever waits, so nobody needs waking.
    #[inline(never)]
    pub(crate) fn block_on(mut future: Boxed<'_>) -> u64 {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
        }
    }

    /// Gives way to the executor once.
    pub(crate) struct Yield(pub(crate) bool);

    impl Future for Yield {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
        }
    }
}

mod tasks {
    use super::executor::{Yield, boxed};
    use rustscope_examples::burn;

    pub(crate) async fn fetch(rounds: u64) -> u64 {
        let first = burn!(rounds / 2, 35, 13, 7, 17);
        Yield(false).await;
        burn!(rounds / 2, first, 23, 17, 26)
    }

    pub(crate) async fn outer(own: u64, below: u64) -> u64 {
        let mine = burn!(own, 20, 12, 25, 27);
        boxed(inner(below)).await ^ mine
    }

    async fn inner(rounds: u64) -> u64 {
        burn!(rounds, 15, 5, 15, 27)
    }
}

mod service {
    use rustscope_examples::burn;

    pub(crate) trait Handle {
        async fn handle(&self, rounds: u64) -> u64;
    }

    pub(crate) struct Server;

    impl Handle for Server {
        async fn handle(&self, rounds: u64) -> u64 {
            burn!(rounds, 12, 7, 9, 8)
        }
    }

    impl Server {
        pub(crate) async fn serve(&self, rounds: u64) -> u64 {
            burn!(rounds, 8, 17, 23, 13)
        }
    }
}

mod blocks {
    use super::executor::{block_on, boxed};
    use rustscope_examples::burn;

    #[inline(never)]
    pub(crate) fn block(rounds: u64) -> u64 {
        block_on(boxed(async move { burn!(rounds, 6, 11, 5, 32) })) ^ 1
    }

    #[inline(never)]
    pub(crate) fn lambda(rounds: u64) -> u64 {
        let closure = async |rounds: u64| burn!(rounds, 4, 10, 13, 21);
        block_on(boxed(closure(rounds))) ^ 1
    }
}

use executor::{block_on, boxed};
use service::{Handle, Server};

const FETCH: Site = Site::rust("truth_async::tasks::fetch", "truth_async::tasks").under(BLOCK_ON);
const OUTER: Site = Site::rust("truth_async::tasks::outer", "truth_async::tasks").under(BLOCK_ON);
const INNER: Site = Site::rust("truth_async::tasks::inner", "truth_async::tasks").under(OUTER_AND_BLOCK_ON);
const HANDLE: Site = Site::rust(
    "<truth_async::service::Server as truth_async::service::Handle>::handle",
    "truth_async::service",
)
.under(BLOCK_ON);
const SERVE: Site = Site::rust("truth_async::service::Server::serve", "truth_async::service").under(BLOCK_ON);
const BLOCK: Site = Site::rust("truth_async::blocks::block", "truth_async::blocks").under(BLOCK_ON);
const LAMBDA: Site = Site::rust("truth_async::blocks::lambda", "truth_async::blocks").under(BLOCK_ON);
const BLOCK_ON: &[(&str, &str)] = &[("truth_async::executor::block_on", "truth_async::executor")];
const OUTER_AND_BLOCK_ON: &[(&str, &str)] =
    &[("truth_async::tasks::outer", "truth_async::tasks"), BLOCK_ON[0]];

fn main() {
    let args = Args::parse(
        "Async functions with known shares under a small executor.",
        &[Flag::number("seconds", 1.5, "CPU time to spend")],
    );
    Plan::new()
        .plant(35.0, FETCH, |rounds| block_on(boxed(tasks::fetch(rounds))))
        .plant(20.0, OUTER, |rounds| block_on(boxed(tasks::outer(rounds, 0))))
        .plant(15.0, INNER, |rounds| block_on(boxed(tasks::outer(0, rounds))))
        .plant(12.0, HANDLE, |rounds| block_on(boxed(Server.handle(rounds))))
        .plant(8.0, SERVE, |rounds| block_on(boxed(Server.serve(rounds))))
        .plant(6.0, BLOCK, blocks::block)
        .plant(4.0, LAMBDA, blocks::lambda)
        .run(args.number("seconds"))
        .print("truth_async");
}
