//! What the server, our rights and the history table look like. Reads only.

use std::time::Duration;

use serde::Deserialize;

use crate::engine::database::{LedgerLimits, Server};
use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::task::Ledger;

use super::quote::{identifier, ledger as quoted, literal};
use super::settings::{Pooler, Settings};
use super::{pooler, sanitize};

mod rights;

/// The oldest server that is supported: 14.
const OLDEST_SERVER: i32 = 140_000;

/// Facts of one look, in one row of JSON.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question to the catalog, and they are asked at once"
)]
#[derive(Debug, Deserialize)]
pub struct Facts {
    pub session: Session,
    pub version_number: i32,
    version: String,
    in_recovery: bool,
    database: String,
    user: String,
    history_schema_exists: bool,
    may_create_in_history_schema: bool,
    pub ledger_exists: bool,
    ledger_kind: Option<String>,
    ledger_has_triggers: Option<bool>,
    ledger_has_rules: Option<bool>,
    ledger_has_row_security: Option<bool>,
    columns: Vec<Column>,
    may_read_ledger: bool,
    may_read_our_tables: bool,
    may_use_ledger: bool,
    pub our_schema_exists: bool,
    may_create_our_schema: bool,
    may_create_in_our_schema: bool,
    pub installed: bool,
    pub journal_exists: bool,
    pub baselines_are_marked: bool,
    owns_scripts: bool,
    may_update_installation: bool,
    may_use_our_tables: bool,
    role_exists: bool,
    may_take_role: bool,
    privileged: Vec<Privileged>,
}

/// A role with power over the server, which ours is or can become.
#[derive(Debug, Deserialize)]
struct Privileged {
    role: String,
    superuser: bool,
}

/// What names our server session, so that a cancellation never hits a successor with the same pid.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub pid: i32,
    pub began: String,
    /// Seconds since then, by the server's clock.
    age: f64,
}

/// A server's clock may be put forward while we connect.
const AGE_TOLERANCE: Duration = Duration::from_secs(2);

