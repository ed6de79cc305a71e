//! JSON documents that satisfy requirements.

use std::collections::BTreeMap;

use super::expr::{Expr, ExprForm};
use super::reading::TextReading;

/// A requirement on a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonRequirement {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
    /// A text that can be parsed as this type.
    Type(String),
    /// This value: as JSON, or otherwise as a string.
    Exactly(String),
}

/// The structure of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct JsonShape {
    want: Option<JsonRequirement>,
    fields: BTreeMap<String, JsonShape>,
}

/// A column, and the path into its document; an array index is `None`.
pub(super) type JsonPath = (String, Vec<Option<String>>);

/// The path that an expression follows: `doc`, `doc -> 'a' ->> 'b'`, `doc #>> '{a,b}'`.
pub(super) fn path(expr: &Expr) -> Option<JsonPath> {
    match expr.bare().form() {
        ExprForm::Column(name) => Some((name.clone(), Vec::new())),
        ExprForm::Op(op, sides) => {
            let [base, step] = sides.as_slice() else { return None };
            let (column, mut steps) = path(base)?;
            match op.as_str() {
                "->" | "->>" | "[]" => {
                    let constant = step.as_constant()?;
                    steps.push(Some(constant).filter(|_| matches!(step.bare().form(), ExprForm::Text(_))));
                    Some((column, steps))
                }
                "#>" | "#>>" => within((column, steps), step),
                _ => None,
            }
        }
        ExprForm::Call(name, arguments) if name.contains("json") && name.contains("_extract_path") => {
            let (first, rest) = arguments.split_first()?;
            let (column, mut steps) = path(first)?;
            steps.extend(rest.iter().map(|step| step.as_constant().filter(|item| item.parse::<u32>().is_err())));
            Some((column, steps))
        }
        _ => None,
    }
}

/// A path, extended by the steps in an array: `{a,b}`.
pub(super) fn within((column, mut steps): JsonPath, more: &Expr) -> Option<JsonPath> {
    let constant = more.as_constant()?;
    let items = migrate_schema::array_items(&constant).into_iter().flatten();
    steps.extend(items.map(|item| Some(item).filter(|item| item.parse::<u32>().is_err())));
    Some((column, steps))
}

impl JsonShape {
    pub(super) fn is_empty(&self) -> bool {
        self.want.is_none() && self.fields.is_empty()
    }

    /// Adds a requirement at a path. The first requirement wins, unless it is less specific.
    pub(super) fn ask(&mut self, steps: &[Option<String>], want: Option<JsonRequirement>) {
        match steps.split_first() {
            // An element of an array: the field name is empty.
            Some((step, rest)) => {
                self.fields.entry(step.clone().unwrap_or_default()).or_default().ask(rest, want);
            }
            None if self.want.is_none() || matches!(want, Some(JsonRequirement::Exactly(_))) => {
                self.want = want.or(self.want.take())
            }
            None => {}
        }
    }

    /// A document as `jsonb` prints it.
    pub(super) fn text(&self, serial: u32) -> String {
        if self.fields.is_empty() {
            return self.scalar(serial);
        }
        if let Some(item) = self.fields.get("").filter(|_| self.fields.len() == 1) {
            return format!("[{}]", item.text(serial));
        }
        let mut fields: Vec<(&String, &Self)> = self.fields.iter().filter(|(name, _)| !name.is_empty()).collect();
        // The order of jsonb: short names first.
        fields.sort_by_key(|(name, _)| (name.len(), name.as_bytes()));
        let field = |(name, shape): &(&String, &Self)| format!("{}: {}", quoted(name), shape.text(serial));
        format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
    }

    /// Its keys with values, in the syntax of hstore.
    pub(super) fn pairs(&self, serial: u32) -> String {
        let pairs = self.fields.keys().filter(|name| !name.is_empty());
        pairs.map(|name| format!("{}=>\"v{serial}\"", quoted(name))).collect::<Vec<_>>().join(", ")
    }

