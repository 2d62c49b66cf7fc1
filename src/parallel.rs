//! The same for many values, on several threads.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Values for which a thread is worth its start, where each takes some microseconds.
const LEAST_FOR_A_THREAD: usize = 64;

/// What `run` makes of each item, in their order, on as many threads as there are processors to use. Few items stay
/// on this one.
pub fn map<T: Sync, R: Send>(items: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let shares: Vec<(&[T], Mutex<Vec<R>>)> =
        items.chunks(share(items.len())).map(|share| (share, Mutex::default())).collect();
    on_threads(shares.len(), &|number| {
        let (share, results) = &shares[number];
        let done = share.iter().map(&run).collect();
        *results.lock().unwrap_or_else(PoisonError::into_inner) = done;
    });
    let results = shares.into_iter().map(|(_, results)| results.into_inner());
    results.flat_map(|share| share.unwrap_or_else(PoisonError::into_inner)).collect()
}

/// How many of so many items each thread takes.
fn share(count: usize) -> usize {
    if count < 2 * LEAST_FOR_A_THREAD {
        return count.max(1);
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    count.div_ceil(threads).max(LEAST_FOR_A_THREAD)
}

/// Does the work of each number below `count`, each on a thread of its own, the first on this one. What threads take
/// in code is here once, whatever the work.
fn on_threads(count: usize, work: &(dyn Fn(usize) + Sync)) {
    thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|number| scope.spawn(move || work(number))).collect();
        if count > 0 {
            work(0);
        }
        for other in others {
            other.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_stand_in_the_order_of_their_items() {
        for count in [0, 1, 127, 128, 129, 1000] {
            let numbers: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = (0..count).map(|number| 2 * number).collect();
            assert_eq!(map(&numbers, |number| 2 * number), doubled);
        }
    }

    #[test]
    #[should_panic(expected = "the last item")]
    fn a_panic_on_any_thread_goes_on_here() {
        map(&(0..1000).collect::<Vec<i32>>(), |number| assert!(*number < 999, "the last item"));
    }
}
