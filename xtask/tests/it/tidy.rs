//! The structure of this repository: which crate may use which, modules without cycles, and files of limited length.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::rust_source::{TESTS, Token, files_ending, rust_files, source_files, tokens};
use crate::support::{root, sources};

/// The crates, each listed after those that it may use.
const LAYERS: [&str; 7] =
    ["migrate-base", "migrate-schema", "migrate-core", "migrate-review", "migrate-test", "migrate-cli", "xtask"];

/// What a build script uses; it is therefore outside this order.
const BESIDE: &str = "migrate-embed";

/// The maximum number of lines of a source file. Most files have far fewer.
const LONGEST: usize = 400;

/// The maximum number of characters in a line of a source file. rustfmt breaks code, but not strings and comments.
const WIDEST: usize = 120;

/// The same for the SQL that keeps data.
const WIDEST_SQL: usize = 100;

/// Our own crates that a manifest names as dependencies of the library, not of its tests.
fn uses(manifest: &str) -> Vec<String> {
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let section = rest.split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| name.starts_with("migrate-")).map(str::to_owned).collect()
}

#[test]
fn each_crate_uses_those_below_it() {
    let crates: BTreeSet<String> = sources()
        .iter()
        .map(|source| source.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let known: BTreeSet<String> = LAYERS.into_iter().chain([BESIDE]).map(str::to_owned).collect();
    assert_eq!(crates, known);
    for (at, name) in LAYERS.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for used in uses(&manifest) {
            assert!(LAYERS[..at].contains(&&*used), "{name} uses {used}, which is not below it");
        }
    }
    let beside = fs::read_to_string(root().join(BESIDE).join("Cargo.toml")).unwrap();
    assert!(!beside.contains("[dependencies]\n"), "{BESIDE} is what build scripts wait for");
}

/// The modules in a folder of sources, each with those that its files name with `crate::` and the path of the folder,
/// without tests.
fn modules(source: &Path, inside: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    rust_files(source, &mut files);
    let module = |path: &Path| {
        let first = path.strip_prefix(source).unwrap().components().next().unwrap();
        first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    let all: BTreeSet<String> = files.iter().map(|path| module(path)).collect();
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files.iter().filter(|path| !is_of_tests(path)) {
        let own = module(path);
        let named = named(&fs::read_to_string(path).unwrap(), inside).into_iter();
        modules.entry(own.clone()).or_default().extend(named.filter(|one| *one != own && all.contains(one)));
    }
    // What the root itself collects does not count as use.
    modules.remove("lib");
    modules.remove("main");
    modules.remove("mod");
    modules
}

fn is_of_tests(path: &Path) -> bool {
    path.ends_with("tests.rs")
}

/// The words after `crate::` and a path in a text, including those in braces, up to its tests.
fn named(text: &str, inside: &[&str]) -> Vec<String> {
    let text = text.split(TESTS).next().unwrap();
    let words: Vec<String> = tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            Token::Sign(sign) => Some(sign.to_string()),
            _ => None,
        })
        .collect();
    let mut named = Vec::new();
    for at in 0..words.len() {
        let path = ["crate"].iter().chain(inside).flat_map(|word| [*word, "::"]);
        let length = 2 + 2 * inside.len();
        let Some(rest) = words.get(at + length..).filter(|_| words[at..at + length].iter().eq(path)) else { continue };
        match rest {
            [brace, inside @ ..] if brace == "{" => {
                let inside = inside.iter().take_while(|word| *word != "}");
                let mut begins = true;
                for word in inside {
                    if begins {
                        named.push(word.clone());
                    }
                    begins = word == ",";
                }
            }
            [word, ..] => named.push(word.clone()),
            [] => {}
        }
    }
    named
}

