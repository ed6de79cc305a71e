//! Statements that create objects built on functions: aggregates, operators, casts, languages.

use migrate_base::ident::{literal, plain};

use super::name::{phrase, qualified};
use crate::Schema;
use crate::object::Object;

pub(super) fn aggregate(schema: &Schema, object: &Object) -> Option<String> {
    let fact = |name: &str| object.fact(name);
    let function = |name: &str| fact(name).map(|value| value.split('(').next().unwrap_or(value).to_owned());
    let mut parts =
        vec![format!("SFUNC = {}", function("state function")?), format!("STYPE = {}", fact("state type")?)];
    let functions = [
        ("FINALFUNC", "final function"),
        ("COMBINEFUNC", "combine function"),
        ("SERIALFUNC", "serial function"),
        ("DESERIALFUNC", "deserial function"),
        ("MSFUNC", "moving state function"),
        ("MINVFUNC", "moving inverse function"),
        ("MFINALFUNC", "moving final function"),
        ("MSTYPE", "moving state type"),
        ("SSPACE", "state size"),
        ("MSSPACE", "moving state size"),
    ];
    parts.extend(functions.iter().filter_map(|(word, name)| Some(format!("{word} = {}", function(name)?))));
    for (word, name) in [("INITCOND", "initial state"), ("MINITCOND", "moving initial state")] {
        parts.extend(fact(name).map(|value| format!("{word} = {}", literal(value))));
    }
    for (word, name) in [("FINALFUNC_EXTRA", "final extra"), ("MFINALFUNC_EXTRA", "moving final extra")] {
        parts.extend(fact(name).map(|_| word.to_owned()));
    }
    for (word, name) in [("FINALFUNC_MODIFY", "final modify"), ("MFINALFUNC_MODIFY", "moving final modify")] {
        parts.extend(fact(name).and_then(|how| modify(fact("form"), how)).map(|how| format!("{word} = {how}")));
    }
    parts.extend(function("sort operator").map(|name| format!("SORTOP = OPERATOR({name})")));
    parts.extend(match fact("parallel") {
        Some("s") => Some("PARALLEL = safe".to_owned()),
        Some("r") => Some("PARALLEL = restricted".to_owned()),
        _ => None,
    });
    if fact("form") == Some("h") {
        parts.push("HYPOTHETICAL".to_owned());
    }
    Some(format!("CREATE {} ({})", phrase(schema, &object.id), parts.join(", ")))
}

/// What a final function does to its state, if that is not the default for aggregates of this form.
fn modify(form: Option<&str>, how: &str) -> Option<&'static str> {
    let is_usual = if form == Some("n") { how == "r" } else { how == "w" };
    let word = match how {
        "r" => "READ_ONLY",
        "s" => "SHAREABLE",
        _ => "READ_WRITE",
    };
    (!is_usual).then_some(word)
}

pub(super) fn operator(object: &Object) -> Option<String> {
    let id = &object.id;
    let mut parts = vec![format!("FUNCTION = {}", object.fact("function")?)];
    match id.signature.split_once(", ") {
        Some((left, right)) => parts.extend([format!("LEFTARG = {left}"), format!("RIGHTARG = {right}")]),
        None => parts.push(format!("RIGHTARG = {}", id.signature)),
    }
    for (word, name) in [("COMMUTATOR", "commutator"), ("NEGATOR", "negator")] {
        let value = object.fact(name).and_then(|value| value.split('(').next());
        parts.extend(value.map(|value| format!("{word} = OPERATOR({value})")));
    }
    for (word, name) in [("RESTRICT", "restrict"), ("JOIN", "join")] {
        parts.extend(object.fact(name).map(|value| format!("{word} = {value}")));
    }
    for (word, name) in [("HASHES", "hashes"), ("MERGES", "merges")] {
        parts.extend((object.fact(name) == Some("true")).then(|| word.to_owned()));
    }
    Some(format!("CREATE OPERATOR {}.{} ({})", plain(&id.schema), id.name, parts.join(", ")))
}

pub(super) fn cast(schema: &Schema, object: &Object) -> String {
    let how = match (object.fact("function"), object.fact("method")) {
        (Some(function), _) => format!("WITH FUNCTION {function}"),
        (None, Some("i")) => "WITH INOUT".to_owned(),
        _ => "WITHOUT FUNCTION".to_owned(),
    };
    let context = match object.fact("context") {
        Some("a") => " AS ASSIGNMENT",
        Some("i") => " AS IMPLICIT",
        _ => "",
    };
    format!("CREATE {} {how}{context}", phrase(schema, &object.id))
}

pub(super) fn operator_class(object: &Object) -> Option<String> {
    let id = &object.id;
    let default = if object.fact("default") == Some("true") { " DEFAULT" } else { "" };
    let storage = object.fact("storage").map(|kind| format!("STORAGE {kind}"));
    let members: Vec<String> = object.fact("members").map(str::to_owned).into_iter().chain(storage).collect();
    // A class needs a member; naming its own type as its storage adds nothing.
    let (kind, family) = (object.fact("type")?, object.fact("family")?);
    let members = if members.is_empty() { format!("STORAGE {kind}") } else { members.join(", ") };
    let method = plain(&id.signature);
    let name = qualified(id);
    Some(format!("CREATE OPERATOR CLASS {name}{default} FOR TYPE {kind} USING {method} FAMILY {family} AS {members}"))
}

pub(super) fn operator_family(schema: &Schema, object: &Object) -> Vec<String> {
    let name = phrase(schema, &object.id);
    let members = object.fact("members").map(|members| format!("ALTER {name} ADD {members}"));
    [format!("CREATE {name}")].into_iter().chain(members).collect()
}

pub(super) fn language(object: &Object) -> Option<String> {
    let trusted = if object.fact("trusted") == Some("true") { "TRUSTED " } else { "" };
    let clause = |word: &str, name: &str| object.fact(name).map_or(String::new(), |value| format!(" {word} {value}"));
    let (inline, validator) = (clause("INLINE", "inline"), clause("VALIDATOR", "validator"));
    let handler = object.fact("handler")?;
    Some(format!("CREATE {trusted}LANGUAGE {} HANDLER {handler}{inline}{validator}", plain(&object.id.name)))
}

pub(super) fn access_method(object: &Object) -> Option<String> {
    let kind = if object.fact("type")? == "t" { "TABLE" } else { "INDEX" };
    Some(format!("CREATE ACCESS METHOD {} TYPE {kind} HANDLER {}", plain(&object.id.name), object.fact("handler")?))
}

pub(super) fn transform(schema: &Schema, object: &Object) -> String {
    let from = object.fact("from").map(|name| format!("FROM SQL WITH FUNCTION {name}(internal)"));
    let to = object.fact("to").map(|name| format!("TO SQL WITH FUNCTION {name}(internal)"));
    let both: Vec<String> = from.into_iter().chain(to).collect();
    format!("CREATE {} ({})", phrase(schema, &object.id), both.join(", "))
}
