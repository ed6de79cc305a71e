//! Converts expressions of the parser into ours.

use std::collections::HashSet;
use std::sync::Arc;

use migrate_base::ident::first_name;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, BinOp, LitKind, PostfixOp, PrefixOp};

use super::expr::{CaseForm, Expr, ExprForm, ExprSource};

/// Keywords that look like names but stand for server values.
const SERVER: [&str; 12] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
];

/// The name of a column, if a name stands for one and not for a function or a field.
pub(super) fn column(name: &ast::NameRef) -> Option<String> {
    let node = name.syntax();
    let text = node.text().to_string();
    if SERVER.contains(&text.to_lowercase().as_str()) {
        return None;
    }
    let parent = node.parent()?;
    let is_first = parent.children().next().is_some_and(|first| first == *node);
    if ast::CallExpr::can_cast(parent.kind()) && is_first {
        return None;
    }
    if ast::FieldExpr::can_cast(parent.kind()) {
        let is_callee = parent.parent().is_some_and(|above| {
            ast::CallExpr::can_cast(above.kind()) && above.children().next().is_some_and(|first| first == parent)
        });
        // In `t.a` the column is the last part; in `(a).b`, which is in parentheses, the first.
        let plain =
            parent.children().all(|child| ast::NameRef::can_cast(child.kind()) || child.kind() == parent.kind());
        if is_callee || plain && is_first {
            return None;
        }
    }
    Some(first_name(&text).map(|(name, _)| name).unwrap_or(text))
}

/// The maximum depth to which an expression is read; deeper parts can be read as separate expressions.
const DEEPEST: usize = 200;

/// How many operators of the same precedence are read from the left.
const MOST_IN_A_ROW: usize = 50;

/// Reads the expressions of a tree, each of them once.
pub(super) struct ExprReader {
    source: Arc<ExprSource>,
    /// The nodes that have been read, possibly as a part of something else.
    seen: HashSet<SyntaxNode>,
    depth: usize,
}

impl ExprReader {
    pub(super) fn new(root: &SyntaxNode) -> Self {
        Self { source: Arc::new(ExprSource::of(root)), seen: HashSet::new(), depth: 0 }
    }

    /// Reads an expression that has not been read as a part of another one.
    pub(super) fn next(&mut self, expr: &ast::Expr) -> Option<Expr> {
        (!self.seen.contains(expr.syntax())).then(|| self.read(expr))
    }

    /// Reads an expression.
    pub(super) fn read(&mut self, expr: &ast::Expr) -> Expr {
        let mut expr = expr.clone();
        while let ast::Expr::ParenExpr(paren) = &expr
            && let Some(inner) = paren.expr()
        {
            self.seen.insert(paren.syntax().clone());
            expr = inner;
        }
        if self.depth >= DEEPEST {
            return self.wrapped(&expr, ExprForm::Other(Vec::new()));
        }
        self.seen.insert(expr.syntax().clone());
        self.depth += 1;
        let form = self.form(&expr);
        self.depth -= 1;
        self.wrapped(&expr, form)
    }

    fn some(&mut self, expr: Option<ast::Expr>) -> Option<Expr> {
        expr.map(|expr| self.read(&expr))
    }

    fn all(&mut self, exprs: impl Iterator<Item = ast::Expr>) -> Vec<Expr> {
        exprs.map(|expr| self.read(&expr)).collect()
    }

    /// A form with the text of this node.
    fn wrapped(&self, whole: &impl AstNode, form: ExprForm) -> Expr {
        let range = whole.syntax().text_range();
        Expr::new(form, self.source.clone(), usize::from(range.start())..usize::from(range.end()))
    }

