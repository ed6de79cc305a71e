//! Expressions as the parser has them, as ours.

use migrate_core::ident::first_name;
use squawk_syntax::ast::{self, AstNode, BinOp, LitKind, PostfixOp, PrefixOp};

use super::expr::{Expr, Form};

/// Names that stand for what the server knows.
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

/// The name of a column, where a name stands for one and not for a function or a field.
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
        // Of `t.a` it is the last part; of `(a).b`, which is in parentheses, the first.
        let plain =
            parent.children().all(|child| ast::NameRef::can_cast(child.kind()) || child.kind() == parent.kind());
        if is_callee || plain && is_first {
            return None;
        }
    }
    Some(first_name(&text).map(|(name, _)| name).unwrap_or(text))
}

/// What an expression is.
pub(super) fn form(expr: &ast::Expr) -> Form {
    let read = |expr: Option<ast::Expr>| expr.map(|expr| Box::new(Expr::read(&expr)));
    match expr {
        ast::Expr::NameRef(name) => column(name).map_or(Form::Other, Form::Column),
        ast::Expr::FieldExpr(field) if matches!(field.base(), Some(ast::Expr::NameRef(_))) => {
            field.field().as_ref().and_then(column).map_or(Form::Other, Form::Column)
        }
        ast::Expr::Literal(literal) => constant(literal),
        ast::Expr::Collate(it) => it.expr().map_or(Form::Other, |inner| Expr::read(&inner).form),
        ast::Expr::ArrayExpr(it) => Form::Array(it.exprs().map(|item| Expr::read(&item)).collect()),
        ast::Expr::CastExpr(it) => {
            let to = it.ty().map(|ty| ty.syntax().text().to_string());
            let literal = it.literal().map(|literal| {
                let text = literal.syntax().text().to_string();
                Box::new(Expr { form: constant(&literal), text, columns: Vec::new() })
            });
            match (read(it.expr()).or(literal), to) {
                (Some(inner), Some(to)) => Form::Cast(inner, to),
                _ => Form::Other,
            }
        }
        ast::Expr::PrefixExpr(it) => match (it.op(), read(it.expr())) {
            (Some(PrefixOp::Not(_)), Some(inner)) => Form::Not(inner),
            (Some(PrefixOp::Minus(_)), Some(inner)) => Form::Op("-".to_owned(), vec![*inner]),
            _ => Form::Other,
        },
        ast::Expr::PostfixExpr(it) => match (it.op(), read(it.expr())) {
            (Some(PostfixOp::IsNull(_)), Some(inner)) => Form::IsNull(inner),
            (Some(PostfixOp::NotNull(_)), Some(inner)) => Form::Not(Box::new(wrapped(expr, Form::IsNull(inner)))),
            _ => Form::Other,
        },
        ast::Expr::BinExpr(it) => binary(expr, it),
        ast::Expr::BetweenExpr(it) => between(expr, it),
        ast::Expr::CallExpr(it) => call(it),
        ast::Expr::CaseExpr(it) => case(it),
        ast::Expr::IndexExpr(it) => {
            let mut sides = it.syntax().children().filter_map(ast::Expr::cast).map(|side| Expr::read(&side));
            match (sides.next(), sides.next()) {
                (Some(base), Some(index)) => Form::Op("[]".to_owned(), vec![base, index]),
                _ => Form::Other,
            }
        }
        _ => Form::Other,
    }
}

/// Another form with the text of the whole.
fn wrapped(whole: &ast::Expr, form: Form) -> Expr {
    Expr { form, text: whole.syntax().text().to_string(), columns: Vec::new() }
}

fn constant(literal: &ast::Literal) -> Form {
    match literal.kind() {
        Some(LitKind::Null(_)) => Form::Null,
        Some(LitKind::True(_)) => Form::Bool(true),
        Some(LitKind::False(_)) => Form::Bool(false),
        Some(LitKind::IntNumber(token) | LitKind::NumericNumber(token)) => Form::Number(token.text().to_owned()),
        Some(_) => literal.string_value().map_or(Form::Other, Form::Text),
        None => Form::Other,
    }
}

