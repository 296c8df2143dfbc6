//! `test EXPRESSION` and `[ EXPRESSION ]`: one primary, maybe negated.

use alloc::vec::Vec;

use user::sys::file::{self, Fd, S_IFDIR, S_IFMT, S_IFREG, X_OK};
use user::{eprintln, number};

use crate::MISUSE;
use crate::state::c_string;

/// 0 for true, 1 for false, 2 for what is no expression.
pub fn test(words: &[Vec<u8>]) -> u8 {
    let bracket = words.first().is_some_and(|name| name == b"[");
    let mut words: Vec<&[u8]> = words.iter().skip(1).map(Vec::as_slice).collect();
    if bracket && words.pop() != Some(b"]".as_slice()) {
        eprintln!("sh: [: ] is missing");
        return MISUSE;
    }
    match evaluate(&words) {
        Some(holds) => u8::from(!holds),
        None => {
            eprintln!("sh: test: not an expression");
            MISUSE
        }
    }
}

fn evaluate(words: &[&[u8]]) -> Option<bool> {
    match words {
        [] => Some(false),
        [word] => Some(!word.is_empty()),
        [left, operator, right] if compare(left, operator, right).is_some() => {
            compare(left, operator, right)
        }
        [b"!", rest @ ..] => evaluate(rest).map(|holds| !holds),
        [operator, operand] => check(operator, operand),
        _ => None,
    }
}

fn compare(left: &[u8], operator: &[u8], right: &[u8]) -> Option<bool> {
    match operator {
        b"=" => return Some(left == right),
        b"!=" => return Some(left != right),
        _ => {}
    }
    let order = signed(left)?.cmp(&signed(right)?);
    Some(match operator {
        b"-eq" => order.is_eq(),
        b"-ne" => order.is_ne(),
        b"-lt" => order.is_lt(),
        b"-le" => order.is_le(),
        b"-gt" => order.is_gt(),
        b"-ge" => order.is_ge(),
        _ => return None,
    })
}

fn signed(word: &[u8]) -> Option<i64> {
    match word.strip_prefix(b"-") {
        Some(digits) => Some(-i64::try_from(number::parse(digits)?).ok()?),
        None => i64::try_from(number::parse(word)?).ok(),
    }
}

fn check(operator: &[u8], operand: &[u8]) -> Option<bool> {
    let path = c_string(operand.to_vec());
    let kind = |kind| file::stat(&path).is_ok_and(|stat| stat.st_mode & S_IFMT == kind);
    Some(match operator {
        b"-n" => !operand.is_empty(),
        b"-z" => operand.is_empty(),
        b"-e" => file::stat(&path).is_ok(),
        b"-f" => kind(S_IFREG),
        b"-d" => kind(S_IFDIR),
        b"-s" => file::stat(&path).is_ok_and(|stat| stat.st_size > 0),
        b"-x" => file::access(&path, X_OK).is_ok(),
        b"-t" => {
            let number = number::parse(operand).and_then(|number| i32::try_from(number).ok());
            number.is_some_and(|number| file::is_terminal(Fd(number)))
        }
        _ => return None,
    })
}
