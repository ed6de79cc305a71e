//! Random schemas: statements of a grammar, so that two schemas share names but differ in meaning.

mod grammar;

use std::fmt::Write as _;

use grammar::Grammar;

/// Two schemas. Statements that the server refuses are left out.
#[derive(Debug, Clone)]
pub(super) struct RandomPair {
    items: Vec<GrammarItem>,
}

/// A statement, with its form in each of the two schemas, if it has one.
#[derive(Debug, Clone)]
struct GrammarItem {
    section: usize,
    forms: [Option<Picks>; 2],
}

/// The alternative at each choice in the grammar; the first one after the end of the list.
pub(super) type Picks = Vec<u8>;

/// A random generator, deterministic for a seed.
struct Chance(u64);

impl Chance {
    /// See <https://prng.di.unimi.it/splitmix64.c>.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn picks(&mut self) -> Picks {
        (0..40).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

impl RandomPair {
    /// The pair with a number; always the same one.
    pub(super) fn draw(seed: u64, number: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ number);
        chance.next();
        let grammar = Grammar::shared();
        let drawn: Vec<usize> =
            (0..4 + chance.below(44)).map(|_| grammar.section(chance.below(grammar.weight()))).collect();
        let mut items: Vec<GrammarItem> =
            drawn.into_iter().map(|section| GrammarItem::draw(&mut chance, section, 10)).collect();
        items.extend(grammar.always().map(|section| GrammarItem::draw(&mut chance, section, 40)));
        items.sort_by_key(|item| item.section);
        Self { items }
    }

    /// The statements of the first (0) or the second (1) schema.
    pub(super) fn statements(&self, side: usize) -> Vec<String> {
        let grammar = Grammar::shared();
        let forms = self.items.iter().filter_map(|item| Some((item.section, item.forms[side].as_ref()?)));
        forms.map(|(section, picks)| grammar.statement(section, picks)).collect()
    }

    /// Its size, to see how far it was shrunk.
    pub(super) fn size(&self) -> usize {
        self.items.iter().flat_map(|item| &item.forms).flatten().map(|picks| 1 + picks.len()).sum()
    }

    /// The same without what the server refuses; `taken` contains the statements of each schema that it
    /// accepts.
    pub(super) fn without_refused(&self, taken: &[Vec<String>; 2]) -> Self {
        let mut items = self.items.clone();
        for item in &mut items {
            for (form, taken) in item.forms.iter_mut().zip(taken) {
                let text = form.as_ref().map(|picks| Grammar::shared().statement(item.section, picks));
                form.take_if(|_| !text.is_some_and(|text| taken.contains(&text)));
            }
        }
        items.retain(|item| item.forms.iter().any(Option::is_some));
        Self { items }
    }

    /// Smaller pairs, much smaller ones first.
    pub(super) fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut chunk = self.items.len();
        while chunk > 0 {
            for first in (0..self.items.len()).step_by(chunk) {
                let mut items = self.items.clone();
                items.drain(first..(first + chunk).min(items.len()));
                all.push(Self { items });
            }
            chunk /= 2;
        }
        for at in 0..self.items.len() {
            all.extend(self.items[at].simpler().into_iter().map(|item| {
                let mut items = self.items.clone();
                items[at] = item;
                Self { items }
            }));
        }
        all
    }

    /// Both schemas as scripts.
    pub(super) fn script(statements: &[String]) -> String {
        let mut script = String::new();
        for statement in statements {
            let _ = writeln!(script, "{statement};");
        }
        script
    }
}

impl GrammarItem {
    /// Draws a statement. Out of this many, four are only in the first or the second schema, and two differ
    /// between them.
    fn draw(chance: &mut Chance, section: usize, of: usize) -> Self {
        let picks = chance.picks();
        let forms = match chance.below(of) {
            0 | 1 => [Some(picks), None],
            2 | 3 => [None, Some(picks)],
            // The same object with a different property: the later picks differ.
            4 | 5 => {
                let mut other = picks.clone();
                other.truncate(chance.below(12));
                other.extend(chance.picks());
                [Some(picks), Some(other)]
            }
            _ => [Some(picks.clone()), Some(picks)],
        };
        Self { section, forms }
    }

    fn simpler(&self) -> Vec<Self> {
        let used = |picks: &Picks| Grammar::shared().used(self.section, picks);
        let with = |forms: [Option<Picks>; 2]| Self { section: self.section, forms };
        let mut all = Vec::new();
        if let [Some(first), Some(second)] = &self.forms {
            all.extend([with([Some(first.clone()), None]), with([None, Some(second.clone())])]);
            if first != second {
                all.push(with([Some(first.clone()), Some(first.clone())]));
            }
        }
        for side in 0..2 {
            let Some(picks) = &self.forms[side] else { continue };
            let is_shared = self.forms[0] == self.forms[1];
            if is_shared && side == 1 {
                continue;
            }
            let mut put = |picks: Picks| {
                let mut forms = self.forms.clone();
                forms[side] = Some(picks.clone());
                if is_shared {
                    forms[1] = Some(picks);
                }
                all.push(with(forms));
            };
            let used = used(picks);
            if picks.len() > used {
                put(picks[..used].to_vec());
                continue;
            }
            for at in (0..picks.len()).filter(|at| picks[*at] != 0) {
                let mut plainer = picks.clone();
                plainer[at] = 0;
                put(plainer);
            }
        }
        all
    }
}
