//! A copy of this repository's migrations and examples, as a user has them, led to a database of a test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Database, Namespace};

pub struct Checkout {
    folder: TempDir,
}

impl Checkout {
    /// A fresh copy.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["migrations", "examples"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            copy(&from, &folder.path().join(name));
        }
        Self { folder }
    }

    /// A copy whose `DatabaseSchema` names this database.
    pub fn leading_to(database: &Database<'_>) -> Self {
        let checkout = Self::new();
        let port = format!("port: {{value: {}}}", database.server.port);
        for (placeholder, value) in [
            ("postgres.example.com", database.server.tls_host.as_str()),
            ("port: {value: 5432}", &port),
            ("fluxion_production", &database.name),
        ] {
            checkout.edit("examples/fluxion/databaseschema.yaml", placeholder, value);
        }
        checkout
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Puts `new` in the place of `old`, which must be there.
    #[track_caller]
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert!(text.contains(old), "{name} has no {old:?}");
        self.write(name, &text.replace(old, new));
    }

    /// Commits a version: its files, and its line in the resource.
    pub fn add_version(&self, version: &str, name: &str, up: &str, down: &str) {
        self.write(&format!("migrations/{version}_{name}_UP.sql"), up);
        self.write(&format!("migrations/{version}_{name}_DOWN.sql"), down);
        let line = format!("  - version: \"{version}\"\n    name: {name}\n  source:");
        self.edit("examples/fluxion/databaseschema.yaml", "  source:", &line);
    }

    /// Puts into namespace `fluxion` what the pipeline may not: the namespace's Secret, the operator's right
    /// to read it, and the authority of the server's certificate.
    pub fn prepare_namespace(&self, namespace: &Namespace<'_>, database: &Database<'_>) {
        self.edit(
            "examples/fluxion/secret.yaml",
            "username: fluxion",
            &format!("username: {}", database.user),
        );
        self.edit(
            "examples/fluxion/secret.yaml",
            "change-me",
            &database.password,
        );
        let ca = format!(
            "--from-file=global-bundle.pem={}",
            database.server.ca.display()
        );
        namespace.kubectl(&["create", "configmap", "rds-ca", &ca]);
        for name in ["secret.yaml", "access.yaml"] {
            namespace.apply(&self.read(&format!("examples/fluxion/{name}")));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("our own folder");
    for entry in fs::read_dir(from).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let copied = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).expect("our own folder");
        }
    }
}
