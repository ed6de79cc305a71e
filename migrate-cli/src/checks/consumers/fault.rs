//! What a step does to one query, whoever sends it; computed without a server.

use migrate_base::codes::{self, Code};
use migrate_base::finding::Severity;
use migrate_base::ident::{QualifiedName, plain};
use migrate_review::consumer::{
    AssignedValue, ChangeImpact, DeclaredUse, PrepareRefusal, QueryDifference, TableAccess, needs_value, table_of,
};
use migrate_schema::{Id, Kind, Object, SchemaChange};
use migrate_test::consume::{QueryEffects, RefusedConstant};

use super::stricter::{constant, referred, stricter};

/// Something that is wrong with a query after a step.
#[derive(Debug, Clone)]
pub(super) struct QueryFault {
    pub(super) code: Code,
    pub(super) severity: Severity,
    /// What is wrong, to follow the name of the query: `can no longer be prepared: …`.
    pub(super) message: String,
    /// The byte offset of the fault in the text of the query.
    pub(super) at: Option<usize>,
    pub(super) notes: Vec<String>,
    pub(super) help: Vec<String>,
    /// The object that caused the fault, if it is known: the name of its parent and its own name.
    pub(super) about: Option<(String, String)>,
    /// The enum label, if the fault is about one.
    pub(super) label: Option<String>,
    /// The definition of the constraint, if the fault is about one.
    pub(super) definition: Option<String>,
    /// Whether the fault was found by preparing the query, so that a later step can fix it.
    pub(super) is_fixable: bool,
}

impl QueryFault {
    pub(super) fn new(code: Code, severity: Severity, message: String) -> Self {
        let (notes, help) = (Vec::new(), Vec::new());
        let (about, label, definition) = (None, None, None);
        Self { code, severity, message, at: None, notes, help, about, label, definition, is_fixable: false }
    }

    pub(super) fn about(self, id: &Id) -> Self {
        Self { about: Some((id.parent.to_string(), id.name.to_string())), ..self }
    }

