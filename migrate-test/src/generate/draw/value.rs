//! The value of one column: NULL, a special value if it is its turn, or any that satisfies the requirements.

use migrate_base::ident::literal;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::requirements::DraftRequirements;
use super::{ConstantPlacement, RowDraft};
use crate::generate::context::pick;
use crate::generate::dice::{Decks, Dice};
use crate::generate::spec::ColumnSpec;
use crate::generate::typical::{self, TURNS, ValueReach};
use crate::generate::values::{self, ValueOptions};
use crate::generate::wish::{ColumnRequirements, ValueKind};

/// A value for a column; `None` leaves it to the server.
pub(super) fn value(
    draft: &RowDraft<'_>,
    runner: &mut TestRunner,
    decks: &mut Decks,
    column: &ColumnSpec,
    asked: &DraftRequirements,
) -> Option<String> {
    let RowDraft { schema, taste, round, whole, .. } = *draft;
    let none = ColumnRequirements::default();
    let wish = asked.wishes.get(&column.name).unwrap_or(&none);
    let chance = pick(runner, 10);
    if wish.null == Some(true) {
        return Some("NULL".to_owned());
    }
    if asked.aimed.contains(&column.name) {
        return aimed(draft, runner, decks, column, wish);
    }
    let must = wish.null == Some(false);
    let known = wish.values(&column.base, taste.serial).is_some();
    if column.counted && !known {
        // A small number would conflict with the next number from the sequence.
        let is_beyond = whole || chance < 3 || is_turn(draft, &column.name);
        return is_beyond.then(|| column.beyond(taste.serial).to_string());
    }
    if column.nullable && !must && is_turn(draft, &column.name) {
        return Some("NULL".to_owned());
    }
    let is_related = asked.related.contains(&column.name);
    if let Some(text) = special(draft, decks, column, wish, is_related) {
        return Some(literal(&text));
    }
    if column.has_default && !whole && !must && !is_related && (round % 2 == 1 || chance < 4) {
        return None;
    }
    // The later rounds try NULL wherever it is allowed.
    if column.nullable && !must && (chance < 1 || (round > 2 && !known && chance < 7)) {
        return Some("NULL".to_owned());
    }
    let type_name = if known { &column.base } else { &column.type_name };
    // Typical values of these types have their own turn, and a value that occurs twice can cause the row to be
    // refused.
    let is_typical = matches!(ValueKind::of(&column.base), ValueKind::Text | ValueKind::Integer | ValueKind::Number);
    let taste = ValueOptions { awkward: taste.awkward && !is_typical, ..taste };
    let text = values::strategy(schema, type_name, wish, taste).new_tree(runner).ok()?.current();
    Some(literal(&text))
}

/// A value that satisfies the aim of the row, or an ordinary one.
fn aimed(
    draft: &RowDraft<'_>,
    runner: &mut TestRunner,
    decks: &mut Decks,
    column: &ColumnSpec,
    wish: &ColumnRequirements,
) -> Option<String> {
    let few: Vec<String> = values::few(draft.schema, &column.base);
    let open: Vec<&String> = few.iter().filter(|one| !wish.refuses(one) && wish.admits(&literal(one))).collect();
    if !open.is_empty() {
        let mut dice = Dice::new(draft.taste.dice);
        return Some(literal(open[decks.deal(&format!("aim of {}", column.name), open.len(), &mut dice)]));
    }
    let known = wish.values(&column.base, draft.taste.serial).is_some();
    let type_name = if known { &column.base } else { &column.type_name };
    let taste = ValueOptions { awkward: false, ..draft.taste };
    Some(literal(&values::strategy(draft.schema, type_name, wish, taste).new_tree(runner).ok()?.current()))
}

/// A special value if it is its turn in this row: one of the few values of the type, a constant that scripts
/// compare the column with, or a typical value of the type.
fn special(
    draft: &RowDraft<'_>,
    decks: &mut Decks,
    column: &ColumnSpec,
    wish: &ColumnRequirements,
    is_related: bool,
) -> Option<String> {
    let RowDraft { schema, taste, uses, round, .. } = *draft;
    let (sort, turn) = (ValueKind::of(&column.base), turn(draft, &column.name));
    let mut dice = Dice::new(taste.dice ^ (turn as u64) << 32);
    let mut deal = |what: &str, n: usize| decks.deal(&format!("{what} {}", column.name), n, &mut dice);
    let is_open = wish.exactly.is_empty() && wish.readable.is_none();
    let few = values::few(schema, &column.base);
    let is_left = column.has_default && taste.serial % 5 == 4;
    if is_open && !few.is_empty() && !is_left {
        return few.get(deal("value of", few.len())).filter(|text| !wish.refuses(text)).cloned();
    }
    let is_constant = match draft.constants {
        ConstantPlacement::Everywhere => true,
        ConstantPlacement::InTurn => turn % 2 == 1 && round < 2,
        ConstantPlacement::Nowhere => false,
    };
    if is_open && taste.reach != ValueReach::Plain && is_constant {
        let is_number = matches!(sort, ValueKind::Integer | ValueKind::Number);
        let fits = |text: &&String| !is_number || text.parse::<f64>().is_ok();
        let constants: Vec<&String> = uses.constants(&column.name).into_iter().flatten().filter(fits).collect();
        if !constants.is_empty() {
            return constants.get(deal("constant of", constants.len())).map(|text| (*text).clone());
        }
    }
    if taste.reach == ValueReach::Plain || round > 1 {
        return None;
    }
    if let Some(shape) = uses.shape(&column.name).filter(|shape| sort == ValueKind::Json && wish.shape == **shape) {
        return typical::document(shape, turn, taste.serial).filter(|_| !draft.strict);
    }
    if sort == ValueKind::Text
        && turn == 2
        && wish.exactly.is_empty()
        && let Some(first) = wish.first()
    {
        return Some(first);
    }
    let reach = if is_related { ValueReach::Full } else { taste.reach };
    typical::typical(&column.base, turn, reach).filter(|text| wish.allows(sort, text))
}

/// Whether this is the row in which the column is NULL if possible, and a number outside of the sequence if it
/// comes from one. Among the first rows of a table there is such a row for every column, because a migration
/// must not succeed by luck.
pub(super) fn is_turn(draft: &RowDraft<'_>, column: &str) -> bool {
    turn(draft, column) == TURNS - 1
}

fn turn(draft: &RowDraft<'_>, column: &str) -> usize {
    let position = draft.table.columns.iter().position(|known| known.name == column).unwrap_or_default();
    (draft.taste.serial as usize + position) % TURNS
}
