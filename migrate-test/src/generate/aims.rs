//! What the statements of a script aim at: the rows that an UPDATE or DELETE takes, with values that it changes.

use std::collections::BTreeSet;

use migrate_core::ident::{catalog_name, ident, literal};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::changes::changes;
use super::expr::{Expr, Form};
use super::names;
use super::spec::alternatives;
use super::tree::Reader;

/// How many aims a statement has at most.
const MOST: usize = 24;
/// How many rows are put in for each at most.
const MOST_ROWS: usize = 8;

/// A row that a statement takes and changes.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    /// The table, by its own name.
    pub(super) table: String,
    /// What has to be true in the row, all of it.
    pub(super) wanted: Vec<Expr>,
}

impl Aim {
    /// How many rows it takes until each side of an OR has had its turn.
    pub(super) fn rows(&self) -> usize {
        self.wanted.iter().map(alternatives).max().unwrap_or_default().clamp(2, MOST_ROWS)
    }
}

/// What the statements below a node aim at.
pub(super) fn aims(root: &SyntaxNode) -> Vec<Aim> {
    let mut reader = Reader::new(root);
    let mut found = Vec::new();
    for node in root.descendants() {
        if let Some(update) = ast::Update::cast(node.clone()) {
            found.extend(of_update(&mut reader, &update).unwrap_or_default());
        } else if let Some(delete) = ast::Delete::cast(node) {
            found.extend(of_delete(&mut reader, &delete));
        }
    }
    found
}

fn of_delete(reader: &mut Reader, delete: &ast::Delete) -> Option<Aim> {
    let target = Target::of(delete.relation_name(), delete.alias())?;
    let wanted = target.taken(reader, delete.where_clause_or_current_of());
    (!wanted.is_empty()).then_some(Aim { table: target.table, wanted })
}

/// An aim for each operation that an UPDATE does with a value; what it takes is the same in all.
fn of_update(reader: &mut Reader, update: &ast::Update) -> Option<Vec<Aim>> {
    let target = Target::of(update.relation_name(), update.alias())?;
    let taken = target.taken(reader, update.where_clause_or_current_of());
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for set in update.set_clause()?.syntax().descendants().filter_map(ast::SetSingleColumn::cast) {
        let column = set.column_target().and_then(|column| catalog_name(column.syntax().text().to_string().trim()));
        let (Some(column), Some(expr)) = (column, set.set_expr().and_then(|set| set.expr())) else { continue };
        let expr = reader.read(&expr);
        let other = other_than(&column, &expr);
        let changed = changes(&expr).into_iter().map(Some);
        let changed: Vec<Option<Expr>> = if other.is_some() { vec![other] } else { changed.collect() };
        let changed = if changed.is_empty() { vec![None] } else { changed };
        for change in changed.into_iter().take(MOST - found.len()) {
            let change = change.filter(|change| taken.iter().all(|one| one.text() != change.text()));
            let wanted: Vec<Expr> = taken.iter().cloned().chain(change).collect();
            let told: Vec<String> = wanted.iter().map(|one| one.text().to_owned()).collect();
            if !wanted.is_empty() && known.insert(told) {
                found.push(Aim { table: target.table.clone(), wanted });
            }
        }
    }
    // Where nothing is known of what it does with values, it has rows to do that with.
    if found.is_empty() && !taken.is_empty() {
        found.push(Aim { table: target.table, wanted: taken });
    }
    Some(found)
}

/// That a column is not yet the constant that is written into it.
fn other_than(column: &str, written: &Expr) -> Option<Expr> {
    let column = ident(column);
    match (written.bare().form(), written.as_constant()) {
        (Form::Null, _) => Expr::parse(&format!("{column} IS NOT NULL")),
        (_, Some(constant)) => Expr::parse(&format!("{column} <> {}", literal(&constant))),
        _ => None,
    }
}

/// The table whose rows a statement takes.
struct Target {
    table: String,
    alias: Option<String>,
}

impl Target {
    fn of(relation: Option<ast::RelationName>, alias: Option<ast::OptionalAsAlias>) -> Option<Self> {
        let last = |node: &SyntaxNode| names::words(&node.text().to_string()).last();
        let table = last(relation?.relation_name_ref()?.syntax())?;
        Some(Self { table, alias: alias.and_then(|alias| last(alias.syntax())) })
    }

    /// The conditions that are about this table alone.
    fn taken(&self, reader: &mut Reader, clause: Option<ast::WhereClauseOrCurrentOf>) -> Vec<Expr> {
        let Some(ast::WhereClauseOrCurrentOf::WhereClause(clause)) = clause else { return Vec::new() };
        let Some(whole) = clause.expr().map(|expr| reader.read(&expr)) else { return Vec::new() };
        let sides = if let Form::And(sides) = whole.form() { sides.clone() } else { vec![whole] };
        let own = sides.into_iter().filter(|side| self.is_own(side));
        own.flat_map(|side| if is_other(&side) { changes(&side) } else { vec![side] }).collect()
    }

    fn is_own(&self, side: &Expr) -> bool {
        let is_own = |name: String| name == self.table || self.alias.as_ref() == Some(&name);
        match side.form() {
            // What a subquery reads is its own.
            Form::Op(_, sides) if matches!(sides.as_slice(), [_, list] if matches!(list.form(), Form::Call(..))) => {
                sides[0].qualifiers().all(is_own)
            }
            _ => side.qualifiers().all(is_own),
        }
    }
}

/// Whether a value is to be another one than what is made of it: `a <> lower(a)`.
fn is_other(side: &Expr) -> bool {
    let Form::Op(op, sides) = side.form() else { return false };
    let [left, right] = sides.as_slice() else { return false };
    let is_made = |value: &Expr, other: &Expr| {
        value.as_column().is_some_and(|column| other.as_column().is_none() && other.mentions(column))
    };
    (op == "<>" || op == "!=") && (is_made(left, right) || is_made(right, left))
}

#[cfg(test)]
mod tests {
    use squawk_syntax::SourceFile;

    use super::*;

    fn told(script: &str) -> Vec<String> {
        let text = |aim: &Aim| aim.wanted.iter().map(|one| one.text().replace('"', "")).collect::<Vec<_>>().join(" & ");
        aims(SourceFile::parse(script).tree().syntax())
            .iter()
            .map(|aim| format!("{}: {}", aim.table, text(aim)))
            .collect()
    }

    #[test]
    fn a_row_is_aimed_at_for_each_operation() {
        assert_eq!(told("DELETE FROM s.t AS x WHERE x.a = 1 AND b IS NULL;"), ["t: x.a = 1 & b IS NULL"]);
        assert_eq!(told("DELETE FROM t USING u WHERE t.a = u.a AND t.b = 'x';"), ["t: t.b = 'x'"]);
        assert_eq!(told("UPDATE t SET a = 'x', b = NULL;"), ["t: a <> 'x'", "t: b IS NOT NULL"]);
        assert_eq!(told("UPDATE t SET a = array_remove(a, 'x') WHERE b;"), ["t: b & a @> ARRAY['x']"]);
        assert_eq!(told("UPDATE t SET a = abs(a) WHERE a <> abs(a);"), ["t: a < 0"]);
        assert!(told("DELETE FROM t; SELECT 1;").is_empty());
    }
}
