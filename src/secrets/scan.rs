//! Masks secrets in a text that need not be whole: YAML, JSON, units, comments, and messages that quote some of them.
//!
//! It knows no grammar, but `key: value`, `key=value` and `--key value` wherever they stand. Where it cannot tell how far a
//! value goes, it takes more rather than less.

use super::keys::{is_path, is_secret};
use super::value::{Line, Value, continued, unquoted};
use super::{MASK, TOKEN};

/// A text with masks in it.
#[derive(Default)]
pub struct Masked {
    pub text: String,
    pub found: Vec<Found>,
}

/// A secret of a text.
pub struct Found {
    /// The key as it is written.
    pub key: String,
    /// What is masked, as far as it is known to be one: a line for each part.
    pub secret: String,
    /// Where its mask ends.
    pub end: usize,
}

/// The text with its secrets masked. A `token` of this name is none.
pub fn mask(text: &str, token: Option<&str>) -> Masked {
    Scanner { token, is_prose: false, masked: Masked::default() }.text(text)
}

/// A sentence with the secrets masked that it quotes. What follows a word there, as in "the token: it has no host", is no key.
pub fn mask_prose(sentence: &str) -> String {
    Scanner { token: None, is_prose: true, masked: Masked::default() }.text(sentence).text
}

struct Scanner<'a> {
    token: Option<&'a str>,
    is_prose: bool,
    masked: Masked,
}

/// Where a line has been read to, and in which quotes and brackets.
struct State {
    at: usize,
    quote: Option<char>,
    depth: usize,
}

impl Scanner<'_> {
    fn text(mut self, text: &str) -> Masked {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut next = 0;
        while let Some(lines) = lines.get(next..).filter(|lines| !lines.is_empty()) {
            next += self.line(lines);
        }
        self.masked
    }

    /// Whether a colon behind this word of a sentence is punctuation.
    fn is_punctuated(&self, pair: &Pair<'_>) -> bool {
        let mut before = pair.body[..pair.start].chars().rev();
        let follows_a_word = before.next() == Some(' ') && before.next().is_some_and(char::is_alphabetic);
        self.is_prose && pair.separator == ':' && follows_a_word
    }

    /// Masks the first of these lines, with those that go on with its last value. Says how many these were.
    fn line(&mut self, lines: &[&str]) -> usize {
        let body = lines[0].trim_end_matches(['\n', '\r']);
        let mut state = State { at: 0, quote: None, depth: 0 };
        let mut taken = 1;
        while let Some(c) = body[state.at..].chars().next() {
            let rest = &body[state.at..];
            let is_start = !body[..state.at].chars().next_back().is_some_and(is_word);
            if rest.starts_with("-----BEGIN ") && rest.contains("PRIVATE KEY-----") {
                taken = self.private_key(rest, lines);
                break;
            } else if rest.starts_with("://") {
                self.url(body, &mut state);
            } else if is_word(c) && is_start {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                match Pair::of(body, state.at, length, state.quote) {
                    Some(pair) if is_secret(pair.key) && !self.is_punctuated(&pair) => {
                        taken = taken.max(self.pair(&pair, lines, &mut state));
                    }
                    Some(pair) if pair.key.to_ascii_lowercase().contains("proxy") => {
                        self.proxy(&pair, &mut state);
                    }
                    _ => self.copy(body, &mut state, length),
                }
            } else {
                state.pass(c, &body[..state.at]);
                self.masked.text.push(c);
                state.at += c.len_utf8();
            }
        }
        let last = lines.get(taken - 1).copied().unwrap_or_default();
        self.masked.text.push_str(&last[last.trim_end_matches(['\n', '\r']).len()..]);
        taken
    }

    fn copy(&mut self, body: &str, state: &mut State, length: usize) {
        self.masked.text.push_str(&body[state.at..state.at + length]);
        state.at += length;
    }

    fn put(&mut self, key: &str, secret: String) {
        self.masked.text.push_str(MASK);
        self.masked.found.push(Found { key: key.to_owned(), secret, end: self.masked.text.len() });
    }

    /// A PEM block, to its end.
    fn private_key(&mut self, rest: &str, lines: &[&str]) -> usize {
        let end = lines.iter().position(|line| line.contains("-----END "));
        let taken = end.map_or(lines.len(), |end| end + 1);
        let inner = lines[1..taken.max(1)].iter().map(|line| line.trim());
        let secret: Vec<&str> =
            [rest].into_iter().chain(inner).filter(|line| !line.contains("-----")).collect();
        self.put("-----", secret.join("\n"));
        taken
    }

    /// The user and password of a URL. That of a join URI of method `tpm` names a token, and is none.
    fn url(&mut self, body: &str, state: &mut State) {
        let scheme =
            body[..state.at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).next();
        self.copy(body, state, 3);
        let rest = &body[state.at..];
        let ends = |c: char| c.is_whitespace() || "`<>".contains(c) || Some(c) == state.quote;
        let Some(at) = rest[..rest.find(ends).unwrap_or(rest.len())].rfind('@') else { return };
        let user = &rest[..at];
        let names_token =
            scheme.is_some_and(|it| it.starts_with("tbot+") && it.ends_with("+tpm")) && !user.contains(':');
        if names_token {
            return self.copy(body, state, at);
        }
        self.put("://", with_password(user));
        state.at += at;
    }

    /// A proxy without a scheme: `user:password@host`.
    fn proxy(&mut self, pair: &Pair<'_>, state: &mut State) {
        let value = &pair.body[pair.value..];
        let word =
            &value[..value.find(|c: char| c.is_whitespace() || "\"'`".contains(c)).unwrap_or(value.len())];
        self.copy(pair.body, state, pair.value - state.at);
        state.quote = pair.quote;
        if let Some(at) = word.rfind('@').filter(|_| !word.contains("://")) {
            self.put(pair.key, with_password(&word[..at]));
            state.at += at;
        }
    }

    /// The value of a secret's key. Says how many lines it takes.
    fn pair(&mut self, pair: &Pair<'_>, lines: &[&str], state: &mut State) -> usize {
        self.copy(pair.body, state, pair.value - state.at);
        state.quote = pair.quote;
        let rest = &pair.body[state.at..];
        let line = Line::of(pair.body, pair.start);
        let value = Value::of(rest, pair.separator, pair.quote, state.depth);
        let (written, more) = continued(&value, rest, &line, lines);
        if self.is_shown(pair.key, &value, rest, more) {
            return 1;
        }
        if more > 0 && self.masked.text.ends_with(':') {
            self.masked.text.push(' ');
        }
        let (open, close) = value.quotes(rest);
        self.masked.text.push_str(open);
        self.put(pair.key, written);
        self.masked.text.push_str(close);
        if !close.is_empty() {
            self.masked.found.iter_mut().last().into_iter().for_each(|it| it.end += close.len());
        }
        // What continues in further lines ends with them.
        state.at = if more > 0 { pair.body.len() } else { state.at + value.end };
        more + 1
    }

    /// Whether a value is none of a secret: nothing, a truth, the name of a token that is none, or the path of one.
    fn is_shown(&self, key: &str, value: &Value, rest: &str, more: usize) -> bool {
        let text = unquoted(&rest[..value.end]);
        let is_nothing =
            ["", "null", "~", "true", "false", MASK].contains(&text.to_ascii_lowercase().as_str());
        let is_name = self.token == Some(text) && key.rsplit(['.', '-', '_']).next() == Some(TOKEN);
        let is_name = is_name || is_path(key, text);
        more == 0 && (is_nothing || is_name)
    }
}

