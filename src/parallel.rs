//! The same for many values, on several threads.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

/// Values for which a thread is worth its start, where each takes some microseconds.
const LEAST_FOR_A_THREAD: usize = 64;

/// What `run` makes of each item, in their order, on as many threads as there are processors to use. Few items stay
/// on this one.
pub fn map<T: Sync, R: Send>(items: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = |share: &[T]| share.iter().map(&run).collect::<Vec<R>>();
    if items.len() < 2 * LEAST_FOR_A_THREAD {
        return work(items);
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(LEAST_FOR_A_THREAD);
    let (own, others) = items.split_at(share.min(items.len()));
    thread::scope(|scope| {
        let others: Vec<_> = others.chunks(share).map(|share| scope.spawn(|| work(share))).collect();
        let mut done = work(own);
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    })
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