    /// The same with this JSON value wherever a value is required.
    pub(super) fn with(&self, value: &str) -> String {
        let mut fields = self.fields.iter();
        match (fields.next(), self.fields.len()) {
            (None, _) => value.to_owned(),
            (Some((name, item)), 1) if name.is_empty() => format!("[{}]", item.with(value)),
            _ => {
                let named = self.fields.iter().filter(|(name, _)| !name.is_empty());
                let fields = named.map(|(name, shape)| format!("{}: {}", quoted(name), shape.with(value)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn scalar(&self, serial: u32) -> String {
        let number = serial % 20 + 1;
        match &self.want {
            None => quoted(&format!("v{serial}")),
            Some(JsonRequirement::Text) => quoted(&format!("text {serial}")),
            Some(JsonRequirement::Object) => format!("{{\"a\": {number}}}"),
            Some(JsonRequirement::Array) => format!("[{number}]"),
            Some(JsonRequirement::Number) => number.to_string(),
            Some(JsonRequirement::Bool) => serial.is_multiple_of(2).to_string(),
            Some(JsonRequirement::Null) => "null".to_owned(),
            Some(JsonRequirement::Exactly(text)) => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(_) => text.clone(),
                Err(_) => quoted(text),
            },
            Some(JsonRequirement::Type(name)) => match readable(name, serial) {
                Some(text) if serde_json::from_str::<serde_json::Value>(&text).is_ok() => text,
                Some(text) => quoted(&text),
                None => quoted(&format!("v{serial}")),
            },
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text that can be parsed as a value of a type, but is printed differently afterwards. `None` if there is
/// none.
pub(super) fn respelled(type_name: &str, serial: u32) -> Option<String> {
    let text = readable(type_name, serial)?;
    let lower = type_name.trim().to_lowercase();
    let base = lower.split('(').next().unwrap_or(&lower).trim();
    Some(match base.rsplit('.').next().unwrap_or(base).trim_matches('"') {
        "int" | "int2" | "int4" | "int8" | "integer" | "smallint" | "bigint" | "numeric" | "decimal" | "real"
        | "float" | "float4" | "float8" | "double precision" => format!("00{text}"),
        "bool" | "boolean" => if serial.is_multiple_of(2) { "yes" } else { "f" }.to_owned(),
        "date" => text.replace('-', ""),
        "timestamp" | "timestamp without time zone" | "timestamptz" | "timestamp with time zone" => {
            text.replace(' ', "T").replace("+00", "Z")
        }
        "time" | "time without time zone" => format!("{text}.0"),
        "interval" => text.replace(" days", " d"),
        "uuid" => format!("ABCDEF{}", text.get(6..)?),
        "inet" => format!("{text}/32"),
        "macaddr" => text.replace(':', "-"),
        "bytea" => text.to_uppercase().replace('X', "x"),
        _ => return None,
    })
}

/// A text that can be parsed as a value of a type, and is printed in the same way; `None` if any text can be
/// parsed.
pub(super) fn readable(type_name: &str, serial: u32) -> Option<String> {
    let lower = type_name.trim().to_lowercase();
    let bare = lower.rsplit('.').next().unwrap_or(&lower).trim_matches('"');
    let number = serial % 20 + 1;
    if let Some(element) = bare.strip_suffix("[]") {
        return TextReading::Array(Box::new(TextReading::Type(element.to_owned()))).text(serial, false);
    }
    let base = bare.split('(').next().unwrap_or(bare).trim();
    Some(match base {
        "int" | "int2" | "int4" | "int8" | "integer" | "smallint" | "bigint" | "oid" | "real" | "float" | "float4"
        | "float8" | "double precision" => number.to_string(),
        "numeric" | "decimal" => {
            match bare.split(',').nth(1).and_then(|scale| scale.trim_end_matches(')').trim().parse().ok()) {
                Some(scale @ 1..=20) => format!("{}.{}", number % 10, "0".repeat(scale)),
                _ => (number % 10).to_string(),
            }
        }
        "money" => format!("${number}.00"),
        "bool" | "boolean" => serial.is_multiple_of(2).to_string(),
        "date" => format!("2024-01-{:02}", serial % 28 + 1),
        "timestamp" | "timestamp without time zone" => format!("2024-01-{:02} 10:00:00", serial % 28 + 1),
        "timestamptz" | "timestamp with time zone" => format!("2024-01-{:02} 10:00:00+00", serial % 28 + 1),
        "time" | "time without time zone" => format!("10:00:{:02}", serial % 60),
        "timetz" | "time with time zone" => format!("10:00:{:02}+00", serial % 60),
        "interval" => format!("{number} days"),
        "uuid" => format!("00000000-0000-4000-8000-{serial:012x}"),
        "json" | "jsonb" => format!("{{\"a\": {number}}}"),
        "xml" => format!("<a>{number}</a>"),
        "inet" => format!("10.0.0.{number}"),
        "cidr" => format!("10.0.{number}.0/24"),
        "macaddr" => format!("08:00:2b:01:02:{number:02x}"),
        "bytea" => format!("\\x{number:02x}"),
        "bit" | "varbit" | "bit varying" => "1".to_owned(),
        "point" => format!("({number},{number})"),
        "ltree" => format!("a.b{number}"),
        "int4range" | "int8range" | "numrange" => format!("[{number},{})", number + 1),
        "tsvector" => format!("'a{number}'"),
        // A type with a maximum length.
        "varchar" | "character varying" | "char" | "character" => {
            let most = bare.split('(').nth(1)?.trim_end_matches(')').trim().parse().ok()?;
            format!("{number}{}", "abcdefgh".repeat(3)).chars().take(most).collect()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_what_is_asked_and_is_printed_as_jsonb_does() {
        let mut shape = JsonShape::default();
        let steps = |text| path(&Expr::parse(text).unwrap()).unwrap().1;
        shape.ask(&steps("((doc -> 'longer'::text) ->> 'b'::text)"), Some(JsonRequirement::Type("integer".to_owned())));
        shape.ask(&steps("(doc #>> '{list,0,c}'::text[])"), Some(JsonRequirement::Bool));
        shape.ask(&steps("(doc ->> 'z'::text)"), Some(JsonRequirement::Exactly("on".to_owned())));
        assert_eq!(shape.text(2), "{\"z\": \"on\", \"list\": [{\"c\": true}], \"longer\": {\"b\": 3}}");
    }
}
