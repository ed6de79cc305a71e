//! What values silently lose when they are converted to another type, and which types include all values of another.

/// A type, with the numbers in its brackets: `timestamp(3) without time zone`, `numeric(10,4)`.
struct ParsedType {
    name: String,
    numbers: Vec<i32>,
}

impl ParsedType {
    fn parse(text: &str) -> Self {
        let Some((head, rest)) = text.split_once('(') else {
            return Self { name: text.to_owned(), numbers: Vec::new() };
        };
        let (inside, tail) = rest.split_once(')').unwrap_or((rest, ""));
        let numbers = inside.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        Self { name: format!("{head}{tail}"), numbers }
    }

    /// How many binary digits an integer can have, or how many digits of a floating-point number are exact.
    fn bits(&self) -> Option<u8> {
        match self.name.as_str() {
            "smallint" => Some(16),
            "integer" => Some(32),
            "bigint" => Some(64),
            "real" => Some(24),
            "double precision" => Some(53),
            _ => None,
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.name.as_str(), "smallint" | "integer" | "bigint")
    }

    fn is_number(&self) -> bool {
        self.bits().is_some() || self.name == "numeric"
    }

    /// How many fractional digits a `numeric` has; `None` if unlimited.
    fn scale(&self) -> Option<i32> {
        self.numbers.first().map(|_| self.numbers.get(1).copied().unwrap_or(0))
    }

    /// How many digits before the decimal point a number can have.
    fn digits(&self) -> i32 {
        match (self.name.as_str(), self.numbers.first()) {
            ("smallint", _) => 5,
            ("integer", _) => 10,
            ("bigint", _) => 19,
            ("numeric", Some(precision)) => precision - self.numbers.get(1).copied().unwrap_or(0),
            ("real", _) => 38,
            ("double precision", _) => 308,
            _ => i32::MAX,
        }
    }

    fn is_timestamp(&self) -> bool {
        self.name.starts_with("timestamp ")
    }

    fn is_time(&self) -> bool {
        self.name.starts_with("time ")
    }
}

/// What a value of the first type loses when it becomes a value of the second. Conversions that the server refuses lose
/// nothing, and the meaning of a value in another time zone is not considered.
pub(super) fn of(from: &str, to: &str) -> Option<&'static str> {
    if from.ends_with("[]") && !to.ends_with("[]") {
        return Some("all but the first element");
    }
    let (from, to) = (ParsedType::parse(from.trim_end_matches("[]")), ParsedType::parse(to.trim_end_matches("[]")));
    match (from.is_number(), to.is_number()) {
        (true, true) => of_number(&from, &to),
        (true, false) if to.name == "boolean" => Some("numbers other than 0 and 1"),
        (false, false) => of_time(&from, &to).or_else(|| {
            let is_long = ["text", "character varying"].contains(&from.name.as_str()) && to.name == "name";
            is_long.then_some("everything after 63 bytes")
        }),
        _ => None,
    }
}

fn of_number(from: &ParsedType, to: &ParsedType) -> Option<&'static str> {
    let fraction = "digits after the decimal point";
    match (from.is_whole(), to.is_whole()) {
        (_, true) if !from.is_whole() => Some(fraction),
        (_, true) => None,
        (true, false) if to.name == "numeric" => to.scale().filter(|scale| *scale < 0).map(|_| "digits"),
        (false, false) if from.name == "numeric" && to.name == "numeric" => {
            let to = to.scale()?;
            from.scale().is_none_or(|from| from > to).then_some(fraction)
        }
        // A floating-point number has few exact digits, and is printed with only these.
        _ if from.name == "numeric" || to.name == "numeric" => Some("digits"),
        _ => (from.bits() > to.bits()).then_some("digits"),
    }
}

fn of_time(from: &ParsedType, to: &ParsedType) -> Option<&'static str> {
    let is_any = |of: &ParsedType| of.is_timestamp() || of.is_time() || of.name.starts_with("interval");
    let coarser = |precision: i32| precision < from.numbers.first().copied().unwrap_or(6);
    match (from, to) {
        _ if from.is_timestamp() && to.name == "date" => Some("the time of day"),
        _ if from.is_timestamp() && to.is_time() => Some("the date"),
        _ if from.name == "time with time zone" && to.name == "time without time zone" => Some("the time zone"),
        _ if is_any(from) && is_any(to) && to.numbers.first().is_some_and(|n| coarser(*n)) => {
            Some("fractions of a second")
        }
        _ => None,
    }
}

