//! Directives: comments at the head of a file that say how to run it.
//!
//! ```sql
//! -- migrate: no-transaction
//! -- migrate: lock-timeout 2s
//! ```
//!
//! The runner, the laws and the rules interpret them.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use migrate_base::codes;
use migrate_base::duration;
use migrate_base::finding::{Finding, Place};
use migrate_base::sql::lex::lex;
use squawk_lexer::TokenKind;

use super::{Checksum, Version};

/// The directives of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directives {
    /// Run stepwise, each statement committed separately.
    pub no_transaction: bool,
    /// Why the down script cannot restore the data.
    pub lossy: Option<String>,
    /// Why there is no down script.
    pub irreversible: Option<String>,
    /// The rules that may be broken, each with a reason.
    pub allow: Vec<(String, String)>,
    /// The first of the migrations that this one replaces; it has the version of the last one.
    pub squashes: Option<Version>,
    /// What this migration was before its folder was converted into ours.
    pub was: Option<FormerMigration>,
    /// The migration of another tool whose statements it has.
    pub captured: Option<CapturedMigration>,
    /// How long a statement waits for a lock; zero means no limit.
    pub lock_timeout: Option<Duration>,
    /// How long a statement may run; zero means no limit.
    pub statement_timeout: Option<Duration>,
}

/// A migration as a ledger knows it from before its files were converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerMigration {
    /// Its version.
    pub version: Version,
    /// The checksum of its up script.
    pub up_checksum: Checksum,
}

/// A migration of another tool, as the ledger of that tool knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedMigration {
    /// The name of the tool.
    pub tool: String,
    /// The key in its ledger.
    pub key: String,
    /// The keys that it comes after, if that is not just the migration before it in the folder.
    pub after: Option<Vec<String>>,
}

/// Its directive, as the head of a script has it.
impl fmt::Display for CapturedMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-- {MARK} captured {} {}", self.tool, self.key)?;
        self.after.as_ref().map_or(Ok(()), |keys| write!(f, "{AFTER}{}", keys.join(", ")))
    }
}

const MARK: &str = "migrate:";
/// Between the key of a captured migration and those that it comes after.
const AFTER: &str = " after ";
const NAMES: [&str; 9] = [
    "no-transaction",
    "lossy",
    "irreversible",
    "allow",
    "squashes",
    "was",
    "captured",
    "lock-timeout",
    "statement-timeout",
];

/// Reads the directives of a script; returns them with the problems found.
pub(crate) fn read(path: &Path, text: &Arc<str>) -> (Directives, Vec<Finding>) {
    let mut directives = Directives::default();
    let mut findings = Vec::new();
    // Most scripts have no directives and need not be parsed.
    if !text.contains(MARK) {
        return (directives, findings);
    }
    let mut at_head = true;
    for (kind, span) in lex(text, 0) {
        match kind {
            TokenKind::Whitespace | TokenKind::BlockComment { .. } => {}
            TokenKind::LineComment => {
                let body = text[span.clone()].trim_start_matches('-').trim();
                let Some(directive) = body.strip_prefix(MARK) else { continue };
                let place = Place::within(path, text.clone(), span.start..trimmed_end(text, &span));
                let outcome = if at_head {
                    directives.take(directive.trim())
                } else {
                    Err(Finding::new(codes::DIRECTIVE_PLACE, "a directive must stand before the first statement")
                        .help("move the line to the head of the file"))
                };
                findings.extend(outcome.err().map(|finding| finding.at(place)));
            }
            _ => at_head = false,
        }
    }
    (directives, findings)
}

fn trimmed_end(text: &str, span: &Range<usize>) -> usize {
    span.start + text[span.clone()].trim_end().len()
}

impl Directives {
    /// Reads one directive: its name and its argument.
    fn take(&mut self, directive: &str) -> Result<(), Finding> {
        let (name, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
        let rest = rest.trim();
        match name {
            "no-transaction" if rest.is_empty() => once(&mut self.no_transaction, name),
            "no-transaction" => Err(Finding::new(codes::DIRECTIVE_VALUE, "`no-transaction` takes no argument")
                .help("remove the words after it")),
            "lossy" => set(&mut self.lossy, name, reason(name, rest)?),
            "irreversible" => set(&mut self.irreversible, name, reason(name, rest)?),
            "allow" => {
                let (rule, why) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                self.allow.push((rule.to_owned(), reason(name, why.trim())?));
                Ok(())
            }
            "squashes" => set(&mut self.squashes, name, first(rest)?),
            "was" => set(&mut self.was, name, former(rest)?),
            "captured" => set(&mut self.captured, name, captured(rest)?),
            "lock-timeout" => set(&mut self.lock_timeout, name, time(name, rest)?),
            "statement-timeout" => set(&mut self.statement_timeout, name, time(name, rest)?),
            other => Err(unknown(other)),
        }
    }
}

fn once(flag: &mut bool, name: &str) -> Result<(), Finding> {
    if std::mem::replace(flag, true) { Err(twice(name)) } else { Ok(()) }
}

fn set<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), Finding> {
    if slot.replace(value).is_some() { Err(twice(name)) } else { Ok(()) }
}

fn twice(name: &str) -> Finding {
    Finding::new(codes::DIRECTIVE_TWICE, format!("`{name}` is declared twice")).help("remove one of the two lines")
}

