//! SQL expressions as plain data: those that the server writes into checks, and those that scripts cast.

use std::ops::Range;
use std::sync::Arc;

use migrate_review::parse::parse;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode};

use super::names::words;
use super::tree::{ExprReader, column};

/// The name of the value that a domain checks.
pub(super) const VALUE: &str = "value";

/// An expression with its own text; it is cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    form: Arc<ExprForm>,
    /// The source that it is part of.
    source: Arc<ExprSource>,
    range: Range<usize>,
}

/// A text that contains expressions.
#[derive(Debug)]
pub(super) struct ExprSource {
    text: String,
    /// The positions of columns in it, in order.
    columns: Vec<(Range<usize>, String)>,
}

/// The form of an expression.
#[derive(Debug, Clone)]
pub(super) enum ExprForm {
    Column(String),
    Text(String),
    Number(String),
    Null,
    Bool(bool),
    Array(Vec<Expr>),
    /// A cast to a type, as it is written.
    Cast(Expr, String),
    /// A function by its own name, in lower case.
    Call(String, Vec<Expr>),
    /// An operator with one or two operands.
    Op(String, Vec<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Expr),
    IsNull(Expr),
    /// A value, and its bounds.
    Between(Expr, Expr, Expr),
    Case(CaseForm),
    /// Anything else, with those of its parts that are known.
    Other(Vec<Expr>),
}

/// A CASE: the operand that is compared with the conditions, if there is one; the conditions with their
/// results; the ELSE.
#[derive(Debug, Clone)]
pub(super) struct CaseForm {
    pub(super) operand: Option<Expr>,
    pub(super) arms: Vec<(Expr, Expr)>,
    pub(super) other: Option<Expr>,
}

impl ExprSource {
    /// The text of a file.
    pub(super) fn of(root: &SyntaxNode) -> Self {
        let names = root.descendants().filter_map(ast::NameRef::cast).filter_map(|name| {
            let range = name.syntax().text_range();
            column(&name).map(|name| (usize::from(range.start())..usize::from(range.end()), name))
        });
        Self { text: root.text().to_string(), columns: names.collect() }
    }
}

impl Expr {
    pub(super) fn new(form: ExprForm, source: Arc<ExprSource>, range: Range<usize>) -> Self {
        Self { form: Arc::new(form), source, range }
    }

    /// Parses the condition of `CHECK (…)`, as the server writes a constraint.
    pub(super) fn of_check(definition: &str) -> Option<Self> {
        let inside = definition.strip_prefix("CHECK ")?;
        let end = inside.rfind(')')?;
        Self::parse(&inside[..=end])
    }

