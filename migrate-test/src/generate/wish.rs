//! What the claims on a row require of one column.

use super::claims::Claim;
use super::class::CharClass;
use super::expr::{Expr, ExprForm};
use super::json::{JsonRequirement, JsonShape, path};
use super::pattern::Pattern;
use super::reading::TextReading;

/// The requirements on a column.
#[derive(Debug, Clone, Default)]
pub(super) struct ColumnRequirements {
    /// Whether it must be NULL, or must not be.
    pub(super) null: Option<bool>,
    /// It is one of these values.
    pub(super) exactly: Vec<String>,
    pub(super) not: Vec<String>,
    /// Bounds, each inclusive or not.
    pub(super) low: Option<(f64, bool)>,
    pub(super) high: Option<(f64, bool)>,
    /// A divisor and the remainder.
    pub(super) modulo: Option<(i64, i64)>,
    /// The length of a text or an array.
    pub(super) length: (Option<usize>, Option<usize>),
    pub(super) patterns: Vec<Pattern>,
    /// Characters that it must not contain, so that other patterns do not match.
    pub(super) without: Option<CharClass>,
    pub(super) lower: bool,
    pub(super) upper: bool,
    pub(super) trimmed: bool,
    /// The elements that an array may have, and those that it must have.
    pub(super) items: Vec<String>,
    pub(super) among: Vec<String>,
    pub(super) shape: JsonShape,
    /// The way in which its texts are parsed.
    pub(super) readable: Option<TextReading>,
    /// Whether some of them are spelled differently from how their value is printed.
    pub(super) respelled: bool,
    /// Constants in the checks, for when everything else is refused.
    pub(super) constants: Vec<String>,
}

/// The kind of values that a type has, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Text,
    Integer,
    Number,
    Json,
    Array,
    Bytes,
    Other,
}

impl ValueKind {
    pub(super) fn of(type_name: &str) -> Self {
        let base = type_name.split('(').next().unwrap_or(type_name).trim();
        let name = base.rsplit('.').next().unwrap_or(base).trim_matches('"');
        match name {
            _ if type_name.ends_with("[]") => Self::Array,
            "smallint" | "integer" | "bigint" | "oid" => Self::Integer,
            "numeric" | "real" | "double precision" | "money" => Self::Number,
            "text" | "character varying" | "character" | "bpchar" | "name" | "citext" => Self::Text,
            "json" | "jsonb" => Self::Json,
            "bytea" => Self::Bytes,
            _ => Self::Other,
        }
    }
}

/// The operator with its operands exchanged.
pub(super) fn mirrored(op: &str) -> &str {
    match op {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        "@>" => "<@",
        "<@" => "@>",
        op => op,
    }
}

impl ColumnRequirements {
    /// Adds a claim if it is about only this column; `false` if it is not understood, so that a value computed
    /// by the server has to satisfy it.
    pub(super) fn take(&mut self, claim: &Claim, column: &str) -> bool {
        match claim {
            Claim::Null(name, is) if name == column => self.null = Some(*is),
            Claim::Null(..) => {}
            Claim::Compare(left, op, right) => match (left.mentions(column), right.mentions(column)) {
                (true, false) if right.columns().next().is_none() => return self.compare(left, op, right),
                (false, true) if left.columns().next().is_none() => return self.compare(right, mirrored(op), left),
                (true, true) => return self.same(left, op, right),
                _ => {}
            },
            Claim::Truth(expr, wanted) if expr.mentions(column) => return self.truth(expr, *wanted),
            Claim::Truth(..) => {}
        }
        true
    }

    /// Adds a pattern if nothing else is required.
    pub(super) fn suggest(&mut self, pattern: Pattern) {
        if self.patterns.is_empty() && self.exactly.is_empty() {
            self.patterns.push(pattern);
        }
    }