fn binary(whole: &ast::Expr, it: &ast::BinExpr) -> Form {
    let (Some(left), Some(right), Some(op)) = (it.lhs(), it.rhs(), it.op()) else { return Form::Other };
    let (left, right) = (Expr::read(&left), Expr::read(&right));
    let named = |op: &str| Form::Op(op.to_owned(), vec![left.clone(), right.clone()]);
    let not = |form: Form| Form::Not(Box::new(wrapped(whole, form)));
    match op {
        BinOp::And(_) => Form::And(Box::new(left), Box::new(right)),
        BinOp::Or(_) => Form::Or(Box::new(left), Box::new(right)),
        BinOp::Is(_) | BinOp::IsNot(_) => {
            let is = match right.form {
                Form::Null => Form::IsNull(Box::new(left)),
                Form::Bool(true) => left.form,
                Form::Bool(false) => Form::Not(Box::new(left)),
                _ => return Form::Other,
            };
            if matches!(op, BinOp::IsNot(_)) { not(is) } else { is }
        }
        BinOp::Like(_) => named("~~"),
        BinOp::NotLike(_) => named("!~~"),
        BinOp::Ilike(_) => named("~~*"),
        BinOp::NotIlike(_) => named("!~~*"),
        BinOp::SimilarTo(_) => named("similar"),
        BinOp::In(_) => among(it, left, false),
        BinOp::NotIn(_) => among(it, left, true),
        BinOp::IsDistinctFrom(_) => named("<>"),
        BinOp::IsNotDistinctFrom(_) => named("="),
        BinOp::CustomOp(op) => named(op.syntax().text().to_string().trim()),
        BinOp::OperatorCall(op) => {
            let text = op.syntax().text().to_string();
            let inside = text.split_once('(').map_or("", |(_, rest)| rest).trim_end_matches(')').trim();
            // Letters, quotes and dots are the schema of it.
            named(inside.trim_start_matches(|c: char| c.is_alphanumeric() || "._\"$ ".contains(c)))
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
        | BinOp::Star(token) => named(token.text()),
        BinOp::Neq(_) | BinOp::Neqb(_) => named("<>"),
        _ => Form::Other,
    }
}

/// `a IN (…)` as the server writes it: `a = ANY (ARRAY[…])`.
fn among(it: &ast::BinExpr, left: Expr, negated: bool) -> Form {
    let items = match it.rhs() {
        Some(ast::Expr::TupleExpr(tuple)) => tuple.exprs().map(|item| Expr::read(&item)).collect(),
        Some(ast::Expr::ParenExpr(one)) => one.expr().iter().map(Expr::read).collect(),
        _ => return Form::Other,
    };
    let list = Expr { form: Form::Array(items), text: String::new(), columns: Vec::new() };
    let (op, word) = if negated { ("<>", "all") } else { ("=", "any") };
    let list = Expr { form: Form::Call(word.to_owned(), vec![list]), text: String::new(), columns: Vec::new() };
    Form::Op(op.to_owned(), vec![left, list])
}

fn between(whole: &ast::Expr, it: &ast::BetweenExpr) -> Form {
    let mut sides = it.syntax().children().filter_map(ast::Expr::cast).map(|side| Expr::read(&side));
    let (Some(target), Some(low), Some(high)) = (sides.next(), sides.next(), sides.next()) else { return Form::Other };
    let part = |op: &str, side| wrapped(whole, Form::Op(op.to_owned(), vec![target.clone(), side]));
    let inside = Form::And(Box::new(part(">=", low)), Box::new(part("<=", high)));
    if it.not_token().is_some() { Form::Not(Box::new(wrapped(whole, inside))) } else { inside }
}

fn call(it: &ast::CallExpr) -> Form {
    let inner = |node: &squawk_syntax::SyntaxNode| node.descendants().filter_map(ast::Expr::cast).next();
    if let Some(any) = it.any_fn() {
        return inner(any.syntax()).map_or(Form::Other, |list| Form::Call("any".to_owned(), vec![Expr::read(&list)]));
    }
    if let Some(all) = it.all_fn() {
        return inner(all.syntax()).map_or(Form::Other, |list| Form::Call("all".to_owned(), vec![Expr::read(&list)]));
    }
    let Some(arguments) = it.arg_list() else {
        // A function with a grammar of its own: `TRIM(BOTH FROM a)`, `EXTRACT(year FROM a)`.
        let Some(node) = it.syntax().first_child() else { return Form::Other };
        let name = node.text().to_string();
        let name = name.split('(').next().unwrap_or_default().trim().to_lowercase();
        return inner(&node).map_or(Form::Other, |one| Form::Call(name, vec![Expr::read(&one)]));
    };
    let arguments = arguments.args().filter_map(|argument| argument.expr()).map(|one| Expr::read(&one)).collect();
    let name = match it.expr() {
        Some(ast::Expr::NameRef(name)) => name.syntax().text().to_string(),
        Some(ast::Expr::FieldExpr(field)) => {
            field.field().map(|name| name.syntax().text().to_string()).unwrap_or_default()
        }
        _ => return Form::Other,
    };
    Form::Call(first_name(&name).map(|(name, _)| name).unwrap_or(name), arguments)
}

fn case(it: &ast::CaseExpr) -> Form {
    let operand = it.expr().map(|operand| Expr::read(&operand));
    let arms = it
        .when_clause_list()
        .into_iter()
        .flat_map(|list| list.syntax().children().filter_map(ast::WhenClause::cast).collect::<Vec<_>>());
    let arm = |clause: ast::WhenClause| {
        let mut sides = clause.syntax().children().filter_map(ast::Expr::cast);
        let (when, then) = (sides.next()?, sides.next()?);
        let when = Expr::read(&when);
        let when = match &operand {
            Some(operand) => Expr {
                text: String::new(),
                columns: Vec::new(),
                form: Form::Op("=".to_owned(), vec![operand.clone(), when]),
            },
            None => when,
        };
        Some((when, Expr::read(&then)))
    };
    let other = it.else_clause().and_then(|clause| clause.expr()).map(|other| Box::new(Expr::read(&other)));
    Form::Case(arms.filter_map(arm).collect(), other)
}
