//! Commands from tokens, by recursive descent (POSIX, Shell Grammar, without functions and
//! `case`).

use alloc::vec::Vec;
use core::fmt;

use crate::lex::{self, Direction, Lexer, Operator, Token, Word};

/// Commands to be run one after the other.
pub type List = Vec<Item>;

/// One command of a list.
#[derive(Debug)]
pub struct Item {
    pub chain: Chain,
    pub background: bool,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Debug)]
pub struct Chain {
    pub first: Pipeline,
    pub rest: Vec<(Join, Pipeline)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    And,
    Or,
}

/// Commands joined by `|`; at least one.
#[derive(Debug)]
pub struct Pipeline {
    pub negated: bool,
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub struct Command {
    pub kind: Kind,
    pub redirections: Vec<Redirection>,
}

#[derive(Debug)]
pub enum Kind {
    Simple {
        assignments: Vec<(Vec<u8>, Word)>,
        words: Vec<Word>,
    },
    Group(List),
    Subshell(List),
    If {
        branches: Vec<(List, List)>,
        otherwise: List,
    },
    Loop {
        until: bool,
        condition: List,
        body: List,
    },
    For {
        name: Vec<u8>,
        words: Vec<Word>,
        body: List,
    },
}

#[derive(Debug)]
pub struct Redirection {
    pub descriptor: i32,
    pub direction: Direction,
    pub word: Word,
}

/// Why a text is no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// It is not, yet: more may come.
    Incomplete,
    Unexpected(&'static str),
    BadSubstitution,
    NoSubstitution,
    TooDeep,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("syntax error: unexpected end"),
            Self::Unexpected(what) => write!(f, "syntax error: {what} unexpected"),
            Self::BadSubstitution => f.write_str("bad substitution"),
            Self::NoSubstitution => f.write_str("command substitution is not supported"),
            Self::TooDeep => f.write_str("too many commands within commands"),
        }
    }
}

/// How many commands may be within each other; the parser and the runner recurse.
const DEEPEST: usize = 50;

const RESERVED: &[&[u8]] = &[
    b"if", b"then", b"elif", b"else", b"fi", b"while", b"until", b"for", b"in", b"do", b"done",
    b"{", b"}", b"!",
];

