//! What one statement means for the way it is run. Decided on its words, as PostgreSQL's grammar (`gram.y`) orders
//! them; which commands are refused in a transaction block is `PreventInTransactionBlock` in its sources.

use std::borrow::Cow;

use super::lexer::{Kind, Token, Tokens};
use super::statement::{NonTransactional, Refusal, StatementClass};
use super::subject::Subject;

use NonTransactional as Nt;
use StatementClass::{Refused, TransactionControl, Transactional};

/// How many words decide for most statements.
const HEAD: usize = 6;

/// Classifies one statement, given without its `;`.
pub(super) fn classify(sql: &str) -> StatementClass {
    if is_about_rows(sql) {
        return Transactional;
    }
    let head = words(Tokens::new(sql).take(HEAD));
    let non_transactional = match borrowed(&head).as_slice() {
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => {
            return Transactional;
        }
        // A prepared statement may bear the name "transaction".
        ["PREPARE", "TRANSACTION", "AS" | "(", ..] => return Transactional,
        ["BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "ABORT", ..]
        | ["START" | "PREPARE", "TRANSACTION", ..] => return TransactionControl,
        ["DISCARD", "ALL", ..] => return Refused(Refusal::DiscardAll),
        ["COPY", ..] => return copy(sql),
        ["SET", "SESSION" | "LOCAL", setting @ ..] | ["SET", setting @ ..]
            if changes_reading(setting) =>
        {
            return Refused(Refusal::ReaderSetting);
        }
        ["CREATE", "INDEX", "CONCURRENTLY", ..]
        | ["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", ..] => Some(Nt::CreateIndexConcurrently),
        ["DROP", "INDEX", "CONCURRENTLY", ..] => Some(Nt::DropIndexConcurrently),
        ["REINDEX", ..] => reindex(sql),
        ["VACUUM", ..] => Some(Nt::Vacuum),
        ["CLUSTER", ..] => cluster(sql),
        ["ALTER", "TABLE", ..] => detach_partition(sql),
        ["CREATE", "DATABASE", ..] => Some(Nt::CreateDatabase),
        ["DROP", "DATABASE", ..] => Some(Nt::DropDatabase),
        ["ALTER", "DATABASE", _, "SET", "TABLESPACE", ..] => Some(Nt::AlterDatabaseSetTablespace),
        ["CREATE", "TABLESPACE", ..] => Some(Nt::CreateTablespace),
        ["DROP", "TABLESPACE", ..] => Some(Nt::DropTablespace),
        ["ALTER", "SYSTEM", ..] => Some(Nt::AlterSystem),
        ["CREATE", "SUBSCRIPTION", ..] => create_subscription(sql),
        ["ALTER", "SUBSCRIPTION", _, action @ ..] => alter_subscription(sql, action),
        ["DROP", "SUBSCRIPTION", ..] => Some(Nt::DropSubscription),
        _ => None,
    };
    match non_transactional {
        None => Transactional,
        Some(class) if hides_its_subject(class, sql) => Refused(Refusal::UnicodeName),
        Some(class) => StatementClass::NonTransactional(class),
    }
}

/// Whether the first word tells already that it is nothing else; of such statements long scripts are made.
fn is_about_rows(sql: &str) -> bool {
    let first = Tokens::new(sql).next();
    first.is_some_and(|word| {
        ["insert", "update", "delete"]
            .iter()
            .any(|verb| word.is(verb))
    })
}

/// Whether a statement that can leave something behind names it in a way that only the server's lexer reads.
fn hides_its_subject(class: Nt, sql: &str) -> bool {
    let leaves_behind = matches!(
        class,
        Nt::CreateIndexConcurrently
            | Nt::DropIndexConcurrently
            | Nt::ReindexConcurrently
            | Nt::DetachPartitionConcurrently
    );
    let is_unicode_name = |token: Token<'_>| {
        let start = token.text.get(..3);
        start.is_some_and(|start| start.eq_ignore_ascii_case("u&\""))
    };
    leaves_behind
        && Subject::of(class, sql) == Subject::Unknown
        && Tokens::new(sql).any(is_unicode_name)
}