    fn compare(&mut self, left: &Expr, op: &str, right: &Expr) -> bool {
        right.constants(&mut self.constants);
        // `a SIMILAR TO 'x'`, as the server writes it.
        if let ExprForm::Call(name, pattern) = right.bare().form()
            && let ("similar_to_escape", "~", [pattern]) = (name.as_str(), op, pattern.as_slice())
        {
            return self.compare(left, "similar", pattern);
        }
        let Some(constant) = right.as_constant() else { return self.listed(left, op, right) };
        match left.bare().form() {
            ExprForm::Column(_) => self.column(op, &constant),
            ExprForm::Call(name, arguments) => self.call(name, arguments, op, &constant),
            ExprForm::Op(sign, sides) if sign == "%" && sides.len() == 2 && op == "=" => {
                self.modulo = sides[1].as_constant().and_then(|n| n.parse().ok()).zip(constant.parse().ok());
                self.modulo.is_some()
            }
            ExprForm::Op(..) => self.at_path(left, op, &constant),
            _ => false,
        }
    }

    fn column(&mut self, op: &str, constant: &str) -> bool {
        if let Some(pattern) = Pattern::of(op, constant) {
            self.patterns.push(pattern);
            return true;
        }
        if let Some(class) = Pattern::needed(op, constant) {
            self.without.get_or_insert_default().extend(class);
            return true;
        }
        let number = constant.parse::<f64>().ok();
        match (op, number) {
            ("=", _) => self.exactly.push(constant.to_owned()),
            ("any", _) => self.items.push(constant.to_owned()),
            ("<>", None) if constant.is_empty() => self.longer(1),
            ("<>", _) => self.not.push(constant.to_owned()),
            (">" | ">=", Some(number)) => raise(&mut self.low, number, op == ">="),
            ("<" | "<=", Some(number)) => lower(&mut self.high, number, op == "<="),
            (">", None) if constant.is_empty() => self.longer(1),
            ("?", _) => self.shape.ask(&[Some(constant.to_owned())], None),
            ("@>", _) if constant.starts_with('[') || constant.contains(':') => self.exactly.push(constant.to_owned()),
            ("@>" | "&&", _) => self.items.extend(items(constant)),
            ("<@", _) => self.among.extend(items(constant)),
            ("!~" | "!~*" | "!~~" | "!~~*", _) => {}
            _ => return false,
        }
        true
    }

    /// A column compared with an array of constants.
    fn listed(&mut self, left: &Expr, op: &str, right: &Expr) -> bool {
        let ExprForm::Array(list) = right.bare().form() else { return false };
        let list = list.iter().filter_map(Expr::as_constant);
        match op {
            "@>" | "&&" => self.items.extend(list),
            "<@" => self.among.extend(list),
            "?&" | "?|" => list.for_each(|key| self.shape.ask(&[Some(key)], None)),
            _ => return false,
        }
        left.as_column().is_some()
    }

    fn call(&mut self, name: &str, arguments: &[Expr], op: &str, constant: &str) -> bool {
        let Some(first) = arguments.first() else { return false };
        match name {
            "length" | "char_length" | "character_length" | "octet_length" | "cardinality" | "array_length"
            | "jsonb_array_length" | "json_array_length" | "array_upper" => {
                let Ok(number) = constant.parse() else { return op == ">" || op == ">=" };
                if name.starts_with("json") {
                    self.shape.ask(&[], Some(JsonRequirement::Array));
                }
                self.long(op, number)
            }
            "jsonb_typeof" | "json_typeof" => self.kind(first, op, constant),
            "lower" | "upper" => {
                self.lower |= name == "lower";
                self.upper |= name == "upper";
                first.as_column().is_some() && self.column(op, constant)
            }
            "btrim" | "trim" | "ltrim" | "rtrim" => {
                self.trimmed = true;
                self.inside(first, op, constant)
            }
            "coalesce" | "nullif" => self.inside(first, op, constant),
            "abs" => {
                raise(&mut self.low, 0.0, true);
                self.inside(first, op, constant)
            }
            "strpos" | "position" if matches!(op, ">" | "<>" | ">=") => {
                let part = arguments.get(1).and_then(Expr::as_constant).unwrap_or_default();
                self.column("~~", &format!("%{part}%"))
            }
            _ => self.at_path(first, op, constant),
        }
    }

    /// The requirement on a column, or on a call, through a function that leaves most values unchanged.
    fn inside(&mut self, inner: &Expr, op: &str, constant: &str) -> bool {
        match inner.bare().form() {
            ExprForm::Column(_) => self.column(op, constant),
            ExprForm::Call(name, arguments) => self.call(name, arguments, op, constant),
            _ => false,
        }
    }

