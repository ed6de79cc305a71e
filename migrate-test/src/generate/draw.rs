//! One row: first its foreign keys, then each column according to its requirements, then the requirements
//! between columns.

use std::collections::{BTreeMap, BTreeSet};

use migrate_base::ident::literal;
use migrate_schema::Schema;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::claims::{Claim, Claims};
use super::dice::{Decks, Dice};
use super::expr::{Expr, ExprForm};
use super::narrow::ValueNarrowing;
use super::pattern::Pattern;
use super::reading::TextReading;
use super::spec::{ColumnSpec, ForeignKey, TableSpec};
use super::typical::{self, TURNS, ValueReach};
use super::uses::ColumnUses;
use super::values::{self, FORMATS, ValueOptions};
use super::wish::{ColumnRequirements, ValueKind, mirrored};
use crate::rows::{DatabaseRows, TableName};

/// The values of a row, as SQL; columns that the server fills are not included.
pub(super) type GeneratedRow = BTreeMap<String, String>;

/// The row to be drawn.
#[derive(Clone, Copy)]
pub(super) struct RowDraft<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rows: &'a DatabaseRows,
    pub(super) table: &'a TableSpec,
    pub(super) uses: &'a ColumnUses,
    pub(super) taste: ValueOptions,
    /// How often rows of this table have been refused.
    pub(super) round: u32,
    /// Whether every column needs a value.
    pub(super) whole: bool,
    /// Whether texts and documents must have a form that can be parsed.
    pub(super) strict: bool,
    /// The columns that get plainer values.
    pub(super) narrow: Option<ValueNarrowing<'a>>,
    pub(super) constants: ConstantPlacement,
    /// Additional conditions on the row.
    pub(super) aim: &'a [Expr],
}

/// Where a row has the constants that its columns are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ConstantPlacement {
    /// In every other column.
    #[default]
    InTurn,
    Everywhere,
    /// In no column: typical values of the types are used instead.
    Nowhere,
}

impl RowDraft<'_> {
    /// The same for the value of one column.
    fn of(&self, column: &str) -> Self {
        let is_about = |narrow: &ValueNarrowing<'_>| narrow.columns.has(&self.table.name(), column);
        let Some(ValueNarrowing { reach, strict, .. }) = self.narrow.filter(is_about) else { return *self };
        let reach = self.taste.reach.max(reach);
        let (awkward, obedient) = (reach == ValueReach::Extreme, self.taste.obedient || strict);
        Self { taste: ValueOptions { reach, awkward, obedient, ..self.taste }, strict, ..*self }
    }
}

/// Draws a row around the values that it already has.
///
/// `fixed` contains the rows that are created at the same time; the keys of this row may have to reference
/// them.
pub(super) fn draw(
    draft: &RowDraft<'_>,
    runner: &mut TestRunner,
    decks: &mut Decks,
    fixed: &BTreeMap<TableName, GeneratedRow>,
    kept: GeneratedRow,
) -> GeneratedRow {
    let table = draft.table;
    let asked = DraftRequirements::of(draft, decks);
    let drawn_before = fixed.get(&table.name());
    let mut row = drawn_before.cloned().unwrap_or(kept);
    let is_own = |key: &&ForeignKey| key.table == table.name();
    for key in table.keys.iter().filter(|key| !is_own(key)) {
        reference(draft, key, fixed, &asked, &mut row);
    }
    for column in &table.columns {
        // If a foreign key to the table itself can be left empty, possibly only some of its columns are
        // nullable.
        let is_free = |key: &ForeignKey| key.table == table.name() && table.optional(key) && !column.nullable;
        let is_key = table.keys.iter().any(|key| key.columns.contains(&column.name) && !is_free(key));
        if !is_key
            && !row.contains_key(&column.name)
            && let Some(value) = value(&draft.of(&column.name), runner, decks, column, &asked)
        {
            row.insert(column.name.clone(), as_printed(column, value));
        }
    }
    for key in table.keys.iter().filter(is_own) {
        reference(draft, key, fixed, &asked, &mut row);
    }
    if drawn_before.is_none() {
        asked.relate(table, &mut row);
    }
    row
}

