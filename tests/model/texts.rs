//! The scripts of the model, and how a simulated database reads them.
//!
//! Every statement leaves a mark that nothing protects against coming twice, as an INSERT without a
//! key would: what runs twice is seen.

use std::sync::LazyLock;

use schemaward::engine::database::Texts;
use schemaward::migration::catalog::SourceFile;
use schemaward::migration::checksum::Checksum;
use schemaward::migration::script::Script;
use schemaward::migration::version::Version;

/// The highest version that the model knows.
pub const VERSIONS: usize = 12;
/// Statements in a script.
pub const STATEMENTS: usize = 3;
/// How many different texts a version can have.
pub const VARIANTS: usize = 10;
/// The text that everybody means.
pub const PLAIN: usize = 0;
/// A changed one.
pub const CHANGED: usize = 1;
/// Its statement in the middle makes an index outside of a transaction, its DOWN drops it so.
pub const INDEX: usize = 2;
/// Its statement in the middle runs outside of a transaction, and no catalog tells whether it is done.
pub const UNPROVABLE: usize = 3;
/// Its statement in the middle runs outside of a transaction, and twice is as good as once.
pub const REPEATABLE: usize = 4;
/// Its statement in the middle builds an index anew outside of a transaction.
pub const REINDEX: usize = 5;
/// Its statement in the middle detaches a partition outside of a transaction; its DOWN is a transaction.
pub const DETACH: usize = 6;
/// Its statement in the middle ends the transaction that it runs in; its DOWN is a transaction.
pub const ESCAPES: usize = 7;
/// Takes moments, so that the disk may have it later, with the next one.
pub const BRIEF: usize = 8;
/// Is about new tables alone, so that the next one may be sent along with it.
pub const ALONG: usize = 9;

/// Whether the statement in the middle is as good twice.
pub fn may_run_twice(variant: usize) -> bool {
    matches!(variant, REPEATABLE | REINDEX)
}

/// The place of the statement that may run outside of a transaction.
pub const MIDDLE: usize = 1;

/// What a statement does to the marks of its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The version whose script it is, from 1.
    pub number: usize,
    /// Which statement of the script, from 0.
    pub statement: usize,
    /// Which text of the version.
    pub variant: usize,
    /// One more, or one less.
    pub change: i8,
}

fn script(verb: &str, number: usize, variant: usize, middle: Option<&str>) -> String {
    let statements = (0..STATEMENTS).map(|place| match middle {
        Some(middle) if place == MIDDLE => middle.to_owned(),
        None if verb == NEW_TABLE => {
            format!("{verb} t{number}_{place} (a text DEFAULT '{number}.{place}.{variant}')")
        }
        _ => format!("{verb} '{number}.{place}.{variant}'"),
    });
    statements.map(|statement| statement + ";\n").collect()
}

const NEW_TABLE: &str = "CREATE TABLE";

/// The UP of a version.
pub fn up(number: usize, variant: usize) -> String {
    let middle = match variant {
        INDEX => Some(format!("CREATE INDEX CONCURRENTLY i{number} ON t (a)")),
        UNPROVABLE => Some(format!("ALTER SUBSCRIPTION s ADD PUBLICATION p{number}")),
        REPEATABLE => Some("VACUUM t".to_owned()),
        REINDEX => Some(format!("REINDEX INDEX CONCURRENTLY i{number}")),
        DETACH => Some(format!(
            "ALTER TABLE t DETACH PARTITION p{number} CONCURRENTLY"
        )),
        ESCAPES => Some(format!("CALL leave('{number}.{MIDDLE}.{variant}')")),
        _ => None,
    };
    let verb = match variant {
        BRIEF => "COMMENT ON TABLE marks IS",
        ALONG => NEW_TABLE,
        _ => "INSERT INTO marks SELECT",
    };
    script(verb, number, variant, middle.as_deref())
}

/// The DOWN of a version.
pub fn down(number: usize, variant: usize) -> String {
    let middle = match variant {
        INDEX => Some(format!("DROP INDEX CONCURRENTLY i{number}")),
        UNPROVABLE => Some(format!("ALTER SUBSCRIPTION s DROP PUBLICATION p{number}")),
        REPEATABLE => Some("VACUUM t".to_owned()),
        REINDEX => Some(format!("REINDEX INDEX CONCURRENTLY i{number}")),
        _ => None,
    };
    script(
        "DELETE FROM marks WHERE mark =",
        number,
        variant,
        middle.as_deref(),
    )
}

