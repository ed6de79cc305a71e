//! From names to relations: what a schema knows about tables, their partitions, indexes, keys and views.

use std::collections::BTreeSet;

use crate::ident::{QualifiedName, plain};
use crate::lint::Named;
use crate::lock_mode::LockMode;
use crate::schema::{Id, Kind, Object, Schema};
use crate::sql::lex;

/// What is known of the database that a script runs on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// The schema before the script.
    pub(crate) before: Option<&'a Schema>,
    /// The schema that it leads to, where that is known.
    pub(crate) after: Option<&'a Schema>,
    /// The major version of the server; `None` stands for the newest.
    pub(crate) major: Option<u32>,
    /// The domains that the script makes, and that ask something of their values.
    pub(crate) domains: &'a [Named],
}

/// What is locked like a table.
const RELATIONS: [Kind; 5] = [Kind::Table, Kind::ForeignTable, Kind::View, Kind::MaterializedView, Kind::Sequence];

pub(super) fn full(id: &Id) -> Named {
    Named { schema: Some(id.schema.to_string()), name: id.name.to_string() }
}

fn parent_of(id: &Id) -> Named {
    Named { schema: Some(id.schema.to_string()), name: id.parent.to_string() }
}

impl<'a> Known<'a> {
    /// The relation of this name before the script; one of `public` before others.
    pub(crate) fn relation(&self, name: &Named) -> Option<&'a Object> {
        pick(self.before?, name, &RELATIONS)
    }

    /// A domain, before the script or made by it.
    pub(super) fn domain(&self, name: &Named) -> Option<(&'a Schema, &'a Object)> {
        [self.before, self.after].into_iter().flatten().find_map(|at| Some((at, pick(at, name, &[Kind::Domain])?)))
    }

    /// The functions of this name, before the script or made by it.
    pub(super) fn functions(&self, name: &Named) -> Vec<&'a Object> {
        let all = [self.before, self.after].into_iter().flatten().flat_map(Schema::objects).map(|one| &**one);
        all.filter(|one| one.id.kind == Kind::Function && name.is(one)).collect()
    }

    /// The table of an index.
    pub(super) fn table_of_index(&self, index: &Named) -> Option<Named> {
        // Where nothing is known, the index stands for its table.
        if self.before.is_none() {
            return Some(index.clone());
        }
        let is_index = |one: &&Object| match one.id.kind {
            Kind::Index => true,
            Kind::Constraint => one.fact("definition").is_some_and(|text| !text.starts_with("CHECK")),
            _ => false,
        };
        let mut all = self.before?.objects().map(|one| &**one).filter(is_index);
        all.find(|one| index.is(one)).map(|one| parent_of(&one.id))
    }

    /// Partitions and children of a table, and theirs.
    pub(super) fn children(&self, table: &Named) -> Vec<Named> {
        let Some(schema) = self.before else { return Vec::new() };
        let mut found: Vec<Named> = vec![table.clone()];
        let mut at = 0;
        while let Some(parent) = found.get(at).cloned() {
            let tables = schema.objects().filter(|one| matches!(one.id.kind, Kind::Table | Kind::ForeignTable));
            let children = tables.filter(|one| parents(one).contains(&parent)).map(|one| full(&one.id));
            let children: Vec<Named> = children.filter(|child| !found.contains(child)).collect();
            found.extend(children);
            at += 1;
        }
        found.split_off(1)
    }

    /// What a table is a partition of.
    pub(super) fn partitioned(&self, table: &Named) -> Option<Named> {
        let table = self.relation(table)?;
        table.fact("partition bound")?;
        parents(table).into_iter().next()
    }

    /// The default partition of a table.
    pub(crate) fn default_partition(&self, table: &Named) -> Option<Named> {
        let bound = |name: &Named| self.relation(name).and_then(|one| one.fact("partition bound"));
        let is_direct = |name: &Named| self.partitioned(name).as_ref() == Some(table);
        self.children(table).into_iter().find(|name| is_direct(name) && bound(name) == Some("DEFAULT"))
    }

    /// The constraints of a table.
    pub(super) fn constraints(&self, table: &Object) -> Vec<&'a Object> {
        self.parts(table, Kind::Constraint)
    }

    /// The parts of a kind that a table has.
    pub(super) fn parts(&self, table: &Object, kind: Kind) -> Vec<&'a Object> {
        let Some(schema) = self.before else { return Vec::new() };
        let mine = |id: &Id| id.kind == kind && id.schema == table.id.schema && id.parent == table.id.name;
        schema.objects().map(|one| &**one).filter(|one| mine(&one.id)).collect()
    }

    /// A column of a table.
    pub(crate) fn column(&self, table: &Object, name: &str) -> Option<&'a Object> {
        self.parts(table, Kind::Column).into_iter().find(|one| *one.id.name == *name)
    }

    /// The other sides of the foreign keys of a table, and to it, of which something is told; both ways.
    pub(super) fn partners(&self, table: &Named, meant: impl Fn(&Object, bool) -> bool) -> Vec<Named> {
        let Some((schema, table)) = self.before.zip(self.full(table)) else { return Vec::new() };
        let mut found = Vec::new();
        for key in schema.objects().filter(|one| one.id.kind == Kind::Constraint) {
            let Some(target) = refers_to(key) else { continue };
            let holder = parent_of(&key.id);
            if holder == table && meant(key, true) {
                found.push(target);
            } else if target == table && meant(key, false) {
                found.push(holder);
            }
        }
        found
    }

    /// The views that read a relation, and those that read them: by the names in their definitions.
    pub(super) fn readers(&self, table: &Named) -> Vec<Named> {
        let Some(schema) = self.before else { return Vec::new() };
        let views: Vec<(Named, BTreeSet<&str>)> = schema
            .objects()
            .filter(|one| matches!(one.id.kind, Kind::View | Kind::MaterializedView))
            .map(|one| (full(&one.id), words(one.fact("definition").unwrap_or_default())))
            .collect();
        let (mut found, mut at) = (vec![table.clone()], 0);
        while let Some(read) = found.get(at).cloned() {
            let readers = views.iter().filter(|(name, words)| !found.contains(name) && words.contains(&*read.name));
            let readers: Vec<Named> = readers.map(|(name, _)| name.clone()).collect();
            found.extend(readers);
            at += 1;
        }
        found.split_off(1)
    }

    /// What a view reads, by the names in its definition, and what is behind the views among them.
    pub(super) fn sources(&self, view: &Named) -> Vec<Named> {
        let Some(schema) = self.before else { return Vec::new() };
        let Some(text) = self.relation(view).and_then(|one| one.fact("definition")) else { return Vec::new() };
        let words = words(text);
        let read = |one: &&std::sync::Arc<Object>| {
            RELATIONS.contains(&one.id.kind) && one.id.kind != Kind::Sequence && words.contains(&*one.id.name)
        };
        let direct: Vec<Named> =
            schema.objects().filter(read).map(|one| full(&one.id)).filter(|name| name != view).collect();
        let behind: Vec<Named> = direct.iter().flat_map(|name| self.sources(name)).collect();
        direct.into_iter().chain(behind).collect()
    }

    /// The tables with a column of a type, directly or as an array.
    pub(super) fn holders(&self, of: &Named) -> Vec<Named> {
        let Some(schema) = self.before else { return Vec::new() };
        let is_it = |text: &str| Named::parse(text.trim_end_matches("[]")).is_some_and(|one| same(&one, of));
        let columns = schema.objects().filter(|one| one.id.kind == Kind::Column);
        let tables = columns.filter(|one| one.fact("type").is_some_and(is_it)).map(|one| parent_of(&one.id));
        let mut tables: Vec<Named> = tables.collect();
        // A domain over a domain is one as well.
        let domains = schema.objects().filter(|one| one.id.kind == Kind::Domain && one.fact("type").is_some_and(is_it));
        tables.extend(domains.flat_map(|one| self.holders(&full(&one.id))));
        tables.dedup();
        tables
    }

    /// Whether a table has no rows of its own.
    pub(super) fn stores_nothing(&self, table: &Named) -> bool {
        self.relation(table).is_some_and(|one| {
            one.fact("partition key").is_some() || matches!(one.id.kind, Kind::View | Kind::Sequence)
        })
    }

    /// Whether a table has partitions.
    pub(super) fn is_partitioned(&self, table: &Named) -> bool {
        self.relation(table).is_some_and(|one| one.fact("partition key").is_some())
    }

    /// Whether a table has triggers, which its partitions have then as well.
    pub(super) fn has_triggers(&self, table: &Named) -> bool {
        self.relation(table).is_none_or(|table| !self.parts(table, Kind::Trigger).is_empty())
    }

    /// Whether a lock keeps somebody from a table: nobody writes to a materialized view.
    pub(crate) fn is_in_the_way(&self, table: &Named, mode: LockMode) -> bool {
        let is_view = self.relation(table).is_some_and(|one| one.id.kind == Kind::MaterializedView);
        mode >= if is_view { LockMode::AccessExclusive } else { LockMode::Share }
    }

    /// Whether a constraint is a key that others can refer to.
    pub(super) fn is_key(&self, table: &Named, name: Option<&Named>) -> bool {
        let Some((table, name)) = self.relation(table).zip(name) else { return false };
        let is_key = |text: &str| text.starts_with("PRIMARY KEY") || text.starts_with("UNIQUE");
        let mut all = self.constraints(table).into_iter().filter(|one| *one.id.name == *name.name);
        all.any(|one| one.fact("definition").is_some_and(is_key))
    }

    /// Whether a partition has been proven to fit: by a check, and by having the indexes of its table. Whether the check
    /// says as much as the bound is for the server to say; that there is one shows that somebody thought of it.
    pub(crate) fn implies_bound(&self, table: &Named, partition: Option<&Named>) -> bool {
        let Some(partition) = partition.and_then(|name| self.relation(name)) else { return false };
        let is_checked = self.is_checked(&super::place::full(&partition.id));
        let Some(table) = self.relation(table) else { return is_checked };
        let lists = |of: &Object| {
            let keys = self.constraints(of).into_iter().filter_map(|one| one.fact("definition"));
            let keys = keys.filter(|text| text.starts_with("PRIMARY KEY") || text.starts_with("UNIQUE"));
            let keys: Vec<&str> = keys.filter_map(|text| text.split_once('(')).map(|(_, list)| list).collect();
            let indexes = self.parts(of, Kind::Index).into_iter().filter_map(|one| one.fact("definition"));
            let lists = indexes.filter_map(|text| text.split_once(" USING ")?.1.split_once('(')).map(|(_, list)| list);
            lists.chain(keys).map(columns).collect::<Vec<_>>()
        };
        let there = lists(partition);
        is_checked && lists(table).iter().all(|list| there.contains(list))
    }

    /// Whether a table has a check that holds for all rows.
    pub(crate) fn is_checked(&self, table: &Named) -> bool {
        let is_check = |text: &str| text.starts_with("CHECK") && !text.ends_with("NOT VALID");
        let checks = self.relation(table).map(|table| self.constraints(table)).unwrap_or_default();
        checks.iter().any(|one| one.fact("definition").is_some_and(is_check))
    }

    /// The tables with foreign keys to a table, and to those.
    pub(super) fn referring(&self, table: &Named) -> Vec<Named> {
        let mut found: Vec<Named> = self.full(table).into_iter().collect();
        let mut at = 0;
        while let Some(table) = found.get(at).cloned() {
            let holders = self.partners(&table, |_, own| !own);
            found.extend(holders.into_iter().filter(|name| *name != table).collect::<Vec<_>>());
            found.dedup();
            at += 1;
            // A circle of keys comes back to where it began.
            if found[..at].contains(found.get(at).unwrap_or(&table)) {
                break;
            }
        }
        found.split_off(found.len().min(1))
    }

    /// The table that statistics are of.
    pub(super) fn table_of_statistics(&self, name: &Named) -> Option<Named> {
        let mut all = self.before?.objects().filter(|one| one.id.kind == Kind::Statistics);
        all.find(|one| name.is(one)).map(|one| parent_of(&one.id))
    }

    /// The tables of a publication.
    pub(super) fn published(&self, publication: &str) -> Vec<Named> {
        let mut all = self.before.into_iter().flat_map(Schema::objects);
        let found = all.find(|one| one.id.kind == Kind::Publication && *one.id.name == *publication);
        let tables = found.and_then(|one| one.fact("tables")).unwrap_or_default();
        tables.split(", ").filter_map(Named::parse).collect()
    }

    /// The tables that are of a composite type.
    pub(super) fn typed(&self, of: &Named) -> Vec<Named> {
        let all = self.before.into_iter().flat_map(Schema::objects).filter(|one| one.id.kind == Kind::Table);
        let is_it = |text: &str| Named::parse(text).is_some_and(|one| same(&one, of));
        all.filter(|one| one.fact("of type").is_some_and(is_it)).map(|one| full(&one.id)).collect()
    }

    /// All tables.
    pub(super) fn tables(&self) -> Vec<Named> {
        let all = self.before.into_iter().flat_map(Schema::objects);
        let stored = all.filter(|one| matches!(one.id.kind, Kind::Table | Kind::MaterializedView));
        stored.map(|one| full(&one.id)).collect()
    }

    /// The relations of a schema.
    pub(super) fn inside(&self, schema: &str) -> Vec<Named> {
        let all = self.before.into_iter().flat_map(Schema::objects);
        let of_it = all.filter(|one| RELATIONS.contains(&one.id.kind) && *one.id.schema == *schema);
        of_it.map(|one| full(&one.id)).collect()
    }
}

