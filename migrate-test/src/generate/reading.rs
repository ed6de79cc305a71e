//! How texts are parsed: the types that expressions cast them to, as a whole or in parts, and the formats that
//! they must have.

use super::dice::Dice;
use super::expr::{Expr, ExprForm};
use super::formats;
use super::fulfil::element;
use super::json::{self, JsonPath, JsonRequirement, path};
use super::pattern::Pattern;

/// How many different texts are generated for a format.
const FORMATTED: u32 = 12;
/// How many values are searched for one to which constant text can be added.
const COMPLETED: u32 = 60;

/// How a text is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextReading {
    Type(String),
    /// As one of these.
    Texts(Vec<String>),
    /// As an array of such elements, in braces.
    Array(Box<TextReading>),
    /// As a list with at least this many items, separated by this text.
    List(Box<TextReading>, String, usize),
    /// After these texts before and after it are removed.
    Part(Box<TextReading>, String, String),
    /// From the character after this many others.
    After(Box<TextReading>, usize),
    /// After texts in it are replaced: the replacement, and the original text.
    Replaced(Box<TextReading>, Vec<(String, String)>),
    /// Regardless of its case, or of the blanks around it.
    Loose(Box<TextReading>, Looseness),
}

/// What is ignored in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looseness {
    UpperCase,
    LowerCase,
    BlanksBefore,
    BlanksAfter,
}

impl Looseness {
    /// What a function that is called with only a text ignores.
    fn of(function: &str) -> Option<Self> {
        match function {
            "lower" => Some(Self::UpperCase),
            "upper" => Some(Self::LowerCase),
            "ltrim" => Some(Self::BlanksBefore),
            "trim" | "btrim" | "rtrim" => Some(Self::BlanksAfter),
            _ => None,
        }
    }

    /// The text with it.
    fn put(self, text: &str) -> String {
        match self {
            Self::UpperCase => text.to_uppercase(),
            Self::LowerCase => text.to_lowercase(),
            Self::BlanksBefore => format!(" {text}"),
            Self::BlanksAfter => format!("{text} "),
        }
    }
}

impl TextReading {
    /// Values of a type, as it is written.
    pub(super) fn of(to: &str) -> Self {
        match to.trim().strip_suffix("[]") {
            Some(item) => Self::Array(Box::new(Self::of(item))),
            None => Self::Type(to.trim().to_owned()),
        }
    }

    /// What `to_date`, `to_timestamp`, `to_number` or `decode` parses.
    pub(super) fn by_format(function: &str, format: &str) -> Self {
        Self::Texts((0..FORMATTED).map(|serial| formats::text(function, format, serial)).collect())
    }

    /// A text that can be parsed in this way; `None` if any text can. A respelled text is printed differently
    /// afterwards.
    pub(super) fn text(&self, serial: u32, respelled: bool) -> Option<String> {
        match self {
            Self::Type(to) => {
                let other = respelled.then(|| json::respelled(to, serial)).flatten();
                other.or_else(|| json::readable(to, serial))
            }
            Self::Texts(texts) => texts.get(serial as usize % texts.len().max(1)).cloned(),
            Self::Array(item) => {
                let items: Vec<String> = item.several(serial, respelled, 1).iter().map(|item| bare(item)).collect();
                Some(format!("{{{}}}", items.join(",")))
            }
            Self::List(item, separator, least) => Some(item.several(serial, respelled, *least).join(separator)),
            Self::Part(whole, before, after) => {
                let part = |serial| {
                    let whole = whole.text(serial, respelled)?;
                    Some(whole.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?.to_owned())
                };
                // Most units are written after a number.
                let number = || Self::of("int").text(serial, respelled);
                (serial..serial + COMPLETED).find_map(part).or_else(number)
            }
            Self::After(rest, count) => Some(format!("{}{}", "0".repeat(*count), rest.text(serial, respelled)?)),
            Self::Replaced(inner, pairs) => {
                let text = inner.text(serial, respelled)?;
                Some(pairs.iter().fold(text, |text, (now, was)| text.replace(now, was)))
            }
            Self::Loose(inner, how) if respelled && serial.is_multiple_of(2) => {
                Some(how.put(&inner.text(serial, false)?))
            }
            Self::Loose(inner, _) => inner.text(serial, respelled),
        }
    }

    /// One or more texts that can be parsed in this way.
    fn several(&self, serial: u32, respelled: bool, least: usize) -> Vec<String> {
        let count = least.max(1) as u32 + serial % 2;
        let text = |at: u32| self.text(at, respelled).unwrap_or_else(|| format!("v{at}"));
        (serial..serial + count).map(text).collect()
    }

