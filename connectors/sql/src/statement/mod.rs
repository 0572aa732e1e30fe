//! The administrator's SELECT: cut into tokens far enough to know that it is one statement that can
//! be wrapped.

/// Longest query accepted, in bytes.
const MAX_QUERY_BYTES: usize = 64 * 1024;

/// Words that cannot be the name a server complains about.
const KEYWORDS: [&str; 30] = [
    "select", "from", "as", "where", "join", "left", "on", "and", "or", "not", "is", "null",
    "case", "when", "then", "else", "end", "in", "with", "union", "all", "order", "by", "group",
    "having", "limit", "column", "table", "relation", "function",
];

/// How one kind of database writes SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    MySql,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

/// What sets the syntaxes apart.
struct Rules {
    backslash_escapes: bool,
    dollar_quotes: bool,
    hash_comments: bool,
    nested_comments: bool,
    brackets: bool,
    question_mark_binds: bool,
    named_binds: bool,
}

impl Syntax {
    fn rules(self) -> Rules {
        let none = Rules {
            backslash_escapes: false,
            dollar_quotes: false,
            hash_comments: false,
            nested_comments: false,
            brackets: false,
            question_mark_binds: false,
            named_binds: false,
        };
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Rules {
                dollar_quotes: true,
                nested_comments: true,
                ..none
            },
            #[cfg(feature = "mysql")]
            Self::MySql => Rules {
                backslash_escapes: true,
                hash_comments: true,
                question_mark_binds: true,
                ..none
            },
            #[cfg(feature = "sqlite")]
            Self::Sqlite => Rules {
                brackets: true,
                question_mark_binds: true,
                named_binds: true,
                ..none
            },
        }
    }
}

/// A query that may be wrapped in parentheses.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// From its first word to its last, without a closing semicolon.
    pub text: String,
    /// The names in it, lower case: the only words of a server's message that are ever shown.
    identifiers: Vec<String>,
    /// True where it selects columns it does not name (`*`), so that they may come and go with the
    /// tables.
    pub selects_all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word,
    Quoted,
    Literal,
    Symbol(char),
}

impl Statement {
    /// Takes a query apart; the error says what is wrong with it.
    pub(crate) fn parse(query: &str, syntax: Syntax) -> Result<Self, String> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(format!("the query is longer than {MAX_QUERY_BYTES} bytes"));
        }
        let mut tokens = Scanner {
            rest: query,
            at: 0,
            rules: syntax.rules(),
        }
        .tokens()?;
        while tokens
            .last()
            .is_some_and(|(token, _)| *token == Token::Symbol(';'))
        {
            tokens.pop();
        }
        let word = |token: &(Token, std::ops::Range<usize>)| match token.0 {
            Token::Word => query[token.1.clone()].to_lowercase(),
            _ => String::new(),
        };
        let words: Vec<String> = tokens.iter().map(word).collect();
        check_shape(
            &tokens.iter().map(|(token, _)| token).collect::<Vec<_>>(),
            &words,
        )?;
        let identifiers = tokens
            .iter()
            .filter(|(token, _)| matches!(token, Token::Word | Token::Quoted))
            .map(|(_, at)| {
                query[at.clone()]
                    .trim_matches(['"', '`', '[', ']'])
                    .to_lowercase()
            })
            .filter(|name| !KEYWORDS.contains(&name.as_str()))
            .collect();
        let start = tokens[0].1.start;
        let end = tokens[tokens.len() - 1].1.end;
        let tokens: Vec<Token> = tokens.into_iter().map(|(token, _)| token).collect();
        let selects_all = (0..tokens.len()).any(|index| is_all_columns(&tokens, &words, index));
        Ok(Self {
            text: query[start..end].to_owned(),
            identifiers,
            selects_all,
        })
    }

    /// The first word of a server's message that is a name in this query; of `table.column` the
    /// column.
    pub(crate) fn name_in<'m>(&self, message: &'m str) -> Option<&'m str> {
        message
            .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '.')))
            .find_map(|dotted| {
                dotted.rsplit('.').find(|word| {
                    !word.is_empty() && self.identifiers.contains(&word.to_lowercase())
                })
            })
    }
}

