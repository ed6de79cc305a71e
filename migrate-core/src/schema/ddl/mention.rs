//! What the texts of functions name. No catalog knows it, and whatever runs a function at once needs it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ident::catalog_name;
use crate::schema::Schema;
use crate::schema::depend::Part;
use crate::schema::object::{Kind, Object};
use crate::sql::{lex, quoted};

/// What each function needs of what happens, when it runs: what its text names, and what those need in turn.
pub(super) fn needs(schema: &Schema, happens: &dyn Fn(&Part) -> bool) -> BTreeMap<Part, BTreeSet<Part>> {
    let code = schema.objects().filter(|object| is_code(object));
    let names = Names::of(schema);
    let named: BTreeMap<Part, BTreeSet<Part>> =
        code.map(|object| (Part::object(&object.id), names.in_text(object))).collect();
    let mut needs = BTreeMap::new();
    for function in named.keys() {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::from([function]));
        let mut queue: Vec<&Part> = vec![function];
        while let Some(part) = queue.pop() {
            for other in named.get(part).into_iter().flatten().filter(|other| seen.insert(*other)) {
                if happens(other) {
                    found.insert(other.clone());
                }
                queue.push(other);
            }
        }
        if !found.is_empty() {
            needs.insert(function.clone(), found);
        }
    }
    needs
}

fn is_code(object: &Object) -> bool {
    matches!(object.id.kind, Kind::Function | Kind::Procedure)
}

/// The objects that a text can name, by their names.
struct Names<'a> {
    all: HashMap<&'a str, Vec<&'a Object>>,
}

impl<'a> Names<'a> {
    fn of(schema: &'a Schema) -> Self {
        use Kind::{
            Aggregate, Domain, ForeignTable, Function, MaterializedView, Procedure, Sequence, Table, Type, View,
        };
        const NAMED: [Kind; 10] =
            [Function, Procedure, Aggregate, Table, ForeignTable, View, MaterializedView, Sequence, Type, Domain];
        let mut all: HashMap<&str, Vec<&Object>> = HashMap::new();
        for object in schema.objects().filter(|object| NAMED.contains(&object.id.kind)) {
            all.entry(&object.id.name).or_default().push(object);
        }
        Self { all }
    }

    /// What the body of a function names; a routine only where arguments follow.
    fn in_text(&self, function: &Object) -> BTreeSet<Part> {
        let definition = function.fact("definition").unwrap_or_default();
        let Some(body) = body(definition) else { return BTreeSet::new() };
        let words: Vec<&str> = lex::words(&body).map(|(_, span)| &body[span]).collect();
        let mut found = BTreeSet::new();
        for (at, word) in words.iter().enumerate() {
            let Some(objects) = catalog_name(word).and_then(|name| self.all.get(name.as_str())) else { continue };
            let is_call = words.get(at + 1) == Some(&"(");
            let space = at.checked_sub(2).filter(|_| words[at - 1] == ".").and_then(|at| catalog_name(words[at]));
            let fits = |object: &&&Object| {
                let is_routine = matches!(object.id.kind, Kind::Function | Kind::Procedure | Kind::Aggregate);
                (is_call || !is_routine) && space.as_ref().is_none_or(|space| *space == *object.id.schema)
            };
            let others = objects.iter().filter(fits).filter(|object| object.id != function.id);
            found.extend(others.map(|object| Part::object(&object.id)));
        }
        found
    }
}

/// The text of a function, which stands in quotes at the end of its definition; what has none is known to the catalogs.
fn body(definition: &str) -> Option<String> {
    let words: Vec<&str> = lex::words(definition).map(|(_, span)| &definition[span]).collect();
    let at = words.iter().rposition(|word| word.eq_ignore_ascii_case("as"))?;
    match words.get(at + 1..)? {
        [text] => Some(quoted(text)?.into_owned()),
        _ => None,
    }
}
