//! Twice the text takes twice the time, however it nests: measured as time on the processor, which a
//! busy machine does not change, and as a ratio of two sizes, which a slow one does not.

use std::fs;

use schemaward::migration::file_name::parse_file_name;
use schemaward::migration::lint::{Role, judge};
use schemaward::migration::script::Script;

/// What is repeated to make a text.
const PIECES: &[&str] = &[
    "(",
    "(;",
    "/*",
    "/*/",
    "*/",
    "$a$$b$",
    "$",
    "$a",
    "'",
    "E'\\'\n'",
    "E'a'\n'b'\u{feff}",
    "\u{feff}",
    "\"",
    "\\\n",
    "--\r",
    "create function f() begin atomic ",
    "create function f() begin atomic case end; end;",
    "copy t from stdin;\n",
    "begin;",
    "commit;",
    "1e$",
    "vacuum;",
    "insert into schema_migrations;",
    "\u{301}",
    ";",
];

/// Sizes in bytes: the second is eight times the first.
const SIZES: [usize; 2] = [128 * 1024, 1024 * 1024];
/// Eight is linear, 64 quadratic.
const MOST: f64 = 24.0;

/// What is too short to be told apart, in nanoseconds: the kernel counts in ticks.
const TICKS: f64 = 1e7;

/// Nanoseconds that this thread had a processor.
fn processor_time() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let first = text.split(' ').next().expect("three numbers");
    first.parse().expect("nanoseconds")
}

/// The least time of a few, because caches and the kernel take theirs now and then.
fn least_time(work: impl Fn()) -> f64 {
    let times = (0..3).map(|_| {
        let before = processor_time();
        work();
        processor_time() - before
    });
    times.fold(f64::INFINITY, f64::min)
}

fn assert_linear(what: &str, work: impl Fn(usize)) {
    let [small, large] = SIZES.map(|size| least_time(|| work(size)));
    let ratio = large / small.max(TICKS);
    assert!(
        ratio <= MOST,
        "{what}: eight times the text takes {ratio:.1} times the time ({small:.0} and {large:.0} ns)"
    );
}

fn read(text: &str) {
    let _ = Script::parse(text.as_bytes(), "schema_migrations");
}

#[test]
fn time_grows_with_the_text_and_no_faster() {
    for piece in PIECES {
        assert_linear(&format!("{piece:?}"), |size| {
            read(&piece.repeat(size / piece.len()));
        });
    }
}

/// No two of them end each other.
#[test]
fn many_tags_of_dollar_quotes_take_no_longer() {
    let tags = |size: usize, end: &str| {
        let tags: Vec<String> = (0..size / 8)
            .map(|number| format!("$t{number}{end}"))
            .collect();
        tags.concat()
    };
    assert_linear("tags", |size| read(&tags(size, "$ ")));
    assert_linear("tags that are left open", |size| read(&tags(size, " ")));
}

#[test]
fn long_names_take_no_longer() {
    assert_linear("a name of zeros", |size| {
        let _ = parse_file_name(&format!("{}_a_UP.sql", "0".repeat(size)));
    });
    assert_linear("a name of words", |size| {
        let _ = parse_file_name(&format!("1_{}.sql", "_UP".repeat(size / 3)));
    });
}

/// The sizes of the issue; unoptimised they take a while.
#[test]
fn fifty_megabytes_of_parentheses_and_a_million_comments_get_an_answer() {
    let parentheses = "(".repeat(50 * 1024 * 1024);
    let defects = Script::parse(parentheses.as_bytes(), "schema_migrations").expect_err("open");
    assert_eq!(
        defects[0].to_string(),
        "line 1, column 1: a parenthesis starts here and is never closed"
    );
    let comments = "/*".repeat(1_000_000);
    let defects = Script::parse(comments.as_bytes(), "schema_migrations").expect_err("open");
    assert_eq!(
        defects[0].to_string(),
        "line 1, column 1: a comment starts here and is never closed"
    );
}

/// Waivers, wherever they stand: each belongs to a statement, and that is looked for.
#[test]
fn time_to_lint_grows_with_the_waivers_and_no_faster() {
    for piece in [
        "/* schemaward: allow drop-cascade because it is */",
        "-- schemaward: allow drop-cascade because it is\n",
        "SELECT 1; /* squawk-ignore ban-drop-table -- it is */",
        "-- schemaward: allow-in-file drop-cascade, no, nor because\n",
    ] {
        assert_linear(&format!("waivers {piece:?}"), |size| {
            let text = format!("DROP TABLE a;{}", piece.repeat(size / piece.len()));
            let script = Script::parse(text.as_bytes(), "schema_migrations").expect("a script");
            let _ = judge(&script, Role::Down);
        });
    }
}
