//! Splits scripts into statements, for `ci/split.py`. It reads scripts that each end with a NUL byte, and writes one
//! line per script with the first byte and the end of each statement, and `!` if anything in it is uncertain.

use std::io::{self, BufRead, Write};

use migrate_base::sql::{FlawKind, split};

fn main() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut script = Vec::new();
    while input.read_until(0, &mut script)? > 0 {
        let text = String::from_utf8_lossy(script.strip_suffix(&[0]).unwrap_or(&script));
        let (statements, flaws) = split(&text);
        for statement in statements {
            write!(output, "{}-{} ", statement.span.start, statement.span.end)?;
        }
        let is_uncertain = flaws.iter().any(|flaw| flaw.kind != FlawKind::UnterminatedStatement);
        writeln!(output, "{}", if is_uncertain { "!" } else { "" })?;
        script.clear();
    }
    output.flush()
}
