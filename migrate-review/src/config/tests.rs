//! What is wrong with a file is pointed at, and what it holds back stays so.

use std::fs;

use super::*;

#[track_caller]
fn message(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    fs::write(&path, text).unwrap();
    let error = Config::load(Some(&path), folder.path()).unwrap_err();
    let finding = &error.findings()[0];
    let (line, column) = finding.place.as_ref().unwrap().line_column().unwrap();
    format!("{line}:{column} {} ({})", finding.message, finding.help.join("; "))
}

#[test]
fn mistakes_are_pointed_at() {
    assert_eq!(
        message("[environments.staging]\nprotectd = true\n"),
        "2:1 unknown key `protectd` (did you mean `protected`?)"
    );
    assert!(
        message("[environments.a]\nlock_timeout = \"5\"\n").starts_with("2:16 write a time as a number with its unit")
    );
    assert!(message("[environments.a]\nlock_timeout = 3\n").starts_with("2:16 write a time with its unit: \"3s\" ("));
    let both = message("[environments.a]\naudit = \"a\"\nrecord = \"b\"\n");
    assert!(both.starts_with("2:1 `audit` is the old name of `record`, which is also given"), "{both}");
    assert!(message("[contacts]\nops = \"\"\n").starts_with("2:7 a contact is a name and how to reach it"));
    assert!(message("[contacts]\nops = 112\n").starts_with("2:7 this is a number"));
    assert!(message("[environments.a]\ndatabase = \"mysql://x\"\n").starts_with("2:12 not a database"));
    assert!(message("[notify.a]\nslck = \"env:A\"\n").starts_with("2:1 unknown key `slck` (did you mean `slack`?)"));
    assert_eq!(message("[consumers.a]\nread = [\"orders\"]\n"), "2:1 unknown key `read` (did you mean `reads`?)");
    let misnamed = message("base = \"main\"\n[consumers.\"a/b\"]\n");
    assert!(misnamed.starts_with("2:12 `a/b` cannot be the name of a consumer"), "{misnamed}");
    let style = message("[consumers.a]\nstyle = \"colons\"\n");
    assert!(style.starts_with("2:9 the parameter styles are dollar"), "{style}");
    let nowhere = message("[notify.a]\nurl = \"https://b\"\nenvironments = [\"prod\"]\n");
    assert!(nowhere.contains("there is no environment prod"), "{nowhere}");
    assert_eq!(message("[drift]\nignor = []\n"), "2:1 unknown key `ignor` (did you mean `ignore`?)");
    let misspelt = "[drift]\nignore = [\n  \"schema a\",\n  \"tabel b.c\",\n]\n";
    assert_eq!(
        message(misspelt),
        "4:3 `tabel` is not a kind of object, did you mean `table`? (docs/FORMATS.md describes the rules)"
    );
}

#[test]
fn an_environment_that_is_not_there_is_named_as_it_has_to_be_written() {
    let told = |name: &str| {
        let error = Config::default().environment(name).unwrap_err();
        let finding = &error.findings()[0];
        format!("{}; {}", finding.message, finding.help.join("; "))
    };
    assert!(told("a b").contains("there is no environment a b;") && told("a b").contains("[environments.\"a b\"]"));
    assert!(told("a\nb").contains("environment a\\nb;") && told("a\nb").contains("[environments.\"a\\nb\"]"));
    assert!(told("").contains("without a name") && told("").contains("[environments.NAME]"));
}

#[test]
fn the_old_name_of_a_key_is_pointed_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    fs::write(&path, "[environments.a]\naudit = \"audit\"\n").unwrap();
    let config = Config::load(Some(&path), folder.path()).unwrap();
    let place = config.renamed[0].place.as_ref().unwrap();
    assert_eq!((place.line_column(), place.end_line_column()), (Some((2, 1)), Some((2, 6))));
}

#[test]
fn a_password_in_a_broken_file_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    fs::write(&path, "[environments.a]\ndatabase = \"postgres://u:s3cret@h/d\nx").unwrap();
    let error = Config::load(Some(&path), folder.path()).unwrap_err();
    let (text, ..) = error.findings()[0].place.as_ref().unwrap().source().unwrap();
    assert!(text.contains("postgres://u:******@h/d"), "{text}");
    assert!(!error.to_string().contains("s3cret"));
}