pub struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that was looked at and not taken.
    ahead: Option<Token>,
    /// Where `ahead` begins.
    before: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self {
            lexer: Lexer::new(text),
            ahead: None,
            before: 0,
            depth: 0,
        }
    }

    /// How far the text has been parsed.
    pub fn position(&self) -> usize {
        match self.ahead {
            Some(_) => self.before,
            None => self.lexer.position(),
        }
    }

    /// Whether nothing but line ends is left.
    pub fn at_end(&mut self) -> bool {
        self.skip_newlines().is_ok() && matches!(self.peek(), Ok(Token::End))
    }

    /// The commands of the next line that has some, or of more lines when they belong together.
    pub fn line(&mut self) -> Result<Option<List>, Trouble> {
        self.skip_newlines()?;
        if *self.peek()? == Token::End {
            return Ok(None);
        }
        let list = self.list(true)?;
        match self.peek()? {
            Token::End => {}
            Token::Operator(Operator::Newline) => self.advance(),
            other => return Err(unexpected(other)),
        }
        Ok(Some(list))
    }

    fn peek(&mut self) -> Result<&Token, Trouble> {
        if self.ahead.is_none() {
            self.before = self.lexer.position();
            self.ahead = Some(self.lexer.next()?);
        }
        Ok(self.ahead.as_ref().unwrap_or(&Token::End))
    }

    /// Skips the token that was looked at.
    fn advance(&mut self) {
        self.ahead = None;
    }

    fn take_operator(&mut self, operator: Operator) -> Result<bool, Trouble> {
        let there = *self.peek()? == Token::Operator(operator);
        if there {
            self.advance();
        }
        Ok(there)
    }

    fn at_word(&mut self, text: &[u8]) -> Result<bool, Trouble> {
        Ok(matches!(self.peek()?, Token::Word(word) if lex::plain(word) == Some(text)))
    }

    fn take_word(&mut self, text: &[u8]) -> Result<bool, Trouble> {
        let there = self.at_word(text)?;
        if there {
            self.advance();
        }
        Ok(there)
    }

    fn expect_word(&mut self, text: &[u8]) -> Result<(), Trouble> {
        if self.take_word(text)? {
            return Ok(());
        }
        Err(unexpected(self.peek()?))
    }

    fn skip_newlines(&mut self) -> Result<(), Trouble> {
        while self.take_operator(Operator::Newline)? {}
        Ok(())
    }

    /// Whether a command may begin here.
    fn at_command(&mut self) -> Result<bool, Trouble> {
        Ok(match self.peek()? {
            Token::Word(word) => !matches!(
                lex::plain(word),
                Some(b"then" | b"elif" | b"else" | b"fi" | b"do" | b"done" | b"}" | b"in")
            ),
            Token::Redirection { .. } | Token::Operator(Operator::Open) => true,
            _ => false,
        })
    }

    /// A list; on one line, or up to a word or a parenthesis that ends it.
    fn list(&mut self, one_line: bool) -> Result<List, Trouble> {
        let mut list = List::new();
        loop {
            if !one_line {
                self.skip_newlines()?;
            }
            if !self.at_command()? {
                if list.is_empty() {
                    return Err(unexpected(self.peek()?));
                }
                return Ok(list);
            }
            let chain = self.chain()?;
            let background = self.take_operator(Operator::Background)?;
            let more = background
                || self.take_operator(Operator::Semicolon)?
                || (!one_line && *self.peek()? == Token::Operator(Operator::Newline));
            list.push(Item { chain, background });
            if !more {
                return Ok(list);
            }
        }
    }

    fn chain(&mut self) -> Result<Chain, Trouble> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let join = if self.take_operator(Operator::AndIf)? {
                Join::And
            } else if self.take_operator(Operator::OrIf)? {
                Join::Or
            } else {
                return Ok(Chain { first, rest });
            };
            self.skip_newlines()?;
            rest.push((join, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, Trouble> {
        let negated = self.take_word(b"!")?;
        let mut commands = alloc::vec![self.command()?];
        while self.take_operator(Operator::Pipe)? {
            self.skip_newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Result<Command, Trouble> {
        if !self.at_command()? {
            return Err(unexpected(self.peek()?));
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Trouble::TooDeep);
        }
        let command = self.command_within();
        self.depth -= 1;
        command
    }

    fn command_within(&mut self) -> Result<Command, Trouble> {
        let kind = if self.take_operator(Operator::Open)? {
            let list = self.list(false)?;
            if !self.take_operator(Operator::Close)? {
                return Err(unexpected(self.peek()?));
            }
            Kind::Subshell(list)
        } else if self.take_word(b"{")? {
            let list = self.list(false)?;
            self.expect_word(b"}")?;
            Kind::Group(list)
        } else if self.take_word(b"if")? {
            self.conditional()?
        } else if self.take_word(b"while")? {
            self.repetition(false)?
        } else if self.take_word(b"until")? {
            self.repetition(true)?
        } else if self.take_word(b"for")? {
            self.iteration()?
        } else {
            return self.simple();
        };
        let mut redirections = Vec::new();
        while let Some(redirection) = self.redirection()? {
            redirections.push(redirection);
        }
        Ok(Command { kind, redirections })
    }

    /// After `if`.
    fn conditional(&mut self) -> Result<Kind, Trouble> {
        let mut branches = Vec::new();
        loop {
            let condition = self.list(false)?;
            self.expect_word(b"then")?;
            branches.push((condition, self.list(false)?));
            if self.take_word(b"elif")? {
                continue;
            }
            let otherwise = match self.take_word(b"else")? {
                true => self.list(false)?,
                false => List::new(),
            };
            self.expect_word(b"fi")?;
            return Ok(Kind::If {
                branches,
                otherwise,
            });
        }
    }

    /// After `while` or `until`.
    fn repetition(&mut self, until: bool) -> Result<Kind, Trouble> {
        let condition = self.list(false)?;
        let body = self.body()?;
        Ok(Kind::Loop {
            until,
            condition,
            body,
        })
    }

    /// After `for`.
    fn iteration(&mut self) -> Result<Kind, Trouble> {
        let name = match self.peek()? {
            Token::Word(word) => lex::plain(word)
                .filter(|name| lex::is_name(name))
                .map(Vec::from),
            _ => None,
        };
        let Some(name) = name else {
            return Err(unexpected(self.peek()?));
        };
        self.advance();
        self.expect_word(b"in")?;
        let mut words = Vec::new();
        while let Token::Word(word) = self.peek()? {
            words.push(word.clone());
            self.advance();
        }
        if !self.take_operator(Operator::Semicolon)? && !self.take_operator(Operator::Newline)? {
            return Err(unexpected(self.peek()?));
        }
        self.skip_newlines()?;
        let body = self.body()?;
        Ok(Kind::For { name, words, body })
    }

    fn body(&mut self) -> Result<List, Trouble> {
        self.expect_word(b"do")?;
        let body = self.list(false)?;
        self.expect_word(b"done")?;
        Ok(body)
    }

    fn redirection(&mut self) -> Result<Option<Redirection>, Trouble> {
        let Token::Redirection {
            descriptor,
            direction,
        } = *self.peek()?
        else {
            return Ok(None);
        };
        self.advance();
        let Token::Word(word) = self.peek()? else {
            return Err(unexpected(self.peek()?));
        };
        let word = word.clone();
        self.advance();
        Ok(Some(Redirection {
            descriptor,
            direction,
            word,
        }))
    }

    fn simple(&mut self) -> Result<Command, Trouble> {
        let mut assignments = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        let mut redirections = Vec::new();
        loop {
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                continue;
            }
            let Token::Word(word) = self.peek()? else {
                break;
            };
            let word = word.clone();
            self.advance();
            match words.is_empty().then(|| assignment(&word)).flatten() {
                Some(assignment) => assignments.push(assignment),
                None => words.push(word),
            }
        }
        Ok(Command {
            kind: Kind::Simple { assignments, words },
            redirections,
        })
    }
}

/// Splits `NAME=VALUE`.
fn assignment(word: &Word) -> Option<(Vec<u8>, Word)> {
    let (first, rest) = word.split_first()?;
    let lex::Part::Text {
        bytes,
        quoted: false,
    } = first
    else {
        return None;
    };
    let equals = bytes.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (bytes.get(..equals)?, bytes.get(equals + 1..)?);
    if !lex::is_name(name) {
        return None;
    }
    let mut parts = alloc::vec![lex::Part::Text {
        bytes: value.to_vec(),
        quoted: false
    }];
    parts.extend_from_slice(rest);
    Some((name.to_vec(), parts))
}

fn unexpected(token: &Token) -> Trouble {
    Trouble::Unexpected(match token {
        Token::End => return Trouble::Incomplete,
        Token::Word(word) => RESERVED
            .iter()
            .find(|reserved| lex::plain(word) == Some(reserved))
            .and_then(|reserved| core::str::from_utf8(reserved).ok())
            .unwrap_or("word"),
        Token::Redirection { .. } => "redirection",
        Token::Operator(Operator::Newline) => "newline",
        Token::Operator(Operator::Pipe) => "\"|\"",
        Token::Operator(Operator::AndIf) => "\"&&\"",
        Token::Operator(Operator::OrIf) => "\"||\"",
        Token::Operator(Operator::Semicolon) => "\";\"",
        Token::Operator(Operator::Background) => "\"&\"",
        Token::Operator(Operator::Open) => "\"(\"",
        Token::Operator(Operator::Close) => "\")\"",
    })
}
