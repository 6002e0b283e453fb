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
use std::ops::Range;
use std::path::{Path, PathBuf};

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
            "src/{} is in no layer: add it to the table in tests/architecture.rs",
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

// ---- what a source imports -----------------------------------------------------------------------

/// Folders of `src/` that the code names, by `crate::` or by enough `super::`.
fn imported_folders(source: &Source) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = paths(&source.code, "crate").into_iter().collect();
    // `super` of a file in the root of a folder is the crate.
    let depth = source.path.trim_end_matches("/mod.rs").split('/').count();
    found.extend(paths(&source.code, &vec!["super"; depth].join("::")));
    found
}

/// The names that follow `prefix::` wherever the code has it, those of a `{group}` one by one.
fn paths(code: &str, prefix: &str) -> Vec<String> {
    let prefix = format!("{prefix}::");
    let starts = code.match_indices(&prefix).filter(|(at, _)| {
        let before = code[..*at].trim_end_matches(' ');
        !before.ends_with("::") && !code[..*at].ends_with(is_word)
    });
    starts
        .flat_map(|(at, _)| names_at(&code[at + prefix.len()..]))
        .collect()
}

fn names_at(code: &str) -> Vec<String> {
    let Some(group) = code.trim_start().strip_prefix('{') else {
        return vec![first_word(code)];
    };
    let mut depth = 0;
    let end = group.find(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth < 0
    });
    let mut depth = 0;
    let members = group[..end.unwrap_or(group.len())].split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    members
        .map(first_word)
        .filter(|name| !name.is_empty())
        .collect()
}

fn first_word(code: &str) -> String {
    code.trim_start()
        .chars()
        .take_while(|c| is_word(*c))
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the code has `needle` not as the end of a longer word.
fn contains_word(code: &str, needle: &str) -> bool {
    code.match_indices(needle)
        .any(|(at, _)| !needle.starts_with(is_word) || !code[..at].ends_with(is_word))
}

// ---- reading sources -----------------------------------------------------------------------------

/// One file below `src/`.
struct Source {
    /// Its path below `src/`, with slashes.
    path: String,
    /// Its code: comments and string contents blanked, test modules cut out.
    code: String,
    /// The contents of its string literals, those of test modules not among them.
    literals: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let (blanked, found) = blank(text);
        let tests = test_modules(&blanked);
        let is_test = |at: usize| tests.iter().any(|range| range.contains(&at));
        let code = blanked
            .char_indices()
            .filter(|(at, _)| !is_test(*at))
            .map(|(_, c)| c)
            .collect();
        let literals = found.into_iter().filter(|range| !is_test(range.start));
        Self {
            path: path.to_owned(),
            code,
            literals: literals.map(|range| text[range].to_owned()).collect(),
        }
    }

    /// The folder below `src/`, or the file's own name.
    fn folder(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        match first.strip_suffix(".rs") {
            Some(module) if layer(module).is_some() => module,
            _ => first,
        }
    }
}

/// Sources without their comments, and where string contents are. Line ends and lengths stay.
fn blank(text: &str) -> (String, Vec<Range<usize>>) {
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (length, literal) = token(rest, code.ends_with(is_word));
        match literal {
            Some(content) => {
                literals.push(at + content.start..at + content.end);
                code.push_str(&rest[..content.start]);
                code.push_str(&spaces(&rest[content.clone()]));
                code.push_str(&rest[content.end..length]);
            }
            None if rest.starts_with("//") || rest.starts_with("/*") => {
                code.push_str(&spaces(&rest[..length]));
            }
            None => code.push_str(&rest[..length]),
        }
        at += length;
    }
    (code, literals)
}

/// Length of the comment, literal or character at the start, and where a literal's content is.
fn token(rest: &str, inside_word: bool) -> (usize, Option<Range<usize>>) {
    let one = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), None);
    }
    if let Some(hashes) = raw_string(rest).filter(|_| !inside_word) {
        let start = rest.find('"').unwrap() + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = start + rest[start..].find(&close).unwrap_or(rest.len() - start);
        return (end + close.len(), Some(start..end));
    }
    if let Some(content) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = content.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let end = 1 + end.unwrap_or(content.len() - 1);
        return (end + 1, Some(1..end));
    }
    // A character literal; a lifetime has no second quote so near.
    if rest.starts_with("'\\") {
        return (
            2 + one + rest[3..].find('\'').map_or(0, |end| end + 1),
            None,
        );
    }
    if let Some(c) = rest.strip_prefix('\'').and_then(|rest| rest.chars().next())
        && rest[1 + c.len_utf8()..].starts_with('\'')
    {
        return (2 + c.len_utf8(), None);
    }
    (one, None)
}

/// The number of hashes of a raw string, if one starts here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn spaces(text: &str) -> String {
    let blanked = text
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' });
    blanked.collect()
}

/// Where the modules are that are compiled for tests alone.
fn test_modules(code: &str) -> Vec<Range<usize>> {
    code.match_indices("#[cfg(test)]")
        .filter_map(|(start, _)| {
            let body = start + code[start..].find(['{', ';'])?;
            let mut depth = 0;
            let end = code[body..].find(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            })?;
            Some(start..body + end + 1)
        })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the product, those that hold only tests (`tests.rs` and what is in a folder `tests`) aside.
