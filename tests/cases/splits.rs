//! Scripts and their statements. The unit tests hold our splitter to them, the integration tests the servers.

/// Each row: a script, and the texts of its statements.
pub const SPLITS: &[(&str, &[&str])] = &[
    ("", &[]),
    (" \r\n\t ", &[]),
    (";;;", &[]),
    ("-- only a comment", &[]),
    ("/* a */ -- b\n;", &[]),
    ("select 1", &["select 1"]),
    ("select 1;", &["select 1"]),
    ("select 1 ; ; select 2", &["select 1", "select 2"]),
    ("select 1\r\n;\r\nselect 2\r\n", &["select 1", "select 2"]),
    (
        "select 1 -- a;b\n, 2; select 3",
        &["select 1 -- a;b\n, 2", "select 3"],
    ),
    ("-- a\rselect 1", &["select 1"]),
    ("select 1; -- trailing", &["select 1"]),
    ("/* a; /* nested; */ still; */ select 1", &["select 1"]),
    ("select 1 /*/ ; */ + 2", &["select 1 /*/ ; */ + 2"]),
    ("select 1 +-- ;\n 2", &["select 1 +-- ;\n 2"]),
    (
        "select 2 */* ; */ 3; select 4",
        &["select 2 */* ; */ 3", "select 4"],
    ),
    // Strings.
    ("select 'a;b'", &["select 'a;b'"]),
    ("select 'a'';b'", &["select 'a'';b'"]),
    (r"select 'a\'; select 'b'", &[r"select 'a\'", "select 'b'"]),
    (
        r"select E'a\';b'; select 1",
        &[r"select E'a\';b'", "select 1"],
    ),
    (r"select e'\\'; select 1", &[r"select e'\\'", "select 1"]),
    (
        r"select E'a''\';b'; select 1",
        &[r"select E'a''\';b'", "select 1"],
    ),
    // A string that goes on in the next line keeps its escapes (scan.l, quotecontinue).
    (
        "select E'a'\n '\\';b'; select 1",
        &["select E'a'\n '\\';b'", "select 1"],
    ),
    (
        "select E'a' -- c\n -- d\n'\\';b'; select 1",
        &["select E'a' -- c\n -- d\n'\\';b'", "select 1"],
    ),
    (
        "select E'a'\n'b'\n'\\'é;'; select 1",
        &["select E'a'\n'b'\n'\\'é;'", "select 1"],
    ),
    (
        "select E'a' '\\'; select 1",
        &["select E'a' '\\'", "select 1"],
    ),
    (
        "select E'a', \n'\\'; select 1",
        &["select E'a', \n'\\'", "select 1"],
    ),
    (
        "select E'a' /**/ \n'\\'; select 1",
        &["select E'a' /**/ \n'\\'", "select 1"],
    ),
    (
        "select 'a'\n'\\'; select 1",
        &["select 'a'\n'\\'", "select 1"],
    ),
    (
        r"select U&'\0061;\'; select 1",
        &[r"select U&'\0061;\'", "select 1"],
    ),
    (
        r"select u&'d!0061;' uescape '!'; select 1",
        &[r"select u&'d!0061;' uescape '!'", "select 1"],
    ),
    (
        "select N'a;', B'1;', X'F;'",
        &["select N'a;', B'1;', X'F;'"],
    ),
    ("select type'a;'", &["select type'a;'"]),
    // Identifiers.
    (
        "select \"a;\"\";b\"; select 1",
        &["select \"a;\"\";b\"", "select 1"],
    ),
    (
        "select U&\"a;b\"; select 1",
        &["select U&\"a;b\"", "select 1"],
    ),
    (
        "select a$b; select $1; select a$$, b$$;",
        &["select a$b", "select $1", "select a$$, b$$"],
    ),
    (
        "create table \u{e9}$$t (a int); select 1",
        &["create table \u{e9}$$t (a int)", "select 1"],
    ),
    // A byte order mark is a letter, but for the one before a file.
    (
        "select E'a'\n'b'\u{feff}$$; select 2; --$$",
        &["select E'a'\n'b'\u{feff}$$", "select 2"],
    ),
    ("\u{feff}$$; select 1; --$$", &["\u{feff}$$", "select 1"]),
    // Dollar quotes.
    (
        "do $$ begin; end $$; select 1",
        &["do $$ begin; end $$", "select 1"],
    ),
    (
        "select $a$ ; $$ ; $b$ ; $a$; select 1",
        &["select $a$ ; $$ ; $b$ ; $a$", "select 1"],
    ),
    (
        "select $a$ $$a$; select 1",
        &["select $a$ $$a$", "select 1"],
    ),
    (
        "select $a$ $aa$ ; $a$; select 1",
        &["select $a$ $aa$ ; $a$", "select 1"],
    ),
    (
        "select $A$ ; $a$ ; $A$; select 1",
        &["select $A$ ; $a$ ; $A$", "select 1"],
    ),
    (
        "select $\u{e9}1$ ; $\u{e9}1$; select 1",
        &["select $\u{e9}1$ ; $\u{e9}1$", "select 1"],
    ),
    ("select 1$$;$$; select 2", &["select 1$$;$$", "select 2"]),
    ("select $1$$;$$; select 2", &["select $1$$;$$", "select 2"]),
    ("select $a; select $b", &["select $a", "select $b"]),
    // Parentheses.
    (
        "create rule r as on insert to t do also (insert into a values (1); delete from b;); select 1",
        &[
            "create rule r as on insert to t do also (insert into a values (1); delete from b;)",
            "select 1",
        ],
    ),
    ("select 1); select 2", &["select 1)", "select 2"]),
    // Bodies in SQL.
    (
        "create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end; select 2",
        &[
            "create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end",
            "select 2",
        ],
    ),
    (
        "create or replace procedure p() begin /* ; */ atomic insert into t values (1); end; select 2",
        &[
            "create or replace procedure p() begin /* ; */ atomic insert into t values (1); end",
            "select 2",
        ],
    ),
    (
        "create function f() returns int begin atomic select t.end, 1 as end, 2 as case from t; end; select 2",
        &[
            "create function f() returns int begin atomic select t.end, 1 as end, 2 as case from t; end",
            "select 2",
        ],
    ),
    (
        "create function f() returns int begin atomic select (case when true then (select 1) end); end; select 2",
        &[
            "create function f() returns int begin atomic select (case when true then (select 1) end); end",
            "select 2",
        ],
    ),
    (
        "create function f() returns int return 1; select 2",
        &["create function f() returns int return 1", "select 2"],
    ),
    (
        "create function begin() returns int as 'select 1' language sql; select 2",
        &[
            "create function begin() returns int as 'select 1' language sql",
            "select 2",
        ],
    ),
    (
        "begin; select 1; end; select case when true then 1 end; select 2",
        &[
            "begin",
            "select 1",
            "end",
            "select case when true then 1 end",
            "select 2",
        ],
    ),
    (
        "create table atomic (begin int); select begin from atomic; select 2",
        &[
            "create table atomic (begin int)",
            "select begin from atomic",
            "select 2",
        ],
    ),
    (
        "create view v as select begin atomic from t; select 2",
        &["create view v as select begin atomic from t", "select 2"],
    ),
];