/// A document in the form in which jsonb prints it. A migration that converts `json` through jsonb cannot
/// restore the original formatting, and that is not a loss.
fn as_printed(column: &ColumnSpec, value: String) -> String {
    if column.base == "json" && value != "NULL" { format!("{value}::jsonb::json") } else { value }
}

/// The requirements on a row.
struct DraftRequirements {
    wishes: BTreeMap<String, ColumnRequirements>,
    /// The requirements that have to be computed from other columns, or by the server.
    relations: Vec<Claim>,
    related: BTreeSet<String>,
    /// The columns whose values the aim of the row defines.
    aimed: BTreeSet<String>,
}

impl DraftRequirements {
    fn of(draft: &RowDraft<'_>, decks: &mut Decks) -> Self {
        let mut claims = Claims::new(draft.taste.dice, Some(decks));
        draft.table.checks.iter().for_each(|(_, check)| claims.choose(check, true));
        let checks = claims.list.len();
        draft.aim.iter().for_each(|wanted| claims.choose(wanted, true));
        let aimed: BTreeSet<String> = claims.list[checks..].iter().flat_map(Claim::columns).collect();
        let (mut wishes, mut relations) = (BTreeMap::new(), Vec::new());
        for column in &draft.table.columns {
            let mut wish = ColumnRequirements::default();
            if let Some(shape) =
                draft.uses.shape(&column.name).filter(|_| ValueKind::of(&column.base) == ValueKind::Json)
            {
                wish.shape = shape.clone();
            }
            relations.extend(claims.list.iter().filter(|claim| !wish.take(claim, &column.name)).cloned());
            if ValueKind::of(&column.base) == ValueKind::Text {
                read(&draft.of(&column.name), column, &mut wish);
            }
            if aimed.contains(&column.name) {
                wish.null.get_or_insert(false);
            }
            wishes.insert(column.name.clone(), wish);
        }
        relations.retain(|claim| matches!(claim, Claim::Compare(..)));
        let is_relation = |claim: &&Claim| matches!(claim, Claim::Compare(..)) && claim.columns().len() > 1;
        relations.extend(claims.list.iter().filter(is_relation).cloned());
        let related = relations.iter().flat_map(Claim::columns).collect();
        // An inequality is satisfied if one side is less.
        relations.sort_by_key(|claim| matches!(claim, Claim::Compare(_, op, _) if op == "<>"));
        Self { wishes, relations, related, aimed }
    }

    fn null(&self, column: &str) -> Option<bool> {
        self.wishes.get(column)?.null
    }

    /// Sets columns to what other columns or constants require of them; each column is set once.
    fn relate(&self, table: &TableSpec, row: &mut GeneratedRow) {
        let mut pinned: BTreeSet<String> = table.keys.iter().flat_map(|key| key.columns.clone()).collect();
        for claim in &self.relations {
            let Claim::Compare(left, op, right) = claim else { continue };
            let sides = [(left, op.as_str(), right), (right, mirrored(op), left)];
            let set = sides.into_iter().find_map(|(side, op, other)| {
                let (column, other) = isolated(side, other, &pinned, table, row)?;
                let is_null = row.get(&column.name).is_some_and(|value| value == "NULL");
                Some((column.name.clone(), adjusted(op, &other, column)?)).filter(|_| !is_null)
            });
            if let Some((name, value)) = set {
                row.insert(name, value);
                pinned.extend(left.columns().chain(right.columns()).map(str::to_owned));
            }
        }
    }
}