fn reason(name: &str, text: &str) -> Result<String, Finding> {
    if text.is_empty() {
        let form = if name == "allow" { "allow RULE reason".to_owned() } else { format!("{name} reason") };
        return Err(Finding::new(codes::DIRECTIVE_REASON, format!("`{name}` needs a reason"))
            .help(format!("say why, for those who read it later: `-- migrate: {form}`")));
    }
    Ok(text.to_owned())
}

fn first(text: &str) -> Result<Version, Finding> {
    text.parse().map_err(|_| {
        Finding::new(codes::DIRECTIVE_VALUE, format!("`{text}` is not a version"))
            .help("give the first version that this migration replaces; `cargo xtask squash --to VERSION` writes it")
    })
}

fn former(text: &str) -> Result<FormerMigration, Finding> {
    let (version, checksum) = text.split_once(' ').unwrap_or((text, ""));
    let checksum = Some(checksum.trim()).filter(|checksum| checksum.starts_with("sha256:"));
    let former = Version::recorded(version).ok().zip(checksum);
    let former =
        former.map(|(version, checksum)| FormerMigration { version, up_checksum: Checksum::recorded(checksum) });
    former.ok_or_else(|| {
        Finding::new(codes::DIRECTIVE_VALUE, format!("`{text}` is not a version with a checksum"))
            .help("`cargo xtask adopt --convert` writes this line; restore it from the history of the repository")
    })
}

fn captured(text: &str) -> Result<CapturedMigration, Finding> {
    let parts = text.split_once(' ').map(|(tool, key)| (tool, key.trim())).filter(|(_, key)| !key.is_empty());
    let captured = parts.map(|(tool, rest)| {
        let (key, after) = rest.split_once(AFTER).map_or((rest, None), |(key, after)| (key, Some(after)));
        let after = after.map(|keys| keys.split(',').map(|key| key.trim().to_owned()).collect());
        CapturedMigration { tool: tool.to_owned(), key: key.trim().to_owned(), after }
    });
    captured.ok_or_else(|| {
        Finding::new(codes::DIRECTIVE_VALUE, format!("`{text}` is not a tool with the key of a migration"))
            .help("`cargo xtask adopt --capture DIR` writes this line; restore it from the history of the repository")
    })
}

fn time(name: &str, text: &str) -> Result<Duration, Finding> {
    duration::parse(text).ok_or_else(|| {
        Finding::new(codes::DIRECTIVE_VALUE, format!("`{text}` is not a time"))
            .help(format!("write a number with its unit (ms, s, min, h): `-- migrate: {name} 2s`"))
    })
}

fn unknown(name: &str) -> Finding {
    let finding = Finding::new(codes::DIRECTIVE_UNKNOWN, format!("there is no directive `{name}`"));
    match migrate_base::suggest::nearest(name, NAMES) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("the directives are {}", NAMES.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        read(Path::new("a.sql"), &text.into()).1.iter().map(|f| f.code.as_str()).collect()
    }

    #[test]
    fn every_directive_is_read() {
        let text = "-- Why.\n--migrate: no-transaction\n-- migrate: lossy it is gone\n\
                    -- migrate: allow ban-x on purpose\n\
                    -- migrate: squashes 7\n\
                    -- migrate: was 1.2 sha256:ab\n\
                    -- migrate: captured alembic 1975ea83b712 after ae10, 27c6\n\
                    /* block */ -- migrate: lock-timeout 250ms\n-- migrate: statement-timeout 10min\nselect 1;";
        let (found, findings) = read(Path::new("a.sql"), &text.into());
        assert!(findings.is_empty(), "{findings:?}");
        let expected = Directives {
            no_transaction: true,
            lossy: Some("it is gone".into()),
            irreversible: None,
            allow: vec![("ban-x".into(), "on purpose".into())],
            squashes: Some("7".parse().unwrap()),
            was: Some(FormerMigration {
                version: "1.2".parse().unwrap(),
                up_checksum: Checksum::recorded("sha256:ab"),
            }),
            captured: Some(CapturedMigration {
                tool: "alembic".into(),
                key: "1975ea83b712".into(),
                after: Some(vec!["ae10".into(), "27c6".into()]),
            }),
            lock_timeout: Some(Duration::from_millis(250)),
            statement_timeout: Some(Duration::from_secs(600)),
        };
        assert_eq!(found, expected);
        let captured = found.captured.map(|one| one.to_string());
        assert!(captured.is_some_and(|line| text.contains(&line)));
    }

    #[test]
    fn what_is_wrong_is_a_finding() {
        assert_eq!(codes("-- migrate: no-transactions"), ["directive-unknown"]);
        assert_eq!(codes("-- migrate: lossy"), ["directive-reason"]);
        assert_eq!(codes("-- migrate: allow x"), ["directive-reason"]);
        assert_eq!(codes("-- migrate: lock-timeout soon"), ["directive-value"]);
        assert_eq!(codes("-- migrate: squashes all"), ["directive-value"]);
        assert_eq!(codes("-- migrate: was 7"), ["directive-value"]);
        assert_eq!(codes("-- migrate: was first sha256:ab"), ["directive-value"]);
        assert_eq!(codes("-- migrate: captured alembic"), ["directive-value"]);
        assert_eq!(codes("-- migrate: lossy a\n-- migrate: lossy b"), ["directive-twice"]);
        assert_eq!(codes("select 1; -- migrate: lossy a"), ["directive-place"]);
        assert!(codes("select '-- migrate: x'; -- to migrate: nothing").is_empty());
    }
}
