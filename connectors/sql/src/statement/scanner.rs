//! Tokens of a query, as far as it takes to know its shape.

use std::ops::Range;

use super::syntax::Rules;

/// A piece of a query, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub at: Range<usize>,
    /// Text of a word in small letters; empty for everything else.
    pub word: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword, or a name without quotes.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string.
    Literal,
    /// A colon and a name; in brackets of PostgreSQL it may be the end of a slice.
    Named,
    Symbol(char),
}

/// Takes a query apart; the error says why it cannot be one.
pub(super) fn tokens(query: &str, rules: Rules) -> Result<Vec<Token>, String> {
    let scanner = Scanner {
        rest: query,
        at: 0,
        rules,
    };
    scanner.tokens(query)
}

/// A walk over a query, skipping comments.
struct Scanner<'q> {
    rest: &'q str,
    at: usize,
    rules: Rules,
}

impl Scanner<'_> {
    fn tokens(mut self, query: &str) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        loop {
            self.skip_blank()?;
            let Some(first) = self.rest.chars().next() else {
                return Ok(tokens);
            };
            let start = self.at;
            let kind = self.token(first)?;
            let at = start..self.at;
            let word = match kind {
                TokenKind::Word => query[at.clone()].to_lowercase(),
                _ => String::new(),
            };
            tokens.push(Token { kind, at, word });
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.at += bytes;
    }

    fn skip_blank(&mut self) -> Result<(), String> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            let dashes = self.rest.starts_with("--")
                && (!self.rules.backslash_escapes
                    || self.rest[2..]
                        .chars()
                        .next()
                        .is_none_or(|c| c.is_whitespace() || c.is_control()));
            if dashes || (self.rules.hash_comments && self.rest.starts_with('#')) {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if self.rest.starts_with("/*!") || self.rest.starts_with("/*M!") {
                return Err("the query holds a comment that MySQL executes: /*! … */".into());
            } else if self.rest.starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), String> {
        let mut depth = 0;
        loop {
            let open = self.rest.starts_with("/*") && (depth == 0 || self.rules.nested_comments);
            if open || self.rest.starts_with("*/") {
                depth += if open { 1 } else { -1 };
                self.advance(2);
                if depth == 0 {
                    return Ok(());
                }
            } else {
                let Some(next) = self.rest.chars().next() else {
                    return Err("the query leaves a comment open".into());
                };
                self.advance(next.len_utf8());
            }
        }
    }

    fn token(&mut self, first: char) -> Result<TokenKind, String> {
        let second = self.rest[first.len_utf8()..].chars().next().unwrap_or(' ');
        match first {
            '\'' => self.quoted('\'', self.rules.backslash_escapes, TokenKind::Literal),
            '"' => self.quoted('"', self.rules.backslash_escapes, TokenKind::Quoted),
            '`' => self.quoted('`', false, TokenKind::Quoted),
            '[' if self.rules.brackets => self.quoted(']', false, TokenKind::Quoted),
            'e' | 'E' if self.rules.dollar_quotes && second == '\'' => {
                self.advance(1);
                self.quoted('\'', true, TokenKind::Literal)
            }
            '$' if self.rules.dollar_quotes && !second.is_ascii_digit() => self.dollar_quoted(),
            '$' if self.rules.dollar_quotes => Err(placeholder("$1")),
            '?' if self.rules.question_mark_binds => Err(placeholder("?")),
            // A cast of PostgreSQL.
            ':' if second == ':' && !self.rules.named_binds => {
                self.advance(2);
                Ok(TokenKind::Symbol(first))
            }
            ':' if second.is_alphabetic() || second == '_' => {
                self.advance(1);
                self.word();
                Ok(TokenKind::Named)
            }
            ':' | '@' | '$' if self.rules.named_binds => Err(placeholder(":name")),
            _ if first.is_alphanumeric() || first == '_' => {
                self.word();
                Ok(TokenKind::Word)
            }
            _ => {
                self.advance(first.len_utf8());
                Ok(TokenKind::Symbol(first))
            }
        }
    }

    /// Goes past a word.
    fn word(&mut self) {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
        self.advance(end.unwrap_or(self.rest.len()));
    }

    /// Goes past a quotation, in which the quote is written twice and a backslash may escape.
    fn quoted(
        &mut self,
        close: char,
        backslash: bool,
        token: TokenKind,
    ) -> Result<TokenKind, String> {
        self.advance(1);
        while let Some(next) = self.rest.chars().next() {
            self.advance(next.len_utf8());
            if next == close {
                if !self.rest.starts_with(close) {
                    return Ok(token);
                }
                self.advance(1);
            } else if next == '\\' && backslash {
                let escaped = self.rest.chars().next().map_or(0, char::len_utf8);
                self.advance(escaped);
            }
        }
        Err("the query leaves a quotation mark open".into())
    }

    fn dollar_quoted(&mut self) -> Result<TokenKind, String> {
        let open = || "the query leaves a dollar quotation open".to_owned();
        let end = self.rest[1..].find('$').ok_or_else(open)? + 2;
        let tag = self.rest[..end].to_owned();
        self.advance(end);
        let close = self.rest.find(&tag).ok_or_else(open)? + tag.len();
        self.advance(close);
        Ok(TokenKind::Literal)
    }
}

/// Message about a placeholder.
pub(super) fn placeholder(which: &str) -> String {
    format!("the query holds a placeholder ({which}); it takes no parameters")
}