/// Adds the formats in which the texts of a column are parsed.
fn read(draft: &RowDraft<'_>, column: &ColumnSpec, wish: &mut ColumnRequirements) {
    if draft.table.is_watched && draft.round > 1 {
        wish.constants.extend(draft.uses.words().cloned());
    }
    let suggested = draft.taste.format.and_then(|at| draft.uses.pattern(at.checked_sub(FORMATS)?));
    if let Some(pattern) = suggested.and_then(|text| Pattern::of("~", text)) {
        wish.suggest(pattern);
    }
    wish.readable = draft.uses.cast_to(&column.name).cloned();
    wish.respelled = draft.taste.reach != ValueReach::Plain;
    let to = wish.readable.as_ref().and_then(TextReading::type_name).unwrap_or_default();
    if to.ends_with("json") || to.ends_with("jsonb") {
        wish.shape = draft.uses.shape(&column.name).cloned().unwrap_or_default();
    }
}

/// A column that can be set freely, and what the other side is then compared with.
fn isolated<'a>(
    side: &Expr,
    other: &Expr,
    pinned: &BTreeSet<String>,
    table: &'a TableSpec,
    row: &GeneratedRow,
) -> Option<(&'a ColumnSpec, String)> {
    let value = |name: &str| {
        let column = table.columns.iter().find(|column| column.name == name)?;
        let value = row.get(name).filter(|value| *value != "NULL")?;
        Some(format!("({value})::{}", column.type_name))
    };
    let free = |name: &str| {
        let column = table.columns.iter().find(|column| column.name == name)?;
        (!pinned.contains(name) && !other.mentions(name)).then_some(column)
    };
    if let Some(column) = side.as_column().and_then(free) {
        return Some((column, other.with(&value)?));
    }
    let ExprForm::Op(sign, sides) = side.bare().form() else { return None };
    let [a, b] = sides.as_slice() else { return None };
    let back = match sign.as_str() {
        "+" => "-",
        "-" => "+",
        _ => return None,
    };
    if let Some(column) = a.as_column().and_then(free).filter(|column| !b.mentions(&column.name)) {
        return Some((column, format!("(({}) {back} ({}))", other.with(&value)?, b.with(&value)?)));
    }
    let column = b.as_column().and_then(free).filter(|column| sign == "+" && !a.mentions(&column.name))?;
    Some((column, format!("(({}) - ({}))", other.with(&value)?, a.with(&value)?)))
}

/// The value of a column that makes it less than this, or greater.
fn adjusted(op: &str, other: &str, column: &ColumnSpec) -> Option<String> {
    let strict = match op {
        "=" | "<=" | ">=" => return Some(format!("({other})")),
        ">" | "<>" => "+",
        "<" => "-",
        _ => return None,
    };
    let base = column.base.split('(').next().unwrap_or_default().trim();
    let other = format!("({other})::{}", column.base);
    Some(match (ValueKind::of(&column.base), base) {
        (ValueKind::Integer | ValueKind::Number, _) | (_, "date" | "inet") => format!("(({other}) {strict} 1)"),
        (_, "timestamp" | "timestamp without time zone" | "timestamp with time zone" | "interval") => {
            format!("(({other}) {strict} '1 hour'::interval)")
        }
        (_, base) if base.starts_with("time") => format!("(({other}) {strict} '1 minute'::interval)"),
        (ValueKind::Text, _) if strict == "+" => format!("(({other}) || 'a')"),
        (ValueKind::Text, _) => "''".to_owned(),
        (_, "uuid") if strict == "+" => "'ffffffff-ffff-ffff-ffff-ffffffffffff'".to_owned(),
        (_, "uuid") => "'00000000-0000-0000-0000-000000000000'".to_owned(),
        (_, "boolean") => format!("(NOT ({other}))"),
        _ => return None,
    })
}