impl State {
    /// Goes over one character that is in no word.
    fn pass(&mut self, c: char, before: &str) {
        let last = before.chars().next_back();
        match (self.quote, c) {
            (_, '"' | '\'') if last == Some('\\') => {}
            (Some(quote), c) if c == quote => self.quote = None,
            // An apostrophe within a word opens nothing.
            (None, '"' | '\'') if !last.is_some_and(char::is_alphanumeric) => self.quote = Some(c),
            (None, '{' | '[') => self.depth += 1,
            (None, '}' | ']') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// A key with what separates it from its value.
struct Pair<'a> {
    body: &'a str,
    key: &'a str,
    /// Where the key begins, and its value.
    start: usize,
    value: usize,
    separator: char,
    /// The quotes that both are in.
    quote: Option<char>,
}

impl<'a> Pair<'a> {
    /// That of the word at a place of a line; none where it is no key.
    fn of(body: &'a str, start: usize, length: usize, quote: Option<char>) -> Option<Self> {
        let key = &body[start..start + length];
        let rest = &body[start + length..];
        let bare = rest.trim_start_matches('\\');
        let closed = bare.strip_prefix(['"', '\'']);
        let quote = if closed.is_some() { quote.filter(|_| bare.len() < rest.len()) } else { quote };
        let behind = closed.unwrap_or(rest).trim_start_matches([' ', '\t']);
        let (separator, value) = match behind.chars().next() {
            Some(':') if !behind.starts_with("://") && !behind.starts_with("::") => (':', &behind[1..]),
            Some('=') => ('=', &behind[1..]),
            Some(c) if key.starts_with("--") && closed.is_none() && behind.len() < rest.len() && c != '-' => {
                (' ', behind)
            }
            _ => return None,
        };
        let mut value = value.trim_start_matches([' ', '\t']);
        // Tags and anchors (YAML 1.2.2, section 6.9).
        while separator == ':' && value.starts_with(['!', '&']) {
            let Some(end) = value.find([' ', '\t']) else { break };
            value = value[end..].trim_start_matches([' ', '\t']);
        }
        Some(Self { body, key, start, value: body.len() - value.len(), separator, quote })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// A URL's user and password, and in a line of its own the password.
fn with_password(user: &str) -> String {
    user.split_once(':').map_or_else(|| user.to_owned(), |(_, password)| format!("{user}\n{password}"))
}
