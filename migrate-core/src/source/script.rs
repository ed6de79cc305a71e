//! One SQL file: its text, its directives and, on demand, its statements.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use migrate_base::codes;
use migrate_base::finding::{Finding, Place};
use migrate_base::sql::{self, FlawKind, Statement, StatementClass};

use super::layout::ForeignScript;
use super::{Checksum, Directives, directive};

/// One SQL file.
///
/// Its statements are parsed on demand: in a long chain, most were applied long ago.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) path: PathBuf,
    pub(super) text: Arc<str>,
    pub(super) checksum: Checksum,
    pub(super) directives: Directives,
    cut: OnceLock<ScriptStatements>,
}

/// A parsed text.
#[derive(Debug, Clone)]
struct ScriptStatements {
    statements: Vec<Statement>,
    /// The problems that prevent it from being run.
    findings: Vec<Finding>,
}

impl Script {
    /// Creates a script from the text of one SQL file; problems in its head are added to the findings.
    /// [`Self::findings`] returns the problems of its statements.
    pub(super) fn of(path: PathBuf, text: Arc<str>, findings: &mut Vec<Finding>) -> Self {
        let (directives, wrong) = directive::read(&path, &text);
        findings.extend(wrong);
        let checksum = Checksum::of(&text);
        Self { path, text, checksum, directives, cut: OnceLock::new() }
    }

    /// Reads a part of a file that another tool wrote.
    ///
    /// What such tools accept is accepted: a last statement without a semicolon, a file without a statement, and its
    /// own `BEGIN` and `COMMIT`. Statements that the server will refuse in a transaction are left to the server,
    /// because one such file must not hide the rest of a long chain. `wraps` means that the tool puts a transaction
    /// around a file; a file that runs completely in its own transaction, or cannot run in one, needs none.
    pub(super) fn foreign(part: ForeignScript, wraps: bool, findings: &mut Vec<Finding>) -> Self {
        let ForeignScript { path, mut text, raw, no_transaction } = part;
        let own = |class: StatementClass| class == StatementClass::TransactionControl;
        let (statements, flaws) = sql::split(&text);
        if flaws.iter().any(|flaw| flaw.kind == FlawKind::UnterminatedStatement) {
            // The file may end with a comment.
            text.push_str("\n;");
        }
        let count = statements.iter().filter(|statement| own(statement.class)).count();
        if let [first, .., last] = statements.as_slice()
            && count == 2
            && own(first.class)
            && own(last.class)
        {
            for span in [first.span.clone(), last.span.clone()] {
                let blank = " ".repeat(span.len());
                text.replace_range(span, &blank);
            }
        }
        let text: Arc<str> = text.into();
        let (mut directives, wrong) = directive::read(&path, &text);
        findings.extend(wrong);
        let (statements, flaws) = sql::split(&text);
        // A message with one statement is not in a transaction if the tool opens none.
        let commits = |class: StatementClass| class.may_need_no_transaction() && statements.len() == 1;
        let outside = |Statement { class, .. }: &Statement| {
            own(*class) || (!wraps && (class.needs_no_transaction() || commits(*class)))
        };
        directives.no_transaction |= no_transaction || statements.iter().any(outside);
        let refused = sql::refused(&path, &text, &statements, &flaws, !directives.no_transaction);
        let passes = [codes::TRANSACTION_CONTROL, codes::NEEDS_NO_TRANSACTION];
        findings.extend(refused.into_iter().filter(|finding| !passes.contains(&finding.code)));
        let checksum = Checksum::of(raw.as_deref().unwrap_or(&text));
        let cut = ScriptStatements { statements, findings: Vec::new() }.into();
        Self { path, text, checksum, directives, cut }
    }

    /// Creates a down script from the ledger; nothing of it is refused, because it was accepted once.
    pub(crate) fn recorded(path: PathBuf, text: Arc<str>) -> Self {
        Self::of(path, text, &mut Vec::new())
    }

    fn cut(&self) -> &ScriptStatements {
        self.cut.get_or_init(|| {
            let Self { path, text, directives, .. } = self;
            let (statements, flaws) = sql::split(text);
            let mut findings = sql::refused(path, text, &statements, &flaws, !directives.no_transaction);
            if statements.is_empty() && flaws.is_empty() {
                findings.push(empty(path));
            }
            ScriptStatements { statements, findings }
        })
    }

    /// The problems that prevent its statements from being run; empty for a file of another tool, whose findings were
    /// reported when it was read.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.cut().findings
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text, normalised; this is what is sent to the server.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The checksum of the text.
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// Its statements, in order.
    pub fn statements(&self) -> &[Statement] {
        &self.cut().statements
    }

    /// The directives in its head.
    pub fn directives(&self) -> &Directives {
        &self.directives
    }
}

fn empty(path: &Path) -> Finding {
    let finding = Finding::new(codes::FILE_EMPTY, "this file has no statement").at(Place::file(path));
    finding.help(match path.to_string_lossy().ends_with(".down.sql") {
        true => format!("write it, or generate and prove it: `cargo xtask derive {}`", version_of(path)),
        false => "write the SQL, or remove the migration".to_owned(),
    })
}

/// The version at the start of a file's name.
pub(super) fn version_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('_').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use crate::source::MigrationSet;

    /// How many scripts of a set were split into statements.
    fn cut(set: &MigrationSet) -> usize {
        let scripts = set.iter().flat_map(|one| [one.up_script(), one.down_script(), one.verify()]);
        scripts.flatten().filter(|script| script.cut.get().is_some()).count()
    }

    #[test]
    fn statements_are_found_when_somebody_asks_and_no_sooner() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("20250101000001_a.up.sql", "-- migrate: lossy it is gone\nSELECT 1;");
        write("20250101000001_a.down.sql", "SELECT 1;");
        write("20250101000001_a.verify.sql", "SELECT 1 WHERE false;");
        write("20250101000002_b.up.sql", "SELECT 'x");
        write("20250101000002_b.down.sql", "SELECT 1;");
        let set = MigrationSet::read(folder.path()).unwrap();
        let first = set.iter().next().unwrap();
        assert_eq!((cut(&set), first.lossy()), (0, Some("it is gone")));
        set.check(|_| true).unwrap();
        assert_eq!(cut(&set), 0);
        set.check(|one| one.version() != first.version()).unwrap();
        assert_eq!(cut(&set), 3);
        let codes =
            |error: crate::Error| error.findings().iter().map(|finding| finding.code.as_str()).collect::<Vec<_>>();
        assert_eq!(codes(set.check(|one| one.version() == first.version()).unwrap_err()), ["unterminated-quote"]);
        assert_eq!(cut(&set), 5);
        assert_eq!(codes(MigrationSet::load(folder.path()).unwrap_err()), ["unterminated-quote"]);
        // Problems with a name are reported together with all others.
        write("notes.txt", "");
        assert_eq!(codes(MigrationSet::read(folder.path()).unwrap_err()), ["unterminated-quote", "file-name"]);
    }
}
