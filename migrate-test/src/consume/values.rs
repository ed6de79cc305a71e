//! Which values a query writes into which columns, from the tree that the server creates: NULL, the default, or
//! something else.
//!
//! A value is traced through casts, lists of rows, subqueries and `WITH`. If there are several rows, the worst
//! value counts.

use std::collections::BTreeMap;

use migrate_review::consumer::AssignedValue;

/// A node of a tree in the server's text form.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TreeNode {
    /// `{NAME :field value …}`.
    Object(String, BTreeMap<String, Vec<TreeNode>>),
    /// `(a b c)`.
    List(Vec<TreeNode>),
    /// A word.
    Word(String),
}

/// The values that are written into columns, by the oid of the table and the number of the column.
pub(super) type ColumnWrites = BTreeMap<(u32, i32), AssignedValue>;

/// The values that the queries of a tree write.
pub(super) fn values(body: &str) -> ColumnWrites {
    let mut words = words(body).into_iter().peekable();
    let mut found = ColumnWrites::new();
    while words.peek().is_some() {
        match node(&mut words) {
            Some(node) => collect(&node, &[], &mut found),
            None => break,
        }
    }
    found
}

/// The only table in the tree of a view, and for each column of the view the column of the table.
pub(super) fn shown(rule: &str) -> Option<(u32, BTreeMap<i32, i32>)> {
    let TreeNode::List(queries) = node(&mut words(rule).into_iter().peekable())? else { return None };
    let [query] = queries.as_slice() else { return None };
    let entries = query.list("targetList").iter().filter(|entry| entry.text("resjunk") == "false");
    let mut tables = BTreeMap::<u32, BTreeMap<i32, i32>>::new();
    for entry in entries {
        let Some(expr) = entry.field("expr").filter(|expr| expr.name() == "VAR") else { continue };
        let (Some(table), Some(own)) = (relation(query, expr.number("varno")?), entry.number("resno")) else {
            continue;
        };
        tables.entry(table).or_default().insert(own, expr.number("varattno")?);
    }
    let mut tables = tables.into_iter();
    tables.next().filter(|_| tables.next().is_none())
}

/// The tokens of a tree; an escaped character belongs to its token.
fn words(body: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut letters = body.chars();
    let mut is_quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => word.push(letter),
            '(' | ')' | '{' | '}' | ' ' | '\n' | '\t' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                if !letter.is_whitespace() {
                    words.push(letter.to_string());
                }
            }
            letter => word.push(letter),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn node(words: &mut std::iter::Peekable<impl Iterator<Item = String>>) -> Option<TreeNode> {
    let word = words.next()?;
    match word.as_str() {
        "(" => {
            let mut list = Vec::new();
            while words.peek().is_some_and(|word| word != ")") {
                list.push(node(words)?);
            }
            words.next()?;
            Some(TreeNode::List(list))
        }
        "{" => {
            let (name, mut fields, mut field) =
                (words.next()?, BTreeMap::<String, Vec<TreeNode>>::new(), String::new());
            while words.peek().is_some_and(|word| word != "}") {
                let starts = words.next_if(|word| word.starts_with(':') && word.len() > 1);
                match starts {
                    Some(word) => {
                        field = word[1..].to_owned();
                        fields.entry(field.clone()).or_default();
                    }
                    None => fields.entry(field.clone()).or_default().push(node(words)?),
                }
            }
            words.next()?;
            Some(TreeNode::Object(name, fields))
        }
        _ => Some(TreeNode::Word(word)),
    }
}

impl TreeNode {
    fn name(&self) -> &str {
        match self {
            Self::Object(name, _) => name,
            _ => "",
        }
    }

    fn field(&self, field: &str) -> Option<&TreeNode> {
        match self {
            Self::Object(_, fields) => fields.get(field)?.first(),
            _ => None,
        }
    }

    fn list(&self, field: &str) -> &[TreeNode] {
        match self.field(field) {
            Some(Self::List(list)) => list,
            _ => &[],
        }
    }

    fn text(&self, field: &str) -> &str {
        match self.field(field) {
            Some(Self::Word(word)) => word,
            _ => "",
        }
    }

    fn number(&self, field: &str) -> Option<i32> {
        self.text(field).parse().ok()
    }

    fn parts(&self) -> Vec<&TreeNode> {
        match self {
            Self::Object(_, fields) => fields.values().flatten().collect(),
            Self::List(list) => list.iter().collect(),
            Self::Word(_) => Vec::new(),
        }
    }
}

/// The numbers of INSERT and UPDATE in `commandType`.
const WRITES: [&str; 2] = ["3", "2"];

/// Searches a tree; `around` are the queries that enclose the node.
fn collect<'a>(node: &'a TreeNode, around: &[&'a TreeNode], found: &mut ColumnWrites) {
    let mut inside = around.to_vec();
    if node.name() == "QUERY" {
        inside.push(node);
        let target = node.number("resultRelation").and_then(|at| relation(node, at));
        if let Some(table) = target {
            let own = if WRITES.contains(&node.text("commandType")) { node.list("targetList") } else { &[] };
            let conflict = node.field("onConflict").map(|one| one.list("onConflictSet")).unwrap_or_default();
            let merged = node.list("mergeActionList").iter();
            let merged = merged.filter(|one| WRITES.contains(&one.text("commandType")));
            let merged = merged.flat_map(|one| one.list("targetList"));
            for entry in own.iter().chain(conflict).chain(merged).filter(|entry| entry.text("resjunk") == "false") {
                let Some((column, expr)) = entry.number("resno").zip(entry.field("expr")) else { continue };
                let value = value(expr, &inside, 0);
                let worst = found.entry((table, column)).or_insert(value);
                *worst = (*worst).max(value);
            }
        }
    }
    for part in node.parts() {
        collect(part, &inside, found);
    }
}

