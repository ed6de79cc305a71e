//! The targets of the statements of a script: the rows that an UPDATE or DELETE selects, with values that it
//! changes.

use std::collections::BTreeSet;

use migrate_base::ident::{catalog_name, ident, literal};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, SelectVariant};

use super::changes::changes;
use super::claims::judges;
use super::expr::{Expr, ExprForm};
use super::joined::StatementJoin;
use super::names;
use super::queries::subquery;
use super::spec::alternatives;
use super::tree::ExprReader;

/// How many aims a statement may have.
const MOST: usize = 24;
/// How many rows are inserted for each aim at most.
const MOST_ROWS: usize = 8;

/// Rows that a statement selects and changes, with those of other tables that it reads together with them.
#[derive(Debug, Clone)]
pub(super) struct TargetRows {
    pub(super) joined: StatementJoin,
    /// Whether the rows of the first table are deleted, and with them those that reference them.
    pub(super) deletes: bool,
}

impl TargetRows {
    /// The table that is changed, by its own name.
    pub(super) fn table(&self) -> &str {
        self.joined.tables.first().map_or("", String::as_str)
    }

    /// Whether it changes rows according to those of other tables.
    pub(super) fn reads_others(&self) -> bool {
        self.joined.tables.len() > 1 && !self.deletes
    }

    /// How many rows are needed until each side of an OR has been used.
    pub(super) fn rows(&self) -> usize {
        self.joined.wanted().map(alternatives).max().unwrap_or_default().clamp(2, MOST_ROWS)
    }
}

/// The aims of the statements below a node.
pub(super) fn aims(root: &SyntaxNode) -> Vec<TargetRows> {
    let mut reader = ExprReader::new(root);
    let mut found = Vec::new();
    for node in root.descendants() {
        if let Some(update) = ast::Update::cast(node.clone()) {
            found.extend(all(of_update(&mut reader, &update)));
        } else if let Some(delete) = ast::Delete::cast(node.clone()) {
            found.extend(of_delete(&mut reader, &delete).map(|joined| TargetRows { joined, deletes: true }));
        } else if let Some(merge) = ast::Merge::cast(node.clone()) {
            found.extend(all(of_merge(&mut reader, &merge)));
        } else if let Some(altered) = ast::AlterColumn::cast(node.clone()) {
            found.extend(all(of_type(&mut reader, &altered)));
        } else {
            let copied = copied(&node).map(|query| vec![StatementJoin::of_query(&mut reader, &query)]);
            found.extend(all(copied));
            found.extend(all(ast::Insert::cast(node).and_then(|insert| of_conflict(&mut reader, &insert))));
        }
    }
    // Rows that one statement copies and another one deletes count as deleted.
    let emptied: BTreeSet<String> = found.iter().filter(|aim| aim.deletes).map(|aim| aim.table().to_owned()).collect();
    found.iter_mut().for_each(|aim| aim.deletes = emptied.contains(aim.table()));
    found.retain(|aim| !aim.joined.is_empty());
    found
}

fn all(joined: Option<Vec<StatementJoin>>) -> impl Iterator<Item = TargetRows> {
    joined.into_iter().flatten().map(|joined| TargetRows { joined, deletes: false })
}

fn of_delete(reader: &mut ExprReader, delete: &ast::Delete) -> Option<StatementJoin> {
    let mut joined = target(delete.relation_name()?.syntax(), delete.alias())?;
    delete.using_clause().iter().for_each(|using| joined.from(reader, 0, using.syntax()));
    taken(reader, &mut joined, delete.where_clause_or_current_of());
    Some(joined)
}

/// One aim for each operation that an UPDATE applies to a value; all of them select the same rows.
fn of_update(reader: &mut ExprReader, update: &ast::Update) -> Option<Vec<StatementJoin>> {
    let mut joined = target(update.relation_name()?.syntax(), update.alias())?;
    update.from_clause().iter().for_each(|from| joined.from(reader, 0, from.syntax()));
    taken(reader, &mut joined, update.where_clause_or_current_of());
    Some(set(reader, &joined, &update.set_clause()?))
}

/// The rows that a MERGE matches and changes, for each of its WHEN clauses.
fn of_merge(reader: &mut ExprReader, merge: &ast::Merge) -> Option<Vec<StatementJoin>> {
    let mut joined = target(merge.table_relation_name()?.syntax(), merge.alias())?;
    joined.from(reader, 0, merge.using_on_clause()?.syntax());
    let matched = merge.merge_when_clauses().filter_map(|clause| match clause {
        ast::MergeWhenClause::MergeWhenMatched(it) => Some(it),
        _ => None,
    });
    let of = |clause: ast::MergeWhenMatched| {
        let mut joined = joined.clone();
        joined.conditions(reader, 0, clause.merge_condition().and_then(|condition| condition.expr()));
        match clause.merge_action() {
            Some(ast::MergeAction::MergeUpdate(update)) => {
                update.set_clause().map_or_else(Vec::new, |clause| set(reader, &joined, &clause))
            }
            _ => vec![joined],
        }
    };
    Some(matched.flat_map(of).collect())
}

