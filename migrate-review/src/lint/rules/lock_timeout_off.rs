//! `lock-timeout-off`: a migration waits for a lock forever, and blocks everybody who queues after it.

use migrate_base::sql::tokens;
use squawk_syntax::ast::{AstNode, ResetTarget, Stmt};

use super::{LintRule, LintSubject, ParsedScript, RuleClass, RuleHit, Severity, rule};

pub(super) const RULE: LintRule =
    rule("lock-timeout-off", RuleClass::Locks, Severity::Error, include_str!("../pages/lock-timeout-off.md"), check);

fn check(subject: &LintSubject<'_>, parsed: &ParsedScript) -> Vec<RuleHit> {
    let hit = |span| {
        RuleHit::new(span, "without a lock timeout this waits forever")
            .note("meanwhile every other session that needs the table waits too")
            .help("remove it: the runner sets lock_timeout and retries")
    };
    let sets = |stmt: &Stmt| {
        if let Stmt::Reset(reset) = stmt {
            let text = reset.syntax().text().to_string().to_ascii_lowercase();
            return text.contains("lock_timeout") || matches!(reset.reset_target(), Some(ResetTarget::All(_)));
        }
        if let Stmt::Select(select) = stmt {
            let text = select.syntax().text().to_string();
            let words: Vec<String> = tokens(&text).iter().map(|word| word.to_ascii_lowercase()).collect();
            let is_off = |words: &[String]| {
                words[0] == "'lock_timeout'"
                    && words[1] == ","
                    && matches!(words[2].trim_matches('\''), "0" | "0s" | "0ms")
            };
            return words.iter().any(|word| word == "set_config") && words.windows(3).any(is_off);
        }
        let Stmt::Set(set) = stmt else { return false };
        let text = set.syntax().text().to_string().to_ascii_lowercase();
        let value = text.split_once("lock_timeout").map(|(_, value)| value);
        let value = value
            .map(|value| value.trim_start_matches([' ', '=']).trim_start_matches("to ").trim().trim_end_matches(';'));
        value.is_some_and(|value| matches!(value.trim_matches('\'').trim(), "0" | "0s" | "0ms" | "default"))
    };
    let statements = parsed.statements.iter().filter(|(_, stmt)| sets(stmt)).map(|(span, _)| hit(span.clone()));
    let directive = subject.script.directives().lock_timeout.filter(|time| time.is_zero()).and_then(|_| {
        let at = parsed.text.find("lock-timeout")?;
        Some(hit(at..at + parsed.text[at..].find('\n').unwrap_or("lock-timeout".len())))
    });
    directive.into_iter().chain(statements).collect()
}