/// The one of this name: of `public` before others, for nobody says which schemas are searched.
fn pick<'a>(at: &'a Schema, name: &Named, kinds: &[Kind]) -> Option<&'a Object> {
    let mut all = at.objects().map(|one| &**one).filter(|one| kinds.contains(&one.id.kind) && name.is(one));
    let first = all.next()?;
    match &*first.id.schema {
        "public" => Some(first),
        _ => Some(all.find(|one| &*one.id.schema == "public").unwrap_or(first)),
    }
}

/// Whether two names can mean the same.
fn same(one: &Named, other: &Named) -> bool {
    one.name == other.name
        && one.schema.as_ref().zip(other.schema.as_ref()).is_none_or(|(schema, other)| schema == other)
}

/// The tables that a table is a partition or child of.
fn parents(table: &Object) -> Vec<Named> {
    let names = table.fact("parents").unwrap_or_default().split(", ").filter_map(QualifiedName::parse);
    names.map(|name| Named { schema: Some(name.schema().to_owned()), name: name.name().to_owned() }).collect()
}

/// The table that a foreign key refers to.
pub(super) fn refers_to(key: &Object) -> Option<Named> {
    let definition = key.fact("definition").filter(|text| text.starts_with("FOREIGN KEY"))?;
    Named::parse(definition.split_once(" REFERENCES ")?.1)
}

