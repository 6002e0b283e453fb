//! Scripts that a number chooses: valid SQL by construction, out of the pieces that lexers get wrong.

/// Expressions.
const VALUES: &[&str] = &[
    "1 ",
    "1. ",
    ".5 ",
    "1e3 ",
    "''",
    "';'",
    "'a'';'",
    "'\\'",
    "';\\'",
    "E'\\';'",
    "E'\\\\'",
    "e';'",
    "U&'\\0061;'",
    "u&';'",
    "B'1'",
    "x'f'",
    "N';'",
    "$$;$$",
    "$$$$",
    "$a$;$$;$a$",
    "$\u{e9}$;$\u{e9}$",
    "$a$ $b$;$a$",
    "'a'\n'b;'",
    "'a' -- ;'\n'b;'",
    "E'a'\n'\\';'",
    "E'a' \t--'\n\r\n '\\';b'",
    "E'a'\n'b'\n';\\''",
    "'\u{feff};'",
    "$$\u{feff};$$",
    "(1)",
    "(SELECT ';')",
    "CASE WHEN true THEN ';' END",
    "ARRAY['a;', $$b;$$]",
    "('a'::text)",
    "- -1 ",
    "2 */* ; */ 3 ",
    "1 +-- ;\n 2 ",
    "'/*'",
    "'--'",
];

/// Names for a value, which may stand directly behind it.
const NAMES: &[&str] = &[
    "",
    "",
    " a",
    " a$$",
    "\"a;\"",
    "\u{feff}$$",
    "\u{e9}$a$",
    "\u{a0}$$",
    " AS \"end\"",
    " AS \"$$;\"",
    " as U&\"a;\"",
    " _$1",
];

/// What may stand between two statements, and around commas.
const BLANKS: &[&str] = &[
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\u{c}",
    "/**/",
    "/* ; */",
    "/* /* ; */ ' */",
    "-- ;\n",
    "-- '\r",
    "--\n--$$\n",
    "/*/*/**/*/*/",
];

const ENDS: &[&str] = &[";", ";;", " ;", "; ;", ";/* ; */;", "-- ;\n;"];

/// Numbers that look random, and are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn pick(&mut self, from: &'static [&'static str]) -> &'static str {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let index = usize::try_from(mixed % from.len() as u64).unwrap_or_default();
        from[index]
    }

    fn again(&mut self) -> bool {
        self.pick(&["", "", "x"]).is_empty()
    }
}

/// A script of one to a few SELECTs.
pub fn script(seed: u64) -> String {
    let mut dice = Dice(seed);
    let mut text = String::new();
    loop {
        text.push_str(dice.pick(BLANKS));
        text.push_str("SELECT");
        loop {
            text.push_str(dice.pick(BLANKS));
            text.push_str(dice.pick(VALUES));
            text.push_str(dice.pick(NAMES));
            text.push_str(dice.pick(BLANKS));
            if !dice.again() {
                break;
            }
            text.push(',');
        }
        if !dice.again() {
            return text;
        }
        text.push_str(dice.pick(ENDS));
    }
}