    /// The form of an expression.
    fn form(&mut self, expr: &ast::Expr) -> ExprForm {
        match expr {
            ast::Expr::NameRef(name) => column(name).map_or(ExprForm::Other(Vec::new()), ExprForm::Column),
            ast::Expr::FieldExpr(it) => match it.base() {
                Some(ast::Expr::NameRef(_)) => it.field().as_ref().and_then(column).map(ExprForm::Column),
                base => self.some(base).map(|base| ExprForm::Other(vec![base])),
            }
            .unwrap_or(ExprForm::Other(Vec::new())),
            ast::Expr::Literal(literal) => constant(literal),
            ast::Expr::Collate(it) => {
                self.some(it.expr()).map_or(ExprForm::Other(Vec::new()), |inner| inner.form().clone())
            }
            ast::Expr::ArrayExpr(it) => ExprForm::Array(self.all(it.exprs())),
            ast::Expr::CastExpr(it) => self.cast(it),
            ast::Expr::PrefixExpr(it) => self.prefix(it),
            ast::Expr::PostfixExpr(it) => self.postfix(it),
            ast::Expr::BinExpr(it) => self.binary(it),
            ast::Expr::BetweenExpr(it) => self.between(it),
            ast::Expr::CallExpr(it) => self.call(it),
            ast::Expr::CaseExpr(it) => self.case(it),
            ast::Expr::IndexExpr(it) => {
                let sides = self.all(it.syntax().children().filter_map(ast::Expr::cast));
                if sides.len() == 2 { ExprForm::Op("[]".to_owned(), sides) } else { ExprForm::Other(sides) }
            }
            _ => ExprForm::Other(Vec::new()),
        }
    }

    fn cast(&mut self, it: &ast::CastExpr) -> ExprForm {
        let literal = it.literal().map(|literal| self.wrapped(&literal, constant(&literal)));
        let inner = self.some(it.expr()).or(literal);
        match (inner, it.ty().map(|ty| ty.syntax().text().to_string())) {
            (Some(inner), Some(to)) => ExprForm::Cast(inner, to),
            (inner, _) => ExprForm::Other(inner.into_iter().collect()),
        }
    }

    fn prefix(&mut self, it: &ast::PrefixExpr) -> ExprForm {
        match (it.op(), self.some(it.expr())) {
            (Some(PrefixOp::Not(_)), Some(inner)) => ExprForm::Not(inner),
            (Some(PrefixOp::Minus(_)), Some(inner)) => ExprForm::Op("-".to_owned(), vec![inner]),
            (_, inner) => ExprForm::Other(inner.into_iter().collect()),
        }
    }

    fn postfix(&mut self, it: &ast::PostfixExpr) -> ExprForm {
        match (it.op(), self.some(it.expr())) {
            (Some(PostfixOp::IsNull(_)), Some(inner)) => ExprForm::IsNull(inner),
            (Some(PostfixOp::NotNull(_)), Some(inner)) => ExprForm::Not(self.wrapped(it, ExprForm::IsNull(inner))),
            (_, inner) => ExprForm::Other(inner.into_iter().collect()),
        }
    }

    fn binary(&mut self, it: &ast::BinExpr) -> ExprForm {
        let Some(op) = it.op() else { return ExprForm::Other(Vec::new()) };
        match op {
            BinOp::And(_) => return ExprForm::And(self.chain(it, |op| matches!(op, BinOp::And(_)))),
            BinOp::Or(_) => return ExprForm::Or(self.chain(it, |op| matches!(op, BinOp::Or(_)))),
            BinOp::In(_) => return self.among(it, "=", "any"),
            BinOp::NotIn(_) => return self.among(it, "<>", "all"),
            BinOp::CustomOp(_) => {
                if let Some(form) = self.left_first(it) {
                    return form;
                }
            }
            _ => {}
        }
        let sides: Vec<Expr> = [it.lhs(), it.rhs()].into_iter().filter_map(|side| self.some(side)).collect();
        let [left, right] = sides.as_slice() else { return ExprForm::Other(sides) };
        if let BinOp::Is(_) | BinOp::IsNot(_) = op {
            let is = match right.form() {
                ExprForm::Null => ExprForm::IsNull(left.clone()),
                ExprForm::Bool(true) => left.form().clone(),
                ExprForm::Bool(false) => ExprForm::Not(left.clone()),
                _ => return ExprForm::Other(sides),
            };
            return if let BinOp::IsNot(_) = op { ExprForm::Not(self.wrapped(it, is)) } else { is };
        }
        match operator(&op) {
            Some(op) => ExprForm::Op(op, sides),
            None => ExprForm::Other(sides),
        }
    }