/// Whether a module can be reached from itself.
fn circle(modules: &BTreeMap<String, BTreeSet<String>>, from: &str) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(one) = open.pop() {
        for next in modules.get(one).into_iter().flatten() {
            if next == from {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

#[test]
fn no_modules_of_a_crate_use_one_another_in_a_circle() {
    let mut edges = 0;
    for source in sources() {
        let modules = modules(&source, &[]);
        edges += modules.values().map(BTreeSet::len).sum::<usize>();
        let in_circles: Vec<&String> = modules.keys().filter(|module| circle(&modules, module)).collect();
        assert!(in_circles.is_empty(), "{}: {in_circles:?} are in circles", source.display());
    }
    assert!(edges > 100, "the sources are not read any more");
}

/// A plan is made before messages, messages before a run, and a run before what explains or repeats it.
#[test]
fn no_parts_of_the_runner_use_one_another_in_a_circle() {
    let modules = modules(&root().join("migrate-core/src/runner"), &["runner"]);
    let edges = modules.values().map(BTreeSet::len).sum::<usize>();
    assert!(edges > 10, "the sources are not read any more: {modules:?}");
    let in_circles: Vec<&String> = modules.keys().filter(|module| circle(&modules, module)).collect();
    assert!(in_circles.is_empty(), "{in_circles:?} are in circles");
}

#[test]
fn each_file_says_what_it_is_and_is_not_too_long() {
    let files = source_files();
    assert!(files.len() > 400, "the sources are not read any more");
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it is", path.display());
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines: cut it by what its parts are for", path.display());
    }
}

/// The lines with more characters than this, each as `path:line`.
fn too_wide(path: &Path, widest: usize, is_excepted: fn(&str) -> bool) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    let wide = lines.filter(|(_, line)| line.chars().count() > widest && !is_excepted(line));
    wide.map(|(at, _)| format!("{}:{}", path.display(), at + 1)).collect()
}

#[test]
fn no_line_is_too_wide() {
    let files = source_files();
    let wide: Vec<String> = files.iter().flat_map(|path| too_wide(path, WIDEST, |_| false)).collect();
    assert!(wide.is_empty(), "more than {WIDEST} characters: {wide:#?}");
    let mut sql: Vec<PathBuf> = Vec::new();
    files_ending(&root().join("migrate-core/src/kept"), "sql", &mut sql);
    assert!(sql.len() > 10, "the SQL is not read any more");
    // A comment in a catalog is one literal.
    let is_comment = |line: &str| line.starts_with("COMMENT ON ");
    let wide: Vec<String> = sql.iter().flat_map(|path| too_wide(path, WIDEST_SQL, is_comment)).collect();
    assert!(wide.is_empty(), "more than {WIDEST_SQL} characters: {wide:#?}");
}

/// A search for the name of a type finds one type. `Result` is the idiom of a crate whose functions fail in one way.
#[test]
fn the_name_of_a_type_is_unique() {
    let files = source_files();
    let mut places: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for path in files.iter().filter(|path| !is_of_tests(path)) {
        for part in tokens(&fs::read_to_string(path).unwrap()).windows(2) {
            let [Token::Word(keyword), Token::Word(name)] = part else { continue };
            let is_alias = keyword == "type" && name.starts_with(char::is_uppercase) && name != "Result";
            // An associated type has the name that its trait gives it.
            let is_associated =
                ["Error", "Err", "Output", "Item", "Target", "Value", "Parameters", "Strategy", "IntoIter"];
            let defines = ["struct", "enum", "trait", "union"].contains(&keyword.as_str())
                || (is_alias && !is_associated.contains(&name.as_str()));
            if defines {
                places.entry(name.clone()).or_default().insert(path.clone());
            }
        }
    }
    assert!(places.len() > 500, "the sources are not read any more");
    let twice: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}: name each for what it is");
}

/// The names of the facts that the catalog queries return: columns, and keys of JSON.
fn facts() -> BTreeSet<String> {
    let folder = root().join("migrate-schema/src/catalog");
    let mut folders = vec![folder];
    let mut facts = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let columns = text.split(" AS ").skip(1).map(|rest| match rest.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap(),
                None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap(),
            });
            facts.extend(columns.map(str::to_owned));
            facts.extend(text.split('\'').skip(1).step_by(2).map(str::to_owned));
        }
    }
    facts
}

#[test]
fn each_fact_that_is_asked_for_is_one_that_a_query_returns() {
    let facts = facts();
    let files = source_files();
    let mut asked = 0;
    for path in files {
        let tokens = tokens(&fs::read_to_string(&path).unwrap());
        for part in tokens.windows(4) {
            let [Token::Word(word), Token::Sign(open), Token::Text(name), Token::Sign(close)] = part else { continue };
            if word != "fact" || open != "(" || close != ")" {
                continue;
            }
            asked += 1;
            // Collations and publications are described with the columns of their catalogs.
            let is_column = ["coll", "pub"].iter().any(|begin| name.starts_with(begin)) && !name.contains(' ');
            assert!(
                is_column || facts.contains(name),
                "{}: no query of the catalogs returns a fact `{name}`",
                path.display()
            );
        }
    }
    assert!(asked > 200, "the sources are not read any more");
}