    /// Sets the constraint that the fault is about, with its definition.
    pub(super) fn asked(self, id: &Id, definition: &str) -> Self {
        Self { definition: Some(definition.to_owned()), ..self.about(id) }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// All faults that a step causes in the text with this number; `expands` is whether its `*` was expanded when it was
/// built.
pub(super) fn faults(step: &QueryEffects, number: usize, text: &str, expands: bool) -> Vec<QueryFault> {
    let mut all = Vec::new();
    let differences = step.differences.get(&number).map(Vec::as_slice).unwrap_or_default();
    for difference in differences {
        match difference {
            QueryDifference::Refused(why) => all.push(refused(step, why, text)),
            QueryDifference::Parameter(at, was, is) => all.push(parameter(*at, was, is)),
            QueryDifference::Meaning(was, is) => all.push(meaning(was, is)),
            QueryDifference::Result(..) | QueryDifference::Came(..) => {}
        }
    }
    all.extend(result(differences, expands));
    all.extend(step.unplanned.get(&number).map(|why| unplanned(why, step)));
    for touch in step.reach.get(&number).into_iter().flat_map(|reach| &reach.tables) {
        let of_touch =
            [unfilled(step, touch), filled_with_null(step, touch), stricter(step, touch), referred(step, touch)];
        let through = |fault: QueryFault| match &touch.via {
            Some(view) => fault.note(format!("it writes through the view {}", view.name())),
            None => fault,
        };
        all.extend(of_touch.into_iter().flatten().map(through));
    }
    let refused = step.refused.get(&number).map(Vec::as_slice).unwrap_or_default();
    // A fault that is certain replaces a possible one.
    let is_known = |fault: &QueryFault| {
        let is_it = |one: &RefusedConstant| fault.about == Some((one.by.parent.to_string(), one.by.name.to_string()));
        fault.code == codes::CONSUMER_STRICTER && refused.iter().any(is_it)
    };
    all.retain(|fault| !is_known(fault));
    all.extend(refused.iter().map(constant));
    all.extend(step.indexes.get(&number).into_iter().flatten().map(|index| without(index, step)));
    all
}

/// Privileges that a query needs and that its role lost.
pub(super) fn rights(step: &QueryEffects, number: usize, role: &str) -> Vec<QueryFault> {
    let touches = step.reach.get(&number).into_iter().flat_map(|reach| &reach.tables);
    let lost = touches.filter(|touch| touch.as_caller).flat_map(|touch| {
        let of = |right: &&&str| {
            let (schema, table) = (touch.table.schema().to_owned(), touch.table.name().to_owned());
            step.lost.contains(&[role.to_owned(), schema, table, (**right).to_owned()])
        };
        touch.rights.iter().filter(of).map(move |right| (right, touch))
    });
    let fault = |(right, touch): (&&str, &TableAccess)| {
        let table = touch.table.name();
        let message = format!("needs {right} on {table}, which the role {role} no longer has");
        let fault = QueryFault::new(codes::CONSUMER_RIGHT, Severity::Error, message);
        let fault = QueryFault { about: Some((String::new(), table.to_owned())), ..fault };
        let through = |view: &QualifiedName| {
            format!("the view {} has security_invoker: it checks the privileges of its caller", view.name())
        };
        let fault = touch.via.iter().fold(fault, |fault, view| fault.note(through(view)));
        fault.help(format!("grant it again in the same migration: `GRANT {right} ON {table} TO {role}`"))
    };
    lost.map(fault).collect()
}

/// What a step does to a table or column that a consumer declares to use.
pub(super) fn declared(change: &SchemaChange, used: &DeclaredUse) -> Option<QueryFault> {
    let is_table = |id: &Id| {
        matches!(id.kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView)
            && (&*id.schema, &*id.name) == (used.table.schema(), used.table.name())
    };
    let is_column = |id: &Id| {
        id.kind == Kind::Column
            && (&*id.schema, &*id.parent) == (used.table.schema(), used.table.name())
            && used.column.as_deref() == Some(&*id.name)
    };
    let error = Severity::Error;
    let of = |(id, before, after): (&Id, Option<&Object>, Option<&Object>)| match (before, after) {
        (Some(_), None) if is_table(id) || is_column(id) => Some(
            QueryFault::new(codes::CONSUMER_BROKEN, error, "is used, but was dropped or renamed".to_owned()).about(id),
        ),
        (Some(old), Some(new)) if is_column(id) && old.fact("type") != new.fact("type") => {
            let [was, is] = [old, new].map(|one| one.fact("type").unwrap_or_default());
            Some(
                QueryFault::new(codes::CONSUMER_RESULT, error, format!("is used; its type was {was} and is now {is}"))
                    .about(id),
            )
        }
        _ => None,
    };
    change.objects().find_map(of)
}

/// A declared use, as people write it.
pub(super) fn named(used: &DeclaredUse) -> String {
    let table = match used.table.schema() {
        "public" => used.table.name().to_owned(),
        schema => format!("{schema}.{}", used.table.name()),
    };
    used.column.as_ref().map_or_else(|| table.clone(), |column| format!("{table}.{column}"))
}

/// The type and the label of `invalid input value for enum TYPE: "LABEL"`.
fn enum_label(message: &str) -> Option<(&str, &str)> {
    let (of, label) = message.split_once(" enum ")?.1.split_once(": ")?;
    let of = of.rsplit('.').next().unwrap_or(of).trim_matches('"');
    Some((of, label.strip_prefix('"')?.strip_suffix('"')?))
}

/// A label that a query uses but the enum does not have: the enum lost it, or the column now has another enum type.
fn without_label(step: &QueryEffects, why: &PrepareRefusal) -> QueryFault {
    let message = format!("uses a label that the enum no longer has: {}", why.message);
    let fault = QueryFault::new(codes::CONSUMER_LABEL, Severity::Error, message);
    let Some((of, label)) = enum_label(&why.message) else { return fault };
    let is_of = |one: &Object| one.fact("type").is_some_and(|text| text.trim_end_matches("[]").ends_with(of));
    let came = |(id, _, _): &(&Id, Option<&Object>, Option<&Object>)| id.kind == Kind::Type && *id.name == *of;
    let retyped = |(id, before, after): &(&Id, Option<&Object>, Option<&Object>)| {
        id.kind == Kind::Column && after.is_some_and(is_of) && before.is_some_and(|before| !is_of(before))
    };
    let lost = |(_, before, after): &(&Id, Option<&Object>, Option<&Object>)| {
        before.is_some() && after.is_some() && before != after
    };
    if let Some((id, ..)) = step.change.objects().filter(came).find(lost) {
        return QueryFault { label: Some(label.to_owned()), ..fault.about(id) };
    }
    match step.change.objects().find(retyped) {
        Some((id, ..)) => fault.about(id),
        None => QueryFault { label: Some(label.to_owned()), ..fault },
    }
}

fn refused(step: &QueryEffects, why: &PrepareRefusal, text: &str) -> QueryFault {
    let of_constraint = || text.to_lowercase().contains("on constraint") && why.message.contains("constraint");
    let error = Severity::Error;
    let fault = match why.sqlstate.as_str() {
        "22P02" if why.message.contains("enum") => without_label(step, why),
        "42704" if of_constraint() => {
            let message = format!("names a constraint in ON CONFLICT that no longer exists: {}", why.message);
            QueryFault::new(codes::CONSUMER_CONFLICT, error, message)
        }
        _ => QueryFault::new(codes::CONSUMER_BROKEN, error, format!("can no longer be prepared: {}", why.message)),
    };
    told(QueryFault { at: why.at, is_fixable: true, ..fault }, why)
}

fn told(fault: QueryFault, why: &PrepareRefusal) -> QueryFault {
    let fault = why.detail.iter().fold(fault, |fault, detail| fault.note(detail));
    let fault = fault.note(format!("SQLSTATE {}", why.sqlstate));
    why.hint.iter().fold(fault, |fault, hint| fault.help(hint))
}

/// All differences in a result are one fault, with the weight of the heaviest one.
fn result(differences: &[QueryDifference], expands: bool) -> Option<QueryFault> {
    let of = |difference: &QueryDifference| match difference {
        QueryDifference::Came(..) if expands => None,
        QueryDifference::Result(weight, column, text) | QueryDifference::Came(weight, column, text) => {
            Some((*weight, column.clone(), text.clone()))
        }
        _ => None,
    };
    let mut all: Vec<(ChangeImpact, String, String)> = differences.iter().filter_map(of).collect();
    all.sort_by_key(|(weight, ..)| std::cmp::Reverse(*weight));
    let (weight, column, first) = all.first()?;
    let severity = if *weight == ChangeImpact::Breaking { Severity::Error } else { Severity::Warning };
    let fault = QueryFault::new(codes::CONSUMER_RESULT, severity, format!("returns a different result: {first}"));
    let fault = all[1..].iter().fold(fault, |fault, (.., text)| fault.note(text));
    Some(QueryFault { is_fixable: true, about: Some((String::new(), column.clone())), ..fault })
}

fn parameter(at: usize, was: &str, is: &str) -> QueryFault {
    let message = format!("takes a different parameter: ${at} was {was} and is now {is}");
    let fault = QueryFault::new(codes::CONSUMER_PARAMETER, Severity::Error, message);
    QueryFault { is_fixable: true, ..fault }
        .note("a driver that sends values in binary form sends those of the old type")
}

fn meaning(was: &str, is: &str) -> QueryFault {
    QueryFault::new(
        codes::CONSUMER_OVERLOAD,
        Severity::Error,
        format!("has a different meaning: it now calls {is} instead of {was}"),
    )
    .help("select the right one with a cast in the query, such as `$1::text`")
}

fn unplanned(why: &PrepareRefusal, step: &QueryEffects) -> QueryFault {
    let fault = match why.sqlstate.as_str() {
        "42P10" => {
            let message = "has an ON CONFLICT that no longer has a matching unique index".to_owned();
            let gone = |kind: Kind| matches!(kind, Kind::Index | Kind::Constraint);
            let index =
                step.change.objects().find(|(id, before, after)| gone(id.kind) && before.is_some() && after.is_none());
            let fault = QueryFault::new(codes::CONSUMER_CONFLICT, Severity::Error, message);
            index.map_or(fault.clone(), |(id, ..)| fault.about(id))
        }
        _ => QueryFault::new(
            codes::CONSUMER_BROKEN,
            Severity::Error,
            format!("can no longer be planned: {}", why.message),
        ),
    };
    told(fault, why).note("preparing the query does not show this; running it does")
}

/// Columns that every new row now needs and that this query does not fill.
fn unfilled(step: &QueryEffects, touch: &TableAccess) -> Vec<QueryFault> {
    if !touch.adds() {
        return Vec::new();
    }
    let came = step.change.objects().filter_map(|(id, before, after)| {
        let after = after.filter(|after| id.kind == Kind::Column && needs_value(after))?;
        let ours = *id.schema == *touch.table.schema() && *id.parent == *touch.table.name();
        let is_news = ours && before.is_none_or(|before| !needs_value(before)) && !touch.inserts.contains(&*id.name);
        is_news.then_some((id, asked_of(before, after)))
    });
    let fault = |(id, asked): (&Id, &str)| {
        let message = format!("gives no value to {} of {}, which every new row now needs", id.name, id.parent);
        QueryFault::new(codes::CONSUMER_INSERT, Severity::Error, message)
            .asked(id, asked)
            .note("preparing the query does not show this; running it does, unless a trigger fills the column")
            .help(give_default(id))
    };
    came.map(fault).collect()
}

/// What changed in a column that now needs a value.
fn asked_of(before: Option<&Object>, after: &Object) -> &'static str {
    let is_filled = |one: &Object| one.fact("not null").is_some();
    if is_filled(after) && before.is_some_and(is_filled) { "DROP DEFAULT" } else { "NOT NULL" }
}

fn give_default(column: &Id) -> String {
    let (table, name) = (table_of(column), plain(&column.name));
    format!("give the column a default: `ALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT …`")
}

/// Columns that can no longer be NULL and that this query sets to NULL, or to a value that may be NULL.
fn filled_with_null(step: &QueryEffects, touch: &TableAccess) -> Vec<QueryFault> {
    let is_filled = |one: &Object| one.fact("not null").is_some();
    let mut all = Vec::new();
    for (id, before, after) in step.change.objects().filter(|(id, ..)| id.kind == Kind::Column) {
        let ours = *id.schema == *touch.table.schema() && *id.parent == *touch.table.name();
        let (Some(after), Some(value)) = (after, touch.values.get(&*id.name).filter(|_| ours)) else { continue };
        let was_open = !before.is_some_and(is_filled) && is_filled(after);
        let lost_default = needs_value(after) && !before.is_some_and(needs_value);
        let (column, table) = (&id.name, &id.parent);
        let fault = match value {
            AssignedValue::Null if was_open => {
                let message = format!("writes NULL to {column} of {table}, which can no longer be NULL");
                QueryFault::new(codes::CONSUMER_INSERT, Severity::Error, message)
                    .help("give the column a value in the query, deploy that, and set NOT NULL afterwards")
            }
            AssignedValue::Default if lost_default => {
                let message =
                    format!("writes the default to {column} of {table}, which has no default and cannot be NULL");
                QueryFault::new(codes::CONSUMER_INSERT, Severity::Error, message).help(give_default(id))
            }
            AssignedValue::Unknown if was_open => {
                let message = format!("writes to {table}, where {column} can no longer be NULL");
                QueryFault::new(codes::CONSUMER_STRICTER, Severity::Warning, message)
                    .help("make sure that it never writes NULL there")
            }
            _ => continue,
        };
        let fault = fault.asked(id, asked_of(before, after));
        all.push(
            fault.note("preparing the query does not show this; running it does, unless a trigger fills the column"),
        );
    }
    all
}

fn without(index: &str, step: &QueryEffects) -> QueryFault {
    let id = step.change.objects().map(|(id, ..)| id).find(|id| *id.name == *index);
    let fault = QueryFault::new(
        codes::CONSUMER_INDEX,
        Severity::Note,
        format!("had a plan with the index {index}, which no longer exists"),
    );
    id.map_or(fault.clone(), |id| fault.about(id))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use migrate_base::finding::Place;
    use migrate_base::ident::QualifiedName;
    use migrate_schema::{Fact, Schema};

    use super::*;

    fn object(kind: Kind, parent: &str, name: &str, of: &str) -> Arc<Object> {
        let (parent, name) = (parent.into(), name.into());
        let id = Arc::new(Id { kind, schema: "public".into(), parent, name, signature: "".into() });
        let facts = vec![Fact { name: "type".into(), value: of.into() }];
        Arc::new(Object { id, facts, position: None })
    }

    #[test]
    fn what_is_declared_is_followed_by_its_name() {
        let table = object(Kind::Table, "", "t", "");
        let before = Schema::default().with([table.clone(), object(Kind::Column, "t", "a", "integer")]);
        let told = |after: Schema, column: Option<&str>| {
            let table = QualifiedName::new("public", "t");
            let used = DeclaredUse { table, column: column.map(str::to_owned), writes: false, place: Place::file("a") };
            declared(&SchemaChange::between(&before, &after), &used)
                .map(|fault| format!("{} {}", fault.code.as_str(), fault.message))
        };
        let wider = Schema::default().with([table.clone(), object(Kind::Column, "t", "a", "bigint")]);
        let broken = Some("consumer-broken is used, but was dropped or renamed".to_owned());
        let retyped = Some("consumer-result is used; its type was integer and is now bigint".to_owned());
        assert_eq!(told(wider.clone(), Some("a")), retyped);
        assert_eq!((told(wider, None), told(Schema::default().with([table]), Some("a"))), (None, broken.clone()));
        assert_eq!((told(Schema::default(), None), told(before.clone(), Some("a"))), (broken, None));
    }
}
