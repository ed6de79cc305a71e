//! A finding as text, in the style of a compiler, with the line and a caret.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use migrate_base::finding::{Finding, Place, Severity, line_column};

use super::{clean, style};
use crate::invocation::spoken_finding;

/// Renders a finding with its place, its notes and its next steps, in colour.
///
/// Commands in our own words are rewritten here, so the printer must not do it again: the lines of a script stay as
/// they are. Foreign text is escaped with [`clean`]. The colours carry our mark, and are removed on output if they are
/// not wanted.
pub(crate) fn render(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let finding = spoken_finding(finding);
    let mut group: Group<'_> =
        Group::with_title(level.primary_title(clean::lines(&finding.message)).id(finding.code.as_str()));
    if let Some(place) = &finding.place {
        let path = clean::line(&place.path().display().to_string()).into_owned();
        group = match place.source() {
            Some((text, span, label)) => {
                let (text, span) = clean::part(text, span);
                let label = (!label.is_empty()).then(|| clean::line(label));
                let annotation = AnnotationKind::Primary.span(span).label(label);
                group.element(Snippet::source(text).path(path).fold(true).annotation(annotation))
            }
            None => group.element(Origin::path(path)),
        };
    }
    for note in &finding.notes {
        group = group.element(Level::NOTE.message(clean::lines(note)));
    }
    for help in &finding.help {
        group = group.element(Level::HELP.message(clean::lines(help)));
    }
    let rendered = style::marked(&Renderer::styled().render(&[group]));
    match &finding.place {
        Some(place) => with_column(rendered, place),
        None => rendered,
    }
}

/// Replaces the column in the shown text with that in the file, if escapes before it made the text longer.
fn with_column(rendered: String, place: &Place) -> String {
    let (Some((line, column)), Some((text, span, _))) = (place.line_column(), place.source()) else { return rendered };
    let (shown, part) = clean::part(text, span);
    let (_, shown_column) = line_column(&shown, part.start);
    let path = clean::line(&place.path().display().to_string()).into_owned();
    rendered.replacen(&format!("{path}:{line}:{shown_column}"), &format!("{path}:{line}:{column}"), 1)
}
