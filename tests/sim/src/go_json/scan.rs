//! Finds the end of a JSON value, or what is wrong with it in the words of Go's scanner.

use super::JsonError;

/// Deepest nesting that Go takes.
const MAX_DEPTH: usize = 10_000;

/// The first value in `text`, without what surrounds it.
pub fn first_value(text: &[u8]) -> Result<&[u8], JsonError> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_space();
    let start = scanner.at;
    if start == text.len() {
        return Err(JsonError::Empty);
    }
    scanner.value(0)?;
    Ok(&text[start..scanner.at])
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, JsonError> {
        let byte = self.peek().ok_or(JsonError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next character that is no white space.
    fn next_significant(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.next()
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        match self.next_significant()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            byte @ (b'-' | b'0'..=b'9') => self.number(byte),
            other => Err(invalid(other, "looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), JsonError> {
        let mut first = true;
        loop {
            match self.next_significant()? {
                b'}' if first => return Ok(()),
                b'"' => self.string()?,
                other => return Err(invalid(other, "looking for beginning of object key string")),
            }
            first = false;
            match self.next_significant()? {
                b':' => {}
                other => return Err(invalid(other, "after object key")),
            }
            self.value(depth + 1)?;
            match self.next_significant()? {
                b',' => {}
                b'}' => return Ok(()),
                other => return Err(invalid(other, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.next_significant()? {
                b',' => {}
                b']' => return Ok(()),
                other => return Err(invalid(other, "after array element")),
            }
        }
    }

    /// The rest of a string, behind its first quote.
    fn string(&mut self) -> Result<(), JsonError> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next()?;
                            if !digit.is_ascii_hexdigit() {
                                return Err(invalid(digit, r"in \u hexadecimal character escape"));
                            }
                        }
                    }
                    other => return Err(invalid(other, "in string escape code")),
                },
                control if control < 0x20 => return Err(invalid(control, "in string literal")),
                _ => {}
            }
        }
    }

    /// The rest of a literal, behind its first letter.
    fn literal(&mut self, word: &str) -> Result<(), JsonError> {
        for expected in word.bytes().skip(1) {
            let found = self.next()?;
            if found != expected {
                let expected = char::from(expected);
                return Err(invalid(
                    found,
                    &format!("in literal {word} (expecting '{expected}')"),
                ));
            }
        }
        Ok(())
    }

    /// The rest of a number, behind its first character.
    fn number(&mut self, first: u8) -> Result<(), JsonError> {
        let leading = if first == b'-' {
            self.digit("in numeric literal")?
        } else {
            first
        };
        if leading != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit("after decimal point in numeric literal")?;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("in exponent of numeric literal")?;
            self.digits();
        }
        Ok(())
    }

    fn digit(&mut self, place: &str) -> Result<u8, JsonError> {
        let byte = self.next()?;
        if byte.is_ascii_digit() {
            Ok(byte)
        } else {
            Err(invalid(byte, place))
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

/// Go looks at bytes, and prints each as the character of that number.
fn invalid(byte: u8, place: &str) -> JsonError {
    let character = match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        0x00..=0x1f | 0x7f => format!("'\\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    };
    JsonError::Invalid {
        character,
        place: place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_in_gos_words() {
        let cases: [(&[u8], &str); 19] = [
            (b"", "EOF"),
            (b" \n", "EOF"),
            (
                b"{bad",
                "invalid character 'b' looking for beginning of object key string",
            ),
            (
                b"{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            (b"{\"a\" 1}", "invalid character '1' after object key"),
            (
                b"{\"a\":1 \"b\"",
                "invalid character '\"' after object key:value pair",
            ),
            (b"[1 2]", "invalid character '2' after array element"),
            (
                b"[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            (b"{\"a\":", "unexpected EOF"),
            (b"{\"a", "unexpected EOF"),
            (
                b"{\"a\":\"\\q\"}",
                "invalid character 'q' in string escape code",
            ),
            (
                b"{\"a\":\"\\u12g4\"}",
                r"invalid character 'g' in \u hexadecimal character escape",
            ),
            (
                b"{\"a\":\"\n\"}",
                r"invalid character '\n' in string literal",
            ),
            (
                b"{\"a\":tru3}",
                "invalid character '3' in literal true (expecting 'e')",
            ),
            (b"{\"a\":-x}", "invalid character 'x' in numeric literal"),
            (
                b"{\"a\":1.x}",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            (
                b"{\"a\":1ex}",
                "invalid character 'x' in exponent of numeric literal",
            ),
            (
                b"\xef\xbb\xbf{}",
                "invalid character '\u{ef}' looking for beginning of value",
            ),
            (
                b"<xml>",
                "invalid character '<' looking for beginning of value",
            ),
        ];
        for (text, expected) in cases {
            let error = first_value(text).expect_err(&String::from_utf8_lossy(text));
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_follows_the_value_does_not_matter() {
        assert_eq!(
            first_value(b" {\"a\":[1,true,null,\"x\"]} {bad")
                .unwrap()
                .len(),
            23
        );
    }
}
