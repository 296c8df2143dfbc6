//! Words and operators.

use alloc::vec::Vec;

use crate::parse::Trouble;

/// A part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    Text {
        bytes: Vec<u8>,
        quoted: bool,
    },
    /// `$NAME` or `${NAME}`; `quoted` when within double quotes, where it stays one word.
    Variable {
        name: Vec<u8>,
        quoted: bool,
    },
    /// `$((EXPRESSION))`
    Arithmetic {
        expression: Vec<u8>,
    },
}

/// What expands to any number of arguments.
pub type Word = Vec<Part>;

/// A word that is just this text, without quotes.
pub fn plain(word: &Word) -> Option<&[u8]> {
    match word.as_slice() {
        [
            Part::Text {
                bytes,
                quoted: false,
            },
        ] => Some(bytes),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Pipe,
    AndIf,
    OrIf,
    Semicolon,
    Background,
    Open,
    Close,
    Newline,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// `<`
    Read,
    /// `>`
    Write,
    /// `>>`
    Append,
    /// `<&` or `>&`
    Duplicate,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    Word(Word),
    Operator(Operator),
    /// A redirection; its word follows.
    Redirection {
        descriptor: i32,
        direction: Direction,
    },
    End,
}

/// Goes through a text token by token.
pub struct Lexer<'a> {
    text: &'a [u8],
    position: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, position: 0 }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    fn peek_after(&self, count: usize) -> Option<u8> {
        self.text.get(self.position + count).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    fn take_if(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.position += 1;
        }
        there
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r') => self.position += 1,
                Some(b'\\') if self.peek_after(1) == Some(b'\n') => self.position += 2,
                Some(b'#') => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.position += 1;
                    }
                }
                _ => return,
            }
        }
    }

    pub fn next(&mut self) -> Result<Token, Trouble> {
        self.skip_blanks();
        let Some(byte) = self.peek() else {
            return Ok(Token::End);
        };
        let operator = match byte {
            b'\n' => Operator::Newline,
            b';' => Operator::Semicolon,
            b'(' => Operator::Open,
            b')' => Operator::Close,
            b'|' if self.peek_after(1) == Some(b'|') => Operator::OrIf,
            b'|' => Operator::Pipe,
            b'&' if self.peek_after(1) == Some(b'&') => Operator::AndIf,
            b'&' => Operator::Background,
            b'<' | b'>' => return self.redirection(None),
            b'0'..=b'9' if matches!(self.peek_after(1), Some(b'<' | b'>')) => {
                self.position += 1;
                return self.redirection(Some(i32::from(byte - b'0')));
            }
            _ => return self.word(),
        };
        self.position += match operator {
            Operator::AndIf | Operator::OrIf => 2,
            _ => 1,
        };
        Ok(Token::Operator(operator))
    }

    fn redirection(&mut self, descriptor: Option<i32>) -> Result<Token, Trouble> {
        let reads = self.take() == Some(b'<');
        let direction = if self.take_if(b'&') {
            Direction::Duplicate
        } else if reads {
            Direction::Read
        } else if self.take_if(b'>') {
            Direction::Append
        } else {
            Direction::Write
        };
        let descriptor = descriptor.unwrap_or(if reads { 0 } else { 1 });
        Ok(Token::Redirection {
            descriptor,
            direction,
        })
    }

    fn word(&mut self) -> Result<Token, Trouble> {
        let mut word = Word::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => {
                    break;
                }
                b'\'' => {
                    self.position += 1;
                    let bytes = self.until(b'\'')?;
                    word.push(Part::Text {
                        bytes,
                        quoted: true,
                    });
                }
                b'"' => {
                    self.position += 1;
                    self.double_quoted(&mut word)?;
                }
                b'\\' => {
                    self.position += 1;
                    match self.take() {
                        Some(b'\n') => {}
                        Some(byte) => append(&mut word, byte, true),
                        None => return Err(Trouble::Incomplete),
                    }
                }
                b'$' => self.dollar(&mut word, false)?,
                _ => {
                    self.position += 1;
                    append(&mut word, byte, false);
                }
            }
        }
        Ok(Token::Word(word))
    }

    /// The text up to a delimiter, which is skipped.
    fn until(&mut self, delimiter: u8) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        loop {
            match self.take() {
                Some(byte) if byte == delimiter => return Ok(bytes),
                Some(byte) => bytes.push(byte),
                None => return Err(Trouble::Incomplete),
            }
        }
    }

    /// The text up to `))`, which is skipped; with parentheses in pairs within.
    fn expression(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        let mut open = 0;
        loop {
            let byte = self.take().ok_or(Trouble::Incomplete)?;
            match byte {
                b'(' => open += 1,
                b')' if open > 0 => open -= 1,
                b')' if self.take_if(b')') => return Ok(bytes),
                _ => {}
            }
            bytes.push(byte);
        }
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), Trouble> {
        // Even when nothing is in it, it makes a word.
        word.push(Part::Text {
            bytes: Vec::new(),
            quoted: true,
        });
        loop {
            match self.peek().ok_or(Trouble::Incomplete)? {
                b'"' => {
                    self.position += 1;
                    return Ok(());
                }
                b'$' => self.dollar(word, true)?,
                b'\\' => {
                    self.position += 1;
                    match self.take().ok_or(Trouble::Incomplete)? {
                        b'\n' => {}
                        byte @ (b'$' | b'"' | b'\\' | b'`') => append(word, byte, true),
                        byte => {
                            append(word, b'\\', true);
                            append(word, byte, true);
                        }
                    }
                }
                byte => {
                    self.position += 1;
                    append(word, byte, true);
                }
            }
        }
    }

    /// A variable, or a dollar sign that is just one.
    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<(), Trouble> {
        self.position += 1;
        let name = match self.peek() {
            Some(b'{') => {
                self.position += 1;
                let name = self.until(b'}')?;
                if !is_parameter(&name) {
                    return Err(Trouble::BadSubstitution);
                }
                name
            }
            Some(byte @ (b'?' | b'$' | b'!' | b'#' | b'@' | b'*' | b'0'..=b'9')) => {
                self.position += 1;
                alloc::vec![byte]
            }
            Some(b'(') if self.peek_after(1) == Some(b'(') => {
                self.position += 2;
                word.push(Part::Arithmetic {
                    expression: self.expression()?,
                });
                return Ok(());
            }
            Some(b'(') => return Err(Trouble::NoSubstitution),
            Some(byte) if byte == b'_' || byte.is_ascii_alphabetic() => {
                let mut name = Vec::new();
                while let Some(byte) = self
                    .peek()
                    .filter(|byte| *byte == b'_' || byte.is_ascii_alphanumeric())
                {
                    self.position += 1;
                    name.push(byte);
                }
                name
            }
            _ => {
                append(word, b'$', quoted);
                return Ok(());
            }
        };
        word.push(Part::Variable { name, quoted });
        Ok(())
    }
}

/// Adds a byte to the last part where that is of the same kind.
fn append(word: &mut Word, byte: u8, quoted: bool) {
    match word.last_mut() {
        Some(Part::Text {
            bytes,
            quoted: same,
        }) if *same == quoted => bytes.push(byte),
        _ => word.push(Part::Text {
            bytes: alloc::vec![byte],
            quoted,
        }),
    }
}

/// Whether these bytes can name a variable.
pub fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit())
        && name
            .iter()
            .all(|byte| *byte == b'_' || byte.is_ascii_alphanumeric())
}

fn is_parameter(name: &[u8]) -> bool {
    let number = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    is_name(name) || number || matches!(name, b"?" | b"$" | b"!" | b"#" | b"@" | b"*")
}