/// Whether a token is a `*` that stands for columns: neither between two operands nor that of
/// `count(*)`. What may come before it (SQL_NO_CACHE, STRAIGHT_JOIN) is nobody's to list.
fn is_all_columns(tokens: &[Token], words: &[String], index: usize) -> bool {
    let Some(before) = index
        .checked_sub(1)
        .filter(|_| tokens[index] == Token::Symbol('*'))
    else {
        return false;
    };
    let ends_operand = match tokens[before] {
        Token::Symbol('(') => return false,
        Token::Symbol(symbol) => matches!(symbol, ')' | ']'),
        Token::Word => !matches!(words[before].as_str(), "select" | "distinct" | "all"),
        Token::Quoted | Token::Literal => true,
    };
    let begins_operand = match tokens.get(index + 1) {
        None | Some(Token::Symbol(',' | ')')) => false,
        Some(_) => words[index + 1] != "from",
    };
    !(ends_operand && begins_operand)
}

fn check_shape(tokens: &[&Token], words: &[String]) -> Result<(), String> {
    if !matches!(words.first().map(String::as_str), Some("select" | "with")) {
        return Err("the query is not a SELECT".into());
    }
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate() {
        let next = words.get(index + 1).map_or("", String::as_str);
        match token {
            Token::Symbol(';') => return Err("the query holds more than one statement".into()),
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth -= 1,
            _ => {}
        }
        match (words[index].as_str(), next) {
            ("into", _) => return Err("the query writes somewhere: INTO".into()),
            ("for", "update" | "share" | "no" | "key") | ("lock", "in") => {
                return Err("the query locks rows: FOR UPDATE, FOR SHARE".into());
            }
            ("procedure", "analyse") => return Err("the query calls a procedure".into()),
            _ => {}
        }
        if depth < 0 {
            return Err("the query closes a parenthesis it did not open".into());
        }
    }
    if depth > 0 {
        Err("the query leaves a parenthesis open".into())
    } else {
        Ok(())
    }
}

/// Walks over a query, skipping comments.
struct Scanner<'q> {
    rest: &'q str,
    at: usize,
    rules: Rules,
}

