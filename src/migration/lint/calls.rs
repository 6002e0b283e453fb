//! Calls of functions: one may do anything, but for those of PostgreSQL that are well known.

use super::super::lexer::Kind;
use super::words::Word;

/// Before a parenthesis, no functions but parts of the grammar, or names of types.
const GRAMMAR: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "bit",
    "by",
    "case",
    "char",
    "character",
    "conflict",
    "cube",
    "decimal",
    "distinct",
    "else",
    "except",
    "exists",
    "filter",
    "for",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "intersect",
    "interval",
    "is",
    "lateral",
    "like",
    "limit",
    "materialized",
    "not",
    "numeric",
    "offset",
    "on",
    "or",
    "over",
    "returning",
    "rollup",
    "row",
    "select",
    "set",
    "sets",
    "some",
    "then",
    "time",
    "timestamp",
    "union",
    "using",
    "values",
    "varbit",
    "varchar",
    "varying",
    "when",
    "where",
    "with",
];

/// Functions of PostgreSQL that read nothing but what they are given, the clock or a sequence, and change no table.
const HARMLESS: &[&str] = &[
    "abs",
    "age",
    "array_agg",
    "array_append",
    "array_length",
    "array_remove",
    "array_to_string",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "cast",
    "ceil",
    "ceiling",
    "char_length",
    "clock_timestamp",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "current_database",
    "current_schema",
    "currval",
    "date_part",
    "date_trunc",
    "decode",
    "dense_rank",
    "encode",
    "extract",
    "first_value",
    "floor",
    "format",
    "gen_random_uuid",
    "generate_series",
    "greatest",
    "initcap",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_set",
    "jsonb_strip_nulls",
    "jsonb_typeof",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "max",
    "md5",
    "min",
    "mod",
    "nextval",
    "now",
    "nullif",
    "overlay",
    "pg_get_serial_sequence",
    "pg_sleep",
    "position",
    "power",
    "random",
    "rank",
    "regexp_replace",
    "repeat",
    "replace",
    "right",
    "round",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "sha256",
    "split_part",
    "sqrt",
    "statement_timestamp",
    "string_agg",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "sum",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_regclass",
    "to_timestamp",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "unnest",
    "upper",
];

/// The worst of what is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Called {
    /// Nothing that matters.
    Nothing,
    /// A setting of the session.
    Setting,
    /// The place of a sequence.
    Sequence,
    /// Something that is not known here.
    Unknown,
}

/// What the words call.
pub(super) fn called(words: &[Word<'_>]) -> Called {
    let calls = words.windows(2).enumerate().filter(|(_, pair)| {
        pair[1].is_mark("(") && matches!(pair[0].token.kind, Kind::Word | Kind::QuotedIdentifier)
    });
    calls
        .map(|(at, _)| one(words, at))
        .max()
        .unwrap_or(Called::Nothing)
}

/// The call of the function whose name's last part is at `at`.
fn one(words: &[Word<'_>], at: usize) -> Called {
    let mut start = at;
    while start >= 2 && words[start - 1].is_mark(".") {
        start -= 2;
    }
    // A relation or an alias, with the names of its columns.
    let named = ["AS", "INTO", "WITH", "RECURSIVE", "COPY"];
    let is_named = start > 0 && named.iter().any(|word| words[start - 1].is(word));
    let name = &words[at];
    if is_named || start == at && GRAMMAR.iter().any(|word| name.is(word)) {
        return Called::Nothing;
    }
    // In another schema, it is somebody's own.
    let is_builtin = start == at || start + 2 == at && words[start].is("pg_catalog");
    if is_builtin && HARMLESS.iter().any(|word| name.is(word)) {
        Called::Nothing
    } else if is_builtin && name.is("set_config") {
        Called::Setting
    } else if is_builtin && name.is("setval") {
        Called::Sequence
    } else {
        Called::Unknown
    }
}