    /// Parses an expression.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let file = parse(&format!("SELECT {text}"));
        let root = file.tree().syntax().clone();
        let target = root.descendants().find_map(ast::Target::cast)?;
        let expr = target.syntax().children().find_map(ast::Expr::cast)?;
        Some(ExprReader::new(&root).read(&expr))
    }

    /// Combines it with the expression after it.
    pub(super) fn and(&self, next: &Self, form: impl FnOnce(Self, Self) -> ExprForm) -> Self {
        Self::new(form(self.clone(), next.clone()), self.source.clone(), self.range.start..next.range.end)
    }

    /// Its form.
    pub(super) fn form(&self) -> &ExprForm {
        &self.form
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.source.text[self.range.clone()]
    }

    /// The columns in it, with their positions in the source.
    fn places(&self) -> &[(Range<usize>, String)] {
        let at = |place: usize| self.source.columns.partition_point(|(range, _)| range.start < place);
        &self.source.columns[at(self.range.start)..at(self.range.end)]
    }

    /// The columns that it mentions.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.places().iter().map(|(_, name)| name.as_str())
    }

    pub(super) fn mentions(&self, column: &str) -> bool {
        self.columns().any(|name| name == column)
    }

    /// The columns that it consists of, as far as its parts are known.
    pub(super) fn leaves(&self) -> Vec<&Self> {
        match self.form() {
            ExprForm::Column(_) => vec![self],
            _ => self.parts().into_iter().flat_map(Self::leaves).collect(),
        }
    }

    /// The qualifier of a column: `t` in `t.a`.
    pub(super) fn qualifier(&self) -> Option<String> {
        let (range, _) = self.places().first()?;
        words(self.source.text[self.range.start..range.start].trim_end().strip_suffix('.')?).last()
    }

    /// The same with some of its columns replaced.
    pub(super) fn replaced(&self, value: &dyn Fn(&Self) -> Option<String>) -> Option<Self> {
        let mut leaves = self.leaves();
        leaves.sort_by_key(|leaf| leaf.range.start);
        let mut text = self.text().to_owned();
        for leaf in leaves.into_iter().rev() {
            if let Some(value) = value(leaf) {
                text.replace_range(leaf.range.start - self.range.start..leaf.range.end - self.range.start, &value);
            }
        }
        Self::parse(&text)
    }

    /// Its text with each column replaced; `None` if one of them has no replacement.
    pub(super) fn with(&self, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let mut text = self.text().to_owned();
        for (range, name) in self.places().iter().rev() {
            text.replace_range(range.start - self.range.start..range.end - self.range.start, &value(name)?);
        }
        Some(text)
    }

    /// The same without surrounding casts.
    pub(super) fn bare(&self) -> &Self {
        match self.form() {
            ExprForm::Cast(inner, _) => inner.bare(),
            _ => self,
        }
    }

    /// The column that it is, ignoring casts.
    pub(super) fn as_column(&self) -> Option<&str> {
        match self.bare().form() {
            ExprForm::Column(name) => Some(name),
            _ => None,
        }
    }

    /// The constant that it is, ignoring casts, as the text form of a value of its type.
    pub(super) fn as_constant(&self) -> Option<String> {
        match self.bare().form() {
            ExprForm::Text(text) | ExprForm::Number(text) => Some(text.clone()),
            ExprForm::Bool(value) => Some(value.to_string()),
            ExprForm::Op(op, sides) if op == "-" && sides.len() == 1 => Some(format!("-{}", sides[0].as_constant()?)),
            _ => None,
        }
    }

    /// The constants in it, at any depth: texts and numbers.
    pub(super) fn constants(&self, found: &mut Vec<String>) {
        match self.as_constant() {
            Some(constant) => found.push(constant),
            None => self.parts().into_iter().for_each(|part| part.constants(found)),
        }
    }

    /// Its parts.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match self.form() {
            ExprForm::Array(items)
            | ExprForm::Call(_, items)
            | ExprForm::Op(_, items)
            | ExprForm::And(items)
            | ExprForm::Or(items)
            | ExprForm::Other(items) => items.iter().collect(),
            ExprForm::Cast(inner, _) | ExprForm::Not(inner) | ExprForm::IsNull(inner) => vec![inner],
            ExprForm::Between(value, low, high) => vec![value, low, high],
            ExprForm::Case(CaseForm { operand, arms, other }) => {
                operand.iter().chain(arms.iter().flat_map(|(when, then)| [when, then])).chain(other).collect()
            }
            ExprForm::Column(_) | ExprForm::Text(_) | ExprForm::Number(_) | ExprForm::Null | ExprForm::Bool(_) => {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_is_read() {
        let text = "CHECK (((VALUE OPERATOR(public.~) '^[a-z]+$'::public.citext) \
                    AND (char_length((a)::text) > '-3'::integer)))";
        let check = Expr::of_check(text).unwrap();
        let ExprForm::And(sides) = check.form() else { panic!("{check:?}") };
        let [left, right] = sides.as_slice() else { panic!("{check:?}") };
        let ExprForm::Op(op, sides) = left.form() else { panic!("{left:?}") };
        assert_eq!(
            (op.as_str(), sides[0].as_column(), sides[1].as_constant().as_deref()),
            ("~", Some(VALUE), Some("^[a-z]+$"))
        );
        let ExprForm::Op(op, sides) = right.form() else { panic!("{right:?}") };
        assert!(matches!(sides[0].form(), ExprForm::Call(name, _) if name == "char_length"), "{sides:?}");
        assert_eq!((op.as_str(), sides[1].as_constant().as_deref()), (">", Some("-3")));
        assert_eq!(right.with(&|name| Some(format!("<{name}>"))).unwrap(), "char_length((<a>)::text) > '-3'::integer");
    }

    #[test]
    fn lists_and_patterns_are_calls_and_operators() {
        let form = |text| format!("{:?}", Expr::parse(text).unwrap().form());
        assert!(
            form("((state)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))")
                .contains("Call(\"any\"")
        );
        assert!(form("(a ~~ 'x%'::text)").starts_with("Op(\"~~\""), "{}", form("(a ~~ 'x%'::text)"));
        assert!(form("a IN (1, 2)").starts_with("Op(\"=\""), "{}", form("a IN (1, 2)"));
        assert!(form("(TRIM(BOTH FROM a) <> ''::text)").contains("Call(\"trim\""));
        assert!(form("(num_nonnulls(a, b) = 1)").contains("Call(\"num_nonnulls\""));
        assert!(form("((doc ->> 'x'::text) IS NOT NULL)").starts_with("Not("));
        assert!(form("CASE WHEN (a > 1) THEN (b IS NULL) ELSE true END").starts_with("Case("));
        assert!(form("(doc ? 'x'::text)").starts_with("Op(\"?\""));
        let chain = Expr::parse("doc -> 'x' ->> 'y' = 'z'").unwrap();
        assert_eq!(chain.parts()[0].parts()[0].text(), "doc -> 'x'");
        assert!(form("(a)::numeric").starts_with("Cast("));
    }
}
