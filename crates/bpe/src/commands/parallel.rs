//! Work on many items at once, with the results in the order of the items.

use std::collections::BTreeMap;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};

/// Gives every item to one of `threads` workers and calls `finish` on this thread with the results, in the
/// order of the items.
///
/// Items are read on a thread of their own, so that reading, work and writing overlap. At most `2 · threads + 2` items
/// and results are held at a time. `worker` is called once per thread to make a worker.
///
/// # Errors
/// The first in the order of the items: of reading an item, of its work, or of `finish`. Later results are discarded.
pub fn map_ordered<I, O, E, W>(
    items: impl Iterator<Item = Result<I, E>> + Send,
    threads: usize,
    worker: impl Fn() -> W + Sync,
    mut finish: impl FnMut(O) -> Result<(), E>,
) -> Result<(), E>
where
    I: Send,
    O: Send,
    E: Send,
    W: FnMut(I) -> Result<O, E>,
{
    let threads = threads.max(1);
    let held = 2 * threads + 2;
    let (give_item, take_item) = sync_channel::<(u64, Result<I, E>)>(threads);
    let take_item = Arc::new(Mutex::new(take_item));
    let (give_result, results) = channel::<(u64, Result<O, E>)>();
    // A permit for each item in flight: taken with the item, returned when its result is finished.
    let (give_place, take_place) = sync_channel::<()>(held);
    for _ in 0..held {
        give_place.send(()).expect("the channel has room for all places");
    }
    let worker = &worker;
    // Every channel is owned inside the scope: a thread that ends, for whatever reason, wakes those that wait for it.
    std::thread::scope(move |scope| {
        scope.spawn(move || {
            for (number, item) in (0..).zip(items) {
                let is_last = item.is_err();
                if take_place.recv().is_err() || give_item.send((number, item)).is_err() || is_last {
                    return;
                }
            }
        });
        for _ in 0..threads {
            let (take_item, give_result) = (take_item.clone(), give_result.clone());
            scope.spawn(move || {
                let mut work = worker();
                loop {
                    let next = take_item.lock().expect("no worker panics with it").recv();
                    let Ok((number, item)) = next else { return };
                    if give_result.send((number, item.and_then(&mut work))).is_err() {
                        return;
                    }
                }
            });
        }
        drop((take_item, give_result));
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&next) {
                next += 1;
                // After an error the channels are dropped, and the other threads end after their current work.
                result.and_then(&mut finish)?;
                let _ = give_place.try_send(());
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(items: Vec<Result<u32, String>>, threads: usize, expected: Result<Vec<u32>, String>) {
        let mut seen = Vec::new();
        let square = || {
            |n: u32| {
                std::thread::sleep(std::time::Duration::from_micros(u64::from(n * 7919 % 300)));
                if n == 77 { Err("77".to_owned()) } else { Ok(n * n) }
            }
        };
        let result = map_ordered(items.into_iter(), threads, square, |n| {
            seen.push(n);
            Ok(())
        });
        assert_eq!(result.map(|()| seen), expected);
    }

    #[test]
    fn results_come_in_the_order_of_items() {
        for threads in [1, 2, 7] {
            check((0..70).map(Ok).collect(), threads, Ok((0..70).map(|n| n * n).collect()));
            check(Vec::new(), threads, Ok(Vec::new()));
        }
    }

    #[test]
    fn the_first_fault_ends_it() {
        for threads in [1, 3] {
            check((0..200).map(Ok).collect(), threads, Err("77".into()));
            let items = (0..50).map(Ok).chain([Err("item".to_owned())]).chain((0..50).map(Ok));
            check(items.collect(), threads, Err("item".into()));
        }
    }
}
