//! Tables and columns that a service declares.

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::ident::{QualifiedName, first_name};

use super::Use;
use crate::consumer::Said;

/// Reads `table`, `table.column` or `schema.table.column`; a column `*` means the whole table.
pub(super) fn read(said: &Said, writes: bool) -> Result<Use, Box<Finding>> {
    let wrong = || {
        let finding = Finding::new(codes::CONSUMER_USE, format!("`{}` does not name a table or a column", said.text));
        let help = "write `table`, `table.column` or `schema.table.column`; `schema.table.*` is a whole table";
        Box::new(finding.at(said.place.clone()).help(help))
    };
    let mut names = names(&said.text).ok_or_else(wrong)?.into_iter();
    let (schema, table, column) = match (names.next(), names.next(), names.next(), names.next()) {
        (Some(Some(table)), None, ..) => (None, table, None),
        (Some(Some(table)), Some(column), None, _) => (None, table, column),
        (Some(Some(schema)), Some(Some(table)), Some(column), None) => (Some(schema), table, column),
        _ => return Err(wrong()),
    };
    let table = QualifiedName::new(schema.unwrap_or_else(|| "public".to_owned()), table);
    let place = said.place.clone().unwrap_or_else(|| Place::file("the command line"));
    Ok(Use { table, column, writes, place })
}

/// The parts of a name; `None` is a `*`, which must be the last part.
fn names(text: &str) -> Option<Vec<Option<String>>> {
    let (mut names, mut rest) = (Vec::new(), text.trim());
    loop {
        if rest == "*" {
            names.push(None);
            return Some(names);
        }
        let (name, more) = first_name(rest)?;
        names.push(Some(name));
        if more.is_empty() {
            return Some(names);
        }
        rest = more.strip_prefix('.')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let said = Said::from(text);
        match read(&said, false) {
            Ok(used) => format!("{} {}", used.table, used.column.unwrap_or_default()),
            Err(finding) => finding.code.as_str().to_owned(),
        }
    }

    #[test]
    fn names_have_one_to_three_parts() {
        assert_eq!(told("Orders"), "\"public\".\"orders\" ");
        assert_eq!(told("orders.status"), "\"public\".\"orders\" status");
        assert_eq!(told("sales.\"Or.ders\".id"), "\"sales\".\"Or.ders\" id");
        assert_eq!(told("sales.orders.*"), "\"sales\".\"orders\" ");
        for text in ["", "*", ".", "a.", "a.b.c.d", "a b", "a.*.b", "\"a", "a..b"] {
            assert_eq!(told(text), "consumer-use", "{text}");
        }
    }
}
