//! The changed tables as a Mermaid diagram.
//!
//! Mermaid has no escapes. Names are written with the letters that all its versions accept; if that changes a name, the
//! true name follows as a comment. The grammar is in its documentation of entity-relationship diagrams: a type and a
//! name begin with a letter; `PK`, `FK` and `UK` are neither.

use std::collections::{BTreeMap, BTreeSet};

use super::{DiagramColumn, DiagramFate, DiagramTable};
use crate::output::clean::is_hidden;

/// The diagram; names that would look the same are numbered.
pub(crate) fn render(tables: &[DiagramTable]) -> String {
    let names = names(tables);
    let name = |table: &str| names.get(table).map_or("", String::as_str);
    let mut text = "erDiagram\n".to_owned();
    for table in tables {
        text.push_str(&format!("    \"{}\" {{\n", name(&table.name)));
        for column in &table.columns {
            text.push_str(&format!("        {}\n", attribute(table, column)));
        }
        text.push_str("    }\n");
    }
    for table in tables {
        for (other, columns) in &table.references {
            let label = quoted(columns);
            text.push_str(&format!("    \"{}\" }}o--|| \"{}\" : \"{label}\"\n", name(&table.name), name(other)));
        }
    }
    text
}

/// The unique name of each table in the diagram, with its fate.
fn names(tables: &[DiagramTable]) -> BTreeMap<&str, String> {
    let fates: BTreeMap<&str, DiagramFate> = tables.iter().map(|table| (table.name.as_str(), table.fate)).collect();
    let others = tables.iter().flat_map(|table| &table.references).map(|(other, _)| other.as_str());
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for table in fates.keys().copied().chain(others) {
        if names.contains_key(table) {
            continue;
        }
        let fate = fates.get(table).filter(|fate| **fate != DiagramFate::Same);
        let fate = fate.map(|fate| format!(" ({})", fate.as_str())).unwrap_or_default();
        let plain = quoted(table);
        let numbered = |number: usize| if number == 1 { plain.clone() } else { format!("{plain} no. {number}") };
        let name = (1..).map(|number| numbered(number) + &fate).find(|name| !taken.contains(name));
        let name = name.unwrap_or_default();
        taken.insert(name.clone());
        names.insert(table, name);
    }
    names
}

/// `bigint id PK "added"`.
fn attribute(table: &DiagramTable, column: &DiagramColumn) -> String {
    let (kind, name) = (word(&column.kind), word(&column.name));
    let is_foreign =
        table.references.iter().any(|(_, columns)| columns.split(',').any(|one| one.trim() == column.name));
    let key = match (column.is_key, is_foreign) {
        (true, _) => " PK",
        (false, true) => " FK",
        (false, false) => "",
    };
    let true_name = (name != column.name).then(|| quoted(&column.name));
    let fate = (column.fate != DiagramFate::Same).then(|| column.fate.as_str().to_owned());
    let comment: Vec<String> = [fate, true_name].into_iter().flatten().collect();
    let comment = if comment.is_empty() { String::new() } else { format!(" \"{}\"", comment.join(": ")) };
    format!("{kind} {name}{key}{comment}")
}

/// A type or a name of a column: letters, digits, `_`, and the brackets of a type.
fn word(text: &str) -> String {
    let letter = |char: char| if char.is_ascii_alphanumeric() || "()[]".contains(char) { char } else { '_' };
    let word: String = text.chars().filter(|char| *char != '"').map(letter).collect();
    if !word.starts_with(|char: char| char.is_ascii_alphabetic()) {
        return format!("c{word}");
    }
    // Mermaid reads `pk`, `fk` and `uk` as a key wherever they stand alone, in upper or lower case.
    let (head, tail) = word.split_at_checked(2).unwrap_or((&word, ""));
    let goes_on = tail.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '_');
    let is_key = !goes_on && ["pk", "fk", "uk"].contains(&head.to_ascii_lowercase().as_str());
    if is_key { format!("{head}_{tail}") } else { word }
}

