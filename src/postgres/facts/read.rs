//! From the rows of a look's first answers to facts.

use sqlx::postgres::PgRow;

use super::{Column, Facts, Privileged, Session};
use crate::engine::error::DatabaseError;
use crate::postgres::doubtful::{Schema, Table, Trusted};
use crate::postgres::error;
use crate::postgres::facts_query::{About, POWERFUL};
use crate::postgres::fields::{flag, given, given_as, shared_name};
use crate::postgres::settings::Settings;

/// The first server on which CREATEROLE alone grants nothing: PostgreSQL 16.
const CREATEROLE_GRANTS_LITTLE_SINCE: i32 = 160_000;

/// Our tables whose rows change and go.
const CHANGING: [&str; 3] = ["script", "claim", "journal"];

/// The answers so far.
#[derive(Debug, Default)]
pub struct Answers {
    server: Option<PgRow>,
    schemas: Vec<Schema>,
    tables: Vec<Table>,
    columns: Vec<ColumnOf>,
    roles: Vec<Role>,
}

/// A column, and of which table.
#[derive(Debug)]
struct ColumnOf {
    schema: String,
    table: String,
    column: Column,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of an answer"
)]
#[derive(Debug)]
struct Role {
    oid: String,
    name: String,
    superuser: bool,
    createrole: bool,
    is_member: bool,
    may_take: bool,
}

impl Answers {
    /// Takes in one row.
    pub fn take(&mut self, about: About, row: PgRow) -> Result<(), DatabaseError> {
        match about {
            About::Server => self.server = Some(row),
            About::Schemas => self.schemas.push(Schema::read(&row)?),
            About::Tables => self.tables.push(Table::read(&row)?),
            About::Columns => self.columns.push(ColumnOf::read(&row)?),
            About::Roles => self.roles.push(Role::read(&row)?),
        }
        Ok(())
    }

    /// What follows from them.
    pub fn facts(mut self, settings: &Settings) -> Result<Facts, DatabaseError> {
        let server = self.server.take();
        let server = server.ok_or_else(|| error::internal("no answer to a look at the catalog"))?;
        let version_number = given_as(&server, 3)?;
        let history = self.schema(&settings.ledger.schema);
        let ours = self.schema("schemaward");
        let ledger = self.tables_of(history);
        let ledger = ledger
            .into_iter()
            .find(|table| table.name == settings.ledger.table);
        let mut our_tables = self.tables_of(ours);
        our_tables.retain(|table| table.is_named_as_ours());
        let named = |name| our_tables.iter().find(|table| table.name == name);
        let role_of_scripts = settings.role.as_deref().unwrap_or(&settings.username);
        let role = self.roles.iter().find(|role| role.name == role_of_scripts);
        let trusted = Trusted {
            database_owner: given(&server, 10)?,
            superusers: self.superusers(),
        };
        let doubtful = trusted.doubts(ours, &our_tables, (&settings.ledger, ledger));
        Ok(Facts {
            session: Session {
                pid: given_as(&server, 0)?,
                began: given(&server, 1)?.to_owned(),
                age: given_as(&server, 2)?,
            },
            version_number,
            version: given(&server, 4)?.to_owned(),
            in_recovery: flag(&server, 5)?,
            versions_may_share_a_query: flag(&server, 11)?,
            database: given(&server, 6)?.to_owned(),
            user: given(&server, 7)?.to_owned(),
            history_schema_exists: history.is_some(),
            may_create_in_history_schema: history.is_some_and(|schema| schema.may_create),
            ledger_exists: ledger.is_some(),
            may_read_ledger: history.is_some_and(|schema| schema.may_use)
                && ledger.is_some_and(|table| table.may.select),
            may_read_our_tables: may(ours, &our_tables, |table| table.may.select),
            may_use_our_tables: may(ours, &our_tables, may_use),
            our_schema_exists: ours.is_some(),
            may_create_our_schema: flag(&server, 8)?,
            may_create_in_our_schema: ours.is_some_and(|schema| schema.may_create),
            installed: named("installation").is_some(),
            journal_exists: named("journal").is_some(),
            baselines_are_marked: ours.is_some_and(|schema| {
                let mut columns = self.columns_of(&schema.oid, "script");
                columns.any(|column| column.name == "baseline")
            }),
            owns_scripts: named("script").is_some_and(|table| table.is_owned),
            may_update_installation: named("installation").is_some_and(|table| table.may.update),
            may_read_server_identity: flag(&server, 9)?,
            role_exists: role.is_some(),
            may_take_role: role.is_some_and(|role| role.may_take),
            privileged: self.privileged(version_number),
            doubtful,
            columns: ledger.map_or_else(Vec::new, |table| {
                let columns = self.columns_of(&table.schema, &table.name);
                columns.cloned().collect()
            }),
            ledger: ledger.cloned(),
        })
    }

    fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.name == name)
    }

    fn tables_of(&self, schema: Option<&Schema>) -> Vec<&Table> {
        let of_schema = |table: &&Table| schema.is_some_and(|schema| table.schema == schema.oid);
        self.tables.iter().filter(of_schema).collect()
    }

    fn columns_of(&self, schema: &str, table: &str) -> impl Iterator<Item = &Column> {
        let of_table = move |column: &&ColumnOf| column.schema == schema && column.table == table;
        let found = self.columns.iter().filter(of_table);
        found.map(|column| &column.column)
    }

    fn superusers(&self) -> Vec<&str> {
        let superusers = self.roles.iter().filter(|role| role.superuser);
        superusers.map(|role| role.oid.as_str()).collect()
    }

    /// The roles with power over the server that ours is or can become.
    fn privileged(&self, server: i32) -> Vec<Privileged> {
        let reached = self.roles.iter().filter(|role| role.is_member);
        let all = reached.map(|role| Privileged {
            role: role.name.clone(),
            superuser: role.superuser,
            can_grant: role.createrole && server < CREATEROLE_GRANTS_LITTLE_SINCE,
        });
        all.filter(|role| {
            role.superuser || role.can_grant || POWERFUL.contains(&role.role.as_str())
        })
        .collect()
    }
}

/// Whether our role may use the schema, and do this with all of its tables, of which there are some.
fn may(schema: Option<&Schema>, tables: &[&Table], do_this: impl Fn(&Table) -> bool) -> bool {
    let mut plain = tables.iter().filter(|table| table.kind == "r").peekable();
    schema.is_some_and(|schema| schema.may_use)
        && plain.peek().is_some()
        && plain.all(|table| do_this(table))
}

fn may_use(table: &Table) -> bool {
    if CHANGING.contains(&table.name.as_str()) {
        table.may.all()
    } else {
        table.may.select && table.may.insert
    }
}

impl Role {
    fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            oid: given(row, 0)?.to_owned(),
            name: shared_name(row, 1)?,
            superuser: flag(row, 2)?,
            createrole: flag(row, 3)?,
            is_member: flag(row, 4)?,
            may_take: flag(row, 5)?,
        })
    }
}

impl ColumnOf {
    fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        let kind = kind(given(row, 3)?);
        let length: i32 = given_as(row, 4)?;
        let is_limited = ["varchar", "bpchar"].contains(&kind) && length > HEADER;
        let is_required = flag(row, 5)?;
        Ok(Self {
            schema: given(row, 0)?.to_owned(),
            table: given(row, 1)?.to_owned(),
            column: Column {
                name: given(row, 2)?.to_owned(),
                characters: usize::try_from(length - HEADER).ok().filter(|_| is_limited),
                kind: kind.to_owned(),
                must_be_given: is_required && !flag(row, 6)? && !flag(row, 7)?,
                takes_null: !is_required,
            },
        })
    }
}

/// `atttypmod` of a text counts this much more than characters.
const HEADER: i32 = 4;

/// PostgreSQL's own short name of a type, where it has one and we know the type. Types of somebody else come with
/// their schema.
fn kind(shown: &str) -> &str {
    match shown {
        "character varying" => "varchar",
        "character" => "bpchar",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "integer" => "int4",
        "bigint" => "int8",
        other => other,
    }
}