/// Reads one statement of a script.
pub fn mark(statement: &str) -> Mark {
    let mut parts = statement
        .split('\'')
        .nth(1)
        .expect("a quoted mark")
        .split('.')
        .map(|digits| digits.parse::<usize>().expect("a number"));
    let mut next = || parts.next().expect("three numbers");
    Mark {
        number: next(),
        statement: next(),
        variant: next(),
        change: if statement.starts_with("DELETE") {
            -1
        } else {
            1
        },
    }
}

/// The number of a version, however it is spelled.
pub fn number(version: &Version) -> usize {
    version.as_str().parse().expect("a small number")
}

/// A version with so many zeros in front.
pub fn version(number: usize, zeros: u8) -> Version {
    let text = format!("{}{number}", "0".repeat(usize::from(zeros)));
    Version::parse(&text).expect("digits")
}

/// The zeros in front of a version.
pub fn zeros(version: &Version) -> u8 {
    let text = version.as_str();
    let digits = text.trim_start_matches('0').len();
    u8::try_from(text.len() - digits).expect("few zeros")
}

/// Which text of a version these are.
pub fn variant(texts: &Texts) -> usize {
    let up = std::str::from_utf8(&texts.up).expect("UTF-8");
    mark(up).variant
}

/// The checksums of all texts: of the UP and of the DOWN.
static CHECKSUMS: LazyLock<Vec<[[Checksum; 2]; VARIANTS]>> = LazyLock::new(|| {
    (0..=VERSIONS)
        .map(|number| {
            std::array::from_fn(|variant| {
                [up(number, variant), down(number, variant)]
                    .map(|text| Checksum::of(text.as_bytes()))
            })
        })
        .collect()
});

/// The checksum of an UP.
pub fn up_checksum(number: usize, variant: usize) -> Checksum {
    CHECKSUMS[number][variant][0]
}

/// The checksum of an UP as the ledger writes it; made once, because it is read again and again.
pub fn up_checksum_text(number: usize, variant: usize) -> String {
    static TEXTS: LazyLock<Vec<[String; VARIANTS]>> = LazyLock::new(|| {
        (0..=VERSIONS)
            .map(|number| std::array::from_fn(|variant| up_checksum(number, variant).to_string()))
            .collect()
    });
    TEXTS[number][variant].clone()
}

/// What the journal has of a script that ended its transaction by itself.
pub fn whole_checksum(number: usize, variant: usize) -> Checksum {
    let text = up(number, variant);
    let script = Script::parse(text.as_bytes(), "schema_migrations").expect("a script");
    script.checksum_of(0..STATEMENTS)
}

/// The checksum of a DOWN.
pub fn down_checksum(number: usize, variant: usize) -> Checksum {
    CHECKSUMS[number][variant][1]
}

/// What the journal has of the first two statements of a script.
pub fn journal_checksums(number: usize, variant: usize, is_down: bool) -> [Checksum; 2] {
    type Table = Vec<[[[Checksum; 2]; 2]; VARIANTS]>;
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let of = |text: String| {
            let script = Script::parse(text.as_bytes(), "schema_migrations").expect("a script");
            [0, 1].map(|place| script.checksum_of(place..place + 1))
        };
        (0..=VERSIONS)
            .map(|number| {
                std::array::from_fn(|variant| [of(up(number, variant)), of(down(number, variant))])
            })
            .collect()
    });
    TABLE[number][variant][usize::from(is_down)]
}

/// The files of a version.
pub fn files(number: usize, zeros: u8, variant: usize, with_down: bool) -> Vec<SourceFile> {
    let version = version(number, zeros);
    let file = |way: &str, text: String| SourceFile {
        name: format!("{version}_v_{way}.sql"),
        bytes: text.into_bytes(),
    };
    let mut files = vec![file("UP", up(number, variant))];
    if with_down {
        files.push(file("DOWN", down(number, variant)));
    }
    files
}
