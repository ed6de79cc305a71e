//! Nodes in a dependency cycle.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Nodes that wait for one another and for nothing else: the first strongly connected component that Tarjan's algorithm
/// finishes, on the way from a node to the nodes that it waits for.
///
/// See <https://en.wikipedia.org/wiki/Tarjan%27s_strongly_connected_components_algorithm>.
pub(super) fn of<'a, N: Ord + Hash + Clone>(start: &'a N, waits: impl Fn(&'a N) -> Vec<&'a N>) -> BTreeSet<N> {
    // For each visited node its number, and the lowest number that can be reached from it.
    let mut seen: HashMap<&N, (usize, usize)> = HashMap::from([(start, (0, 0))]);
    let mut stack: Vec<&N> = vec![start];
    let mut path: Vec<(&N, Vec<&N>)> = vec![(start, waits(start))];
    while let Some((node, rest)) = path.last_mut() {
        let node = *node;
        if let Some(next) = rest.pop() {
            match seen.get(next).copied() {
                Some((number, _)) => lower(&mut seen, node, number),
                None => {
                    let number = seen.len();
                    seen.insert(next, (number, number));
                    stack.push(next);
                    path.push((next, waits(next)));
                }
            }
            continue;
        }
        let (number, lowest) = seen.get(node).copied().unwrap_or_default();
        if number == lowest {
            return stack.into_iter().skip_while(|one| *one != node).cloned().collect();
        }
        path.pop();
        if let Some((above, _)) = path.last() {
            lower(&mut seen, above, lowest);
        }
    }
    BTreeSet::new()
}

fn lower<'a, N: Eq + Hash>(seen: &mut HashMap<&'a N, (usize, usize)>, node: &'a N, to: usize) {
    seen.entry(node).and_modify(|(_, lowest)| *lowest = to.min(*lowest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_circle_is_no_part_of_it() {
        // 0 waits for 1, which waits for 2 and 3; 2 and 1 wait for each other, and 3 and 4.
        let waits: HashMap<u8, Vec<u8>> =
            HashMap::from([(0, vec![1]), (1, vec![2, 3]), (2, vec![1]), (3, vec![4]), (4, vec![3])]);
        let of = |start: &u8| of(waits.get_key_value(start).unwrap().0, |node| waits[node].iter().collect());
        assert_eq!(of(&0), BTreeSet::from([3, 4]));
        assert_eq!(of(&2), BTreeSet::from([3, 4]));
        assert_eq!(super::of(&7, |_| Vec::new()), BTreeSet::from([7]));
    }
}
