//! What a role has to be granted before it may write.

use super::Facts;
use crate::postgres::prepare;
use crate::postgres::quote::{identifier, ledger as quoted};
use crate::postgres::settings::Settings;

impl Facts {
    /// Our tables whose rows change and go.
    fn changing_tables(&self) -> &'static str {
        if self.journal_exists {
            "schemaward.script, schemaward.claim, schemaward.journal"
        } else {
            "schemaward.script, schemaward.claim"
        }
    }

    /// What is missing to bring the tables of an older Schemaward up to date.
    fn missing_for_upgrade(&self, user: &str) -> Vec<String> {
        let mut grants = Vec::new();
        if !(self.may_create_in_our_schema && self.may_update_installation) {
            grants.push(format!(
                "GRANT USAGE, CREATE ON SCHEMA schemaward TO {user}; GRANT UPDATE ON \
                 schemaward.installation TO {user};"
            ));
        }
        if !self.baselines_are_marked && !self.owns_scripts {
            grants.push(format!("{};", prepare::MARK_BASELINES));
        }
        grants
    }

    /// What to GRANT before a run may write; empty when all rights are there.
    pub fn missing_grants(&self, settings: &Settings) -> Vec<String> {
        let user = identifier(&self.user);
        let schema = identifier(&settings.ledger.schema);
        let mut grants = Vec::new();
        if !self.history_schema_exists {
            grants.push(format!("CREATE SCHEMA {schema} AUTHORIZATION {user};"));
        } else if !self.ledger_exists && !self.may_create_in_history_schema {
            grants.push(format!("GRANT CREATE ON SCHEMA {schema} TO {user};"));
        } else if self.ledger.as_ref().is_some_and(|ledger| !ledger.may.all()) {
            grants.push(format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {user};",
                quoted(&settings.ledger)
            ));
        }
        if !self.our_schema_exists {
            if !self.may_create_our_schema {
                grants.push(format!(
                    "GRANT CREATE ON DATABASE {} TO {user};",
                    identifier(&self.database)
                ));
            }
        } else if self.installed {
            if !self.may_use_our_tables {
                grants.push(format!(
                    "GRANT USAGE ON SCHEMA schemaward TO {user}; GRANT SELECT, INSERT ON ALL TABLES IN \
                     SCHEMA schemaward TO {user}; GRANT UPDATE, DELETE ON {} TO {user};",
                    self.changing_tables()
                ));
            }
            if !self.journal_exists {
                grants.extend(self.missing_for_upgrade(&user));
            }
        } else if !self.may_create_in_our_schema {
            grants.push(format!(
                "GRANT USAGE, CREATE ON SCHEMA schemaward TO {user};"
            ));
        }
        if let Some(role) = &settings.role {
            if !self.role_exists {
                grants.push(format!("CREATE ROLE {};", identifier(role)));
            }
            if !self.may_take_role {
                grants.push(format!("GRANT {} TO {user};", identifier(role)));
            }
        }
        grants
    }
}