    /// Adds another way in which the same text is parsed. The first one wins, and a list gets the largest
    /// number of items required.
    pub(super) fn take(&mut self, other: Self) {
        if let (Self::List(_, separator, least), Self::List(_, same, more)) = (self, other)
            && *separator == same
        {
            *least = more.max(*least);
        }
    }

    /// The type that the whole text is parsed as.
    pub(super) fn type_name(&self) -> Option<&str> {
        match self {
            Self::Type(to) => Some(to),
            Self::Loose(inner, _) => inner.type_name(),
            _ => None,
        }
    }

    /// The requirement on a value in a document that is parsed in this way.
    pub(super) fn want(&self) -> JsonRequirement {
        match self {
            Self::Type(to) => JsonRequirement::Type(to.clone()),
            Self::Loose(inner, _) => inner.want(),
            _ => JsonRequirement::Exactly(self.text(0, false).unwrap_or_default()),
        }
    }

    /// In words: `JSON`, `a valid integer`.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Type(to) if matches!(to.as_str(), "json" | "jsonb") => "JSON".to_owned(),
            Self::Type(to) => format!("a valid {to}"),
            Self::Array(item) => format!("{}[]", item.told()),
            Self::List(item, ..) => format!("a list of items, each {}", item.told()),
            Self::Loose(inner, _) => inner.told(),
            Self::Texts(_) | Self::Part(..) | Self::After(..) | Self::Replaced(..) => {
                "in the format that it reads".to_owned()
            }
        }
    }

    /// Replaces a type by what is known about it.
    pub(super) fn resolve(&mut self, known: &dyn Fn(&str) -> Option<Self>) {
        match self {
            Self::Type(to) => *self = known(to).unwrap_or_else(|| self.clone()),
            Self::Texts(_) => {}
            Self::Array(inner)
            | Self::List(inner, ..)
            | Self::Part(inner, ..)
            | Self::After(inner, _)
            | Self::Replaced(inner, _)
            | Self::Loose(inner, _) => inner.resolve(known),
        }
    }
}

/// An element of an array, quoted if the server would quote it.
fn bare(item: &str) -> String {
    let is_plain = !item.is_empty() && !item.contains(|c: char| c.is_whitespace() || "{},\"\\".contains(c));
    if is_plain { item.to_owned() } else { element(item) }
}

/// The text that an expression parses, and what the text must be for the whole to be parsed as `to`.
pub(super) fn read(expr: &Expr, to: TextReading) -> Option<(JsonPath, TextReading)> {
    if let Some(path) = path(expr) {
        return Some((path, to));
    }
    match expr.bare().form() {
        ExprForm::Call(name, arguments) => call(name, arguments, to),
        ExprForm::Op(op, sides) if op == "||" => joined(sides, to),
        ExprForm::Op(op, sides) if op == "[]" => read(sides.first()?, TextReading::Array(Box::new(to))),
        ExprForm::Array(items) => {
            let TextReading::Array(item) = to else { return None };
            items.iter().find_map(|one| read(one, (*item).clone()))
        }
        ExprForm::Case(case) => {
            case.arms.iter().map(|(_, then)| then).chain(&case.other).find_map(|then| read(then, to.clone()))
        }
        _ => None,
    }
}

/// How an argument of a function is parsed.
fn call(name: &str, arguments: &[Expr], to: TextReading) -> Option<(JsonPath, TextReading)> {
    let first = arguments.first()?;
    let constant = |at: usize| arguments.get(at).and_then(Expr::as_constant);
    let number = |at: usize| constant(at).and_then(|text| text.parse::<usize>().ok());
    let separator = || match name.starts_with("regexp") {
        true => Pattern::of("~", &constant(1)?).map(|pattern| pattern.draw(&mut Dice::First)),
        false => constant(1),
    };
    match (name, to) {
        ("string_to_array" | "regexp_split_to_array", TextReading::Array(item)) => {
            read(first, TextReading::List(item, separator()?, 1))
        }
        ("string_to_table" | "regexp_split_to_table", to) => {
            read(first, TextReading::List(Box::new(to), separator()?, 1))
        }
        ("split_part", to) => {
            read(first, TextReading::List(Box::new(to), separator()?, number(2).unwrap_or(1).min(20)))
        }
        ("unnest", to) => read(first, TextReading::Array(Box::new(to))),
        ("substring" | "substr", to) => {
            read(first, TextReading::After(Box::new(to), number(1)?.saturating_sub(1).min(200)))
        }
        ("left" | "right", to) => read(first, to),
        ("concat", to) => joined(arguments, to),
        ("replace" | "translate", to) => {
            let pairs = replaced(name, &constant(1)?, &constant(2)?);
            read(first, if pairs.is_empty() { to } else { TextReading::Replaced(Box::new(to), pairs) })
        }
        (name, to) => {
            let how = Looseness::of(name).filter(|_| arguments.len() == 1);
            let first = TRIMS.contains(&name).then_some(first)?;
            read(first, how.map_or(to.clone(), |how| TextReading::Loose(Box::new(to), how)))
        }
    }
}

