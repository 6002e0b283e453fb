//! Names of roles that were made from a database of another encoding: all databases of a server share its roles.

use crate::cli::Project;
use crate::harness::{Database, Postgres};

/// A database that takes any bytes for a name.
fn of_any_bytes(server: &'static Postgres) -> Database<'static> {
    server.admin_exec(
        "CREATE DATABASE any_bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    Database {
        server,
        name: "any_bytes".to_owned(),
        user: String::new(),
        password: String::new(),
    }
}

#[test]
fn a_role_whose_name_is_no_utf8_stops_nobody() {
    for major in [14, 18] {
        let server: &'static Postgres = Box::leak(Box::new(Postgres::start(major, &[])));
        let project = Project::on(server, "names");
        project.table("001", "a").succeed("up");
        project.database.admin_exec(
            "CREATE ROLE plain SUPERUSER CREATEROLE; ALTER TABLE schemaward.audit OWNER TO plain;
             GRANT ALL ON schemaward.audit TO PUBLIC",
        );
        let any_bytes = of_any_bytes(server);
        // "aéb" in LATIN1.
        let of_foreign = |does: &str| {
            any_bytes.admin_exec(&format!(
                r"DO $$DECLARE name text := convert_from('\x61e962', 'SQL_ASCII'); BEGIN {does}; END$$"
            ))
        };
        of_foreign("EXECUTE format('ALTER ROLE plain RENAME TO %I', name)");
        project.table("002", "b").succeed("up");
        assert_eq!(project.applied(), "001 002", "{major}");
        // A superuser may own what is ours, and nobody else of such a name.
        of_foreign("EXECUTE format('ALTER ROLE %I NOSUPERUSER', name)");
        let ended = project.run("up");
        let refusal = "TABLE schemaward.audit belongs to role \"a\u{fffd}b\", which is neither";
        assert!(ended.stderr.contains(refusal), "{major}: {ended:#?}");
    }
}
