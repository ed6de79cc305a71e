//! What a writer has to satisfy after a step: checks, keys, and constants that are certainly refused. Computed without
//! a server.

use std::collections::BTreeSet;

use migrate_base::codes;
use migrate_base::finding::Severity;
use migrate_base::ident::plain;
use migrate_review::consumer::Touch;
use migrate_schema::{Id, Kind};
use migrate_test::consume::{RefusedConstant, RefusedWhen, Step, rules};

use super::fault::Fault;

/// New or changed checks and foreign keys that the written rows have to satisfy.
pub(super) fn stricter(step: &Step, touch: &Touch) -> Vec<Fault> {
    let written: BTreeSet<&String> = touch.inserts.iter().chain(&touch.updates).collect();
    if written.is_empty() && !touch.adds() {
        return Vec::new();
    }
    let ours = |id: &Id| *id.schema == *touch.table.schema() && *id.parent == *touch.table.name();
    let is_asked = |definition: &str| definition.starts_with("CHECK") || definition.starts_with("FOREIGN KEY");
    let came = rules(&step.change).into_iter().filter(|(id, _, definition)| ours(id) && is_asked(definition));
    let meant = came.filter_map(|(id, _, definition)| {
        // The referenced columns of a foreign key are not written here.
        let local = definition.split(" REFERENCES ").next().unwrap_or_default();
        let own = local.split(|c: char| !c.is_alphanumeric() && c != '_').collect::<BTreeSet<_>>();
        // A column that is not named is NULL or has its default. NULL satisfies every key, and every check except one
        // with IS NOT NULL.
        let asks = touch.adds() && definition.starts_with("CHECK") && definition.contains("IS NOT NULL");
        let meant = asks || written.iter().any(|column| own.contains(column.as_str()));
        meant.then_some((id, definition))
    });
    let fault = |(id, definition): (&Id, String)| {
        let message = format!("writes to {}, where {} is now stricter", id.parent, id.name);
        Fault::new(codes::CONSUMER_STRICTER, Severity::Warning, message)
            .asked(id, &definition)
            .note(format!("{} {definition}", id.name))
            .help("make sure that every value that it writes satisfies it")
    };
    meant.map(fault).collect()
}

/// Constants in a query that a new constraint refuses.
pub(super) fn constant(refused: &RefusedConstant) -> Fault {
    let RefusedConstant { by, definition, table, values, when } = refused;
    let code = if *when == RefusedWhen::Always { codes::CONSUMER_REFUSED } else { codes::CONSUMER_STRICTER };
    let fault = match when {
        RefusedWhen::Again => {
            let message =
                format!("writes the same values to {table} each time, but {} allows them only once: {values}", by.name);
            Fault::new(code, Severity::Warning, message)
                .help("say in the query what to do with an existing row: ON CONFLICT …")
        }
        RefusedWhen::Unchanged => {
            let message = format!("writes values to {table} that {} refuses as they are: {values}", by.name);
            Fault::new(code, Severity::Warning, message)
                .note("a trigger or rule may change the row")
                .help("make sure that the changed row is accepted")
        }
        RefusedWhen::Always => {
            let message = format!("writes values to {table} that {} refuses: {values}", by.name);
            Fault::new(code, Severity::Error, message)
                .help("use another value in the query, deploy that, and make this change afterwards")
        }
    };
    let fault = fault.asked(by, definition).note(format!("{} {definition}", by.name));
    fault.note("preparing the query does not show this; running it does")
}

/// New foreign keys that reference the rows which the query deletes.
pub(super) fn referred(step: &Step, touch: &Touch) -> Vec<Fault> {
    if !touch.rights.contains(&"DELETE") {
        return Vec::new();
    }
    let target = format!(" REFERENCES {}.{}(", plain(touch.table.schema()), plain(touch.table.name()));
    let came = step.change.objects().filter_map(|(id, before, after)| {
        let text = (id.kind == Kind::Constraint).then(|| after?.fact("definition"))??;
        let lets_go =
            ["CASCADE", "SET NULL", "SET DEFAULT"].iter().any(|way| text.contains(&format!(" ON DELETE {way}")));
        (before.is_none() && text.starts_with("FOREIGN KEY") && text.contains(&target) && !lets_go)
            .then_some((id, text))
    });
    let fault = |(id, definition): (&Id, &str)| {
        let message = format!("deletes from {}, which {} now references", touch.table.name(), id.parent);
        Fault::new(codes::CONSUMER_STRICTER, Severity::Warning, message)
            .about(id)
            .note(format!("{} {definition}", id.name))
            .help(format!(
                "delete from {} first, or define in the key what happens to its rows: ON DELETE …",
                id.parent
            ))
    };
    came.map(fault).collect()
}
