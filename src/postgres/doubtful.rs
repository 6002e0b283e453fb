//! Objects of the history that somebody else made, or put something on.
//!
//! Whoever owns a table decides what runs when we write to it: a trigger, a rule, the function of a default or
//! of a constraint, all with our rights. A role that may create a schema could make `schemaward` before we do.
//! So the owners of ledger, schema and tables have to be ours: the login role, a role that it is a member of,
//! the database's owner, or a superuser.

use sqlx::postgres::PgRow;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::task::Ledger;

use super::facts::OUR_TABLES;
use super::fields::{flag, given, shared_name};
use super::quote::identifier;
use super::sanitize;

/// An object that cannot be trusted, and why.
#[derive(Debug)]
pub struct Doubtful {
    /// `SCHEMA` or `TABLE`, as SQL writes it.
    object: &'static str,
    name: String,
    owner: String,
    /// What is on it, as a clause; `None`: its owner is not one of ours.
    defect: Option<&'static str>,
}

/// Whose an object is.
#[derive(Debug, Clone)]
struct OwnerRole {
    oid: String,
    name: String,
    /// Our login role is a member of it.
    is_member: bool,
}

impl OwnerRole {
    /// From three fields of a row, of which this is the first.
    fn read(row: &PgRow, first: usize) -> Result<Self, DatabaseError> {
        Ok(Self {
            oid: given(row, first)?.to_owned(),
            name: shared_name(row, first + 1)?,
            is_member: flag(row, first + 2)?,
        })
    }
}

/// A schema, with what our role may do in it.
#[derive(Debug)]
pub struct Schema {
    pub oid: String,
    pub name: String,
    owner: OwnerRole,
    pub may_create: bool,
    pub may_use: bool,
}

impl Schema {
    /// From the answer to [`About::Schemas`](super::facts_query::About).
    pub fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            oid: given(row, 0)?.to_owned(),
            name: given(row, 1)?.to_owned(),
            owner: OwnerRole::read(row, 2)?,
            may_create: flag(row, 5)?,
            may_use: flag(row, 6)?,
        })
    }
}

/// A table, or something else of its name.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of an answer"
)]
#[derive(Debug, Clone)]
pub struct Table {
    /// The oid of its schema.
    pub schema: String,
    pub name: String,
    owner: OwnerRole,
    /// `pg_class.relkind`.
    pub kind: String,
    pub has_triggers: bool,
    pub has_rules: bool,
    pub has_row_security: bool,
    /// Our role has the rights of its owner.
    pub is_owned: bool,
    pub may: Rights,
}

/// What our role may do with a table.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of an answer"
)]
#[derive(Debug, Clone, Copy)]
pub struct Rights {
    pub select: bool,
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

impl Rights {
    /// Read it, write rows, and change them.
    pub fn all(self) -> bool {
        self.select && self.insert && self.update && self.delete
    }
}

impl Table {
    /// From the answer to [`About::Tables`](super::facts_query::About).
    pub fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            schema: given(row, 0)?.to_owned(),
            name: given(row, 1)?.to_owned(),
            owner: OwnerRole::read(row, 2)?,
            kind: given(row, 5)?.to_owned(),
            has_triggers: flag(row, 6)?,
            has_rules: flag(row, 7)?,
            has_row_security: flag(row, 8)?,
            is_owned: flag(row, 9)?,
            may: Rights {
                select: flag(row, 10)?,
                insert: flag(row, 11)?,
                update: flag(row, 12)?,
                delete: flag(row, 13)?,
            },
        })
    }

    /// Whether it is one of ours, as far as its name goes.
    pub fn is_named_as_ours(&self) -> bool {
        OUR_TABLES.contains(&self.name.as_str())
    }

    /// What should not be on a table of ours, as a clause.
    fn defect(&self) -> Option<&'static str> {
        let defects = [
            (self.kind != "r", "it is not a table"),
            (self.has_triggers, "it has triggers"),
            (self.has_rules, "it has rules"),
            (self.has_row_security, "it has row level security"),
        ];
        let found = defects.iter().find(|(is_there, _)| *is_there);
        found.map(|(_, what)| *what)
    }
}

/// Who may own what is ours.
pub struct Trusted<'a> {
    /// The oid of the database's owner.
    pub database_owner: &'a str,
    /// The oids of all superusers: a name of theirs may be unreadable.
    pub superusers: Vec<&'a str>,
}

impl Trusted<'_> {
    fn has(&self, owner: &OwnerRole) -> bool {
        owner.is_member
            || owner.oid == self.database_owner
            || owner.name == "pg_database_owner"
            || self.superusers.contains(&owner.oid.as_str())
    }

    /// The first of these that cannot be trusted, our schema before all tables. What is on the ledger besides its
    /// owner is judged with its columns.
    pub fn doubts(
        &self,
        ours: Option<&Schema>,
        our_tables: &[&Table],
        ledger: (&Ledger, Option<&Table>),
    ) -> Option<Doubtful> {
        let judged = |object, name: String, owner: &OwnerRole, defect: Option<&'static str>| {
            let is_ours = self.has(owner);
            (!is_ours || defect.is_some()).then(|| Doubtful {
                object,
                name,
                owner: owner.name.clone(),
                defect: defect.filter(|_| is_ours),
            })
        };
        let schema =
            ours.and_then(|schema| judged("SCHEMA", schema.name.clone(), &schema.owner, None));
        let of_ours = our_tables.iter().map(|table| {
            let name = format!("schemaward.{}", table.name);
            judged("TABLE", name, &table.owner, table.defect())
        });
        let (named, table) = ledger;
        let of_ledger = table.map(|table| {
            let name = format!("{}.{}", named.schema, named.table);
            judged("TABLE", name, &table.owner, None)
        });
        let tables = of_ours.chain(of_ledger).flatten();
        schema.or_else(|| tables.min_by(|a, b| a.name.cmp(&b.name)))
    }
}

impl Doubtful {
    /// Refuses to work with it; `user` is the login role.
    pub fn refuse(&self, user: &str) -> DatabaseError {
        let (object, name) = (self.object, sanitize::name(&self.name));
        let owner = sanitize::name(&self.owner);
        let message = if let Some(defect) = self.defect {
            format!(
                "Schemaward cannot trust its own {object} {name}: {defect}. That can hide or change rows, or run \
                 code with the rights of this role. Nothing was changed. Find out who did it, and take it away."
            )
        } else {
            format!(
                "{object} {name} belongs to role \"{owner}\", which is neither this role nor one that it is a member \
                 of, nor the owner of the database: what \"{owner}\" puts on it would run with our rights. \
                 Nothing was changed. If \"{owner}\" is to be trusted, GRANT {} TO {1}; or ALTER {object} {name} \
                 OWNER TO {1};",
                identifier(&self.owner),
                identifier(user),
            )
        };
        DatabaseError::new(DatabaseErrorKind::HistoryUnreadable, message)
    }
}