    /// The kind of a JSON value.
    fn kind(&mut self, document: &Expr, op: &str, constant: &str) -> bool {
        let want = match constant {
            "object" => JsonRequirement::Object,
            "array" => JsonRequirement::Array,
            "string" => JsonRequirement::Text,
            "number" => JsonRequirement::Number,
            "boolean" => JsonRequirement::Bool,
            _ => JsonRequirement::Null,
        };
        match path(document) {
            Some((_, steps)) if op == "=" => self.shape.ask(&steps, Some(want)),
            _ => return op == "<>",
        }
        true
    }

    fn long(&mut self, op: &str, number: usize) -> bool {
        let shorter =
            |most: &mut Option<usize>, number: usize| *most = Some(most.map_or(number, |most| most.min(number)));
        match op {
            "=" => self.length = (Some(number), Some(number)),
            ">" => self.longer(number.saturating_add(1)),
            ">=" => self.longer(number),
            "<" => shorter(&mut self.length.1, number.saturating_sub(1)),
            "<=" => shorter(&mut self.length.1, number),
            "<>" if number == 0 => self.longer(1),
            _ => {}
        }
        true
    }

    fn longer(&mut self, number: usize) {
        self.length.0 = self.length.0.max(Some(number));
    }

    /// A value in a document.
    fn at_path(&mut self, left: &Expr, op: &str, constant: &str) -> bool {
        let Some((_, steps)) = path(left).filter(|(_, steps)| !steps.is_empty()) else { return false };
        let want = match (op, constant.parse::<i64>()) {
            ("=" | ">=" | "<=", _) => JsonRequirement::Exactly(constant.to_owned()),
            (">", Ok(number)) => JsonRequirement::Exactly(number.saturating_add(1).to_string()),
            ("<", Ok(number)) => JsonRequirement::Exactly(number.saturating_sub(1).to_string()),
            _ => return true,
        };
        self.shape.ask(&steps, Some(want));
        true
    }

    /// A comparison with the column on both sides: `lower(a) = a`.
    fn same(&mut self, left: &Expr, op: &str, right: &Expr) -> bool {
        let call = [left, right].into_iter().find_map(|side| match side.bare().form() {
            ExprForm::Call(name, arguments) if arguments.first()?.as_column().is_some() => Some(name.clone()),
            _ => None,
        });
        match (call.as_deref(), op) {
            (Some("lower"), "=") => self.lower = true,
            (Some("upper"), "=") => self.upper = true,
            (Some("btrim" | "trim" | "ltrim" | "rtrim"), "=") => self.trimmed = true,
            _ => return false,
        }
        true
    }

    fn truth(&mut self, expr: &Expr, wanted: bool) -> bool {
        expr.constants(&mut self.constants);
        match expr.bare().form() {
            ExprForm::Column(_) => self.exactly.push(wanted.to_string()),
            ExprForm::Call(name, _) if name == "isempty" && !wanted => self.not.push("empty".to_owned()),
            ExprForm::Call(name, arguments)
                if matches!(name.as_str(), "starts_with" | "regexp_like" | "regexp_match") =>
            {
                let Some(constant) = arguments.get(1).and_then(Expr::as_constant) else { return false };
                return wanted
                    && if name == "starts_with" {
                        self.column("~~", &format!("{constant}%"))
                    } else {
                        self.column("~", &constant)
                    };
            }
            ExprForm::Op(op, sides) if wanted && sides.len() == 2 => return self.compare(&sides[0], op, &sides[1]),
            ExprForm::IsNull(inner) => {
                let Some((_, steps)) = path(inner).filter(|(_, steps)| !steps.is_empty()) else { return false };
                if !wanted {
                    self.shape.ask(&steps, None);
                }
            }
            _ => return false,
        }
        true
    }
}

fn raise(bound: &mut Option<(f64, bool)>, number: f64, included: bool) {
    if bound.is_none_or(|(old, old_included)| number > old || number == old && old_included) {
        *bound = Some((number, included));
    }
}

fn lower(bound: &mut Option<(f64, bool)>, number: f64, included: bool) {
    if bound.is_none_or(|(old, old_included)| number < old || number == old && old_included) {
        *bound = Some((number, included));
    }
}

fn items(constant: &str) -> Vec<String> {
    migrate_schema::array_items(constant).into_iter().flatten().collect()
}