/// A value for a column; `None` leaves it to the server.
fn value(
    draft: &RowDraft<'_>,
    runner: &mut TestRunner,
    decks: &mut Decks,
    column: &ColumnSpec,
    asked: &DraftRequirements,
) -> Option<String> {
    let RowDraft { schema, taste, round, whole, .. } = *draft;
    let none = ColumnRequirements::default();
    let wish = asked.wishes.get(&column.name).unwrap_or(&none);
    let chance = super::pick(runner, 10);
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
fn is_turn(draft: &RowDraft<'_>, column: &str) -> bool {
    turn(draft, column) == TURNS - 1
}

fn turn(draft: &RowDraft<'_>, column: &str) -> usize {
    let position = draft.table.columns.iter().position(|known| known.name == column).unwrap_or_default();
    (draft.taste.serial as usize + position) % TURNS
}

/// Sets the columns of a foreign key to those of an existing row, or of one that is created at the same time.
fn reference(
    draft: &RowDraft<'_>,
    key: &ForeignKey,
    fixed: &BTreeMap<TableName, GeneratedRow>,
    asked: &DraftRequirements,
    row: &mut GeneratedRow,
) {
    let RowDraft { rows, table, taste: ValueOptions { serial, .. }, .. } = *draft;
    let pairs = || key.columns.iter().zip(&key.referenced);
    let free = |column: &str| table.columns.iter().any(|known| known.name == column && known.nullable);
    let is_turn = |column: &String| asked.null(column).is_none() && free(column) && is_turn(draft, column);
    let is_null = |column: &&String| asked.null(column) == Some(true) || is_turn(column);
    if let Some(column) = key.columns.iter().find(is_null) {
        row.insert(column.clone(), "NULL".to_owned());
        return;
    }
    if !draft.aim.is_empty() && key.table == table.name() && key.columns.iter().all(|column| row.contains_key(column)) {
        return;
    }
    if let Some(other) = fixed.get(&key.table) {
        for (column, referenced) in pairs() {
            if let Some(value) = other.get(referenced) {
                row.insert(column.clone(), value.clone());
            }
        }
        return;
    }
    if let Some(parent) = rows.table(&key.table).filter(|parent| !parent.rows.is_empty()) {
        let cell = |source: &[Option<String>], referenced: &String| {
            let at = parent.columns.iter().position(|name| name == referenced);
            at.and_then(|at| source.get(at).cloned().flatten()).map_or("NULL".to_owned(), |text| literal(&text))
        };
        // A row that is referenced should also match what another key has set, and the other requirements.
        let score = |source: &[Option<String>]| {
            let fits = |(column, referenced): (&String, &String)| {
                let value = cell(source, referenced);
                let is_set = row.get(column).is_none_or(|set| *set == value || *set == "NULL");
                let is_asked = asked.wishes.get(column).is_none_or(|wish| wish.admits(&value));
                usize::from(is_set) + usize::from(is_asked)
            };
            pairs().map(fits).sum::<usize>()
        };
        let best = parent.rows.iter().map(|source| score(source)).max().unwrap_or_default();
        let fitting: Vec<_> = parent.rows.iter().filter(|source| score(source) == best).collect();
        let source = fitting[serial as usize % fitting.len()];
        let is_full = best == 2 * key.columns.len();
        if !is_full && let Some(column) = key.columns.iter().find(|column| free(column) && !row.contains_key(*column)) {
            row.insert(column.clone(), "NULL".to_owned());
            return;
        }
        for (column, referenced) in pairs() {
            row.insert(column.clone(), cell(source, referenced));
        }
    } else if key.table == table.name() && !table.optional(key) {
        // In an empty table, a row that must reference one of its own table references itself.
        for (column, referenced) in pairs() {
            let counted = table.columns.iter().find(|column| column.name == *referenced && column.counted);
            let number = counted.map_or(u64::from(serial) + 1, |column| column.beyond(serial));
            let own = row.entry(referenced.clone()).or_insert_with(|| literal(&number.to_string())).clone();
            row.insert(column.clone(), own);
        }
    } else {
        for column in &key.columns {
            row.entry(column.clone()).or_insert_with(|| "NULL".to_owned());
        }
    }
}
