//! Reads the keys of a chain from what a tool prints.

use migrate_review::config::ChainListing;

/// The keys in the output of a command, the oldest first. A command of the user's own prints one on each line.
pub(super) fn keys(listing: Option<ChainListing>, output: &str) -> Vec<String> {
    let lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<&str> = match listing {
        Some(ChainListing::AlembicHistory) => {
            // `1975ea83b712, ae1027a6acf3 -> 27c6a30d7c24 (head) (mergepoint), add users`, the newest first.
            let to = lines.filter_map(|line| line.split_once(" -> "));
            let mut keys: Vec<&str> =
                to.filter_map(|(_, to)| to.split([',', ' ']).next()).filter(|key| !key.is_empty()).collect();
            keys.reverse();
            keys
        }
        // `[X]  shop.0001_initial`, the oldest first.
        Some(ChainListing::DjangoPlan) => lines
            .filter_map(|line| line.strip_prefix('[')?.split_once(']'))
            .filter_map(|(_, rest)| rest.split_whitespace().next())
            .collect(),
        // `U  0001.add-users  migrations`, below a head and a rule.
        Some(ChainListing::YoyoList) => lines
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                words.next().filter(|state| matches!(*state, "U" | "A"))?;
                words.next()
            })
            .collect(),
        _ => lines.collect(),
    };
    keys.into_iter().map(str::to_owned).collect()
}

/// Whether each migration of a listing comes after the one before it, without branches: only then does a command that
/// applies one of them apply all earlier ones.
pub(super) fn is_linear(listing: Option<ChainListing>, output: &str) -> bool {
    if listing != Some(ChainListing::AlembicHistory) {
        return true;
    }
    let mut pairs: Vec<(&str, &str)> = output.lines().filter_map(|line| line.trim().split_once(" -> ")).collect();
    pairs.reverse();
    let key = |to: &str| to.split([',', ' ']).next().unwrap_or_default().to_owned();
    pairs.windows(2).all(|two| two[1].0 == key(two[0].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_read_as_it_prints() {
        let alembic = "27c6a30d7c24 -> ae1027a6acf3 (head), cents\n\
                       1975ea83b712, 5a -> 27c6a30d7c24 (mergepoint), a -> b\n<base> -> 1975ea83b712, accounts\n";
        assert_eq!(keys(Some(ChainListing::AlembicHistory), alembic), ["1975ea83b712", "27c6a30d7c24", "ae1027a6acf3"]);
        assert!(!is_linear(Some(ChainListing::AlembicHistory), alembic));
        let linear = "b -> c (head), x, y\na -> b (branchpoint), x\n<base> -> a, x\n";
        assert!(is_linear(Some(ChainListing::AlembicHistory), linear) && is_linear(None, "a\nb"));
        assert!(!is_linear(Some(ChainListing::AlembicHistory), "a -> c (head), x\na -> b (head), x\n<base> -> a, x\n"));
        let django = "[X]  contenttypes.0001_initial\n[ ]  shop.0002_cents\n";
        assert_eq!(keys(Some(ChainListing::DjangoPlan), django), ["contenttypes.0001_initial", "shop.0002_cents"]);
        let yoyo = "STATUS    ID         SOURCE\n--------  ---------  --------\nU         0001.a     m\nA  0002.b  m\n";
        assert_eq!(keys(Some(ChainListing::YoyoList), yoyo), ["0001.a", "0002.b"]);
        assert_eq!(keys(None, "\n one \ntwo\n"), ["one", "two"]);
    }
}
