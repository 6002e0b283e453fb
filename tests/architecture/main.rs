//! The layer rule and the other invariants of ARCHITECTURE.md that a compiler does not hold.
//!
//! Sources are read as text: comments and test modules are cut out, string literals set apart. Each rule
//! is a function over that, and each has a test that sees it red on a sample.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, too, although they do not bear #[test]"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

mod imports;
mod samples;
mod source;

use imports::{contains_word, imported_folders, paths};
use source::{Source, files_below, root, sources};

/// Which layer a folder of `src/` is in. A file may import its own folder and lower layers.
const LAYERS: [(&str, u8); 9] = [
    ("migration", 0),
    ("api", 0),
    ("engine", 1),
    ("source", 2),
    ("postgres", 2),
    ("telemetry", 2),
    ("aws", 3),
    ("controller", 4),
    ("cli", 4),
];

/// The composition root of the operator, and the command that goes its way: they alone hand one driver to the
/// other.
const COMPOSITION_ROOTS: [&str; 2] = ["cli/run.rs", "cli/doctor/resource.rs"];

/// Crates that live in one folder alone, so that what they bring stays behind it.
const CRATES: [(&str, &str); 9] = [
    ("sqlx", "postgres"),
    ("aws_config", "aws"),
    ("aws_credential_types", "aws"),
    ("aws_sdk_secretsmanager", "aws"),
    ("aws_sigv4", "aws"),
    ("aws_smithy_http_client", "aws"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
];

/// Who talks to an API server: the operator, and one place of the command line.
const KUBE_CLIENTS: [&str; 3] = ["controller/", "cli/cluster.rs", "cli/cluster/"];

/// What of `kube` describes a resource and talks to nobody.
const KUBE_IN_API: [&str; 4] = ["CustomResource", "CustomResourceExt", "KubeSchema", "core"];

/// What pure code does not know: time, environment, files, network, logging, waiting.
const IMPURE: [&str; 12] = [
    "async ",
    ".await",
    "Instant",
    "SystemTime",
    "::now(",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "tokio::",
    "tracing::",
    "sqlx::",
];

/// What ends the program instead of giving an error to a person.
const ABORTS: [&str; 8] = [
    ".unwrap()",
    ".unwrap_err()",
    ".expect(",
    ".expect_err(",
    "panic!",
    "unreachable!",
    "todo!",
    "unimplemented!",
];

/// Lines that a file may have, its test modules not counted.
const LINE_CAP: usize = 400;

// ---- the repository ------------------------------------------------------------------------------

#[test]
fn layers_hold() {
    report(&sources(), broken_layers);
}

#[test]
fn every_folder_has_a_layer() {
    let known: BTreeSet<_> = LAYERS.iter().map(|(name, _)| *name).collect();
    for source in sources() {
        let folder = source.folder();
        assert!(
            known.contains(folder) || ["lib.rs", "main.rs"].contains(&folder),
            "src/{} is in no layer: add it to the table in tests/architecture/main.rs",
            source.path
        );
    }
}

#[test]
fn crates_stay_in_their_folder() {
    report(&sources(), stray_crates);
}

#[test]
fn pure_code_is_pure() {
    report(&sources(), impurities);
}

#[test]
fn sql_is_in_the_adapter_alone() {
    let sources = sources();
    report(&sources, stray_sql);
    // The rule knows SQL when it sees it.
    let adapter = sources
        .iter()
        .filter(|source| source.folder() == "postgres");
    let seen = adapter
        .flat_map(|source| &source.literals)
        .filter(|literal| is_sql(literal))
        .count();
    assert!(
        seen > 10,
        "only {seen} literals of the adapter look like SQL"
    );
}

#[test]
fn nothing_aborts() {
    report(&sources(), aborts);
}

#[test]
fn files_are_short() {
    report(&sources(), too_long);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap();
        for link in dead_links(&text, |target| folder.join(target).exists()) {
            broken.push(format!("{}: {link}", document.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

// ---- rules ---------------------------------------------------------------------------------------

fn broken_layers(source: &Source) -> Vec<String> {
    let Some(own) = layer(source.folder()) else {
        return Vec::new(); // lib.rs and main.rs put everything together
    };
    let imported = imported_folders(source);
    let sideways = imported.iter().filter(|folder| {
        let allowed = *folder == source.folder()
            || layer(folder).is_none_or(|theirs| theirs < own)
            || (COMPOSITION_ROOTS.contains(&source.path.as_str()) && *folder == "controller");
        !allowed
    });
    sideways
        .map(|folder| format!("imports crate::{folder}, which is not below it"))
        .collect()
}

fn stray_crates(source: &Source) -> Vec<String> {
    let mut found: Vec<_> = CRATES
        .iter()
        .filter(|(name, folder)| {
            source.folder() != *folder && !paths(&source.code, name).is_empty()
        })
        .map(|(name, folder)| format!("uses {name}, which only src/{folder} may"))
        .collect();
    let is_client = |place: &&str| source.path.starts_with(place);
    if !KUBE_CLIENTS.iter().any(is_client) && !COMPOSITION_ROOTS.contains(&source.path.as_str()) {
        let used = paths(&source.code, "kube").into_iter();
        let strays =
            used.filter(|name| source.folder() != "api" || !KUBE_IN_API.contains(&name.as_str()));
        found.extend(strays.map(|name| {
            format!(
                "uses kube::{name}, which only {} may",
                KUBE_CLIENTS[..2].join(" and ")
            )
        }));
    }
    found
}

fn impurities(source: &Source) -> Vec<String> {
    if layer(source.folder()) != Some(0) {
        return Vec::new();
    }
    let found = IMPURE
        .iter()
        .filter(|word| contains_word(&source.code, word));
    found
        .map(|word| format!("is pure and knows {word:?}"))
        .collect()
}

fn stray_sql(source: &Source) -> Vec<String> {
    if source.folder() == "postgres" {
        return Vec::new();
    }
    let literals = source.literals.iter().filter(|literal| is_sql(literal));
    literals
        .map(|literal| format!("holds SQL: {literal:?}"))
        .collect()
}

fn aborts(source: &Source) -> Vec<String> {
    let found = ABORTS
        .iter()
        .filter(|word| contains_word(&source.code, word));
    found
        .map(|word| format!("has {word} outside of tests"))
        .collect()
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.code.lines().count();
    if lines <= LINE_CAP {
        return Vec::new();
    }
    vec![format!("has {lines} lines, more than {LINE_CAP}")]
}

/// A statement that a server could run; key words alone, as in a message, are none.
fn is_sql(literal: &str) -> bool {
    let words: Vec<&str> = literal.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    match words.first().copied() {
        Some("SELECT") => {
            has("FROM")
                || words
                    .get(1)
                    .is_some_and(|word| word.contains("pg_") || word.contains('('))
        }
        Some("INSERT") => has("INTO") && (has("VALUES") || has("SELECT")),
        Some("UPDATE") => has("SET"),
        Some("DELETE") => has("FROM") && words.len() > 2,
        Some("CREATE" | "ALTER" | "DROP") => {
            words.len() > 2
                && (literal.contains('{') || literal.contains('(') || literal.contains('"'))
        }
        Some("BEGIN" | "COMMIT" | "ROLLBACK" | "SET") => literal.contains(';'),
        _ => false,
    }
}

fn layer(folder: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == folder)
        .map(|(_, layer)| *layer)
}

// ---- reading sources -----------------------------------------------------------------------------

/// Every document that readers are sent to.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<_> = ["docs", "charts", "examples"]
        .iter()
        .map(|folder| root().join(folder))
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| files_below(&folder, "md"))
        .collect();
    let top = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    found.extend(top.filter(|path| path.extension().is_some_and(|ext| ext == "md")));
    found
}

/// Targets of Markdown links that are neither addresses nor places within the page, and that `exists`
/// denies.
fn dead_links(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    targets
        .filter(|target| {
            !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:")
        })
        .filter(|target| !exists(target.split('#').next().unwrap_or_default()))
        .map(ToOwned::to_owned)
        .collect()
}

#[track_caller]
fn report(sources: &[Source], rule: fn(&Source) -> Vec<String>) {
    assert!(sources.len() > 20, "the sources were not found");
    let broken: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            let path = &source.path;
            let found = rule(source).into_iter();
            found.map(move |what| format!("src/{path} {what}"))
        })
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
