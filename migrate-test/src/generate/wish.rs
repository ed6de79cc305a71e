//! What the claims on a row ask of one column, and values that are like that.

use proptest::prelude::*;
use proptest::sample::select;

use super::claims::Claim;
use super::expr::{Expr, Form};
use super::json::{Shape, Want, path};
use super::pattern::Pattern;

/// What is asked of a column.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// Whether it has to be NULL, or must not be.
    pub(super) null: Option<bool>,
    /// It is one of these.
    exactly: Vec<String>,
    not: Vec<String>,
    /// Bounds, which are in it or not.
    low: Option<(f64, bool)>,
    high: Option<(f64, bool)>,
    /// The rest that a division leaves.
    modulo: Option<(i64, i64)>,
    /// How long a text is, or an array.
    length: (Option<usize>, Option<usize>),
    patterns: Vec<Pattern>,
    lower: bool,
    upper: bool,
    trimmed: bool,
    /// Elements that an array may have, and those that it has.
    items: Vec<String>,
    among: Vec<String>,
    pub(super) shape: Shape,
    /// Texts that can be read as this type.
    pub(super) readable: Option<String>,
    /// Constants of the checks, for when all else is refused.
    pub(super) constants: Vec<String>,
}

/// What kind of values a type has, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Text,
    Integer,
    Number,
    Json,
    Array,
    Other,
}

impl Sort {
    pub(super) fn of(type_name: &str) -> Self {
        let base = type_name.split('(').next().unwrap_or(type_name).trim();
        let name = base.rsplit('.').next().unwrap_or(base).trim_matches('"');
        match name {
            _ if type_name.ends_with("[]") => Self::Array,
            "smallint" | "integer" | "bigint" | "oid" => Self::Integer,
            "numeric" | "real" | "double precision" | "money" => Self::Number,
            "text" | "character varying" | "character" | "bpchar" | "name" | "citext" => Self::Text,
            "json" | "jsonb" => Self::Json,
            _ => Self::Other,
        }
    }
}

/// The operator with its sides exchanged.
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

impl Wish {
    /// Takes a claim in, if it is about this column alone; `false` where it is not understood, and has to be met by what the
    /// server calculates.
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

    fn compare(&mut self, left: &Expr, op: &str, right: &Expr) -> bool {
        right.constants(&mut self.constants);
        // `a SIMILAR TO 'x'`, as the server writes it.
        if let Form::Call(name, pattern) = &right.bare().form
            && let ("similar_to_escape", "~", [pattern]) = (name.as_str(), op, pattern.as_slice())
        {
            return self.compare(left, "similar", pattern);
        }
        let Some(constant) = right.as_constant() else { return self.listed(left, op, right) };
        match &left.bare().form {
            Form::Column(_) => self.column(op, &constant),
            Form::Call(name, arguments) => self.call(name, arguments, op, &constant),
            Form::Op(sign, sides) if sign == "%" && sides.len() == 2 && op == "=" => {
                self.modulo = sides[1].as_constant().and_then(|n| n.parse().ok()).zip(constant.parse().ok());
                self.modulo.is_some()
            }
            Form::Op(..) => self.at_path(left, op, &constant),
            _ => false,
        }
    }

