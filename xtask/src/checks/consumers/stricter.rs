//! What a writer has to keep from a step on: checks, keys, and constants that are refused for sure. Pure.

use std::collections::BTreeSet;

use migrate_core::consumer::Touch;
use migrate_core::finding::Severity;
use migrate_core::ident::plain;
use migrate_core::schema::{Id, Kind, Object};
use migrate_test::consume::{Refused, Step};

use super::fault::Fault;

/// Checks and foreign keys that are new, or ask for something else, and that what is written has to keep.
pub(super) fn stricter(step: &Step, touch: &Touch) -> Vec<Fault> {
    let written: BTreeSet<&String> = touch.inserts.iter().chain(&touch.updates).collect();
    if written.is_empty() && !touch.adds() {
        return Vec::new();
    }
    let rule = |object: Option<&Object>| {
        let text = object.and_then(|one| one.fact("definition"))?.trim_end_matches(" NOT VALID");
        // What becomes of a row when the one that it refers to goes is nothing that a writer has to keep.
        let actions = [" ON UPDATE ", " ON DELETE "].iter().filter_map(|word| text.find(word)).min();
        let is_key = text.starts_with("FOREIGN KEY");
        Some(text[..actions.filter(|_| is_key).unwrap_or(text.len())].to_owned())
    };
    let ours = |id: &Id| {
        id.kind == Kind::Constraint && *id.schema == *touch.table.schema() && *id.parent == *touch.table.name()
    };
    let gone: BTreeSet<String> = step
        .change
        .objects()
        .filter(|(id, _, after)| ours(id) && after.is_none())
        .filter_map(|(_, old, _)| rule(old))
        .collect();
    let came = step.change.objects().filter(|(id, ..)| ours(id)).filter_map(|(id, before, after)| {
        let definition = rule(after).filter(|text| text.starts_with("CHECK") || text.starts_with("FOREIGN KEY"))?;
        let is_news = Some(&definition) != rule(before).as_ref() && !gone.contains(&definition);
        // What a foreign key refers to is not written here.
        let local = definition.split(" REFERENCES ").next().unwrap_or_default();
        let own = local.split(|c: char| !c.is_alphanumeric() && c != '_').collect::<BTreeSet<_>>();
        // A column that is not named is NULL or has its default; NULL keeps every key and every check but one that asks for it.
        let asks = touch.adds() && definition.starts_with("CHECK") && definition.contains("IS NOT NULL");
        let meant = asks || written.iter().any(|column| own.contains(column.as_str()));
        (is_news && meant).then_some((id, definition))
    });
    let fault = |(id, definition): (&Id, String)| {
        let message = format!("writes to {}, where {} is stricter now", id.parent, id.name);
        Fault::new("consumer-stricter", Severity::Warning, message)
            .asked(id, &definition)
            .note(format!("{} {definition}", id.name))
            .help("see that every value that it writes keeps it")
    };
    came.map(fault).collect()
}

/// Constants of a query that something new refuses.
pub(super) fn constant(refused: &Refused) -> Fault {
    let Refused { by, definition, table, values, is_later } = refused;
    let code = if *is_later { "consumer-stricter" } else { "consumer-refused" };
    let fault = match is_later {
        true => {
            let message = format!("writes the same to {table} each time, and {} takes it once: {values}", by.name);
            Fault::new(code, Severity::Warning, message)
                .help("say in the query what becomes of a row that is there: ON CONFLICT …")
        }
        false => {
            let message = format!("writes to {table} what {} refuses: {values}", by.name);
            Fault::new(code, Severity::Error, message)
                .help("give the query another value, deploy that, and make the change afterwards")
        }
    };
    fault
        .asked(by, definition)
        .note(format!("{} {definition}", by.name))
        .note("preparing does not show it; running does, unless a trigger changes the row")
}

/// Foreign keys that are new and that rows which are deleted may not be missing for.
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
        let message = format!("deletes from {}, to which {} refers now", touch.table.name(), id.parent);
        Fault::new("consumer-stricter", Severity::Warning, message)
            .about(id)
            .note(format!("{} {definition}", id.name))
            .help(format!("delete from {} first, or say in the key what becomes of its rows: ON DELETE …", id.parent))
    };
    came.map(fault).collect()
}
