//! Reading sources: code without comments and tests, and what its string literals say.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::imports::is_word;
use super::layer;

/// One file below `src/`.
pub struct Source {
    /// Its path below `src/`, with slashes.
    pub path: String,
    /// Its code: comments and string contents blanked, test modules cut out.
    pub code: String,
    /// The contents of its string literals, those of test modules not among them.
    pub literals: Vec<String>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
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
    pub fn folder(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        match first.strip_suffix(".rs") {
            Some(module) if layer(module).is_some() => module,
            _ => first,
        }
    }
}

/// Sources without their comments, and where string contents are. Line ends and lengths stay.
pub fn blank(text: &str) -> (String, Vec<Range<usize>>) {
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

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the product, those that hold only tests (`tests.rs` and what is in a folder `tests`) aside.
pub fn sources() -> Vec<Source> {
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

pub fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
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