    fn column(&mut self, op: &str, constant: &str) -> bool {
        if let Some(pattern) = Pattern::of(op, constant) {
            self.patterns.push(pattern);
            return true;
        }
        let number = constant.parse::<f64>().ok();
        match (op, number) {
            ("=" | "any", _) => self.exactly.push(constant.to_owned()),
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

    /// A column beside an array of constants.
    fn listed(&mut self, left: &Expr, op: &str, right: &Expr) -> bool {
        let Form::Array(list) = &right.bare().form else { return false };
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
        let number = constant.parse::<usize>().ok();
        match name {
            "length" | "char_length" | "character_length" | "octet_length" | "cardinality" | "array_length"
            | "jsonb_array_length" | "json_array_length" | "array_upper" => {
                let Some(number) = number else { return op == ">" || op == ">=" };
                if name.starts_with("json") {
                    self.shape.ask(&[], Some(Want::Array));
                }
                self.long(op, number)
            }
            "jsonb_typeof" | "json_typeof" => {
                let want = match constant {
                    "object" => Want::Object,
                    "array" => Want::Array,
                    "string" => Want::Text,
                    "number" => Want::Number,
                    "boolean" => Want::Bool,
                    _ => Want::Null,
                };
                match path(first) {
                    Some((_, steps)) if op == "=" => self.shape.ask(&steps, Some(want)),
                    _ => return op == "<>",
                }
                true
            }
            "lower" => {
                self.lower = true;
                first.as_column().is_some() && self.column(op, constant)
            }
            "upper" => {
                self.upper = true;
                first.as_column().is_some() && self.column(op, constant)
            }
            "btrim" | "trim" | "ltrim" | "rtrim" | "coalesce" | "nullif" | "abs" => {
                self.trimmed |= name.ends_with("trim");
                match (&first.bare().form, op) {
                    (Form::Column(_), _) => self.column(op, constant),
                    (Form::Call(inner, arguments), _) => self.call(inner, arguments, op, constant),
                    _ => false,
                }
            }
            "strpos" | "position" if matches!(op, ">" | "<>" | ">=") => {
                let part = arguments.get(1).and_then(Expr::as_constant).unwrap_or_default();
                self.column("~~", &format!("%{part}%"))
            }
            _ => self.at_path(&Expr::clone(first), op, constant),
        }
    }

    fn long(&mut self, op: &str, number: usize) -> bool {
        let shorter =
            |most: &mut Option<usize>, number: usize| *most = Some(most.map_or(number, |most| most.min(number)));
        match op {
            "=" => self.length = (Some(number), Some(number)),
            ">" => self.longer(number + 1),
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
            ("=" | ">=" | "<=", _) => Want::Exactly(constant.to_owned()),
            (">", Ok(number)) => Want::Exactly((number + 1).to_string()),
            ("<", Ok(number)) => Want::Exactly((number - 1).to_string()),
            _ => return true,
        };
        self.shape.ask(&steps, Some(want));
        true
    }

    /// Two sides with the column: `lower(a) = a`.
    fn same(&mut self, left: &Expr, op: &str, right: &Expr) -> bool {
        let call = [left, right].into_iter().find_map(|side| match &side.bare().form {
            Form::Call(name, arguments) if arguments.first()?.as_column().is_some() => Some(name.clone()),
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
        match &expr.bare().form {
            Form::Column(_) => self.exactly.push(wanted.to_string()),
            Form::Call(name, _) if name == "isempty" && !wanted => self.not.push("empty".to_owned()),
            Form::Call(name, arguments) if matches!(name.as_str(), "starts_with" | "regexp_like" | "regexp_match") => {
                let Some(constant) = arguments.get(1).and_then(Expr::as_constant) else { return false };
                return wanted
                    && if name == "starts_with" {
                        self.column("~~", &format!("{constant}%"))
                    } else {
                        self.column("~", &constant)
                    };
            }
            Form::Op(op, sides) if wanted && sides.len() == 2 => return self.compare(&sides[0], op, &sides[1]),
            Form::IsNull(inner) => {
                let Some((_, steps)) = path(inner).filter(|(_, steps)| !steps.is_empty()) else { return false };
                if !wanted {
                    self.shape.ask(&steps, None);
                }
            }
            _ => return false,
        }
        true
    }

    /// Values that are as it is asked; `None` where nothing is asked that says what they are.
    pub(super) fn values(&self, type_name: &str, serial: u32) -> Option<BoxedStrategy<String>> {
        let sort = Sort::of(type_name);
        let exact: Vec<String> = self.exactly.iter().filter(|one| !self.not.contains(one)).cloned().collect();
        if !exact.is_empty() {
            let whole = |text: String| match sort {
                Sort::Array if !text.starts_with('{') => array(&[text]),
                _ => text,
            };
            return Some(select(exact.into_iter().map(whole).collect::<Vec<_>>()).boxed());
        }
        match sort {
            Sort::Text => self.texts(type_name, serial),
            Sort::Integer | Sort::Number => self.numbers(sort, serial),
            Sort::Json => self.documents(serial),
            Sort::Array => self.arrays(serial),
            Sort::Other => None,
        }
    }

    fn texts(&self, type_name: &str, serial: u32) -> Option<BoxedStrategy<String>> {
        if !self.shape.is_empty() {
            return Some(Just(self.shape.text(serial)).boxed());
        }
        if let Some(to) = self.readable.as_ref().filter(|_| self.patterns.is_empty()) {
            let text = match to.strip_prefix('=') {
                Some(text) => text.to_owned(),
                None => super::json::readable(to, serial)?,
            };
            return Some(Just(text).boxed());
        }
        let limit =
            type_name.split_once('(').and_then(|(_, rest)| rest.split(')').next()?.trim().parse::<usize>().ok());
        let (least, most) = self.length;
        let most = most.into_iter().chain(limit).min();
        let is_asked =
            !self.patterns.is_empty() || self.lower || self.upper || self.trimmed || least.or(self.length.1).is_some();
        // A text that is compared with a number: `'5'::text`.
        if !is_asked {
            return self.low.or(self.high).is_some().then(|| self.numbers(Sort::Integer, serial)).flatten();
        }
        let (lower, upper, trimmed) = (self.lower, self.upper, self.trimmed);
        let fit = move |text: String| {
            let text = if lower { text.to_lowercase() } else { text };
            let text = if upper { text.to_uppercase() } else { text };
            let text = if trimmed { text.trim().to_owned() } else { text };
            let short = least.unwrap_or(0).saturating_sub(text.chars().count());
            let text: String = text.chars().chain("abcdefghij".chars().cycle().take(short)).collect();
            text.chars().take(most.unwrap_or(usize::MAX)).collect::<String>()
        };
        // Where patterns have to be met, what is too short is drawn again rather than filled up.
        let drawn = self.drawn();
        Some(match drawn {
            Some(drawn) => {
                let range = least.unwrap_or(0)..=most.unwrap_or(usize::MAX);
                let strategy = prop::collection::vec(drawn, 12).prop_map(move |texts| {
                    let fitting = texts.iter().find(|text| range.contains(&text.chars().count())).cloned();
                    fit(fitting.or_else(|| texts.into_iter().next()).unwrap_or_default())
                });
                strategy.boxed()
            }
            None => Just(format!("v{serial}")).prop_map(fit).boxed(),
        })
    }

    /// Texts that all patterns find something in: those that begin come first, those that end last.
    fn drawn(&self) -> Option<BoxedStrategy<String>> {
        let strategy = |pattern: &Pattern| proptest::string::string_regex(&pattern.regex).ok();
        let whole = self.patterns.iter().filter(|pattern| pattern.begins && pattern.ends).find_map(strategy);
        if let Some(whole) = whole {
            return Some(whole.boxed());
        }
        let mut ordered: Vec<&Pattern> = self.patterns.iter().collect();
        ordered.sort_by_key(|pattern| (!pattern.begins, pattern.ends));
        let parts: Vec<BoxedStrategy<String>> = ordered.into_iter().filter_map(strategy).map(Strategy::boxed).collect();
        (!parts.is_empty()).then(|| parts.prop_map(|parts| parts.concat()).boxed())
    }

    fn numbers(&self, sort: Sort, serial: u32) -> Option<BoxedStrategy<String>> {
        if self.low.is_none() && self.high.is_none() && self.modulo.is_none() && self.not.is_empty() {
            return None;
        }
        let step = if sort == Sort::Integer { 1.0 } else { 0.01 };
        let inner = |bound: Option<(f64, bool)>, sign: f64| {
            bound.map(|(number, included)| match (sort, included) {
                (Sort::Integer, true) if sign > 0.0 => number.ceil(),
                (Sort::Integer, true) => number.floor(),
                (Sort::Integer, false) if sign > 0.0 => number.floor() + 1.0,
                (Sort::Integer, false) => number.ceil() - 1.0,
                (_, true) => number,
                (_, false) => number + sign * step,
            })
        };
        let (low, high) = (inner(self.low, 1.0), inner(self.high, -1.0));
        let far = f64::from(serial);
        let mut choices = match (low, high) {
            (Some(low), Some(high)) => vec![low, high, ((low + high) / 2.0).floor().max(low), (low + far).min(high)],
            (Some(low), None) => vec![low, low + far, low + far + 1.0],
            (None, Some(high)) => vec![high, high - far],
            (None, None) => vec![far + 1.0, far + 2.0],
        };
        if let Some((by, rest)) = self.modulo.filter(|(by, _)| *by > 0) {
            let fit = |number: &mut f64| *number += (rest - *number as i64).rem_euclid(by) as f64;
            choices.iter_mut().for_each(fit);
        }
        let shown = choices.into_iter().map(|number| match sort {
            Sort::Integer => format!("{number:.0}"),
            _ => number.to_string(),
        });
        let shown: Vec<String> = shown.filter(|number| !self.not.contains(number)).collect();
        (!shown.is_empty()).then(|| select(shown).boxed())
    }

    fn documents(&self, serial: u32) -> Option<BoxedStrategy<String>> {
        (!self.shape.is_empty()).then(|| Just(self.shape.text(serial)).boxed())
    }

    /// Arrays of the constants that are named; their length alone is seen to where they are drawn.
    fn arrays(&self, serial: u32) -> Option<BoxedStrategy<String>> {
        if !self.items.is_empty() {
            return Some(Just(array(&self.items)).boxed());
        }
        let (among, least) = (self.among.clone(), self.length.0.unwrap_or(1).max(1));
        (!among.is_empty()).then(|| {
            let item = move |at: usize| among[(serial as usize + at) % among.len()].clone();
            Just(array(&(0..least).map(item).collect::<Vec<_>>())).boxed()
        })
    }

    /// How many elements an array has to have.
    pub(super) fn elements(&self) -> (usize, usize) {
        let (least, most) = self.length;
        let least = least.unwrap_or(1).min(200);
        (least, most.unwrap_or(least + 2).max(least))
    }

    pub(super) fn is_long(&self) -> bool {
        self.length.0.or(self.length.1).is_some()
    }

    /// Whether a value, as a literal, is one of those that are asked for.
    pub(super) fn admits(&self, value: &str) -> bool {
        self.exactly.is_empty() || self.exactly.iter().any(|one| migrate_core::ident::literal(one) == value)
    }

    pub(super) fn refuses(&self, text: &str) -> bool {
        self.not.iter().any(|one| one == text)
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
    migrate_core::schema::array_items(constant).into_iter().flatten().collect()
}

/// The text of an array.
pub(super) fn array(items: &[String]) -> String {
    format!("{{{}}}", items.iter().map(|item| element(item)).collect::<Vec<_>>().join(","))
}

/// An element of an array, or a field of a row, in quotes.
pub(super) fn element(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