    /// `a -> 'b' ->> 'c'` is left-associative in the server and right-associative in the parser.
    fn left_first(&mut self, it: &ast::BinExpr) -> Option<ExprForm> {
        let (mut ops, mut operands, mut right) = (Vec::new(), vec![it.lhs()?], ast::Expr::BinExpr(it.clone()));
        while let ast::Expr::BinExpr(it) = &right
            && let Some(op @ BinOp::CustomOp(_)) = it.op()
        {
            let next = it.rhs()?;
            ops.push(operator(&op)?);
            if ops.len() > 1 {
                operands.push(it.lhs()?);
                self.seen.insert(it.syntax().clone());
            }
            right = next;
            if ops.len() > MOST_IN_A_ROW {
                return None;
            }
        }
        let last = ops.pop().filter(|_| !ops.is_empty())?;
        let mut operands = self.all(operands.into_iter()).into_iter();
        let mut left = operands.next()?;
        for (op, operand) in ops.into_iter().zip(operands) {
            left = left.and(&operand, |left, right| ExprForm::Op(op, vec![left, right]));
        }
        Some(ExprForm::Op(last, vec![left, self.read(&right)]))
    }

    /// The operands of `a AND b AND c`, however many there are.
    fn chain(&mut self, it: &ast::BinExpr, is_same: fn(&BinOp) -> bool) -> Vec<Expr> {
        let mut sides = Vec::new();
        let mut left = Some(ast::Expr::BinExpr(it.clone()));
        while let Some(ast::Expr::BinExpr(it)) = &left
            && it.op().as_ref().is_some_and(is_same)
        {
            self.seen.insert(it.syntax().clone());
            sides.extend(it.rhs());
            left = it.lhs();
        }
        sides.extend(left);
        self.all(sides.into_iter().rev())
    }

    /// `a IN (…)` in the form in which the server writes it: `a = ANY (ARRAY[…])`.
    fn among(&mut self, it: &ast::BinExpr, op: &str, word: &str) -> ExprForm {
        let left = self.some(it.lhs());
        let Some(right) = it.rhs() else { return ExprForm::Other(left.into_iter().collect()) };
        let items = match &right {
            ast::Expr::TupleExpr(tuple) => self.all(tuple.exprs()),
            ast::Expr::ParenExpr(one) => self.some(one.expr()).into_iter().collect(),
            _ => return ExprForm::Other(left.into_iter().collect()),
        };
        // An empty list means a subquery.
        let form = if items.is_empty() { ExprForm::Other(items) } else { ExprForm::Array(items) };
        let list = self.wrapped(&right, form);
        let list = self.wrapped(&right, ExprForm::Call(word.to_owned(), vec![list]));
        ExprForm::Op(op.to_owned(), left.into_iter().chain([list]).collect())
    }

    fn between(&mut self, it: &ast::BetweenExpr) -> ExprForm {
        let sides = self.all(it.syntax().children().filter_map(ast::Expr::cast));
        let [value, low, high] = sides.as_slice() else { return ExprForm::Other(sides) };
        let inside = ExprForm::Between(value.clone(), low.clone(), high.clone());
        if it.not_token().is_some() { ExprForm::Not(self.wrapped(it, inside)) } else { inside }
    }

    fn call(&mut self, it: &ast::CallExpr) -> ExprForm {
        let inner = |node: &SyntaxNode| node.descendants().find_map(ast::Expr::cast);
        let quantified = it.any_fn().map(|any| ("any", inner(any.syntax())));
        let quantified = quantified.or_else(|| it.all_fn().map(|all| ("all", inner(all.syntax()))));
        if let Some((word, list)) = quantified {
            return self
                .some(list)
                .map_or(ExprForm::Other(Vec::new()), |list| ExprForm::Call(word.to_owned(), vec![list]));
        }
        let Some(arguments) = it.arg_list() else {
            // A function with special syntax: `TRIM(BOTH FROM a)`, `EXTRACT(year FROM a)`.
            let Some(node) = it.syntax().first_child() else { return ExprForm::Other(Vec::new()) };
            return self.own_grammar(&node);
        };
        let arguments = self.all(arguments.args().filter_map(|argument| argument.expr()));
        let name = match it.expr() {
            Some(ast::Expr::NameRef(name)) => name.syntax().text().to_string(),
            Some(ast::Expr::FieldExpr(field)) => {
                field.field().map(|name| name.syntax().text().to_string()).unwrap_or_default()
            }
            _ => return ExprForm::Other(arguments),
        };
        ExprForm::Call(first_name(&name).map(|(name, _)| name).unwrap_or(name), arguments)
    }