fn sources() -> Vec<Source> {
    let src = root().join("src");
    let files = files_below(&src, "rs").into_iter();
    files
        .filter(|file| {
            let mut parts = file.strip_prefix(&src).unwrap().iter();
            parts.all(|part| part != "tests" && part != "tests.rs")
        })
        .map(|file| {
            let path = file.strip_prefix(&src).unwrap().to_str().unwrap();
            Source::new(path, &fs::read_to_string(&file).unwrap())
        })
        .collect()
}

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

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|ext| ext == extension) {
            found.push(path);
        }
    }
    found.sort();
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

// ---- the rules seen red --------------------------------------------------------------------------

#[track_caller]
fn check(rule: fn(&Source) -> Vec<String>, path: &str, text: &str, expected: &[&str]) {
    assert_eq!(rule(&Source::new(path, text)), expected, "{path}:\n{text}");
}

#[test]
fn an_import_from_above_or_beside_is_seen() {
    let above = ["imports crate::engine, which is not below it"];
    let beside = ["imports crate::postgres, which is not below it"];
    check(
        broken_layers,
        "migration/plan.rs",
        "use crate::engine::run;",
        &above,
    );
    check(
        broken_layers,
        "migration/plan.rs",
        "fn f() { crate::engine::run() }",
        &above,
    );
    check(
        broken_layers,
        "migration/plan.rs",
        "use super::super::engine::run;",
        &above,
    );
    check(
        broken_layers,
        "migration/mod.rs",
        "use super::engine::run;",
        &above,
    );
    check(
        broken_layers,
        "source/a.rs",
        "use crate::{engine::{a, b}, postgres};",
        &beside,
    );
    check(
        broken_layers,
        "cli/up.rs",
        "use crate::engine; use super::args;",
        &[],
    );
    check(broken_layers, "cli/run.rs", "use crate::controller;", &[]);
    check(
        broken_layers,
        "migration/plan.rs",
        "// crate::engine\nconst X: &str = \"crate::engine\";",
        &[],
    );
    check(
        broken_layers,
        "cli/up.rs",
        "use crate::controller;",
        &["imports crate::controller, which is not below it"],
    );
}

#[test]
fn a_crate_out_of_its_folder_is_seen() {
    let sqlx = ["uses sqlx, which only src/postgres may"];
    check(
        stray_crates,
        "engine/run.rs",
        "use sqlx::PgConnection;",
        &sqlx,
    );
    check(
        stray_crates,
        "postgres/a.rs",
        "use sqlx::PgConnection;",
        &[],
    );
    check(
        stray_crates,
        "api/a.rs",
        "use kube::{CustomResource, KubeSchema};",
        &[],
    );
    check(
        stray_crates,
        "api/a.rs",
        "use kube::Client;",
        &["uses kube::Client, which only controller/ and cli/cluster.rs may"],
    );
    check(stray_crates, "cli/cluster.rs", "use kube::api::Api;", &[]);
    check(
        stray_crates,
        "source/a.rs",
        "use kube::api::Api;",
        &["uses kube::api, which only controller/ and cli/cluster.rs may"],
    );
}

#[test]
fn impurity_sql_aborts_and_length_are_seen() {
    check(
        impurities,
        "api/a.rs",
        "fn f() { Timestamp::now() }",
        &["is pure and knows \"::now(\""],
    );
    check(impurities, "engine/a.rs", "async fn f() {}", &[]);
    check(
        stray_sql,
        "cli/a.rs",
        "let a = \"SELECT 1 FROM t\"; let b = \"DROP INDEX CONCURRENTLY\";",
        &["holds SQL: \"SELECT 1 FROM t\""],
    );
    check(
        stray_sql,
        "cli/a.rs",
        "let a = r#\"DELETE FROM \"t\"\"#;",
        &["holds SQL: \"DELETE FROM \\\"t\\\"\""],
    );
    check(
        aborts,
        "cli/a.rs",
        "fn f() { x.unwrap() }",
        &["has .unwrap() outside of tests"],
    );
    check(
        aborts,
        "cli/a.rs",
        "fn f() { x.unwrap_or(1); dont_panic!() }\n#[cfg(test)]\nmod tests { fn g() { x.unwrap() } }\n",
        &[],
    );
    check(
        too_long,
        "cli/a.rs",
        &"x;\n".repeat(401),
        &["has 401 lines, more than 400"],
    );
    check(
        too_long,
        "cli/a.rs",
        &format!("x;\n#[cfg(test)]\nmod t {{\n{}}}\n", "x;\n".repeat(400)),
        &[],
    );
}

#[test]
fn quotes_and_comments_do_not_confuse() {
    let (code, literals) =
        blank("a('\"', '\\'', b\"x\", 'l) // \"y\"\n/* \"z\" */ c(r\"w\\\", \"\\\"v\")");
    assert_eq!(literals.len(), 3, "{code}");
    assert!(!code.contains(['x', 'y', 'z', 'w', 'v']), "{code}");
}

#[test]
fn a_dead_link_is_seen() {
    let text = "[a](here.md) [b](gone.md#x) [c](https://x.y) [d](#here)";
    assert_eq!(
        dead_links(text, |target| target == "here.md"),
        ["gone.md#x"]
    );
}
