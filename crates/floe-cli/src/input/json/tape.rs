//! JSON as a list of tokens (RFC 8259), one value after the other, without copies of what has no escapes.

/// A value, or the key of a member before its value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    Null,
    Bool(bool),
    /// A number, as it is written: where in the text.
    Number(u32, u32),
    /// A string without escapes: where in the text.
    Text(u32, u32),
    /// A string with escapes: where in `Tape::unescaped`.
    Escaped(u32, u32),
    /// So many members, each a key and a value; and the token after the last.
    Object(u32, u32),
    /// So many values, and the token after the last.
    Array(u32, u32),
}

/// The tokens of a text.
#[derive(Debug)]
pub(super) struct Tape<'t> {
    text: &'t str,
    unescaped: String,
    tokens: Vec<Token>,
}

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoJson;

/// Arrays and objects within each other.
const MAX_DEPTH: usize = 128;

impl<'t> Tape<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, unescaped: String::new(), tokens: Vec::new() }
    }

    pub(super) fn token(&self, at: u32) -> Token {
        self.tokens[at as usize]
    }

    /// The token after a value.
    pub(super) fn after(&self, at: u32) -> u32 {
        match self.token(at) {
            Token::Object(_, end) | Token::Array(_, end) => end,
            _ => at + 1,
        }
    }

    /// A string.
    pub(super) fn string(&self, token: Token) -> Option<&str> {
        match token {
            Token::Text(from, to) => Some(&self.text[from as usize..to as usize]),
            Token::Escaped(from, to) => Some(&self.unescaped[from as usize..to as usize]),
            _ => None,
        }
    }

    /// A number as it is written, or a string.
    pub(super) fn raw(&self, token: Token) -> Option<&str> {
        match token {
            Token::Number(from, to) => Some(&self.text[from as usize..to as usize]),
            token => self.string(token),
        }
    }

    /// Reads one value, which has to be all there is between two places of the text. Gives its token.
    pub(super) fn read(&mut self, from: usize, to: usize) -> Result<u32, NoJson> {
        let at = self.tokens.len() as u32;
        let mut lexer = Lexer { tape: self, at: from, end: to };
        lexer.value(0)?;
        lexer.spaces();
        if lexer.at == to { Ok(at) } else { Err(NoJson) }
    }
}

struct Lexer<'a, 't> {
    tape: &'a mut Tape<'t>,
    at: usize,
    end: usize,
}

impl Lexer<'_, '_> {
    fn peek(&self) -> Option<u8> {
        if self.at < self.end { self.tape.text.as_bytes().get(self.at).copied() } else { None }
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NoJson> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(NoJson)
    }

