//! The tokens of SQL, as PostgreSQL's own lexer (`scan.l`) cuts them.
//!
//! The work is squawk-lexer's. It is a lexer and not a parser that decides where statements end: it needs no
//! memory beyond its token and no recursion, so no nesting overflows it, and a parser's view of what the words mean
//! does not matter for the end of a statement. Three things are added: a string that continues an `E'…'` string
//! on the next line keeps its backslash escapes, U+FEFF is a letter, and what PostgreSQL 14 reads differently from
//! its successors becomes [`Kind::Ambiguous`].

use squawk_lexer::{LiteralKind, TokenKind};

use super::defect::Unterminated;

/// What a token is, as far as splitting and classifying need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An unquoted word: a keyword or an identifier.
    Word,
    /// `"…"`
    QuotedIdentifier,
    /// Any terminated string, dollar quotes included.
    String,
    Semicolon,
    OpenParenthesis,
    CloseParenthesis,
    /// Not SQL: the start of a psql command.
    Backslash,
    /// A number that runs into a quote: servers disagree where the quote starts, and no valid SQL has it.
    Ambiguous,
    Open(Unterminated),
    /// Anything else.
    Other,
}

/// A token that is neither white space nor a comment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Its offset in the text, in bytes.
    pub(super) start: usize,
    pub(super) text: &'a str,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether this is that keyword (given in any letter case). A quoted word is no keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The tokens of a text, white space and comments left out.
pub(super) struct Tokens<'a> {
    text: &'a str,
    offset: usize,
    lexer: Box<dyn Iterator<Item = squawk_lexer::Token> + 'a>,
    continuation: Continuation,
}

/// Whether a plain string would continue an `E'…'` string: only white space and line comments with at least one
/// line end between them (`quotecontinue` in `scan.l`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continuation {
    No,
    SameLine,
    Yes,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self::from(text, 0)
    }

    /// The tokens from this offset on, which must not lie within one.
    pub(super) fn from(text: &'a str, offset: usize) -> Self {
        let lexer = Box::new(squawk_lexer::tokenize(&text[offset..]));
        Self {
            text,
            offset,
            lexer,
            continuation: Continuation::No,
        }
    }

    /// The `'…'` at `start`, read with backslash escapes.
    fn escape_string(&mut self, start: usize) -> Token<'a> {
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut kind = Kind::Open(Unterminated::String);
        while end < bytes.len() {
            match (bytes[end], bytes.get(end + 1)) {
                (b'\\', Some(_)) | (b'\'', Some(b'\'')) => end += 2,
                (b'\'', _) => {
                    end += 1;
                    kind = Kind::String;
                    break;
                }
                _ => end += 1,
            }
        }
        // A backslash may have skipped into a character; what follows it are bytes of the same character.
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        *self = Self::from(self.text, end);
        self.continuation = Continuation::SameLine;
        Token {
            kind,
            start,
            text: &self.text[start..end],
        }
    }

    /// A word that starts with U+FEFF. The lexer takes one at its beginning for a byte order mark, but it begins in the
    /// middle of a text, and the mark before a file is gone by now; to PostgreSQL it is a letter.
    fn word_at(&mut self, start: usize) -> Token<'a> {
        let rest = &self.text[start..];
        let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        let end = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
        *self = Self::from(self.text, start + end);
        Token {
            kind: Kind::Word,
            start,
            text: &rest[..end],
        }
    }

    /// A number may be followed by anything but a quote: `1e'\'` and `1_0$$` are read in two ways.
    fn is_ambiguous(&self, text: &str) -> bool {
        text.bytes()
            .any(|byte| byte == b'_' || byte.is_ascii_alphabetic() || !byte.is_ascii())
            && self.text[self.offset..].starts_with(['\'', '$'])
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let token = self.lexer.next()?;
            let start = self.offset;
            self.offset += token.len as usize;
            let text = &self.text[start..self.offset];
            let kind = match token.kind {
                TokenKind::Whitespace if text.starts_with(squawk_lexer::BOM) => {
                    return Some(self.word_at(start));
                }
                TokenKind::Whitespace => {
                    if self.continuation == Continuation::SameLine && text.contains(['\n', '\r']) {
                        self.continuation = Continuation::Yes;
                    }
                    continue;
                }
                TokenKind::LineComment => continue,
                TokenKind::BlockComment { terminated: true } => {
                    self.continuation = Continuation::No;
                    continue;
                }
                TokenKind::Literal {
                    kind: LiteralKind::Str { .. },
                } if self.continuation == Continuation::Yes => {
                    return Some(self.escape_string(start));
                }
                TokenKind::Literal {
                    kind: LiteralKind::EscStr { terminated: true },
                } => {
                    self.continuation = Continuation::SameLine;
                    return Some(Token {
                        kind: Kind::String,
                        start,
                        text,
                    });
                }
                TokenKind::PositionalParam { .. }
                | TokenKind::Literal {
                    kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. },
                } if self.is_ambiguous(text) => Kind::Ambiguous,
                other => kind_of(other, text),
            };
            self.continuation = Continuation::No;
            return Some(Token { kind, start, text });
        }
    }
}

fn kind_of(kind: TokenKind, text: &str) -> Kind {
    match kind {
        TokenKind::Ident => Kind::Word,
        TokenKind::Semi => Kind::Semicolon,
        TokenKind::OpenParen => Kind::OpenParenthesis,
        TokenKind::CloseParen => Kind::CloseParenthesis,
        TokenKind::Unknown if text == "\\" => Kind::Backslash,
        TokenKind::BlockComment { .. } => Kind::Open(Unterminated::Comment),
        TokenKind::QuotedIdent {
            terminated: true, ..
        } => Kind::QuotedIdentifier,
        TokenKind::QuotedIdent {
            terminated: false, ..
        } => Kind::Open(Unterminated::Identifier),
        TokenKind::Literal { kind } => literal(kind),
        _ => Kind::Other,
    }
}

fn literal(kind: LiteralKind) -> Kind {
    match kind {
        LiteralKind::DollarQuotedString { terminated: false } => {
            Kind::Open(Unterminated::DollarQuote)
        }
        LiteralKind::Str { terminated }
        | LiteralKind::NationalStr { terminated }
        | LiteralKind::ByteStr { terminated }
        | LiteralKind::BitStr { terminated }
        | LiteralKind::DollarQuotedString { terminated }
        | LiteralKind::UnicodeEscStr { terminated }
        | LiteralKind::EscStr { terminated } => {
            if terminated {
                Kind::String
            } else {
                Kind::Open(Unterminated::String)
            }
        }
        LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => Kind::Other,
    }
}