/// The columns of a list in a definition, up to what is no name.
pub(super) fn columns(list: &str) -> Vec<String> {
    let (mut rest, mut names) = (list, Vec::new());
    while let Some((name, after)) = crate::ident::first_name(rest) {
        names.push(name);
        let after = after.trim_start_matches(|c: char| c != ',' && c != ')');
        rest = after.strip_prefix(", ").unwrap_or("");
    }
    names
}

fn words(text: &str) -> BTreeSet<&str> {
    lex::words(text).map(|(_, span)| text[span].trim_matches('"')).collect()
}

/// Whether a check says that a column is filled: alone, or as one of several conditions that all hold.
pub(super) fn asks_for(check: &str, column: &str) -> bool {
    let wanted = format!("{} IS NOT NULL", plain(column));
    let Some(text) = check.strip_prefix("CHECK ") else { return false };
    conditions(text).contains(&wanted.as_str())
}

/// The conditions that AND joins, without the parentheses around each.
fn conditions(text: &str) -> Vec<&str> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'))
        && depths(inner).all(|(_, depth)| depth >= 0)
    {
        return conditions(inner);
    }
    let cut = depths(text).find(|(span, depth)| *depth == 0 && text[span.clone()].eq_ignore_ascii_case("AND"));
    match cut {
        Some((span, _)) => [conditions(&text[..span.start]), conditions(&text[span.end..])].concat(),
        None => vec![text],
    }
}

/// The words of a text, each with how many parentheses are open behind it.
fn depths(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, i32)> + '_ {
    lex::words(text).scan(0, |depth, (_, span)| {
        match &text[span.clone()] {
            "(" => *depth += 1,
            ")" => *depth -= 1,
            _ => {}
        }
        Some((span, *depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_asks_for_a_value_where_all_of_it_holds() {
        assert!(asks_for("CHECK ((a IS NOT NULL))", "a"));
        assert!(asks_for("CHECK (((b > 0) AND (a IS NOT NULL)))", "a"));
        assert!(asks_for("CHECK (((a IS NOT NULL) AND (b > 0) AND (c > 0)))", "a"));
        assert!(!asks_for("CHECK (((b > 0) OR (a IS NOT NULL)))", "a"));
        assert!(!asks_for("CHECK ((ba IS NOT NULL))", "a"));
        assert!(asks_for("CHECK ((\"A b\" IS NOT NULL))", "A b"));
    }
}
