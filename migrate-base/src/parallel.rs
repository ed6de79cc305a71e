//! Runs the same work on many items in parallel.

use std::iter;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism, scope};

/// Up to this many items, one thread does all the work, because another thread would cost more than it saves.
const FEW: usize = 128;

/// The maximum number of threads: the work waits for memory and the file system, not only for a processor.
const MOST: usize = 8;

/// How many items a thread takes at a time: a thread that gets little processor time leaves the rest to the others.
const PIECE: usize = 32;

/// The results of `each` for all items, in the order of the items.
pub fn map<'a, T: Sync, R: Send>(all: &'a [T], each: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let threads = match all.len() {
        0..=FEW => 1,
        count => available_parallelism().map_or(1, NonZero::get).min(MOST).min(count / FEW + 1),
    };
    if threads == 1 {
        return all.iter().map(each).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || all.chunks(PIECE).enumerate().nth(next.fetch_add(1, Ordering::Relaxed));
        iter::from_fn(take).map(|(at, piece)| (at, piece.iter().map(&each).collect())).collect()
    };
    let mut pieces: Vec<(usize, Vec<R>)> = scope(|scope| {
        // If the system cannot start another thread, the existing threads do its share as well.
        let others: Vec<_> = (1..threads).filter_map(|_| Builder::new().spawn_scoped(scope, work).ok()).collect();
        let own: Vec<_> = work();
        let others = others.into_iter().flat_map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        own.into_iter().chain(others).collect()
    });
    pieces.sort_unstable_by_key(|(at, _)| *at);
    pieces.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_what_they_are_of() {
        for count in [0, 1, FEW, FEW + 1, 5 * FEW + 3, 20 * FEW] {
            let all: Vec<usize> = (0..count).collect();
            assert_eq!(map(&all, |n| n * 2), all.iter().map(|n| n * 2).collect::<Vec<_>>());
        }
    }
}
