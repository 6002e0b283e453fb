//! What a statement outside of a transaction acts on, read from its words: what the catalog has to be asked for.

use std::borrow::Cow;

use super::classify::identifier;
use super::lexer::{Kind, Token, Tokens};
use super::statement::NonTransactional;

/// What a statement acts on. Names of relations stand as the script writes them, quotes included, so that the server
/// resolves them; other names are as the catalog has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// `CREATE INDEX CONCURRENTLY`
    CreateIndex {
        /// The index, as the catalog has it; `None`: the server chooses a name.
        name: Option<String>,
        /// Its table.
        table: String,
        /// Whether it is UNIQUE.
        unique: bool,
    },
    /// `DROP INDEX CONCURRENTLY`
    DropIndex {
        /// The index.
        index: String,
    },
    /// `REINDEX … CONCURRENTLY`
    Reindex(Scope),
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`
    DetachPartition {
        /// The partitioned table.
        parent: String,
        /// The partition.
        partition: String,
    },
    /// CREATE or DROP of something that is not in a schema.
    Object {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// Whether it is created.
        creates: bool,
    },
    /// Running it twice is as good as once.
    Repeatable,
    /// The catalog does not tell whether it was done.
    Unknown,
}

/// What a REINDEX covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One index.
    Index(String),
    /// The indexes of one table.
    Table(String),
    /// Those of a schema, as the catalog has its name.
    Schema(String),
    /// Those of the database.
    Database,
}

/// Objects that are not in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A database.
    Database,
    /// A tablespace.
    Tablespace,
    /// A subscription.
    Subscription,
}

impl Subject {
    /// What the statement `sql` of this class acts on. What cannot be read is [`Subject::Unknown`].
    #[must_use]
    pub fn of(class: NonTransactional, sql: &str) -> Self {
        let mut reader = Reader::new(sql);
        read(class, &mut reader).unwrap_or(Self::Unknown)
    }
}

fn read(class: NonTransactional, reader: &mut Reader<'_>) -> Option<Subject> {
    Some(match class {
        NonTransactional::CreateIndexConcurrently => {
            reader.require("create")?;
            let unique = reader.skip("unique");
            reader.skip_all(&["index", "concurrently", "if", "not", "exists"]);
            let name = if reader.is("on") {
                None
            } else {
                Some(reader.name()?)
            };
            reader.require("on")?;
            reader.skip("only");
            Subject::CreateIndex {
                name,
                table: reader.relation()?,
                unique,
            }
        }
        NonTransactional::DropIndexConcurrently => {
            reader.skip_all(&["drop", "index", "concurrently", "if", "exists"]);
            Subject::DropIndex {
                index: reader.relation()?,
            }
        }
        NonTransactional::ReindexConcurrently => Subject::Reindex(reindexed(reader)?),
        NonTransactional::DetachPartitionConcurrently => {
            reader.skip_all(&["alter", "table", "if", "exists", "only"]);
            let parent = reader.relation()?;
            reader.skip("*");
            reader.require("detach")?;
            reader.require("partition")?;
            Subject::DetachPartition {
                parent,
                partition: reader.relation()?,
            }
        }
        NonTransactional::CreateDatabase | NonTransactional::DropDatabase => {
            object(reader, ObjectKind::Database)?
        }
        NonTransactional::CreateTablespace | NonTransactional::DropTablespace => {
            object(reader, ObjectKind::Tablespace)?
        }
        NonTransactional::CreateSubscription | NonTransactional::DropSubscription => {
            object(reader, ObjectKind::Subscription)?
        }
        NonTransactional::AlterSubscription => altered_subscription(reader)?,
        NonTransactional::Reindex
        | NonTransactional::Vacuum
        | NonTransactional::ClusterAll
        | NonTransactional::AlterDatabaseSetTablespace
        | NonTransactional::AlterSystem => Subject::Repeatable,
    })
}

/// `REINDEX [(…)] {INDEX | TABLE | SCHEMA | DATABASE | SYSTEM} [CONCURRENTLY] [name]`
fn reindexed(reader: &mut Reader<'_>) -> Option<Scope> {
    reader.require("reindex")?;
    reader.skip_parentheses();
    let what = reader.word()?;
    reader.skip("concurrently");
    Some(match what.as_str() {
        "index" => Scope::Index(reader.relation()?),
        "table" => Scope::Table(reader.relation()?),
        "schema" => Scope::Schema(reader.name()?),
        _ => Scope::Database,
    })
}

/// `{CREATE | DROP} kind [IF EXISTS] name`
fn object(reader: &mut Reader<'_>, kind: ObjectKind) -> Option<Subject> {
    let creates = reader.word()? == "create";
    reader.word()?;
    if !creates {
        reader.skip_all(&["if", "exists"]);
    }
    Some(Subject::Object {
        kind,
        name: reader.name()?,
        creates,
    })
}

/// A refresh, and settings, are the same the second time; adding a publication twice is an error.
fn altered_subscription(reader: &mut Reader<'_>) -> Option<Subject> {
    reader.skip_all(&["alter", "subscription"]);
    reader.name()?;
    Some(if reader.is("refresh") || reader.is("set") {
        Subject::Repeatable
    } else {
        Subject::Unknown
    })
}

/// Reads a statement word by word.
pub(super) struct Reader<'a> {
    tokens: std::iter::Peekable<Tokens<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self {
            tokens: Tokens::new(sql).peekable(),
        }
    }

    pub(super) fn is(&mut self, word: &str) -> bool {
        self.tokens
            .peek()
            .is_some_and(|token| token.is(word) || token.text == word)
    }

    pub(super) fn skip(&mut self, word: &str) -> bool {
        let found = self.is(word);
        if found {
            self.tokens.next();
        }
        found
    }

    /// Skips those of these words that stand here, in this order.
    pub(super) fn skip_all(&mut self, words: &[&str]) {
        for word in words {
            self.skip(word);
        }
    }

    pub(super) fn require(&mut self, word: &str) -> Option<()> {
        self.skip(word).then_some(())
    }

    /// A keyword, in lower case.
    pub(super) fn word(&mut self) -> Option<String> {
        let token = self.tokens.next()?;
        (token.kind == Kind::Word).then(|| token.text.to_ascii_lowercase())
    }

    fn skip_parentheses(&mut self) {
        if !self
            .tokens
            .peek()
            .is_some_and(|token| token.kind == Kind::OpenParenthesis)
        {
            return;
        }
        let mut depth = 0_usize;
        for token in self.tokens.by_ref() {
            match token.kind {
                Kind::OpenParenthesis => depth += 1,
                Kind::CloseParenthesis => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A name as the catalog has it.
    pub(super) fn name(&mut self) -> Option<String> {
        let token = self.tokens.next()?;
        identifier(&token).map(Cow::into_owned)
    }

    /// A name as the script writes it, with its schema.
    pub(super) fn relation(&mut self) -> Option<String> {
        let mut text = self.identifier()?;
        while self.skip(".") {
            text.push('.');
            text.push_str(&self.identifier()?);
        }
        Some(text)
    }

    fn identifier(&mut self) -> Option<String> {
        let token: Token<'_> = self.tokens.next()?;
        // U&"…" is read by the server's lexer alone.
        identifier(&token).map(|_| token.text.to_owned())
    }
}

#[cfg(test)]
mod tests;
