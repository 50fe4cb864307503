//! Work on many items by several threads that do not hold the interpreter.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How often Python is asked whether Ctrl-C was pressed.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);
/// Chunks of items that each thread takes, so that none is left with all the long ones.
const CHUNKS_PER_THREAD: usize = 16;
/// Items of a chunk, at most.
const MAX_CHUNK_ITEMS: usize = 1024;
/// The same where an item may take a millisecond.
const MAX_CHUNK_PAGES: usize = 16;

/// The number of threads that a caller asks for: by default one for each core that this process may use.
pub(crate) fn threads(asked: Option<NonZero<usize>>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// Calls `work` with chunks of at most [`MAX_CHUNK_ITEMS`] of the items, and returns its results in their order. Each thread makes a worker of its own.
///
/// # Errors
/// What a signal handler raised, such as `KeyboardInterrupt`; the threads end after the chunks at hand.
pub(crate) fn map_chunks<I: Sync, W, O: Send>(
    py: Python<'_>,
    items: &[I],
    threads: usize,
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &[I]) -> O + Sync,
) -> PyResult<Vec<O>> {
    map_chunks_of(py, items, (threads, MAX_CHUNK_ITEMS), worker, work)
}

fn map_chunks_of<I: Sync, W, O: Send>(
    py: Python<'_>,
    items: &[I],
    (threads, max_chunk_items): (usize, usize),
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &[I]) -> O + Sync,
) -> PyResult<Vec<O>> {
    py.detach(|| {
        if items.len() <= 1 {
            // Not worth a thread.
            return Ok(items.chunks(1).map(|item| work(&mut worker(), item)).collect());
        }
        let size = items.len().div_ceil(threads * CHUNKS_PER_THREAD).clamp(1, max_chunk_items);
        let chunks = items.len().div_ceil(size);
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (give, results) = channel::<(usize, O)>();
        std::thread::scope(|scope| {
            let (next, stop, worker, work) = (&next, &stop, &worker, &work);
            let spawn = |give: std::sync::mpsc::Sender<(usize, O)>| {
                scope.spawn(move || {
                    let mut own = worker();
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(chunk) = items.chunks(size).nth(number) else { return };
                        if give.send((number, work(&mut own, chunk))).is_err() {
                            return;
                        }
                    }
                })
            };
            let handles: Vec<_> = (0..threads.min(chunks)).map(|_| spawn(give.clone())).collect();
            drop(give);
            let mut done: Vec<(usize, O)> = Vec::with_capacity(chunks);
            let received = receive(&results, |result| done.push(result));
            stop.store(received.is_err(), Ordering::Relaxed);
            for handle in handles {
                // A panic goes on here, where it becomes an exception.
                handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            received?;
            done.sort_unstable_by_key(|(number, _)| *number);
            Ok(done.into_iter().map(|(_, result)| result).collect())
        })
    })
}

/// Receives until all senders are gone, or a signal handler raises.
fn receive<T>(results: &std::sync::mpsc::Receiver<T>, mut each: impl FnMut(T)) -> PyResult<()> {
    let mut asked = Instant::now();
    loop {
        match results.recv_timeout(SIGNALS_EVERY) {
            Ok(result) => each(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        if asked.elapsed() >= SIGNALS_EVERY {
            Python::attach(|py| py.check_signals())?;
            asked = Instant::now();
        }
    }
}

/// As [`map_chunks`], item by item. Items may be whole pages, so chunks are small: their end is when Ctrl-C is heard.
pub(crate) fn map<I: Sync, O: Send>(
    py: Python<'_>,
    items: &[I],
    threads: usize,
    work: impl Fn(&I) -> O + Sync,
) -> PyResult<Vec<O>> {
    let limits = (threads, MAX_CHUNK_PAGES);
    let chunks = map_chunks_of(py, items, limits, || (), |(), chunk| chunk.iter().map(&work).collect::<Vec<O>>())?;
    Ok(chunks.into_iter().flatten().collect())
}

/// Things that are costly to make, and lent to one thread at a time.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(crate) fn new() -> Pool<T> {
        Pool(Mutex::new(Vec::new()))
    }

    /// One that lies here, or a new one.
    pub(crate) fn lend(&self, new: impl FnOnce() -> T) -> Lent<'_, T> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { item: Some(idle.unwrap_or_else(new)), pool: self }
    }

    /// All that are not lent.
    pub(crate) fn into_idle(self) -> Vec<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thing of a pool, which gets it back in the end.
pub(crate) struct Lent<'p, T> {
    item: Option<T>,
    pool: &'p Pool<T>,
}

impl<T> std::ops::Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect("taken when it is dropped")
    }
}

impl<T> std::ops::DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("taken when it is dropped")
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        // What panicked may be half changed.
        if !std::thread::panicking() {
            self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).extend(self.item.take());
        }
    }
}