/// The values that `TYPE … USING expression` changes.
fn of_type(reader: &mut ExprReader, altered: &ast::AlterColumn) -> Option<Vec<StatementJoin>> {
    let Some(ast::AlterColumnOption::SetType(set)) = altered.option() else { return None };
    let using = set.using_expr()?.syntax().children().find_map(ast::Expr::cast)?;
    let table = altered.syntax().parent().and_then(ast::AlterTable::cast)?.table_relation_name()?;
    let (joined, using) = (target(table.syntax(), None)?, reader.read(&using));
    let judged = Some(using.clone()).filter(judges);
    Some(judged.into_iter().chain(changes(&using)).take(MOST).map(|change| joined.with(change)).collect())
}

/// The query whose rows are copied: of `INSERT … SELECT`, `CREATE TABLE … AS` or `SELECT … INTO`.
fn copied(node: &SyntaxNode) -> Option<SelectVariant> {
    let is_copy = ast::Insert::can_cast(node.kind()) || ast::CreateTableAs::can_cast(node.kind());
    let inner = is_copy.then(|| node.children().find_map(SelectVariant::cast)).flatten();
    inner.or_else(|| ast::SelectInto::cast(node.clone()).map(SelectVariant::SelectInto))
}

/// The rows that conflict with an `INSERT … ON CONFLICT (…) DO UPDATE`, which changes them.
fn of_conflict(reader: &mut ExprReader, insert: &ast::Insert) -> Option<Vec<StatementJoin>> {
    let clause = insert.on_conflict_clause()?;
    let (Some(ast::ConflictAction::ConflictDoUpdateSet(_)), Some(ast::ConflictTarget::ConflictOnIndex(key))) =
        (clause.conflict_action(), clause.conflict_target())
    else {
        return None;
    };
    let key: Vec<String> =
        key.conflict_index_item_list()?.conflict_index_items().filter_map(|item| names::last(item.syntax())).collect();
    let written = insert.column_target_list()?.column_targets().filter_map(|target| names::last(target.syntax()));
    let places: Vec<(usize, Expr)> = written
        .enumerate()
        .filter(|(_, column)| key.contains(column))
        .filter_map(|(place, column)| Some((place, Expr::parse(&ident(&column))?)))
        .collect();
    let joined = target(insert.relation_name_ref()?.syntax(), None)?;
    match insert.syntax().children().find_map(SelectVariant::cast)? {
        SelectVariant::Values(values) => {
            let rows = values.row_list()?.rows().take(MOST_ROWS);
            let of = |row: ast::Row| {
                let written: Vec<Expr> = row.exprs().map(|expr| reader.read(&expr)).collect();
                let same = places.iter().filter_map(|(place, column)| {
                    Expr::parse(&format!("{} = {}", column.text(), written.get(*place)?.text()))
                });
                same.fold(joined.clone(), |joined, same| joined.with(same))
            };
            Some(rows.map(of).collect())
        }
        query => {
            let mut joined = joined;
            joined.link(reader, 0, places, "=", &query);
            Some(vec![joined])
        }
    }
}

/// One aim for each operation that SET applies to a value.
fn set(reader: &mut ExprReader, joined: &StatementJoin, clause: &ast::SetClause) -> Vec<StatementJoin> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for set in clause.syntax().descendants().filter_map(ast::SetSingleColumn::cast) {
        let column = set.column_target().and_then(|column| catalog_name(column.syntax().text().to_string().trim()));
        let (Some(column), Some(written)) = (column, set.set_expr().and_then(|set| set.expr())) else { continue };
        let changed = changed(reader, joined, &column, &written);
        for change in changed.into_iter().take(MOST - found.len()).filter(|change| known.insert(change.texts())) {
            found.push(change);
        }
    }
    // If its effect on values is not known, it at least gets rows.
    if found.is_empty() { vec![joined.clone()] } else { found }
}