/// Whether a statement is the file's own record in the ledger: INSERT INTO or DELETE FROM that table, in any schema.
pub(super) fn is_self_record(sql: &str, ledger_table: &str) -> bool {
    let mut tokens = Tokens::new(sql);
    let verb = tokens.next().zip(tokens.next());
    let is_verb = verb.is_some_and(|(first, second)| {
        first.is("insert") && second.is("into") || first.is("delete") && second.is("from")
    });
    let mut tokens = tokens.skip_while(|token| token.is("only"));
    let Some(mut name) = tokens.next().filter(|_| is_verb) else {
        return false;
    };
    if let Some(dot) = tokens.next()
        && dot.text == "."
    {
        let Some(table) = tokens.next() else {
            return false;
        };
        name = table;
    }
    identifier(&name).is_some_and(|name| name == ledger_table)
}

/// Whether a statement sets something for the rest of the session, so that a new session has to be told it again.
pub(super) fn is_session_setting(sql: &str) -> bool {
    let head = words(Tokens::new(sql).take(2));
    match borrowed(&head).as_slice() {
        ["SET", "LOCAL" | "TRANSACTION" | "CONSTRAINTS"] => false,
        [verb, _] => matches!(*verb, "SET" | "RESET"),
        _ => false,
    }
}

/// The name that an identifier stands for: folded to lower case unless quoted.
pub(super) fn identifier<'a>(token: &Token<'a>) -> Option<Cow<'a, str>> {
    match token.kind {
        Kind::Word => Some(Cow::Owned(token.text.to_ascii_lowercase())),
        Kind::QuotedIdentifier => {
            let name = token.text.strip_prefix('"')?.strip_suffix('"')?;
            Some(if name.contains('"') {
                Cow::Owned(name.replace("\"\"", "\""))
            } else {
                Cow::Borrowed(name)
            })
        }
        _ => None,
    }
}

/// The leading words of a statement, upper case, as a message quotes them: no literals and no names.
pub(super) fn leading_words(sql: &str) -> String {
    let head: Vec<Token<'_>> = Tokens::new(sql)
        .take(HEAD)
        .take_while(|token| token.kind == Kind::Word)
        .collect();
    words(head.into_iter()).join(" ")
}

/// Tokens as comparable texts: unquoted words in upper case, all else as it stands.
pub(super) fn words<'a>(tokens: impl Iterator<Item = Token<'a>>) -> Vec<Cow<'a, str>> {
    tokens
        .map(|token| match token.kind {
            Kind::Word => Cow::Owned(token.text.to_ascii_uppercase()),
            _ => Cow::Borrowed(token.text),
        })
        .collect()
}

