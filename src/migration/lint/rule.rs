//! Every rule, by name.

use std::fmt;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not reported, unless somebody asks for it.
    Off,
    /// Worth knowing.
    Note,
    /// Likely to hurt a database in use.
    Warning,
    /// Wrong, or never meant.
    Error,
}

impl Level {
    /// One word, as people and programs read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// squawk, which documents it under the same name.
    Squawk,
    /// Schemaward.
    Own,
}

/// One rule.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its name, for waivers and policies.
    pub name: &'static str,
    /// Who made it.
    pub origin: Origin,
    /// How grave it is in an UP, if nobody says otherwise.
    pub up: Level,
    /// How grave it is in a DOWN.
    pub down: Level,
    /// What it finds, and why that matters.
    pub about: &'static str,
}

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.name == name)
    }

    /// Where squawk documents it; ours are in `docs/lint.md`.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        (self.origin == Origin::Squawk).then(|| format!("https://squawkhq.com/docs/{}", self.name))
    }
}

/// The table of rules: origin, name, level in an UP and in a DOWN, what it finds and why that matters.
macro_rules! rules {
    ($($origin:ident $name:literal $up:ident $down:ident $about:literal;)*) => {
        &[$(Rule {
            name: $name,
            origin: Origin::$origin,
            up: Level::$up,
            down: Level::$down,
            about: $about,
        }),*]
    };
}

