//! What the checks, the scripts and the aim of a row require of its columns.

use std::collections::{BTreeMap, BTreeSet};

use super::{GeneratedRow, RowDraft};
use crate::generate::claims::{Claim, Claims};
use crate::generate::dice::Decks;
use crate::generate::expr::{Expr, ExprForm};
use crate::generate::pattern::Pattern;
use crate::generate::reading::TextReading;
use crate::generate::spec::{ColumnSpec, TableSpec};
use crate::generate::typical::ValueReach;
use crate::generate::values::FORMATS;
use crate::generate::wish::{ColumnRequirements, ValueKind, mirrored};

/// The requirements on a row.
pub(super) struct DraftRequirements {
    pub(super) wishes: BTreeMap<String, ColumnRequirements>,
    /// The requirements that have to be computed from other columns, or by the server.
    relations: Vec<Claim>,
    pub(super) related: BTreeSet<String>,
    /// The columns whose values the aim of the row defines.
    pub(super) aimed: BTreeSet<String>,
}

impl DraftRequirements {
    pub(super) fn of(draft: &RowDraft<'_>, decks: &mut Decks) -> Self {
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

    pub(super) fn null(&self, column: &str) -> Option<bool> {
        self.wishes.get(column)?.null
    }

    /// Sets columns to what other columns or constants require of them; each column is set once.
    pub(super) fn relate(&self, table: &TableSpec, row: &mut GeneratedRow) {
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
