//! A finding as text: like a compiler's, with the line and a caret.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use migrate_core::finding::{Finding, Severity};

/// Renders a finding with its place, its notes and its next steps, in colour.
///
/// The colours are removed on the way out where they are not wanted.
pub(crate) fn render(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group: Group<'_> = Group::with_title(level.primary_title(&finding.message).id(finding.code));
    if let Some(place) = &finding.place {
        let path = place.path().display().to_string();
        group = match place.source() {
            Some((text, span, label)) => {
                let label = (!label.is_empty()).then_some(label);
                let annotation = AnnotationKind::Primary.span(span).label(label);
                group.element(Snippet::source(text).path(path).fold(true).annotation(annotation))
            }
            None => group.element(Origin::path(path)),
        };
    }
    for note in &finding.notes {
        group = group.element(Level::NOTE.message(note));
    }
    for help in &finding.help {
        group = group.element(Level::HELP.message(help));
    }
    Renderer::styled().render(&[group])
}