/// Every rule, ours first, each part in the order of the alphabet.
///
/// Rules of squawk that are not here: `transaction-nesting`, `ban-uncommitted-transaction` and `ban-concurrent-index-creation-in-transaction`
/// (a set with them is refused), `require-timeout-settings`, `require-lock-timeout` and `require-statement-timeout` (every script runs under
/// our timeouts), `prefer-robust-stmts` (a version is all or nothing, or has its journal; see `not-idempotent`), `prefer-repack` (no
/// supported server has it) and `unused-ignore` (see `waiver-unused`).
pub static RULES: &[Rule] = rules! {
    Own "down-empty" Off Warning "The DOWN changes nothing, so a way back would only take the version out of the history.";
    Own "down-missing" Warning Off "The version has no DOWN: once applied, it cannot be undone.";
    Own "drop-cascade" Warning Warning "CASCADE also drops whatever depends on the object, and nothing here says what that is.";
    Own "not-idempotent" Warning Warning "The file says that it is idempotent, and a statement of it fails when it runs again.";
    Own "not-linted" Warning Warning "The rules of squawk did not look at the script: it is too large, or nests too deeply.";
    Own "not-understood" Warning Warning "The statement looks like a syntax error to squawk's parser, so its rules may miss it. PostgreSQL has the last word.";
    Own "secret-in-sql" Error Error "A password is written into the script: it is stored in Git, in the database, and perhaps in the server's log.";
    Own "waiver-unknown-rule" Error Error "A waiver names a rule that there is not.";
    Own "waiver-unused" Warning Warning "A waiver waives nothing.";
    Own "waiver-without-reason" Error Error "A waiver gives no reason, and so waives nothing.";
    Squawk "adding-field-with-default" Warning Warning "A new column with a volatile default or a stored expression rewrites the table.";
    Squawk "adding-foreign-key-constraint" Warning Warning "A new foreign key is checked under a lock that keeps writers of both tables waiting.";
    Squawk "adding-not-nullable-field" Warning Warning "SET NOT NULL reads the whole table while nobody can use it.";
    Squawk "adding-required-field" Warning Warning "A new column that is NOT NULL without a default fails where there are rows, and breaks clients that insert.";
    Squawk "adding-serial-primary-key-field" Warning Warning "A new primary key builds its index while nobody can use the table.";
    Squawk "ban-add-column" Off Off "A new column changes what `SELECT *` and `INSERT` without columns mean.";
    Squawk "ban-add-composite-attribute" Off Off "A new attribute changes the values that clients receive.";
    Squawk "ban-add-enum-value" Off Off "Clients may receive a value that they do not know.";
    Squawk "ban-alter-database-options" Off Off "The options of a database change for all its clients.";
    Squawk "ban-alter-domain-with-add-constraint" Warning Warning "A domain's new constraint is checked in every table that uses it, while nobody can write to them.";
    Squawk "ban-alter-extension" Off Off "A new version of an extension may behave differently.";
    Squawk "ban-alter-function-options" Off Off "The options of a function change for all its callers.";
    Squawk "ban-alter-generated-expression" Off Off "A generated column gets other values.";
    Squawk "ban-alter-identity" Warning Note "What clients may insert into an identity column changes.";
    Squawk "ban-alter-policy-condition" Off Off "Clients see other rows.";
    Squawk "ban-alter-policy-roles" Off Off "The policy holds for other roles.";
    Squawk "ban-alter-role-options" Off Off "The options of a role change for all its sessions.";
    Squawk "ban-alter-row-level-security" Off Off "Row level security is switched for all clients.";
    Squawk "ban-alter-sequence-values" Off Off "Clients get other numbers.";
    Squawk "ban-alter-system-options" Off Off "Settings of the whole server change.";
    Squawk "ban-alter-view-options" Off Off "The options of a view change for all who read it.";
    Squawk "ban-char-field" Warning Off "`char` pads with blanks; `text` or `varchar` is almost always meant.";
    Squawk "ban-create-domain-with-constraint" Note Off "A domain's constraint cannot be changed without locking every table that uses it.";
    Squawk "ban-create-policy" Off Off "Clients see fewer rows.";
    Squawk "ban-detach-inheritance" Off Off "The rows of a partition are no longer read through its parent.";
    Squawk "ban-disable-trigger" Off Off "What a trigger did is no longer done.";
    Squawk "ban-drop-column" Warning Note "The column's data are lost, and clients that use it break.";
    Squawk "ban-drop-constraint" Warning Note "Clients may rely on what the constraint guarantees.";
    Squawk "ban-drop-database" Error Error "The database is lost.";
    Squawk "ban-drop-default" Warning Note "Inserts of clients that leave the column out break.";
    Squawk "ban-drop-domain" Warning Note "Clients that use the domain break.";
    Squawk "ban-drop-extension" Warning Note "The functions and types of the extension go with it.";
    Squawk "ban-drop-function" Warning Note "Clients that call the function break.";
    Squawk "ban-drop-generated-expression" Warning Note "The column is no longer computed.";
    Squawk "ban-drop-index" Off Off "Queries that use the index become slow, or a guarantee is gone.";
    Squawk "ban-drop-not-null" Warning Note "Clients receive a null that they never saw.";
    Squawk "ban-drop-policy" Off Off "Clients see other rows.";
    Squawk "ban-drop-schema" Warning Note "Clients that use the schema break.";
    Squawk "ban-drop-sequence" Warning Note "The state of the sequence is lost, and clients that use it break.";
    Squawk "ban-drop-table" Warning Note "The table's data are lost, and clients that use it break.";
    Squawk "ban-drop-trigger" Off Off "What the trigger did is no longer done.";
    Squawk "ban-drop-type" Warning Note "Clients that use the type, operator or cast break.";
    Squawk "ban-drop-view" Warning Note "Clients that read the view break.";
    Squawk "ban-duplicate-column-assignments" Error Error "PostgreSQL refuses a column that is assigned twice.";
    Squawk "ban-new-write-restriction" Off Off "Writes that were allowed are refused.";
    Squawk "ban-replace-view-function" Off Off "A view or function gets another meaning for all who use it.";
    Squawk "ban-replica-identity" Off Off "Subscribers receive something else.";
    Squawk "ban-revoke" Off Off "Clients lose a right, or an object gets another owner.";
    Squawk "ban-set-default" Off Off "Inserts that leave the column out write another value.";
    Squawk "ban-set-schema" Warning Note "Clients do not find the object any more.";
    Squawk "ban-truncate-cascade" Warning Warning "CASCADE also empties every table that refers to this one, and those that refer to them.";
    Squawk "changing-column-type" Warning Warning "The table is rewritten while nobody can use it, and clients may break.";
    Squawk "constraint-missing-not-valid" Warning Warning "A new constraint reads the whole table while nobody can write to it.";
    Squawk "disallowed-unique-constraint" Warning Warning "A new UNIQUE constraint builds its index while nobody can use the table.";
    Squawk "identifier-too-long" Warning Warning "PostgreSQL cuts the name at 63 bytes.";
    Squawk "prefer-bigint-over-int" Note Off "A 32-bit number may run out, and a change of the type rewrites the table.";
    Squawk "prefer-bigint-over-smallint" Note Off "A 16-bit number may run out, and a change of the type rewrites the table.";
    Squawk "prefer-identity" Note Off "An identity column is easier to manage than `serial`.";
    Squawk "prefer-text-field" Note Off "The limit of a `varchar(n)` cannot be lowered without reading the table; a CHECK can.";
    Squawk "prefer-timestamp-tz" Note Off "`timestamp` forgets the time zone.";
    Squawk "renaming-column" Warning Note "Clients that use the old name break.";
    Squawk "renaming-object" Warning Note "Clients that use the old name break.";
    Squawk "renaming-table" Warning Note "Clients that use the old name break.";
    Squawk "require-concurrent-index-creation" Warning Warning "Nobody can write to the table while the index is built.";
    Squawk "require-concurrent-index-deletion" Warning Note "Nobody can use the table while the index is dropped, and who waits for it keeps all others waiting.";
    Squawk "require-concurrent-partition-detach" Warning Warning "Nobody can use the table while the partition is detached.";
    Squawk "require-concurrent-reindex" Warning Warning "Nobody can use the table while the index is built.";
    Squawk "require-enum-value-ordering" Note Off "Without BEFORE or AFTER the new value is the last one.";
    Squawk "require-table-schema" Off Off "Without a schema, the search path decides which table is meant.";
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_unique_and_in_order() {
        let names: Vec<_> = RULES
            .iter()
            .map(|rule| (rule.origin == Origin::Squawk, rule.name))
            .collect();
        let sorted: BTreeSet<_> = names.iter().copied().collect();
        assert_eq!(names, sorted.into_iter().collect::<Vec<_>>());
    }

    /// The table in `docs/lint.md` is this one. `UPDATE_GOLDEN=1 cargo test` writes it.
    #[test]
    fn the_documented_rules_are_up_to_date() {
        const BEGIN: &str = "<!-- rules -->\n";
        const END: &str = "<!-- end of rules -->";
        let mut table =
            "| rule | UP | DOWN | what it finds, and why that matters |\n|---|---|---|---|\n"
                .to_owned();
        for rule in RULES {
            let name = match rule.page() {
                Some(page) => format!("[`{}`]({page})", rule.name),
                None => format!("`{}`", rule.name),
            };
            writeln!(
                table,
                "| {name} | {} | {} | {} |",
                rule.up, rule.down, rule.about
            )
            .unwrap();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (head, rest) = page.split_once(BEGIN).unwrap();
        let (_, tail) = rest.split_once(END).unwrap();
        let expected = format!("{head}{BEGIN}{table}{END}{tail}");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &expected).unwrap();
        } else {
            assert_eq!(page, expected, "docs/lint.md: run with UPDATE_GOLDEN=1");
        }
    }
}