/// A text for quotes: letters of all scripts, and characters without a meaning in Mermaid, HTML and Markdown.
fn quoted(text: &str) -> String {
    let letter = |char: char| match char {
        char if is_hidden(char) => '_',
        char if char.is_alphanumeric() || " _-.,()[]/+*=?!'".contains(char) => char,
        _ => '_',
    };
    let text: String = text.chars().map(letter).collect();
    // Mermaid draws nothing at all if a name is blank.
    if text.trim().is_empty() { "_".to_owned() } else { text.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::sample;

    #[test]
    fn the_sample() {
        sample::check("tables.mmd", render(&sample::report().tables));
    }

    #[test]
    fn names_that_look_alike_are_told_apart() {
        let table = |name: &str| DiagramTable {
            name: name.to_owned(),
            fate: DiagramFate::Added,
            columns: vec![],
            references: vec![],
        };
        let text = render(&[table("a\"b"), table("a%b"), table("")]);
        assert_eq!(text.matches("\"a_b (added)\" {").count(), 1);
        assert_eq!(text.matches("\"a_b no. 2 (added)\" {").count(), 1);
    }

    #[test]
    fn no_column_is_read_as_a_key() {
        let names = ["pk", "Fk", "uk[]", "pkey", "fk_a", "ü", "1", "\"char\""];
        assert_eq!(names.map(word), ["pk_", "Fk_", "uk_[]", "pkey", "fk_a", "c_", "c1", "char"]);
    }

    /// Whether a line is one that every version of Mermaid reads.
    fn is_known(line: &str) -> bool {
        let is_text = |text: &str| {
            !text.trim().is_empty()
                && text.chars().all(|char| char.is_alphanumeric() || " _-.,:()[]/+*=?!'".contains(char))
        };
        let is_word = |text: &str| {
            text.starts_with(|char: char| char.is_ascii_alphabetic())
                && text.chars().all(|char| char.is_ascii_alphanumeric() || "_()[]".contains(char))
                && !["pk", "fk", "uk"].contains(&text.to_ascii_lowercase().as_str())
        };
        let parts: Vec<&str> = line.split('"').collect();
        match parts[..] {
            ["erDiagram"] | ["    }"] => true,
            ["    ", name, " {"] => is_text(name),
            ["    ", one, " }o--|| ", other, " : ", label, ""] => is_text(one) && is_text(other) && is_text(label),
            [head] | [head, _, ""] if head.starts_with("        ") => {
                let comment = parts.get(1).is_none_or(|comment| is_text(comment));
                let words: Vec<&str> = head.split_whitespace().collect();
                let key = words.get(2).is_none_or(|key| ["PK", "FK"].contains(key));
                comment && key && (2..=3).contains(&words.len()) && words[..2].iter().all(|word| is_word(word))
            }
            _ => false,
        }
    }

    fn any_table() -> impl Strategy<Value = DiagramTable> {
        let name = || prop_oneof![any::<String>(), "[pfu]k[\\[\\]()%]{0,2}", "[a-z \"%{}#;`]{0,6}"];
        let fate = || {
            prop_oneof![
                Just(DiagramFate::Same),
                Just(DiagramFate::Added),
                Just(DiagramFate::Dropped),
                Just(DiagramFate::Changed)
            ]
        };
        let column = (name(), name(), any::<bool>(), fate());
        let column = column.prop_map(|(name, kind, is_key, fate)| DiagramColumn { name, kind, is_key, fate });
        let columns = proptest::collection::vec(column, 0..3);
        let references = proptest::collection::vec((name(), name()), 0..2);
        let table = (name(), fate(), columns, references);
        table.prop_map(|(name, fate, columns, references)| DiagramTable { name, fate, columns, references })
    }

    proptest! {
        #[test]
        fn only_what_mermaid_reads_is_written(tables in proptest::collection::vec(any_table(), 0..4)) {
            let text = render(&tables);
            for line in text.lines() {
                prop_assert!(is_known(line), "{line:?}");
            }
        }
    }
}