impl Session {
    /// Refuses a session that is older than our connection: a pooler had it before.
    pub fn judge(&self, settings: &Settings, connected: Duration) -> Result<(), DatabaseError> {
        let age = Duration::try_from_secs_f64(self.age).unwrap_or_default();
        if settings.pooler == Pooler::None && age > connected + AGE_TOLERANCE {
            return Err(pooler::handed_out(settings));
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    kind: String,
    characters: Option<usize>,
    must_be_given: bool,
}

/// The five columns and the types that an existing table may have for them (decision 1).
const COLUMNS: [(&str, &[&str]); 5] = [
    ("version", &["text", "varchar", "bpchar"]),
    ("name", &["text", "varchar", "bpchar"]),
    ("applied_at", &["timestamp", "timestamptz"]),
    ("execution_time_ms", &["int4", "int8"]),
    ("checksum", &["text", "varchar", "bpchar"]),
];

/// Column sets by which other tools' tables of this name are known.
const FOREIGN: [(&[&str], &str); 3] = [
    (&["version"], "Ruby on Rails or dbmate"),
    (&["dirty", "version"], "golang-migrate"),
    (&["inserted_at", "version"], "Ecto"),
];

/// The query; its one row and column is the JSON of [`Facts`].
pub fn query(settings: &Settings) -> String {
    let schema = literal(&identifier(&settings.ledger.schema));
    let role = literal(settings.role.as_deref().unwrap_or(&settings.username));
    // Looked up in the catalog: to_regclass() fails where the schema may not be used.
    let table = |schema: &str, name: &str| {
        format!(
            "(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {})",
            literal(schema),
            literal(name)
        )
    };
    let ledger = table(&settings.ledger.schema, &settings.ledger.table);
    let installation = table("schemaward", "installation");
    let journal = table("schemaward", "journal");
    let scripts = table("schemaward", "script");
    let ours = "pg_catalog.to_regnamespace('schemaward')";
    // By name, for which there is an index: a database may hold a hundred thousand other tables.
    let our_tables = format!(
        "pg_catalog.pg_class c WHERE c.relnamespace = {ours} AND c.relkind = 'r' \
         AND c.relname IN ('installation', 'claim', 'script', 'audit', 'journal')"
    );
    format!(
        "SELECT pg_catalog.json_build_object(\
         'session', (SELECT pg_catalog.json_build_object('pid', a.pid, \
            'began', a.backend_start::pg_catalog.text, \
            'age', EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)) \
            FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid()), \
         'version_number', pg_catalog.current_setting('server_version_num')::pg_catalog.int4, \
         'version', pg_catalog.current_setting('server_version'), \
         'in_recovery', pg_catalog.pg_is_in_recovery(), \
         'database', pg_catalog.current_database(), \
         'user', CURRENT_USER, \
         'history_schema_exists', pg_catalog.to_regnamespace({schema}) IS NOT NULL, \
         'may_create_in_history_schema', COALESCE(pg_catalog.has_schema_privilege(\
            pg_catalog.to_regnamespace({schema}), 'CREATE'), false), \
         'ledger_exists', found.ledger IS NOT NULL, \
         'ledger_kind', (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = found.ledger), \
         'ledger_has_triggers', (SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
            WHERE t.tgrelid = found.ledger AND NOT t.tgisinternal)), \
         'ledger_has_rules', (SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = found.ledger)), \
         'ledger_has_row_security', (SELECT c.relrowsecurity FROM pg_catalog.pg_class c WHERE c.oid = found.ledger), \
         'columns', COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
            'name', a.attname, 'kind', t.typname, \
            'characters', CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 \
                THEN a.atttypmod - 4 END, \
            'must_be_given', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '') ORDER BY a.attnum) \
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
            WHERE a.attrelid = found.ledger AND a.attnum > 0 AND NOT a.attisdropped), '[]'::pg_catalog.json), \
         'may_read_ledger', COALESCE(pg_catalog.has_schema_privilege(\
            pg_catalog.to_regnamespace({schema}), 'USAGE') \
            AND pg_catalog.has_table_privilege(found.ledger, 'SELECT'), false), \
         'may_read_our_tables', COALESCE(pg_catalog.has_schema_privilege({ours}, 'USAGE') \
            AND (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
                FROM {our_tables}), false), \
         'may_use_ledger', COALESCE(pg_catalog.has_table_privilege(found.ledger, 'SELECT') \
            AND pg_catalog.has_table_privilege(found.ledger, 'INSERT') \
            AND pg_catalog.has_table_privilege(found.ledger, 'UPDATE') \
            AND pg_catalog.has_table_privilege(found.ledger, 'DELETE'), false), \
         'our_schema_exists', {ours} IS NOT NULL, \
         'may_create_our_schema', pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
         'may_create_in_our_schema', COALESCE(pg_catalog.has_schema_privilege({ours}, 'CREATE'), false), \
         'installed', found.installation IS NOT NULL, \
         'journal_exists', found.journal IS NOT NULL, \
         'baselines_are_marked', EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a \
            WHERE a.attrelid = found.scripts AND a.attname = 'baseline' AND NOT a.attisdropped), \
         'owns_scripts', COALESCE((SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') \
            FROM pg_catalog.pg_class c WHERE c.oid = found.scripts), false), \
         'may_update_installation', COALESCE(pg_catalog.has_table_privilege(found.installation, 'UPDATE'), false), \
         'may_use_our_tables', COALESCE(pg_catalog.has_schema_privilege({ours}, 'USAGE') \
            AND (SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT') \
                AND pg_catalog.has_table_privilege(c.oid, 'INSERT') \
                AND (c.relname NOT IN ('script', 'claim', 'journal') \
                    OR pg_catalog.has_table_privilege(c.oid, 'UPDATE') \
                    AND pg_catalog.has_table_privilege(c.oid, 'DELETE'))) \
                FROM {our_tables}), false), \
         'role_exists', EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname = {role}), \
         'may_take_role', EXISTS (SELECT 1 FROM pg_catalog.pg_roles r WHERE r.rolname = {role} \
            AND pg_catalog.pg_has_role(r.oid, CASE WHEN \
            pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000 \
            THEN 'SET' ELSE 'MEMBER' END)), \
         'privileged', COALESCE((SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
            'role', r.rolname, 'superuser', r.rolsuper) ORDER BY r.rolname) FROM pg_catalog.pg_roles r \
            WHERE CASE WHEN r.rolsuper OR r.rolname IN ('pg_execute_server_program', \
                'pg_read_server_files', 'pg_write_server_files') \
            THEN pg_catalog.pg_has_role(SESSION_USER, r.oid, 'MEMBER') END), '[]'::pg_catalog.json)\
         )::pg_catalog.text \
         FROM (SELECT {ledger} AS ledger, {installation} AS installation, {journal} AS journal, {scripts} AS scripts OFFSET 0) found"
    )
}

impl Facts {
    /// The server, as the engine knows it.
    pub fn server(&self) -> Server {
        Server {
            version: self.version.clone(),
            database: self.database.clone(),
            user: self.user.clone(),
        }
    }

