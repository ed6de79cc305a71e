//! Statements that remove an object.

use migrate_base::ident::plain;

use super::name::{is_domain, parent, phrase};
use super::{DdlStatement, Hazard};
use super::{far, grant, types};
use crate::Schema;
use crate::object::{Kind, Object};

/// The statements that remove an object; its parts are removed with it.
pub(super) fn object(schema: &Schema, object: &Object, version: u32) -> Vec<DdlStatement> {
    let id = &object.id;
    let (table, name) = (parent(id), plain(&id.name));
    let text = match id.kind {
        Kind::Column if object.fact("generated").is_none() => {
            let what = format!("the values of {id}");
            return vec![
                DdlStatement::new(format!("ALTER TABLE {table} DROP COLUMN {name}")).with(Hazard::DataLoss(what)),
            ];
        }
        Kind::Column => format!("ALTER TABLE {table} DROP COLUMN {name}"),
        Kind::Attribute => format!("ALTER TYPE {table} DROP ATTRIBUTE {name}"),
        Kind::Constraint if is_domain(schema, id) => format!("ALTER DOMAIN {table} DROP CONSTRAINT {name}"),
        Kind::Constraint => format!("ALTER TABLE {table} DROP CONSTRAINT {name}"),
        Kind::DefaultPrivileges => {
            let texts = far::default_privileges(&id.name, object.fact("grants"), None, version);
            return texts.into_iter().map(DdlStatement::new).collect();
        }
        Kind::Privileges => {
            let texts = grant::of_foreign(object, object.fact("grants"), object.fact("first grants"), version);
            return texts.into_iter().map(DdlStatement::new).collect();
        }
        // Its own functions depend on it; all other dependents are gone by now.
        Kind::Type if types::has_shell(object) => format!("DROP {} CASCADE", phrase(schema, id)),
        _ => format!("DROP {}", phrase(schema, id)),
    };
    let statement = DdlStatement::new(text);
    vec![match id.kind {
        Kind::Table => statement.with(Hazard::DataLoss(format!("the rows of {id}"))),
        Kind::Sequence => statement.with(Hazard::DataLoss(format!("the current value of {id}"))),
        Kind::UserMapping if far::has_unknown_options(object) => {
            statement.with(Hazard::DataLoss(format!("the options of {id}, which are recorded nowhere else")))
        }
        Kind::Attribute => statement.with(Hazard::DataLoss(format!("the values of {id}"))),
        _ => statement,
    }]
}
