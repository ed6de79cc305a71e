//! The rules of squawk's linter, with the severity that they have here.
//!
//! Squawk's rules see one file. We leave out findings on tables that nobody uses yet, and those that `harmless`
//! recognizes, and we replace help that PostgreSQL would refuse. We do not run the rules about what the runner does
//! itself (timeouts, transactions, idempotence).

use migrate_base::codes::Code;
use std::ops::Range;

use migrate_base::finding::Severity;
use squawk_linter::{Linter, Rule as Theirs};

use self::Weight::{Error, Note, Off, Warning};
use super::harmless::is_harmless;
use super::partitioned::instead;
use super::script::Parsed;
use super::work::decided;
use super::{Class, Hit, Origin, Rule, Subject};
use crate::tree::targets;

/// The default severity of a rule, as in the table.
enum Weight {
    Error,
    Warning,
    Note,
    /// Finds too much to be on by default.
    Off,
}

const fn rule(name: &'static str, theirs: Theirs, class: Class, weight: Weight, page: &'static str) -> Rule {
    let weight = match weight {
        Error => Some(Severity::Error),
        Warning => Some(Severity::Warning),
        Note => Some(Severity::Note),
        Off => None,
    };
    let severity = match weight {
        Some(severity) => severity,
        None => Severity::Note,
    };
    Rule { code: Code::new(name, severity), class, weight, page, origin: Origin::Squawk(theirs) }
}

macro_rules! squawk {
    ($($code:literal $theirs:ident $class:ident $weight:ident;)*) => {
        [$(rule($code, Theirs::$theirs, Class::$class, $weight, include_str!(concat!("pages/", $code, ".md")))),*]
    };
}

/// The rules that are run.
pub(super) static RULES: [Rule; 41] = squawk! {
    "require-concurrent-index-creation" RequireConcurrentIndexCreation Locks Error;
    "require-concurrent-index-deletion" RequireConcurrentIndexDeletion Locks Error;
    "require-concurrent-reindex" RequireConcurrentReindex Locks Error;
    "require-concurrent-partition-detach" RequireConcurrentPartitionDetach Locks Error;
    "constraint-missing-not-valid" ConstraintMissingNotValid Locks Error;
    "adding-foreign-key-constraint" AddingForeignKeyConstraint Locks Error;
    "disallowed-unique-constraint" DisallowedUniqueConstraint Locks Error;
    "adding-serial-primary-key-field" AddingSerialPrimaryKeyField Locks Error;
    "adding-field-with-default" AddingFieldWithDefault Locks Error;
    "adding-not-nullable-field" AddingNotNullableField Locks Error;
    "changing-column-type" ChangingColumnType Locks Error;
    "prefer-repack" PreferRepack Locks Error;
    "adding-required-field" AddingRequiredField Breaks Error;
    "ban-drop-column" BanDropColumn Breaks Error;
    "ban-drop-table" BanDropTable Breaks Error;
    "ban-drop-database" BanDropDatabase Breaks Error;
    "ban-drop-schema" BanDropSchema Breaks Error;
    "ban-drop-extension" BanDropExtension Breaks Error;
    "ban-truncate-cascade" BanTruncateCascade Breaks Error;
    "renaming-column" RenamingColumn Breaks Error;
    "renaming-table" RenamingTable Breaks Error;
    "ban-set-schema" BanSetSchema Breaks Error;
    "renaming-object" RenamingObject Breaks Warning;
    "ban-drop-not-null" BanDropNotNull Breaks Warning;
    "ban-drop-constraint" BanDropConstraint Breaks Warning;
    "ban-drop-default" BanDropDefault Breaks Warning;
    "ban-drop-view" BanDropView Breaks Warning;
    "ban-drop-function" BanDropFunction Breaks Warning;
    "ban-drop-type" BanDropType Breaks Warning;
    "ban-drop-sequence" BanDropSequence Breaks Warning;
    "ban-drop-domain" BanDropDomain Breaks Warning;
    "ban-drop-generated-expression" BanDropGeneratedExpression Breaks Warning;
    "ban-alter-identity" BanAlterIdentity Breaks Warning;
    "ban-disable-trigger" BanDisableTrigger Breaks Warning;
    "ban-duplicate-column-assignments" BanDuplicateColumnAssignments Design Error;
    "identifier-too-long" IdentifierTooLong Design Error;
    "prefer-bigint-over-int" PreferBigintOverInt Design Off;
    "prefer-identity" PreferIdentity Design Warning;
    "prefer-text-field" PreferTextField Design Note;
    "prefer-timestamp-tz" PreferTimestampTz Design Warning;
    "ban-char-field" BanCharField Design Note;
};

/// The findings of squawk in a script, about objects that are in use.
pub(super) fn hits(subject: &Subject<'_>, parsed: &Parsed) -> Vec<(Theirs, Hit)> {
    let asked = RULES.iter().filter_map(|rule| match rule.origin {
        Origin::Squawk(theirs) => Some(theirs),
        Origin::Own(_) => None,
    });
    let mut linter = Linter::from(asked);
    linter.settings.assume_in_transaction = parsed.transaction;
    // None of the rules reports less for a newer server, and the rule for VACUUM FULL is silent before 19.
    linter.settings.pg_version = "19".parse().unwrap_or_default();
    let found = linter.lint(&parsed.file, &parsed.text).into_iter().filter_map(|violation| {
        let span: Range<usize> = violation.text_range.into();
        let class =
            RULES.iter().find(|rule| matches!(rule.origin, Origin::Squawk(theirs) if theirs == violation.code))?.class;
        let about = parsed.around(span.start).map(targets).unwrap_or_default();
        let idle = !about.is_empty() && !about.iter().any(|target| subject.in_use(parsed, span.start, target));
        if idle && matches!(class, Class::Locks | Class::Breaks) || is_harmless(subject, parsed, &violation) {
            return None;
        }
        let message = violation.message.trim().trim_end_matches('.').to_owned();
        let instead = parsed.around(span.start).and_then(|stmt| instead(subject, parsed, stmt));
        let help = instead.or(violation.help.as_deref());
        let hit = Hit::new(span, message);
        Some((violation.code, help.into_iter().fold(hit, |hit, help| hit.help(help.trim_end_matches('.')))))
    });
    decided(subject, parsed, found.collect())
}