impl Scanner<'_> {
    fn tokens(mut self) -> Result<Vec<(Token, std::ops::Range<usize>)>, String> {
        let mut tokens = Vec::new();
        loop {
            self.skip_blank()?;
            let Some(first) = self.rest.chars().next() else {
                return Ok(tokens);
            };
            let start = self.at;
            let token = self.token(first)?;
            tokens.push((token, start..self.at));
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

    fn token(&mut self, first: char) -> Result<Token, String> {
        let second = self.rest[first.len_utf8()..].chars().next().unwrap_or(' ');
        match first {
            '\'' => self.quoted('\'', self.rules.backslash_escapes, Token::Literal),
            '"' => self.quoted('"', self.rules.backslash_escapes, Token::Quoted),
            '`' => self.quoted('`', false, Token::Quoted),
            '[' if self.rules.brackets => self.quoted(']', false, Token::Quoted),
            'e' | 'E' if self.rules.dollar_quotes && second == '\'' => {
                self.advance(1);
                self.quoted('\'', true, Token::Literal)
            }
            '$' if self.rules.dollar_quotes && !second.is_ascii_digit() => self.dollar_quoted(),
            '$' if self.rules.dollar_quotes => Err(placeholder("$1")),
            '?' if self.rules.question_mark_binds => Err(placeholder("?")),
            ':' | '@' | '$' if self.rules.named_binds => Err(placeholder(":name")),
            _ if first.is_alphanumeric() || first == '_' => {
                let end = self
                    .rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
                self.advance(end.unwrap_or(self.rest.len()));
                Ok(Token::Word)
            }
            _ => {
                self.advance(first.len_utf8());
                Ok(Token::Symbol(first))
            }
        }
    }

    /// A quote is written twice inside; a backslash may escape.
    fn quoted(&mut self, close: char, backslash: bool, token: Token) -> Result<Token, String> {
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

    fn dollar_quoted(&mut self) -> Result<Token, String> {
        let open = || "the query leaves a dollar quotation open".to_owned();
        let end = self.rest[1..].find('$').ok_or_else(open)? + 2;
        let tag = self.rest[..end].to_owned();
        self.advance(end);
        let close = self.rest.find(&tag).ok_or_else(open)? + tag.len();
        self.advance(close);
        Ok(Token::Literal)
    }
}

fn placeholder(which: &str) -> String {
    format!("the query holds a placeholder ({which}); it takes no parameters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, syntax: Syntax) -> Result<String, String> {
        Statement::parse(query, syntax).map(|statement| statement.text)
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn semicolons_and_comments_around_a_query_are_dropped_and_those_inside_strings_are_not() {
        for (query, expected) in [
            (" -- прививки\n SELECT 1 ; -- end", "SELECT 1"),
            ("/* a /* b */ c */ select ';)' ; ;", "select ';)'"),
            (
                "SELECT $t$ ); ' $t$, E'\\'; ', \"a;\"\"b\" FROM t -- x",
                "SELECT $t$ ); ' $t$, E'\\'; ', \"a;\"\"b\" FROM t",
            ),
            (
                "WITH a AS (SELECT 1) SELECT * FROM a",
                "WITH a AS (SELECT 1) SELECT * FROM a",
            ),
            (
                "SELECT a::text, b ? 'c' FROM t",
                "SELECT a::text, b ? 'c' FROM t",
            ),
        ] {
            assert_eq!(parse(query, Syntax::Postgres).as_deref(), Ok(expected));
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn what_is_not_one_select_is_refused_with_a_reason() {
        for (query, reason) in [
            ("", "not a SELECT"),
            ("DELETE FROM t", "not a SELECT"),
            ("(SELECT 1)", "not a SELECT"),
            ("SELECT 1; SELECT 2", "more than one"),
            ("SELECT 1; DROP TABLE t; --", "more than one"),
            ("SELECT 1) AS q; DELETE FROM t WHERE (true", "did not open"),
            ("SELECT 1 FROM t) AS q, (SELECT 2", "did not open"),
            ("SELECT (1", "parenthesis open"),
            ("SELECT 'a", "quotation mark open"),
            ("SELECT 1 /* ", "comment open"),
            ("SELECT 1 /* /* */", "comment open"),
            ("SELECT $$ a", "dollar"),
            ("SELECT * INTO copy FROM t", "INTO"),
            ("SELECT * FROM t FOR UPDATE", "locks"),
            ("SELECT * FROM t WHERE a > $1", "placeholder"),
        ] {
            let error = parse(query, Syntax::Postgres).unwrap_err();
            assert!(error.contains(reason), "{query}: {error}");
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn mysql_has_its_own_comments_quotes_and_traps() {
        assert_eq!(
            parse("SELECT 5--1 # five\n;", Syntax::MySql).as_deref(),
            Ok("SELECT 5--1")
        );
        assert_eq!(
            parse(r"SELECT 'it\'s; (', `a``;b`", Syntax::MySql).as_deref(),
            Ok(r"SELECT 'it\'s; (', `a``;b`")
        );
        for query in [
            "SELECT 1 /*! INTO OUTFILE 'x' */",
            "SELECT ?",
            "SELECT 1 INTO OUTFILE '/x'",
            "SELECT 1 LOCK IN SHARE MODE",
        ] {
            assert!(parse(query, Syntax::MySql).is_err(), "{query}");
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn a_star_that_is_no_multiplication_selects_all() {
        for (query, all) in [
            ("SELECT * FROM t", true),
            ("SELECT SQL_NO_CACHE * FROM t", true),
            ("SELECT STRAIGHT_JOIN * FROM t", true),
            ("SELECT SQL_NO_CACHE *, 1 AS a FROM t", true),
            ("SELECT a, t.* FROM t", true),
            ("SELECT a FROM (SELECT DISTINCT *FROM t) AS q", true),
            ("SELECT a * 2, (a) * -b, 2*`from` FROM t", false),
            ("SELECT count(*) FROM t", false),
        ] {
            let statement = Statement::parse(query, Syntax::MySql).unwrap();
            assert_eq!(statement.selects_all, all, "{query}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn only_names_of_the_query_are_taken_from_a_servers_message() {
        let statement = Statement::parse(
            "SELECT [вид], \"Дата\" FROM t WHERE x = 'secret'",
            Syntax::Sqlite,
        )
        .unwrap();
        assert_eq!(statement.name_in("no such column: t.дата"), Some("дата"));
        assert_eq!(statement.name_in("no such column: Дата"), Some("Дата"));
        assert_eq!(statement.name_in("value 'secret' of 11223344595"), None);
        assert!(parse("SELECT :a", Syntax::Sqlite).is_err());
    }
}
