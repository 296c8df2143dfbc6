//! `$((EXPRESSION))`: whole numbers of 64 bits, variables, and C's operators without those that
//! assign or work on bits.

use alloc::vec::Vec;
use core::fmt;

use crate::state::Shell;

/// Why an expression has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    NotAnExpression,
    DivisionByZero,
    TooDeep,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnExpression => "arithmetic: not an expression",
            Self::DivisionByZero => "arithmetic: division by zero",
            Self::TooDeep => "arithmetic: too many parentheses",
        })
    }
}

type Result<T> = core::result::Result<T, Trouble>;

pub fn evaluate(shell: &Shell, text: &[u8]) -> Result<i64> {
    let mut reader = Reader {
        shell,
        rest: text,
        depth: 0,
    };
    let value = reader.binary(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(Trouble::NotAnExpression),
    }
}

/// How many operands may be within each other: the reader recurses.
const DEEPEST: usize = 50;

/// The operators between two operands, from those that bind least.
const LEVELS: [&[&[u8]]; 6] = [
    &[b"||"],
    &[b"&&"],
    &[b"==", b"!="],
    &[b"<=", b">=", b"<", b">"],
    &[b"+", b"-"],
    &[b"*", b"/", b"%"],
];

struct Reader<'a> {
    shell: &'a Shell,
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn take(&mut self, token: &[u8]) -> bool {
        self.peek();
        match self.rest.strip_prefix(token) {
            Some(rest) => self.rest = rest,
            None => return false,
        }
        true
    }

    /// Operands joined by the operators of a level and of those that bind more.
    fn binary(&mut self, level: usize) -> Result<i64> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.take(operator)) {
            let right = self.binary(level + 1)?;
            left = apply(left, operator, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<i64> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Trouble::TooDeep);
        }
        let value = match self.peek() {
            Some(b'-') if self.take(b"-") => self.unary()?.wrapping_neg(),
            Some(b'+') if self.take(b"+") => self.unary()?,
            Some(b'!') if self.take(b"!") => i64::from(self.unary()? == 0),
            Some(b'(') if self.take(b"(") => {
                let value = self.binary(0)?;
                if !self.take(b")") {
                    return Err(Trouble::NotAnExpression);
                }
                value
            }
            _ => self.operand()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn operand(&mut self) -> Result<i64> {
        let dollar = self.take(b"$");
        let is_part = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
        let length = match self.rest.first() {
            // `$?` and its like are one character long.
            Some(b'?' | b'#' | b'!' | b'$') if dollar => 1,
            _ => self.rest.iter().take_while(|byte| is_part(byte)).count(),
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        if word.is_empty() {
            return Err(Trouble::NotAnExpression);
        }
        if !dollar && word.first().is_some_and(u8::is_ascii_digit) {
            return number(word);
        }
        let value: Vec<u8> = self.shell.value(word);
        match value.trim_ascii() {
            b"" => Ok(0),
            value => match value.strip_prefix(b"-") {
                Some(digits) => number(digits).map(i64::wrapping_neg),
                None => number(value),
            },
        }
    }
}

fn number(digits: &[u8]) -> Result<i64> {
    let value = user::number::parse(digits).and_then(|value| i64::try_from(value).ok());
    value.ok_or(Trouble::NotAnExpression)
}

fn apply(left: i64, operator: &[u8], right: i64) -> Result<i64> {
    Ok(match operator {
        b"||" => i64::from(left != 0 || right != 0),
        b"&&" => i64::from(left != 0 && right != 0),
        b"==" => i64::from(left == right),
        b"!=" => i64::from(left != right),
        b"<=" => i64::from(left <= right),
        b">=" => i64::from(left >= right),
        b"<" => i64::from(left < right),
        b">" => i64::from(left > right),
        b"+" => left.wrapping_add(right),
        b"-" => left.wrapping_sub(right),
        b"*" => left.wrapping_mul(right),
        _ if right == 0 => return Err(Trouble::DivisionByZero),
        b"/" => left.wrapping_div(right),
        _ => left.wrapping_rem(right),
    })
}
