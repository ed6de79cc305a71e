//! The names in the texts of functions. No catalog records them, but everything that runs a function immediately needs
//! the named objects.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use migrate_base::ident::catalog_name;
use migrate_base::sql::{lex, quoted};

use super::DdlContext;
use super::fate::PartFate;
use super::host::PartHosts;
use super::order::GraphNode;
use crate::Schema;
use crate::depend::SchemaPart;
use crate::object::{Kind, Object};

/// The order constraints: the objects that the text of a function names exist before it, and everything that it can
/// reach exists before everything that runs the function immediately.
pub(super) fn edges(sides: &DdlContext<'_>, hosts: &PartHosts) -> Vec<(GraphNode, GraphNode)> {
    let happens =
        |part: &SchemaPart| matches!(sides.fates.get(part), PartFate::Made | PartFate::Remade | PartFate::Altered);
    let made = sides.fates.iter().map(|(part, _)| part).filter(|part| is_code(part) && happens(part));
    let users = sides.after.dependencies.pairs().filter(|(user, on)| is_code(on) && !is_code(user) && happens(user));
    let (made, users): (Vec<_>, Vec<_>) = (made.collect(), users.collect());
    if made.is_empty() && users.is_empty() {
        return Vec::new();
    }
    let mut texts = FunctionTexts { sides, names: ObjectsByName::of(&sides.after.schema), named: BTreeMap::new() };
    let mut edges = Vec::new();
    for function in made {
        // The objects reached through another function that is created come before that function.
        let needed = texts.reached(function, &happens, &|part| is_code(part) && !happens(part));
        edges.extend(needed.iter().map(|part| (hosts.made(part), hosts.made(function))));
    }
    let mut all: BTreeMap<&SchemaPart, BTreeSet<SchemaPart>> = BTreeMap::new();
    for (user, function) in users {
        // Nothing guarantees that functions that call each other are created in the order that this part needs.
        let needed = all.entry(function).or_insert_with(|| texts.reached(function, &happens, &is_code));
        edges.extend(needed.iter().map(|part| (hosts.made(part), hosts.made(user))));
    }
    edges
}

fn is_code(part: &SchemaPart) -> bool {
    !part.default && matches!(part.id.kind, Kind::Function | Kind::Procedure)
}

/// The texts of functions, each read on demand.
struct FunctionTexts<'a> {
    sides: &'a DdlContext<'a>,
    names: ObjectsByName<'a>,
    named: BTreeMap<SchemaPart, BTreeSet<SchemaPart>>,
}

impl FunctionTexts<'_> {
    /// Of the objects that a function names, directly or through the functions that are followed, those that change.
    fn reached(
        &mut self,
        function: &SchemaPart,
        happens: &dyn Fn(&SchemaPart) -> bool,
        goes_on: &dyn Fn(&SchemaPart) -> bool,
    ) -> BTreeSet<SchemaPart> {
        let (mut found, mut seen) = (BTreeSet::new(), HashSet::from([function.clone()]));
        let mut queue = vec![function.clone()];
        while let Some(part) = queue.pop() {
            for other in self.named(&part) {
                if !seen.insert(other.clone()) {
                    continue;
                }
                if happens(other) {
                    found.insert(other.clone());
                }
                queue.extend(goes_on(other).then(|| other.clone()));
            }
        }
        found
    }

    /// The objects that a function names in its text, and those that the server knows it calls.
    fn named(&mut self, function: &SchemaPart) -> &BTreeSet<SchemaPart> {
        let Self { sides, names, named } = self;
        named.entry(function.clone()).or_insert_with(|| {
            let object = sides.after.schema.get(&function.id);
            let mut all = object.map(|object| names.in_text(object)).unwrap_or_default();
            all.extend(sides.after.dependencies.needs(function).filter(|on| is_code(on)).cloned());
            all
        })
    }
}

/// The objects that a text can name, by name.
struct ObjectsByName<'a> {
    all: HashMap<&'a str, Vec<&'a Object>>,
}

impl<'a> ObjectsByName<'a> {
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

    /// The objects that the body of a function names; a routine only if arguments follow.
    fn in_text(&self, function: &Object) -> BTreeSet<SchemaPart> {
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
            found.extend(others.map(|object| SchemaPart::object(&object.id)));
        }
        found
    }
}

/// The text of a function, which is quoted at the end of its definition. The catalogs know the dependencies of a
/// function without one.
fn body(definition: &str) -> Option<String> {
    let words: Vec<&str> = lex::words(definition).map(|(_, span)| &definition[span]).collect();
    let at = words.iter().rposition(|word| word.eq_ignore_ascii_case("as"))?;
    match words.get(at + 1..)? {
        [text] => Some(quoted(text)?.into_owned()),
        _ => None,
    }
}
