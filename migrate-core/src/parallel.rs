//! The same work on many things, on all processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread::{Builder, available_parallelism, scope};

/// What one thread does alone: for fewer, another thread costs more than it saves.
const FEW: usize = 128;

/// The most threads that take part: what is done here waits for memory and the file system, not only for a processor.
const MOST: usize = 8;

/// The results of `each` for all of these, in their order.
pub(crate) fn map<'a, T: Sync, R: Send>(all: &'a [T], each: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let threads = match all.len() {
        0..=FEW => 1,
        count => available_parallelism().map_or(1, NonZero::get).min(MOST).min(count / FEW + 1),
    };
    if threads == 1 {
        return all.iter().map(each).collect();
    }
    let (first, rest) = all.split_at(all.len().div_ceil(threads));
    let do_part = |part: &'a [T]| part.iter().map(&each).collect::<Vec<R>>();
    scope(|scope| {
        let parts = rest.chunks(first.len());
        // Where the system has no thread left, this one does that part as well.
        let others: Vec<_> =
            parts.map(|part| (part, Builder::new().spawn_scoped(scope, move || do_part(part)).ok())).collect();
        let mut results = do_part(first);
        for (part, thread) in others {
            results.extend(match thread {
                Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                None => do_part(part),
            });
        }
        results
    })
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
