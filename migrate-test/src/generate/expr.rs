//! Expressions of SQL as plain data: what the server writes into checks, and what scripts cast.

use std::ops::Range;

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};

use super::tree::{column, form};

/// The word for what a domain looks at.
pub(super) const VALUE: &str = "value";

/// An expression with its own text.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) form: Form,
    /// How it is written.
    pub(super) text: String,
    /// Where the columns stand in the text.
    pub(super) columns: Vec<(Range<usize>, String)>,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Column(String),
    Text(String),
    Number(String),
    Null,
    Bool(bool),
    Array(Vec<Expr>),
    /// To a type, as it is written.
    Cast(Box<Expr>, String),
    /// A function by its own name, in lower case.
    Call(String, Vec<Expr>),
    /// An operator with one or two sides.
    Op(String, Vec<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// The conditions with their results, and what is left.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    Other,
}

impl Expr {
    /// Reads the condition of `CHECK (…)`, as the server writes a constraint.
    pub(super) fn of_check(definition: &str) -> Option<Self> {
        let inside = definition.strip_prefix("CHECK ")?;
        let end = inside.rfind(')')?;
        Self::parse(&inside[..=end])
    }

    /// Reads an expression.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let source = format!("SELECT {text}");
        let file = SourceFile::parse(&source);
        let target = file.tree().syntax().descendants().find_map(ast::Target::cast)?;
        Some(Self::read(&target.syntax().children().find_map(ast::Expr::cast)?))
    }

    /// An expression of a tree.
    pub(super) fn read(expr: &ast::Expr) -> Self {
        if let ast::Expr::ParenExpr(inner) = expr
            && let Some(inner) = inner.expr()
        {
            return Self::read(&inner);
        }
        let node = expr.syntax();
        let start = usize::from(node.text_range().start());
        let names = node.descendants().filter_map(ast::NameRef::cast).filter_map(|name| {
            let range = name.syntax().text_range();
            let range = usize::from(range.start()) - start..usize::from(range.end()) - start;
            column(&name).map(|name| (range, name))
        });
        Self { form: form(expr), text: node.text().to_string(), columns: names.collect() }
    }

    /// The columns that it mentions.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(_, name)| name.as_str())
    }

    pub(super) fn mentions(&self, column: &str) -> bool {
        self.columns().any(|name| name == column)
    }

    /// Its text with something else in the place of each column; `None` where one of them is not known.
    pub(super) fn with(&self, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let mut text = self.text.clone();
        for (range, name) in self.columns.iter().rev() {
            text.replace_range(range.clone(), &value(name)?);
        }
        Some(text)
    }

    /// The same without casts around it.
    pub(super) fn bare(&self) -> &Self {
        match &self.form {
            Form::Cast(inner, _) => inner.bare(),
            _ => self,
        }
    }

    /// The column that it is, casts aside.
    pub(super) fn as_column(&self) -> Option<&str> {
        match &self.bare().form {
            Form::Column(name) => Some(name),
            _ => None,
        }
    }

    /// The constant that it is, casts aside, as the text that a value of its type is written as.
    pub(super) fn as_constant(&self) -> Option<String> {
        match &self.bare().form {
            Form::Text(text) | Form::Number(text) => Some(text.clone()),
            Form::Bool(value) => Some(value.to_string()),
            Form::Op(op, sides) if op == "-" && sides.len() == 1 => Some(format!("-{}", sides[0].as_constant()?)),
            _ => None,
        }
    }

    /// The constants in it, wherever they stand: texts and numbers.
    pub(super) fn constants(&self, found: &mut Vec<String>) {
        if let Some(constant) = self.as_constant() {
            return found.push(constant);
        }
        match &self.form {
            Form::Array(items) | Form::Call(_, items) | Form::Op(_, items) => {
                items.iter().for_each(|item| item.constants(found));
            }
            Form::Cast(inner, _) | Form::Not(inner) | Form::IsNull(inner) => inner.constants(found),
            Form::And(a, b) | Form::Or(a, b) => [a, b].into_iter().for_each(|side| side.constants(found)),
            Form::Case(arms, other) => {
                arms.iter().for_each(|(when, then)| [when, then].into_iter().for_each(|one| one.constants(found)));
                other.iter().for_each(|other| other.constants(found));
            }
            _ => {}
        }
    }

    /// What it is made of.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match &self.form {
            Form::Array(items) | Form::Call(_, items) | Form::Op(_, items) => items.iter().collect(),
            Form::Cast(inner, _) | Form::Not(inner) | Form::IsNull(inner) => vec![inner],
            Form::And(a, b) | Form::Or(a, b) => vec![a, b],
            Form::Case(arms, other) => {
                let arms = arms.iter().flat_map(|(when, then)| [when, then]);
                arms.chain(other.iter().map(|other| &**other)).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_is_read() {
        let text = "CHECK (((VALUE OPERATOR(public.~) '^[a-z]+$'::public.citext) AND (char_length((a)::text) > '-3'::integer)))";
        let check = Expr::of_check(text).unwrap();
        let Form::And(left, right) = &check.form else { panic!("{check:?}") };
        let Form::Op(op, sides) = &left.form else { panic!("{left:?}") };
        assert_eq!(
            (op.as_str(), sides[0].as_column(), sides[1].as_constant().as_deref()),
            ("~", Some(VALUE), Some("^[a-z]+$"))
        );
        let Form::Op(op, sides) = &right.form else { panic!("{right:?}") };
        assert!(matches!(&sides[0].form, Form::Call(name, _) if name == "char_length"), "{sides:?}");
        assert_eq!((op.as_str(), sides[1].as_constant().as_deref()), (">", Some("-3")));
        assert_eq!(right.with(&|name| Some(format!("<{name}>"))).unwrap(), "char_length((<a>)::text) > '-3'::integer");
    }

    #[test]
    fn lists_and_patterns_are_calls_and_operators() {
        let form = |text| format!("{:?}", Expr::parse(text).unwrap().form);
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
        assert!(form("(a)::numeric").starts_with("Cast("));
    }
}