    fn value(&mut self, depth: usize) -> Result<(), NoJson> {
        if depth > MAX_DEPTH {
            return Err(NoJson);
        }
        self.spaces();
        match self.peek().ok_or(NoJson)? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Token::Bool(true)),
            b'f' => self.word("false", Token::Bool(false)),
            b'n' => self.word("null", Token::Null),
            _ => Err(NoJson),
        }
    }

    fn word(&mut self, word: &str, token: Token) -> Result<(), NoJson> {
        let to = self.at + word.len();
        if to <= self.end && &self.tape.text.as_bytes()[self.at..to] == word.as_bytes() {
            self.at = to;
            self.tape.tokens.push(token);
            return Ok(());
        }
        Err(NoJson)
    }

    fn object(&mut self, depth: usize) -> Result<(), NoJson> {
        let place = self.open()?;
        let mut members = 0;
        self.spaces();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.spaces();
                self.string()?;
                self.spaces();
                self.expect(b':')?;
                self.value(depth + 1)?;
                members += 1;
                self.spaces();
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.tape.tokens[place] = Token::Object(members, self.tape.tokens.len() as u32);
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), NoJson> {
        let place = self.open()?;
        let mut values = 0;
        self.spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(depth + 1)?;
                values += 1;
                self.spaces();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    break;
                }
                self.expect(b',')?;
            }
        }
        self.tape.tokens[place] = Token::Array(values, self.tape.tokens.len() as u32);
        Ok(())
    }

    /// The place of a token that is known when what is in it is read.
    fn open(&mut self) -> Result<usize, NoJson> {
        self.at += 1;
        self.tape.tokens.push(Token::Null);
        Ok(self.tape.tokens.len() - 1)
    }

    fn number(&mut self) -> Result<(), NoJson> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(NoJson),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.tape.tokens.push(Token::Number(from as u32, self.at as u32));
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NoJson> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > from { Ok(()) } else { Err(NoJson) }
    }

    fn string(&mut self) -> Result<(), NoJson> {
        self.expect(b'"')?;
        let text = self.tape.text;
        let bytes = &text.as_bytes()[..self.end];
        let from = self.at;
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let mut at = from + bytes[from..].iter().position(special).ok_or(NoJson)?;
        if bytes[at] == b'"' {
            self.at = at + 1;
            self.tape.tokens.push(Token::Text(from as u32, at as u32));
            return Ok(());
        }
        let (start, mut plain) = (self.tape.unescaped.len(), from);
        loop {
            self.tape.unescaped.push_str(&text[plain..at]);
            match bytes[at] {
                b'"' => break,
                b'\\' => {
                    let (character, next) = escape(bytes, at + 1)?;
                    self.tape.unescaped.push(character);
                    plain = next;
                }
                _ => return Err(NoJson),
            }
            at = plain + bytes[plain..].iter().position(special).ok_or(NoJson)?;
        }
        self.at = at + 1;
        let end = self.tape.unescaped.len() as u32;
        self.tape.tokens.push(Token::Escaped(start as u32, end));
        Ok(())
    }
}

/// The character that stands after a backslash, and where it ends.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), NoJson> {
    let plain = |character| Ok((character, at + 1));
    match bytes.get(at).ok_or(NoJson)? {
        b'"' => plain('"'),
        b'\\' => plain('\\'),
        b'/' => plain('/'),
        b'b' => plain('\u{8}'),
        b'f' => plain('\u{c}'),
        b'n' => plain('\n'),
        b'r' => plain('\r'),
        b't' => plain('\t'),
        b'u' => {
            let first = unit(bytes, at + 1)?;
            if let Some(character) = char::from_u32(first) {
                return Ok((character, at + 5));
            }
            // The two halves of a character beyond the first plane.
            if !(0xd800..0xdc00).contains(&first) || bytes.get(at + 5..at + 7) != Some(b"\\u") {
                return Err(NoJson);
            }
            let second = unit(bytes, at + 7)?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(NoJson);
            }
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            char::from_u32(code).map(|character| (character, at + 11)).ok_or(NoJson)
        }
        _ => Err(NoJson),
    }
}

fn unit(bytes: &[u8], at: usize) -> Result<u32, NoJson> {
    let digits = bytes.get(at..at + 4).ok_or(NoJson)?;
    digits.iter().try_fold(0, |code, digit| Ok(code * 16 + char::from(*digit).to_digit(16).ok_or(NoJson)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &str) -> bool {
        Tape::new(text).read(0, text.len()).is_ok()
    }

    #[test]
    fn strings_are_unescaped() {
        let text = r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00ü""#;
        let mut tape = Tape::new(text);
        let at = tape.read(0, text.len()).unwrap();
        assert_eq!(
            tape.string(tape.token(at)),
            serde_json::from_str::<Option<String>>(text).unwrap().as_deref()
        );
    }

    #[test]
    fn very_deep_values_are_refused() {
        assert!(accepts(&format!("{}{}", "[".repeat(100), "]".repeat(100))));
        assert!(!accepts(&"[".repeat(1_000_000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// What one reader takes for JSON, the other does.
        #[test]
        fn the_grammar_is_that_of_serde(text in "[\\[\\]{}:,\"\\\\u0-9ade.+ \t\n-]{0,12}|(true|false|null|-?[0-9.]{1,4}(e[+-]?[0-9])?)") {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(accepts(&text), expected, "{}", text);
        }
    }
}
