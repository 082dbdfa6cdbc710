//! What we say to Asterisk: one line a command.

/// The longest line, in bytes with its end. Asterisk cuts values at 1,023, and version 16 reads what
/// is beyond 2,048 as another command.
const LINE_MAX: usize = 1000;

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsayable {
    /// It holds a line break or a NUL.
    #[error("holds a line break or a NUL")]
    Break,
    /// It is too long.
    #[error("makes a command of more than {LINE_MAX} bytes")]
    TooLong,
    /// No name of a variable, nor of a function that takes a name, such as `CALLERID(num)`.
    #[error("is no name of a variable")]
    Name,
}

/// The command that sets a channel variable, or a function of the channel, to this text.
pub fn set_variable(name: &str, value: &str) -> Result<Vec<u8>, Unsayable> {
    let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"_()".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_named) {
        return Err(Unsayable::Name);
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(Unsayable::Break);
    }
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    let line = format!("SET VARIABLE {name} \"{value}\"\n");
    if line.len() > LINE_MAX { Err(Unsayable::TooLong) } else { Ok(line.into_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_as_asterisk_reads_it() {
        let line = set_variable("QUOT", r#"a "q" b\c"#).unwrap();

        assert_eq!(line, b"SET VARIABLE QUOT \"a \\\"q\\\" b\\\\c\"\n");
        assert_eq!(set_variable("E", "").unwrap(), b"SET VARIABLE E \"\"\n");
        assert!(set_variable("CALLERID(num)", "+14045556789").is_ok());
    }

    #[test]
    fn what_would_be_a_second_command_is_not_said() {
        for value in ["a\nHANGUP", "a\r", "a\0b"] {
            assert_eq!(set_variable("A", value), Err(Unsayable::Break));
        }
        for name in ["", "A B", "A\"", "A\n"] {
            assert_eq!(set_variable(name, ""), Err(Unsayable::Name));
        }
        assert_eq!(set_variable("A", &"é".repeat(500)), Err(Unsayable::TooLong));
    }
}