fn relation(query: &TreeNode, at: i32) -> Option<u32> {
    let entry = query.list("rtable").get(usize::try_from(at).ok()?.checked_sub(1)?)?;
    entry.text("relid").parse().ok()
}

/// The possible value of an expression.
fn value(expr: &TreeNode, around: &[&TreeNode], depth: usize) -> AssignedValue {
    if depth > 20 {
        return AssignedValue::Unknown;
    }
    match expr.name() {
        "CONST" if expr.text("constisnull") == "true" => AssignedValue::Null,
        "CONST" => AssignedValue::Filled,
        "SETTODEFAULT" => AssignedValue::Default,
        "RELABELTYPE" | "COERCETODOMAIN" | "COLLATEEXPR" | "COERCEVIAIO" | "ARRAYCOERCEEXPR" => {
            expr.field("arg").map_or(AssignedValue::Unknown, |arg| value(arg, around, depth + 1))
        }
        // A cast returns NULL for NULL, and a value for a value.
        "FUNCEXPR" if matches!(expr.text("funcformat"), "1" | "2") => {
            expr.list("args").first().map_or(AssignedValue::Unknown, |arg| value(arg, around, depth + 1))
        }
        "VAR" => variable(expr, around, depth),
        _ => AssignedValue::Unknown,
    }
}

/// The value in a column of a row list, a subquery or a `WITH` query.
fn variable(var: &TreeNode, around: &[&TreeNode], depth: usize) -> AssignedValue {
    let up = var.number("varlevelsup").and_then(|up| usize::try_from(up).ok()).unwrap_or_default();
    let at = |field: &str| var.number(field).and_then(|at| usize::try_from(at).ok()?.checked_sub(1));
    let found = || {
        let level = around.len().checked_sub(up + 1)?;
        let query = around.get(level)?;
        let (entry, column) = (query.list("rtable").get(at("varno")?)?, at("varattno")?);
        let rows = entry.list("values_lists").iter().filter_map(|row| match row {
            TreeNode::List(row) => row.get(column),
            _ => None,
        });
        let rows = rows.map(|one| value(one, &around[..=level], depth + 1)).max();
        rows.or_else(|| {
            let sub = entry.field("subquery").filter(|one| one.name() == "QUERY");
            let above = entry.number("ctelevelsup").and_then(|up| usize::try_from(up).ok()).unwrap_or_default();
            let holder = level.checked_sub(above)?;
            let (inner, level) = match sub {
                Some(inner) => (inner, level),
                None => (with(around.get(holder)?, entry)?, holder),
            };
            // For a UNION, only the whole is known.
            let is_plain = !matches!(inner.field("setOperations"), Some(TreeNode::Object(..)));
            let mut columns = inner.list("targetList").iter().filter(|one| one.text("resjunk") == "false");
            let expr = columns.nth(column).filter(|_| is_plain)?.field("expr")?;
            let inside: Vec<&TreeNode> = around[..=level].iter().copied().chain([inner]).collect();
            Some(value(expr, &inside, depth + 1))
        })
    };
    found().unwrap_or(AssignedValue::Unknown)
}

/// The query that a name in `WITH` stands for.
fn with<'a>(query: &'a TreeNode, entry: &TreeNode) -> Option<&'a TreeNode> {
    let name = Some(entry.text("ctename")).filter(|name| !name.is_empty())?;
    query.list("cteList").iter().find(|one| one.text("ctename") == name)?.field("ctequery")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_followed_through_casts_and_rows() {
        let null = "{CONST :consttype 25 :constisnull true :constvalue <>}";
        let one = "{CONST :consttype 23 :constisnull false :constvalue 4 [ 1 0 0 0 0 0 0 0 ]}";
        let rows = format!("(({one} {null}) ({one} {{SETTODEFAULT :typeId 23}}))");
        let var = |at: u32| format!("{{VAR :varno 2 :varattno {at} :varlevelsup 0}}");
        let entry =
            |expr: &str, at: u32| format!("{{TARGETENTRY :expr {expr} :resno {at} :resname a\\ b :resjunk false}}");
        let body = format!(
            "(({{QUERY :commandType 3 :resultRelation 1 :cteList <> :rtable ({{RANGETBLENTRY :rtekind 0 :relid 20}} \
             {{RANGETBLENTRY :rtekind 5 :values_lists {rows}}}) :targetList ({} {} {}) :setOperations <>}}))",
            entry(&var(1), 1),
            entry(&var(2), 4),
            entry("{PARAM :paramid 1}", 5)
        );
        let expected =
            [((20, 1), AssignedValue::Filled), ((20, 4), AssignedValue::Null), ((20, 5), AssignedValue::Unknown)];
        assert_eq!(values(&body), ColumnWrites::from(expected));
        let cast = format!("{{FUNCEXPR :funcid 1 :funcformat 2 :args ({{RELABELTYPE :arg {null}}} {one})}}");
        let body = format!(
            "(({{QUERY :commandType 2 :resultRelation 1 :rtable ({{RANGETBLENTRY :relid 20}}) :targetList ({})}}))",
            entry(&cast, 2)
        );
        assert_eq!(values(&body), ColumnWrites::from([((20, 2), AssignedValue::Null)]));
    }
}