    /// Longest values that the ledger takes.
    pub fn limits(&self) -> LedgerLimits {
        let characters = |name: &str| self.column(name).and_then(|column| column.characters);
        LedgerLimits {
            version: characters("version"),
            name: characters("name"),
            checksum: characters("checksum"),
        }
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Refuses what cannot be worked with: an old server, a standby, another tool's table, a table
    /// that is not plainly ours.
    pub fn judge(&self, ledger: &Ledger) -> Result<(), DatabaseError> {
        if self.version_number < OLDEST_SERVER {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ServerTooOld,
                format!(
                    "The server is PostgreSQL {}; Schemaward needs 14 or newer. Nothing was changed. \
                     Upgrade the server.",
                    self.version
                ),
            ));
        }
        if self.in_recovery {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ReadOnlyReplica,
                "The server is a standby and takes no changes. Nothing was changed. Connect to the \
                 primary, or wait for the failover to end.",
            ));
        }
        if self.ledger_exists {
            self.judge_ledger(ledger)?;
        }
        Ok(())
    }

    /// Refuses a role that cannot even look at what was applied.
    pub fn judge_reading(&self, settings: &Settings) -> Result<(), DatabaseError> {
        let unreadable = (self.ledger_exists && !self.may_read_ledger)
            || (self.installed && !self.may_read_our_tables);
        if !unreadable {
            return Ok(());
        }
        let user = identifier(&self.user);
        let mut grants = Vec::new();
        if self.ledger_exists && !self.may_read_ledger {
            grants.push(format!(
                "GRANT USAGE ON SCHEMA {} TO {user}; GRANT SELECT ON {} TO {user};",
                identifier(&settings.ledger.schema),
                quoted(&settings.ledger)
            ));
        }
        if self.installed && !self.may_read_our_tables {
            grants.push(format!(
                "GRANT USAGE ON SCHEMA schemaward TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA \
                 schemaward TO {user};"
            ));
        }
        Err(DatabaseError::new(
            DatabaseErrorKind::PermissionDenied,
            format!(
                "Role {user} may not read the history. Nothing was changed. Run as its owner: {}",
                grants.join(" ")
            ),
        ))
    }

    fn judge_ledger(&self, ledger: &Ledger) -> Result<(), DatabaseError> {
        let mut names: Vec<_> = self.columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        if let Some((_, tool)) = FOREIGN.iter().find(|(columns, _)| *columns == names) {
            return Err(DatabaseError::new(
                DatabaseErrorKind::ForeignHistory,
                format!(
                    "Table {0}.{1} is the history of {tool}. It was not touched. Name another table \
                     in history.table (--history-table), or move that one away.",
                    ledger.schema, ledger.table
                ),
            ));
        }
        match self.ledger_defect() {
            None => Ok(()),
            Some(defect) => Err(DatabaseError::new(
                DatabaseErrorKind::HistoryUnreadable,
                format!(
                    "Table {}.{} cannot serve as history: {defect}. It was not touched. Mend the \
                     table, or name another one in history.table (--history-table).",
                    ledger.schema, ledger.table
                ),
            )),
        }
    }

    fn ledger_defect(&self) -> Option<String> {
        if !matches!(self.ledger_kind.as_deref(), Some("r" | "p")) {
            return Some("it is not a table".to_owned());
        }
        for (name, kinds) in COLUMNS {
            match self.column(name) {
                None => return Some(format!("it has no column {name}")),
                Some(column) if !kinds.contains(&column.kind.as_str()) => {
                    return Some(format!(
                        "its column {name} is of type {}, not {}",
                        column.kind,
                        kinds.join(" or ")
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(extra) = self.columns.iter().find(|column| {
            column.must_be_given && !COLUMNS.iter().any(|(name, _)| *name == column.name)
        }) {
            return Some(format!(
                "its column {} must be given a value, and Schemaward knows none for it",
                extra.name
            ));
        }
        let hidden = [
            (self.ledger_has_triggers, "it has triggers"),
            (self.ledger_has_rules, "it has rules"),
            (self.ledger_has_row_security, "it has row level security"),
        ];
        hidden
            .iter()
            .find(|(present, _)| *present == Some(true))
            .map(|(_, what)| format!("{what}, which can hide or change rows"))
    }

    /// What the role may do on the server beyond a database. A script has all rights of the login role: it
    /// can leave the role that it was given with RESET ROLE, and become whatever the login role is a
    /// member of, directly or not. A superuser is a member of every role.
    pub fn privileges(&self) -> Vec<String> {
        if self
            .privileged
            .iter()
            .any(|role| role.superuser && role.role == self.user)
        {
            return vec!["it is a superuser".to_owned()];
        }
        let clause = |found: &Privileged| {
            let role = sanitize::name(&found.role);
            if found.superuser {
                format!("it is a member of \"{role}\", a superuser")
            } else {
                format!("it is a member of {role}")
            }
        };
        self.privileged.iter().map(clause).collect()
    }
}
