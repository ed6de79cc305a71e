//! What a reader does with a page, in its order: write files, set variables, run commands.

/// The programs that a command in the prose of a page begins with.
const PROGRAMS: [&str; 9] = ["cargo", "xtask", "ln", "git", "psql", "docker", "curl", "sudo", "mdbook"];

/// One step of a page.
#[derive(Debug)]
pub(crate) enum PageStep {
    /// A heading. What follows begins with a project in which nothing has been done yet.
    Section,
    /// A file whose name is in the first line of its block.
    File { name: String, text: String },
    /// A part of `migrate.toml`.
    Setting(String),
    /// A command, with the output and the exit code that the page shows.
    Command { line: String, shows: Option<String>, code: i32 },
}

/// The steps of a page, each with the line where its block or paragraph begins.
pub(crate) fn steps(page: &str) -> Vec<(usize, PageStep)> {
    let mut steps = Vec::new();
    let mut prose = (1, String::new());
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if let Some(language) = line.trim_start().strip_prefix("```") {
            spoken(&mut prose, &mut steps);
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            let body: String = body.map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect();
            block(language, &body).into_iter().for_each(|step| steps.push((at + 1, step)));
        } else if line.starts_with("# ") || line.starts_with("## ") {
            spoken(&mut prose, &mut steps);
            steps.push((at + 1, PageStep::Section));
        } else if line.is_empty() {
            spoken(&mut prose, &mut steps);
            prose.0 = at + 2;
        } else {
            prose.1.push_str(line.trim_start());
            prose.1.push(' ');
        }
    }
    spoken(&mut prose, &mut steps);
    steps
}

/// The commands in a paragraph or a table.
fn spoken(prose: &mut (usize, String), steps: &mut Vec<(usize, PageStep)>) {
    let (at, text) = std::mem::take(prose);
    let commands = text.split('`').skip(1).step_by(2).filter(|code| {
        let words = code.split_once(' ');
        words.is_some_and(|(first, _)| PROGRAMS.contains(&first))
    });
    steps.extend(commands.map(|line| (at, PageStep::Command { line: line.to_owned(), shows: None, code: 0 })));
}

/// The steps of a block.
fn block(language: &str, body: &str) -> Vec<PageStep> {
    let first = body.lines().next().unwrap_or_default();
    let name = first.strip_prefix("-- ").or(first.strip_prefix("# ")).filter(|name| {
        // Not a directive, `-- migrate: …`.
        !name.contains(' ') && name.contains('.')
    });
    match (language.split(',').next().unwrap(), name) {
        ("sh" | "bash", _) => {
            let joined = body.replace("\\\n", "");
            let commands = joined.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            let one = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                PageStep::Command { line: words.join(" "), shows: None, code: 0 }
            };
            commands.map(one).collect()
        }
        ("console", _) => console(body),
        ("sql" | "toml", Some(name)) => {
            let text = body.split_once('\n').unwrap().1.to_owned();
            vec![PageStep::File { name: name.to_owned(), text }]
        }
        ("toml", None) => vec![PageStep::Setting(body.to_owned())],
        // `ci/pages` compiles these.
        ("rust", _) => Vec::new(),
        _ => panic!("nobody tests a block of {language:?}: make it a `console`, or a file by its name:\n{body}"),
    }
}

/// Commands after a `$`, each with its output; `echo $?` shows the exit code of the command before it.
fn console(body: &str) -> Vec<PageStep> {
    let mut steps: Vec<PageStep> = Vec::new();
    let mut is_code = false;
    for line in body.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some("echo $?"), Some(_)) => is_code = true,
            (Some(line), _) => {
                is_code = false;
                steps.push(PageStep::Command { line: line.to_owned(), shows: Some(String::new()), code: 0 });
            }
            (None, Some(PageStep::Command { code, .. })) if is_code => *code = line.parse().unwrap(),
            (None, Some(PageStep::Command { shows: Some(shows), .. })) => shows.push_str(&format!("{line}\n")),
            (None, _) => panic!("a block begins with a command: {line}"),
        }
    }
    steps
}

/// Whether an output is the one that a page shows. There, a line `…` stands for any lines, and `…` in a line for any
/// text.
pub(crate) fn is_shown(shows: &[String], said: &[String]) -> bool {
    match shows {
        [] => said.is_empty(),
        [first, rest @ ..] if first == "…" => (0..=said.len()).any(|skipped| is_shown(rest, &said[skipped..])),
        [first, rest @ ..] => {
            said.split_first().is_some_and(|(line, others)| is_line(first, line) && is_shown(rest, others))
        }
    }
}

fn is_line(shows: &str, said: &str) -> bool {
    let Some((begin, rest)) = shows.split_once('…') else { return shows == said };
    let (begin, rest) = (begin.trim_end(), rest.trim_start());
    said.strip_prefix(begin).is_some_and(|said| {
        let ends = said.char_indices().map(|(at, _)| at).chain([said.len()]);
        ends.into_iter().any(|at| is_line(rest, &said[at..]))
    })
}

#[test]
fn a_page_is_read_as_a_reader_would() {
    let page = "# Title\n\nRun `cargo xtask a\n--b`, not `--c`.\n\n1. So:\n\n   ```sh\n   x \\\n     y\n   # no\n   ```\n\n```console\n$ z\nout\n$ echo $?\n3\n```\n\n\
                ```sql\n-- m/1.sql\nSELECT 1;\n```\n";
    let read: Vec<String> = steps(page).into_iter().map(|(at, step)| format!("{at} {step:?}")).collect();
    let expected = [
        r##"1 Section"##,
        r#"3 Command { line: "cargo xtask a --b", shows: None, code: 0 }"#,
        r#"8 Command { line: "x y", shows: None, code: 0 }"#,
        r#"14 Command { line: "z", shows: Some("out\n"), code: 3 }"#,
        r#"21 File { name: "m/1.sql", text: "SELECT 1;\n" }"#,
    ];
    assert_eq!(read, expected);
    let lines = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
    assert!(is_shown(&lines("a …d|…|z"), &lines("a bcd|c|d|z")) && is_shown(&lines("…|z"), &lines("z")));
    assert!(
        !is_shown(&lines("a … c"), &lines("a b"))
            && !is_shown(&lines("a|…|z"), &lines("a|b"))
            && !is_shown(&lines("a"), &lines("a|b"))
    );
}
