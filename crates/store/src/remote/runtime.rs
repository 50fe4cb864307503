//! Waits for requests from threads that know no runtime, or that belong to another one.

use std::sync::{LazyLock, mpsc};

use tokio::runtime::{Builder, Runtime};

/// Threads that drive requests; they wait for the network and seldom compute.
const THREADS: usize = 2;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("object-storage").enable_all().build();
    built.expect("the system gives a process two threads")
});

/// Runs a future to its end, on threads of its own: a runtime must not be entered from within another one.
pub(super) fn wait_for<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (answer, answered) = mpsc::sync_channel(1);
    RUNTIME.spawn(async move {
        let _ = answer.send(future.await);
    });
    answered.recv().expect("a request neither panics nor is cancelled")
}
