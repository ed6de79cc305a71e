//! Random choices while strategies are assembled, and decks from which each card is dealt in turn.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A random generator.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dice {
    /// Its state: splitmix64, which produces unrelated numbers from adjacent seeds.
    Mixed(u64),
    /// Always the first alternative.
    First,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self::Mixed(seed)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        let Self::Mixed(state) = self else { return 0 };
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        if n == 0 { 0 } else { (mixed % n as u64) as usize }
    }
}

/// The alternatives of each choice, dealt like cards over the rows of a table: each alternative occurs once
/// before any occurs again.
#[derive(Debug, Default)]
pub(super) struct Decks {
    left: HashMap<u64, Vec<usize>>,
    /// What was dealt for the current row.
    hand: HashMap<u64, usize>,
}

impl Decks {
    /// Moves on to the next row.
    pub(super) fn next(&mut self) {
        self.hand.clear();
    }

    /// One of `n` alternatives of the choice with this name; the same for one row every time.
    pub(super) fn deal(&mut self, choice: &str, n: usize, dice: &mut Dice) -> usize {
        if n < 2 {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        (choice, n).hash(&mut hasher);
        let key = hasher.finish();
        if let Some(dealt) = self.hand.get(&key) {
            return *dealt;
        }
        let left = self.left.entry(key).or_default();
        if left.is_empty() {
            left.extend(0..n);
        }
        let card = left.swap_remove(dice.below(left.len()));
        self.hand.insert(key, card);
        card
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_for_seeds_that_are_next_to_each_other() {
        for n in 2..9 {
            let first: std::collections::BTreeSet<usize> = (0..200).map(|seed| Dice::new(seed).below(n)).collect();
            assert_eq!(first.len(), n);
        }
    }

    #[test]
    fn each_card_comes_once_before_one_comes_again() {
        let (mut decks, mut dice) = (Decks::default(), Dice::new(3));
        for _ in 0..4 {
            let mut dealt: Vec<usize> = (0..5)
                .map(|_| {
                    decks.next();
                    let card = decks.deal("a", 5, &mut dice);
                    assert_eq!(decks.deal("a", 5, &mut dice), card, "one row has one");
                    card
                })
                .collect();
            dealt.sort_unstable();
            assert_eq!(dealt, [0, 1, 2, 3, 4]);
        }
    }
}
