//! Tables of text with aligned columns.

use std::iter::repeat_n;

use super::clean;
use super::style::MarkedStyle;

/// Rows of cells; each cell may have a style around its text.
#[derive(Debug, Default)]
pub(crate) struct TextTable {
    rows: Vec<Vec<(MarkedStyle, String)>>,
}

impl TextTable {
    /// Adds a row. A cell is one line; its width is that of the escaped text.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (MarkedStyle, String)>) {
        self.rows.push(cells.into_iter().map(|(style, text)| (style, clean::line(&text).into_owned())).collect());
    }

    /// The lines, each column as wide as its widest cell, two spaces between them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut marks = StyleSequences::default();
        let line = |row: &Vec<(MarkedStyle, String)>| {
            let mut line = String::new();
            for ((style, text), width) in row.iter().zip(&widths) {
                let (begin, end) = marks.of(*style);
                [begin, text, end].iter().for_each(|part| line.push_str(part));
                line.extend(repeat_n(' ', width + 2 - text.chars().count()));
            }
            line.truncate(line.trim_end().len());
            line
        };
        self.rows.iter().map(line).collect()
    }
}

/// The start and end sequences of each style, cached because a table has thousands of cells and few styles.
#[derive(Default)]
struct StyleSequences(Vec<(MarkedStyle, String, String)>);

impl StyleSequences {
    fn of(&mut self, style: MarkedStyle) -> (&str, &str) {
        let at = self.0.iter().position(|(known, ..)| *known == style).unwrap_or_else(|| {
            self.0.push((style, style.to_string(), format!("{style:#}")));
            self.0.len() - 1
        });
        let (_, begin, end) = &self.0[at];
        (begin, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_characters() {
        let mut table = TextTable::default();
        let plain = crate::output::style::PLAIN;
        table.row([(plain, "ü".to_owned()), (plain, "b".to_owned())]);
        table.row([(plain, "aaa".to_owned()), (plain, "c".to_owned())]);
        let lines: Vec<String> = table.lines().iter().map(|l| anstream::adapter::strip_str(l).to_string()).collect();
        assert_eq!(lines, ["ü    b", "aaa  c"]);
    }
}