/// The conditions under which a column changes its value.
fn changed(reader: &mut ExprReader, joined: &StatementJoin, column: &str, written: &ast::Expr) -> Vec<StatementJoin> {
    if let Some(query) = subquery(written) {
        let (mut joined, own) = (joined.clone(), format!("{}.{}", ident(joined.name()), ident(column)));
        if let Some(own) = Expr::parse(&own) {
            joined.link(reader, 0, vec![(0, own)], "<>", &query);
        }
        return vec![joined];
    }
    let expr = reader.read(written);
    let other = other_than(joined, column, &expr);
    let changed = if other.is_some() { other.into_iter().collect() } else { changes(&expr) };
    let texts = joined.texts();
    let is_new = |change: &Expr| texts.iter().all(|one| one != change.text());
    match changed.is_empty() {
        true => vec![joined.clone()],
        false => changed.into_iter().map(|one| if is_new(&one) { joined.with(one) } else { joined.clone() }).collect(),
    }
}

/// The condition that a column does not yet have the value that is written into it: a constant, or an
/// expression of columns of other tables.
fn other_than(joined: &StatementJoin, column: &str, written: &Expr) -> Option<Expr> {
    let own = ident(column);
    match (written.bare().form(), written.as_constant()) {
        (ExprForm::Null, _) => Expr::parse(&format!("{own} IS NOT NULL")),
        (_, Some(constant)) => Expr::parse(&format!("{own} <> {}", literal(&constant))),
        _ if joined.tables.len() > 1 && !written.leaves().is_empty() && changes(written).is_empty() => {
            Expr::parse(&format!("{}.{own} <> {}", ident(joined.name()), written.text()))
        }
        _ => None,
    }
}

/// The table whose rows a statement selects.
fn target(name: &SyntaxNode, alias: Option<ast::OptionalAsAlias>) -> Option<StatementJoin> {
    Some(StatementJoin::of(names::last(name)?, alias.and_then(|alias| names::last(alias.syntax()))))
}

/// Adds the conditions of a WHERE.
fn taken(reader: &mut ExprReader, joined: &mut StatementJoin, clause: Option<ast::WhereClauseOrCurrentOf>) {
    if let Some(ast::WhereClauseOrCurrentOf::WhereClause(clause)) = clause {
        joined.conditions(reader, 0, clause.expr());
    }
}

#[cfg(test)]
mod tests {
    use squawk_syntax::SourceFile;

    use super::*;

    fn told(script: &str) -> Vec<String> {
        aims(SourceFile::parse(script).tree().syntax())
            .iter()
            .map(|aim| format!("{}: {}", aim.joined.tables.join(", "), aim.joined.texts().join(" & ").replace('"', "")))
            .collect()
    }

    #[test]
    fn a_row_is_aimed_at_for_each_operation() {
        assert_eq!(told("DELETE FROM s.t AS x WHERE x.a = 1 AND b IS NULL;"), ["t: x.a = 1 & b IS NULL"]);
        assert_eq!(told("UPDATE t SET a = 'x', b = NULL;"), ["t: a <> 'x'", "t: b IS NOT NULL"]);
        assert_eq!(told("UPDATE t SET a = array_remove(a, 'x') WHERE b;"), ["t: b & a @> ARRAY['x']"]);
        assert_eq!(told("UPDATE t SET a = abs(a) WHERE a <> abs(a);"), ["t: a < 0"]);
        assert!(told("DELETE FROM t; SELECT 1;").is_empty());
    }

    #[test]
    fn what_is_read_of_other_tables_is_aimed_at_as_well() {
        assert_eq!(told("DELETE FROM t USING u WHERE t.a = u.a AND u.b = 'x';"), ["t, u: t.a = u.a & u.b = 'x'"]);
        assert_eq!(told("DELETE FROM t WHERE a IN (SELECT a FROM u WHERE b);"), ["t, u: b & a = a"]);
        assert_eq!(told("INSERT INTO s SELECT * FROM t WHERE a = 1;"), ["t: a = 1"]);
        assert_eq!(told("CREATE TABLE s AS SELECT * FROM t JOIN u USING (id);"), ["t, u: t.id = u.id"]);
        assert_eq!(told("UPDATE t SET a = u.a FROM u WHERE u.id = b;"), ["t, u: u.id = b & t.a <> u.a"]);
        assert_eq!(told("DELETE FROM t WHERE EXISTS (SELECT FROM u WHERE u.a = t.a);"), ["t, u: u.a = t.a"]);
        assert_eq!(told("ALTER TABLE t ALTER a TYPE int USING CASE WHEN b THEN 1 END;"), ["t: b"]);
        assert_eq!(
            told("WITH w AS (SELECT id FROM u WHERE b) DELETE FROM t USING w WHERE w.id = t.id;"),
            ["t, u: b & w.id = t.id"]
        );
        let merge =
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND b THEN DELETE WHEN NOT MATCHED THEN DO NOTHING;";
        assert_eq!(told(merge), ["t, u: t.a = u.a & b"]);
    }
}