fn borrowed<'a>(words: &'a [Cow<'a, str>]) -> Vec<&'a str> {
    words.iter().map(AsRef::as_ref).collect()
}

/// The words of a statement outside of parentheses.
pub(super) fn outer_words(sql: &str) -> Vec<Cow<'_, str>> {
    let mut depth = 0_usize;
    words(Tokens::new(sql).filter(move |token| {
        match token.kind {
            Kind::OpenParenthesis => depth += 1,
            Kind::CloseParenthesis => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    }))
}

/// `COPY … FROM STDIN` and `TO STDOUT`; the grammar takes either word on both sides.
fn copy(sql: &str) -> StatementClass {
    let words = outer_words(sql);
    let has = |direction: &str| {
        words
            .windows(2)
            .any(|pair| pair[0] == direction && matches!(&*pair[1], "STDIN" | "STDOUT"))
    };
    if has("FROM") {
        Refused(Refusal::CopyFromStdin)
    } else if has("TO") {
        Refused(Refusal::CopyToStdout)
    } else {
        Transactional
    }
}

/// Whether a SET changes how the text after it is read. The values that every session has anyway, as `pg_dump`
/// writes them, change nothing.
fn changes_reading(setting: &[&str]) -> bool {
    let (name, value) = match setting {
        ["NAMES", value @ ..] => ("client_encoding".to_owned(), value),
        [name, "=" | "TO", value @ ..] => (name.trim_matches('"').to_ascii_lowercase(), value),
        _ => return false,
    };
    let value = value.concat().trim_matches('\'').to_ascii_lowercase();
    let same: &[&str] = match name.as_str() {
        "standard_conforming_strings" => &["on", "true", "yes", "1", "default"],
        "client_encoding" => &["utf8", "utf-8", "unicode", "default", ""],
        "backslash_quote" => &["safe_encoding", "default"],
        _ => return false,
    };
    !same.contains(&value.as_str())
}

/// `REINDEX [(options)] {INDEX | TABLE | SCHEMA | DATABASE | SYSTEM} [CONCURRENTLY] [name]`
fn reindex(sql: &str) -> Option<Nt> {
    let outer = outer_words(sql);
    let concurrently = match borrowed(&outer).as_slice() {
        ["REINDEX", _, "CONCURRENTLY", ..] => true,
        _ => option(sql, "REINDEX", "CONCURRENTLY").unwrap_or(false),
    };
    match outer.get(1).map(AsRef::as_ref) {
        _ if concurrently => Some(Nt::ReindexConcurrently),
        Some("SCHEMA" | "DATABASE" | "SYSTEM") => Some(Nt::Reindex),
        _ => None,
    }
}

/// `CLUSTER` without a table, with or without VERBOSE.
fn cluster(sql: &str) -> Option<Nt> {
    matches!(
        borrowed(&outer_words(sql)).as_slice(),
        ["CLUSTER"] | ["CLUSTER", "VERBOSE"]
    )
    .then_some(Nt::ClusterAll)
}

/// `ALTER TABLE … DETACH PARTITION name CONCURRENTLY`; FINALIZE may stand in a transaction.
fn detach_partition(sql: &str) -> Option<Nt> {
    let words = outer_words(sql);
    let detaches = words
        .windows(2)
        .any(|pair| pair[0] == "DETACH" && pair[1] == "PARTITION");
    (detaches && words.last().is_some_and(|word| word == "CONCURRENTLY"))
        .then_some(Nt::DetachPartitionConcurrently)
}

/// `CREATE SUBSCRIPTION` makes a replication slot unless told otherwise.
fn create_subscription(sql: &str) -> Option<Nt> {
    let off = |name| option(sql, "WITH", name) == Some(false);
    (!off("CONNECT") && !off("CREATE_SLOT")).then_some(Nt::CreateSubscription)
}

/// `ALTER SUBSCRIPTION` with a refresh of its tables, and the two settings that the publisher must hear of.
fn alter_subscription(sql: &str, action: &[&str]) -> Option<Nt> {
    let outside = match action {
        ["REFRESH", ..] => true,
        ["SET" | "ADD" | "DROP", "PUBLICATION", ..] => {
            option(sql, "WITH", "REFRESH") != Some(false)
        }
        ["SET", "(", ..] => ["FAILOVER", "TWO_PHASE"]
            .iter()
            .any(|name| option(sql, "SET", name).is_some()),
        _ => false,
    };
    outside.then_some(Nt::AlterSubscription)
}

/// The value of a boolean option in the parentheses that follow `keyword`; true when it is named without a value
/// (`defGetBoolean`).
fn option(sql: &str, keyword: &str, name: &str) -> Option<bool> {
    let words = words(Tokens::new(sql));
    let words = borrowed(&words);
    let open = words.windows(2).position(|pair| pair == [keyword, "("])?;
    let list = &words[open + 2..];
    let list = &list[..list
        .iter()
        .position(|word| *word == ")")
        .unwrap_or(list.len())];
    list.split(|word| *word == ",")
        .rev()
        .find_map(|entry| match entry {
            [option, value @ ..] if option.trim_matches('"').eq_ignore_ascii_case(name) => {
                let value = value.iter().rfind(|word| **word != "=").unwrap_or(&"TRUE");
                Some(!matches!(
                    value.trim_matches('\'').to_ascii_uppercase().as_str(),
                    "FALSE" | "OFF" | "0"
                ))
            }
            _ => None,
        })
}

mod record;

pub(super) use record::{is_plain_record, recorded};

#[cfg(test)]
mod tests;
