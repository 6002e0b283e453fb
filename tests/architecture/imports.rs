//! What a source imports.

use std::collections::BTreeSet;

use super::source::Source;

/// Folders of `src/` that the code names, by `crate::` or by enough `super::`.
pub fn imported_folders(source: &Source) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = paths(&source.code, "crate").into_iter().collect();
    // `super` of a file in the root of a folder is the crate.
    let depth = source.path.trim_end_matches("/mod.rs").split('/').count();
    found.extend(paths(&source.code, &vec!["super"; depth].join("::")));
    found
}

/// The names that follow `prefix::` wherever the code has it, those of a `{group}` one by one.
pub fn paths(code: &str, prefix: &str) -> Vec<String> {
    let prefix = format!("{prefix}::");
    let starts = code.match_indices(&prefix).filter(|(at, _)| {
        let before = code[..*at].trim_end_matches(' ');
        !before.ends_with("::") && !code[..*at].ends_with(is_word)
    });
    starts
        .flat_map(|(at, _)| names_at(&code[at + prefix.len()..]))
        .collect()
}

pub fn names_at(code: &str) -> Vec<String> {
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

pub fn first_word(code: &str) -> String {
    code.trim_start()
        .chars()
        .take_while(|c| is_word(*c))
        .collect()
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the code has `needle` not as the end of a longer word.
pub fn contains_word(code: &str, needle: &str) -> bool {
    code.match_indices(needle)
        .any(|(at, _)| !needle.starts_with(is_word) || !code[..at].ends_with(is_word))
}
