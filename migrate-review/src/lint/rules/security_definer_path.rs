//! `security-definer-path`: a function that runs with its owner's privileges resolves names on its caller's
//! search_path.

use squawk_syntax::ast::{AstNode, FuncOption, FuncOptionList, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};
use crate::tree::span;

pub(super) const RULE: LintRule = rule(
    "security-definer-path",
    RuleClass::Security,
    Severity::Warning,
    include_str!("../pages/security-definer-path.md"),
    check,
);

fn check(_: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let all = parsed.statements.iter().map(|(_, stmt)| stmt).chain(&parsed.routines);
    let options = all.filter_map(|stmt| match stmt {
        Stmt::CreateFunction(it) => it.option_list(),
        Stmt::CreateProcedure(it) => it.option_list(),
        _ => None,
    });
    options.filter_map(|options| open(&options)).collect()
}

fn open(options: &FuncOptionList) -> Option<RuleHit> {
    let definer = options.options().find_map(|one| match one {
        FuncOption::SecurityDefinerFuncOption(it) => Some(span(&it)),
        _ => None,
    })?;
    let sets_path = options.options().any(|one| match one {
        FuncOption::SetFuncOption(it) => it.syntax().text().to_string().to_ascii_lowercase().contains("search_path"),
        _ => false,
    });
    (!sets_path).then(|| {
        RuleHit::new(
            definer,
            "this runs with the privileges of its owner, but finds names on the search_path of its caller",
        )
        .help("add SET search_path = pg_catalog, pg_temp, and qualify names with their schema")
    })
}