/// What a function replaces something by, with the original.
fn replaced(function: &str, was: &str, now: &str) -> Vec<(String, String)> {
    match function {
        "translate" => now.chars().zip(was.chars()).map(|(now, was)| (now.to_string(), was.to_string())).collect(),
        _ if was.is_empty() || now.is_empty() => Vec::new(),
        _ => vec![(now.to_owned(), was.to_owned())],
    }
}

/// How an operand is parsed that is concatenated with constants.
fn joined(sides: &[Expr], to: TextReading) -> Option<(JsonPath, TextReading)> {
    let mut open: Vec<&Expr> = sides.iter().rev().collect();
    let (mut before, mut inner, mut after) = (String::new(), None, String::new());
    while let Some(side) = open.pop() {
        match (side.bare().form(), side.as_constant()) {
            (ExprForm::Op(op, sides), _) if op == "||" => open.extend(sides.iter().rev()),
            (_, Some(text)) if inner.is_none() => before += &text,
            (_, Some(text)) => after += &text,
            (_, None) if inner.is_none() => inner = Some(side),
            (_, None) => return None,
        }
    }
    read(inner?, TextReading::Part(Box::new(to), before, after))
}

/// What is cast: `a` in `trim(a)::int`, `NULLIF(a, '')::int`.
pub(super) fn source(expr: &Expr) -> &Expr {
    match expr.bare().form() {
        ExprForm::Call(name, arguments) if TRIMS.contains(&name.as_str()) => arguments.first().map_or(expr, source),
        _ => expr,
    }
}

/// Functions that keep a text parsable.
const TRIMS: [&str; 10] =
    ["trim", "btrim", "ltrim", "rtrim", "lower", "upper", "nullif", "coalesce", "replace", "regexp_replace"];

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(expr: &str, to: &str) -> Vec<String> {
        let (_, reading) = read(&Expr::parse(expr).unwrap(), TextReading::of(to)).unwrap();
        (0..2).filter_map(|serial| reading.text(serial, false)).collect()
    }

    #[test]
    fn what_is_around_a_text_says_what_it_has_to_be() {
        assert_eq!(texts("string_to_array(replace(a, ' ', ''), ',')", "inet[]"), ["10.0.0.1", "10.0.0.2,10.0.0.3"]);
        assert_eq!(texts(r"regexp_split_to_array(a, '\s*;\s*')", "int[]"), ["1", "2;3"]);
        assert_eq!(texts("'{' || a || '}'", "int[]"), ["1", "2,3"]);
        assert_eq!(texts("a || ' days'", "interval"), ["1", "2"]);
        assert_eq!(texts("a || '-01'", "date"), ["2024-01", "2024-01"]);
        assert_eq!(texts("split_part(a, '/', 2)", "int"), ["1/2", "2/3/4"]);
        assert_eq!(texts("(string_to_array(a, '-'))[1]", "int"), ["1", "2-3"]);
        assert_eq!(texts("substring(a from 3 for 2)", "int"), ["001", "002"]);
        assert_eq!(texts("CASE WHEN a = '' THEN NULL ELSE a END", "int"), ["1", "2"]);
        assert_eq!(texts("translate(a, '[]', '{}')", "int[]"), ["[1]", "[2,3]"]);
        assert_eq!(texts("replace(trim(a), ',', '.')", "numeric(4,1)"), ["1,0", "2,0"]);
        assert_eq!(texts("a", "date[]"), ["{2024-01-01}", "{2024-01-02,2024-01-03}"]);
    }

    #[test]
    fn what_is_of_no_account_differs_in_some() {
        let (_, reading) = read(&Expr::parse("nullif(lower(a), '')").unwrap(), TextReading::of("uuid")).unwrap();
        assert_eq!(reading.text(10, true).unwrap(), "00000000-0000-4000-8000-00000000000A");
        assert_eq!(reading.type_name(), Some("uuid"));
    }
}