    /// A call with keywords between its arguments. The pattern comes after the text that is searched.
    fn own_grammar(&mut self, node: &SyntaxNode) -> ExprForm {
        let text = node.text().to_string().to_lowercase();
        let (name, rest) = text.split_once('(').unwrap_or((&text, ""));
        let mut arguments = self.all(topmost(node).into_iter());
        if arguments.is_empty() {
            return ExprForm::Other(arguments);
        }
        let name = match (name.trim(), rest.split_whitespace().next()) {
            ("trim", Some("leading")) => "ltrim",
            ("trim", Some("trailing")) => "rtrim",
            (name, _) => name,
        };
        if name.ends_with("trim") || name == "position" {
            arguments.reverse();
        }
        // Without FROM, it starts at the first character.
        if name == "substring" && !rest.split_whitespace().any(|word| word == "from") {
            arguments.splice(1..1, Expr::parse("1"));
        }
        ExprForm::Call(name.to_owned(), arguments)
    }

    fn case(&mut self, it: &ast::CaseExpr) -> ExprForm {
        let operand = self.some(it.expr());
        let clauses = it.when_clause_list().into_iter().flat_map(|list| list.syntax().children());
        let mut arms = Vec::new();
        for clause in clauses.filter_map(ast::WhenClause::cast) {
            let sides = self.all(clause.syntax().children().filter_map(ast::Expr::cast));
            if let [when, then] = sides.as_slice() {
                arms.push((when.clone(), then.clone()));
            }
        }
        let other = self.some(it.else_clause().and_then(|clause| clause.expr()));
        ExprForm::Case(CaseForm { operand, arms, other })
    }
}

/// The topmost expressions below a node.
fn topmost(node: &SyntaxNode) -> Vec<ast::Expr> {
    let of = |child: SyntaxNode| ast::Expr::cast(child.clone()).map_or_else(|| topmost(&child), |expr| vec![expr]);
    node.children().flat_map(of).collect()
}

fn constant(literal: &ast::Literal) -> ExprForm {
    match literal.kind() {
        Some(LitKind::Null(_)) => ExprForm::Null,
        Some(LitKind::True(_)) => ExprForm::Bool(true),
        Some(LitKind::False(_)) => ExprForm::Bool(false),
        Some(LitKind::IntNumber(token) | LitKind::NumericNumber(token)) => ExprForm::Number(token.text().to_owned()),
        Some(_) => literal.string_value().map_or(ExprForm::Other(Vec::new()), ExprForm::Text),
        None => ExprForm::Other(Vec::new()),
    }
}

/// The name of a binary operator.
fn operator(op: &BinOp) -> Option<String> {
    let name = match op {
        BinOp::Like(_) => "~~",
        BinOp::NotLike(_) => "!~~",
        BinOp::Ilike(_) => "~~*",
        BinOp::NotIlike(_) => "!~~*",
        BinOp::SimilarTo(_) => "similar",
        BinOp::IsDistinctFrom(_) | BinOp::Neq(_) | BinOp::Neqb(_) => "<>",
        BinOp::IsNotDistinctFrom(_) => "=",
        BinOp::CustomOp(op) => return Some(op.syntax().text().to_string().trim().to_owned()),
        BinOp::OperatorCall(op) => {
            let text = op.syntax().text().to_string();
            let inside = text.split_once('(').map_or("", |(_, rest)| rest).trim_end_matches(')').trim();
            // Letters, quotes and dots are its schema.
            return Some(inside.trim_start_matches(|c: char| c.is_alphanumeric() || "._\"$ ".contains(c)).to_owned());
        }
        BinOp::Eq(token)
        | BinOp::Gteq(token)
        | BinOp::Lteq(token)
        | BinOp::LAngle(token)
        | BinOp::RAngle(token)
        | BinOp::Minus(token)
        | BinOp::Plus(token)
        | BinOp::Percent(token)
        | BinOp::Slash(token)
        | BinOp::Star(token) => token.text(),
        _ => return None,
    };
    Some(name.to_owned())
}
