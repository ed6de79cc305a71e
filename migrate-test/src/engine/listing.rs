//! Reads the keys of a chain from what a tool prints.

use migrate_review::config::ChainListing;

/// A migration in the list of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedMigration {
    /// Its key.
    pub(super) key: String,
    /// The target of its rollback command, if that is not one step back.
    pub(super) target: String,
    /// The keys that it comes after, if the tool says so and it is not just the one before it.
    pub(super) after: Option<Vec<String>>,
    /// Whether it comes right after the one before it. Only if all of them do, a command that applies one of them
    /// applies all earlier ones.
    pub(super) follows: bool,
    /// Whether the tool says that it is applied.
    pub(super) is_applied: bool,
}

/// The migrations in the output of a command, the oldest first. A command of the user's own prints a key on each line.
pub(super) fn read(listing: Option<ChainListing>, output: &str) -> Vec<ListedMigration> {
    let lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = |key: &str, is_applied: bool| ListedMigration {
        key: key.to_owned(),
        target: String::new(),
        after: None,
        follows: true,
        is_applied,
    };
    let plain = |key: &str| marked(key, false);
    match listing {
        Some(ChainListing::AlembicHistory) => alembic(lines.filter_map(|line| line.split_once(" -> "))),
        // `[X]  shop.0001_initial`, the oldest first.
        Some(ChainListing::DjangoPlan) => lines
            .filter_map(|line| line.strip_prefix('[')?.split_once(']'))
            .filter_map(|(mark, rest)| Some(marked(rest.split_whitespace().next()?, mark.trim() == "X")))
            .collect(),
        // `U  0001.add-users  migrations`, below a head and a rule.
        Some(ChainListing::YoyoList) => lines
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let state = words.next().filter(|state| matches!(*state, "U" | "A"))?;
                words.next().map(|key| marked(key, state == "A"))
            })
            .collect(),
        // `     db/changes.xml::add-users::ann`: the ledger may have another folder.
        Some(ChainListing::LiquibaseStatus) => lines
            .filter(|line| line.matches("::").count() >= 2)
            .map(|line| {
                let folder = line.find("::").and_then(|end| line[..end].rfind('/'));
                plain(folder.map_or(line, |at| &line[at + 1..]))
            })
            .collect(),
        _ => lines.map(plain).collect(),
    }
}

/// `1975ea83b712, ae1027a6acf3 -> 27c6a30d7c24 (head) (mergepoint), add users`, the newest first: parents, and the key.
///
/// A migration with one parent is rolled back on its own branch, whatever other branches have applied. One that merges
/// branches is rolled back by going back to any of them.
fn alembic<'t>(lines: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<ListedMigration> {
    let mut newest_first: Vec<(&str, &str)> = lines
        .filter_map(|(parents, to)| Some((parents.trim(), to.split([',', ' ']).next().filter(|key| !key.is_empty())?)))
        .collect();
    newest_first.reverse();
    let mut before = "<base>";
    let mut all = Vec::with_capacity(newest_first.len());
    for (parents, key) in newest_first {
        let target = match parents.split_once(',') {
            Some((parent, _)) => parent.trim().to_owned(),
            None => format!("{key}@-1"),
        };
        let follows = parents == before;
        let parents = parents.split(',').map(str::trim).filter(|parent| *parent != "<base>");
        let after = (!follows).then(|| parents.map(str::to_owned).collect());
        all.push(ListedMigration { key: key.to_owned(), target, after, follows, is_applied: false });
        before = key;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_read_as_it_prints() {
        let keys = |listing, output: &str| read(listing, output).into_iter().map(|one| one.key).collect::<Vec<_>>();
        let django = "[X]  contenttypes.0001_initial\n[ ]  shop.0002_cents\n";
        assert_eq!(keys(Some(ChainListing::DjangoPlan), django), ["contenttypes.0001_initial", "shop.0002_cents"]);
        let yoyo = "STATUS    ID         SOURCE\n--------  ---------  --------\nU         0001.a     m\nA  0002.b  m\n";
        assert_eq!(keys(Some(ChainListing::YoyoList), yoyo), ["0001.a", "0002.b"]);
        let applied = read(Some(ChainListing::YoyoList), yoyo).into_iter().map(|one| one.is_applied);
        assert_eq!(applied.collect::<Vec<_>>(), [false, true]);
        assert!(read(Some(ChainListing::DjangoPlan), django)[0].is_applied);
        let liquibase = "2 change sets have not been applied to ann@jdbc:postgresql://h:5432/shop\n     \
                         db/changes.xml::1::ann\n     more.sql::a/b::bob\nLiquibase command 'status' was executed.\n";
        assert_eq!(keys(Some(ChainListing::LiquibaseStatus), liquibase), ["changes.xml::1::ann", "more.sql::a/b::bob"]);
        assert_eq!(keys(None, "\n one \ntwo\n"), ["one", "two"]);
    }

    #[test]
    fn the_branches_of_alembic_are_rolled_back_one_by_one() {
        let told = |output: &str| {
            let all = read(Some(ChainListing::AlembicHistory), output);
            all.into_iter().map(|one| (one.key, one.target, one.follows)).collect::<Vec<_>>()
        };
        let is = |key: &str, target: &str, follows: bool| (key.to_owned(), target.to_owned(), follows);
        assert_eq!(
            told("b -> c (head), x -> y\n<base> -> b (branchpoint), first\n"),
            [is("b", "b@-1", true), is("c", "c@-1", true)]
        );
        assert_eq!(
            told("b1, b2 -> c (head) (mergepoint), \na -> b2, \na -> b1, \n<base> -> a (branchpoint), \n"),
            [is("a", "a@-1", true), is("b1", "b1@-1", true), is("b2", "b2@-1", false), is("c", "b1", false)]
        );
    }
}