/// Whether a type includes every value of another one, so that a column that changes to the other type contains nothing
/// that it could not contain before.
pub fn has_values_of(wide: &str, narrow: &str) -> bool {
    let is_array = |of: &str| of.ends_with("[]");
    if is_array(wide) != is_array(narrow) {
        return false;
    }
    let (wide, narrow) =
        (ParsedType::parse(wide.trim_end_matches("[]")), ParsedType::parse(narrow.trim_end_matches("[]")));
    if wide.is_number() && narrow.is_number() {
        return of_number(&narrow, &wide).is_none() && wide.digits() >= narrow.digits();
    }
    match (wide.name.as_str(), narrow.name.as_str()) {
        ("text" | "character varying", "text" | "character varying") => {
            let most = |of: &ParsedType| of.numbers.first().copied().unwrap_or(i32::MAX);
            most(&wide) >= most(&narrow)
        }
        ("json", "jsonb") => true,
        (wide_name, narrow_name) => {
            let is_of_time = wide.is_timestamp() || wide.is_time();
            is_of_time && wide_name == narrow_name && of_time(&narrow, &wide).is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_type_has_the_values_of_a_narrower_one() {
        for (wide, narrow) in [
            ("bigint", "integer"),
            ("numeric", "bigint"),
            ("numeric(12,2)", "integer"),
            ("numeric(12,4)", "numeric(10,2)"),
            ("text", "character varying(10)"),
            ("character varying(50)", "character varying(10)"),
            ("json", "jsonb"),
            ("timestamp without time zone", "timestamp(3) without time zone"),
        ] {
            assert!(has_values_of(wide, narrow), "{wide} {narrow}");
            assert!(!has_values_of(narrow, wide), "{narrow} {wide}");
        }
        assert!(!has_values_of("text", "integer") && !has_values_of("text", "text[]"));
    }

    #[test]
    fn what_is_rounded_or_cut_without_a_word_is_lost() {
        for (from, to) in [
            ("numeric(10,4)", "numeric(10,1)"),
            ("numeric", "numeric(10,4)"),
            ("numeric(10,4)", "numeric(10)"),
            ("numeric(10,2)", "bigint"),
            ("double precision", "integer"),
            ("double precision", "real"),
            ("double precision", "numeric"),
            ("numeric(20,4)", "double precision"),
            ("bigint", "double precision"),
            ("integer", "real"),
            ("integer", "boolean"),
            ("timestamp without time zone", "date"),
            ("timestamp with time zone", "time without time zone"),
            ("timestamp with time zone", "timestamp(3) with time zone"),
            ("interval(5)", "interval(2)"),
            ("public.e[]", "public.e"),
            ("numeric(10,4)[]", "numeric(10,1)[]"),
            ("text", "name"),
        ] {
            assert!(of(from, to).is_some(), "{from} → {to}");
        }
    }

    #[test]
    fn what_is_kept_or_refused_is_not_lost() {
        for (from, to) in [
            ("numeric(10,2)", "numeric(5,2)"),
            ("numeric(10,2)", "numeric(12,4)"),
            ("numeric(10,2)", "numeric"),
            ("bigint", "integer"),
            ("integer", "bigint"),
            ("integer", "numeric(10,2)"),
            ("smallint", "real"),
            ("integer", "double precision"),
            ("real", "double precision"),
            ("boolean", "integer"),
            ("date", "timestamp without time zone"),
            ("timestamp(3) without time zone", "timestamp without time zone"),
            ("timestamp(3) without time zone", "timestamp(6) with time zone"),
            ("text", "character varying(10)"),
            ("character varying(10)", "text"),
            ("numeric(10,4)", "text"),
            ("public.e", "public.e[]"),
        ] {
            assert_eq!(of(from, to), None, "{from} → {to}");
        }
    }
}
