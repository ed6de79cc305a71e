//! What sqlx stores for builds without a database: `.sqlx/query-<digest>.json`, one query each.

use std::path::Path;
use std::sync::Arc;

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use serde::Deserialize;

use super::{Query, QueryOrigin, RepositoryPlace, json_error, json_text};

#[derive(Deserialize)]
struct SqlxQuery {
    db_name: Option<String>,
    query: String,
}

/// Reads the query in a file; it is named after the file.
pub(super) fn read(path: &Path, text: &Arc<str>) -> Result<Query, Box<Finding>> {
    let wrong = |finding: Finding| {
        Box::new(
            finding.help("generate the files again with `cargo sqlx prepare`, and remove those that it does not write"),
        )
    };
    let offline: SqlxQuery = serde_json::from_str(text).map_err(|error| {
        wrong(json_error(codes::SQLX_DATA, "this is not a query stored by sqlx", path, text, &error))
    })?;
    if let Some(other) = offline.db_name.filter(|name| name != "PostgreSQL") {
        let finding = Finding::new(codes::SQLX_DATA, format!("this query is for {other}, not for PostgreSQL"));
        return Err(wrong(finding.at(Place::file(path))));
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let string = json_text::texts(text).into_iter().find(|one| one.depth == 1 && one.key == "query");
    let span = string.map_or(0..text.len(), |string| string.span);
    let pieces = json_text::pieces(text, &span);
    let origin = QueryOrigin { path: path.to_owned(), text: text.clone(), span, pieces };
    let found = Some(RepositoryPlace { file: path.display().to_string(), line: None });
    // A digest of 64 digits is too long for a name.
    let name: String = stem.chars().take("query-".len() + 12).collect();
    Ok(Query { name, text: offline.query.into(), origin, calls: None, found, expands: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_query_is_found_inside_the_string() {
        let text: Arc<str> = "{\n  \"db_name\": \"PostgreSQL\",\n  \
                              \"query\": \"SELECT\\n \\\"a\\\", missing FROM t\",\n  \
                              \"describe\": {\"query\": \"x\"}\n}"
            .into();
        let query = read(Path::new(".sqlx/query-0123456789abcdef.json"), &text).unwrap();
        assert_eq!((&*query.text, &*query.name), ("SELECT\n \"a\", missing FROM t", "query-0123456789ab"));
        let at = query.text.find("missing").unwrap();
        let place = query.part(at..at + 7);
        let (text, span, _) = place.source().unwrap();
        assert_eq!(&text[span], "missing");
    }

    #[test]
    fn another_shape_or_database_is_refused_with_its_place() {
        for (text, place) in [
            ("{", "a.json:1:2"),
            ("[1]", "a.json:1:2"),
            ("{\"query\":\n 1}", "a.json:2:2"),
            ("{\"db_name\": \"MySQL\", \"query\": \"SELECT 1\"}", "a.json"),
        ] {
            let finding = read(Path::new("a.json"), &text.into()).unwrap_err();
            let found = finding.place.as_ref().unwrap().to_string();
            assert_eq!((finding.code.as_str(), found.split(':').next().unwrap()), ("sqlx-data", "a.json"), "{text}");
            assert!(found.starts_with(place.split(':').next().unwrap()), "{found} {place}");
        }
    }
}
