//! How far the value of a key goes, in its line and in those below.

/// Lines in which the bracket of a value is looked for that does not close in its own. Beyond, all is taken for its value.
const MOST_LINES: usize = 1000;

/// A value in its line.
pub struct Value {
    /// Where it ends in the rest of the line, quotes included.
    pub end: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// In quotes that close in the line, and which these are.
    Quoted(String),
    /// In quotes, or brackets, that do not.
    Open(Closing),
    /// `|` or `>`.
    Block,
    /// Nothing in the line: there may be something below.
    Nested,
    /// One that lines further in go on with.
    Plain,
    /// One that ends in the line.
    Whole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Closing {
    Quote(String),
    Brackets,
}

/// A line as far as lines below are compared with it.
pub struct Line {
    is_comment: bool,
    /// Characters before the key, behind a comment's sign.
    column: usize,
    /// Whether the key comes first.
    is_first: bool,
}

impl Value {
    /// The value at the start of `rest`. `quote` are the quotes that it is in together with its key.
    pub fn of(rest: &str, separator: char, quote: Option<char>, depth: usize) -> Self {
        let whole = |end| Self { end, kind: Kind::Whole };
        if let Some(quote) = opening(rest) {
            let close = closing(&rest[quote.len()..], &quote).map(|at| quote.len() + at + quote.len());
            let kind = if close.is_some() { Kind::Quoted(quote) } else { Kind::Open(Closing::Quote(quote)) };
            return Self { end: close.unwrap_or(rest.len()), kind };
        }
        if let Some(quote) = quote {
            return whole(closing(rest, &quote.to_string()).unwrap_or(rest.len()));
        }
        if separator != ':' {
            return whole(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        }
        if rest.starts_with(['{', '[']) {
            return match balanced(rest) {
                Some(end) => whole(end),
                None => Self { end: rest.len(), kind: Kind::Open(Closing::Brackets) },
            };
        }
        if depth > 0 {
            return whole(rest.find([',', '}', ']']).unwrap_or(rest.len()));
        }
        let end = if rest.starts_with('#') { 0 } else { rest.find(" #").unwrap_or(rest.len()) };
        let end = rest[..end].trim_end().len();
        let sign = rest[..end].strip_prefix(['|', '>']).map(|sign| sign.trim_matches(['+', '-']));
        let kind = match sign {
            Some(sign) if sign.chars().all(|c| c.is_ascii_digit()) => Kind::Block,
            _ if end == 0 => Kind::Nested,
            _ => Kind::Plain,
        };
        Self { end, kind }
    }

    /// The quotes around it, which stay.
    pub fn quotes<'a>(&self, rest: &'a str) -> (&'a str, &'a str) {
        match &self.kind {
            Kind::Quoted(quote) => (&rest[..quote.len()], &rest[self.end - quote.len()..self.end]),
            _ => ("", ""),
        }
    }
}

impl Line {
    /// That of a key at this place.
    pub fn of(body: &str, start: usize) -> Self {
        let before = &body[..start];
        let (is_comment, behind) = without_sign(before);
        let prefix = behind.trim_end_matches(['"', '\'']);
        let is_first = prefix.chars().all(|c| matches!(c, ' ' | '\t' | '-' | '?'));
        Self { is_comment, column: prefix.chars().count(), is_first }
    }
}

/// A text behind the sign of a comment, and whether it has one.
fn without_sign(text: &str) -> (bool, &str) {
    match text.trim_start().strip_prefix('#') {
        Some(rest) => (true, rest.trim_start_matches('#')),
        None => (false, text),
    }
}

/// The whole value, its parts each in a line, and how many lines below go on with it.
pub fn continued(value: &Value, rest: &str, line: &Line, lines: &[&str]) -> (String, usize) {
    let below = lines.get(1..).unwrap_or_default();
    let more = match &value.kind {
        Kind::Open(closing) => lines_to_the_end(closing, rest, line, below),
        Kind::Block | Kind::Nested | Kind::Plain if line.is_first => {
            lines_further_in(&value.kind, line, below)
        }
        Kind::Quoted(_) | Kind::Whole | Kind::Block | Kind::Nested | Kind::Plain => 0,
    };
    let first = if value.kind == Kind::Block { "" } else { &rest[..value.end] };
    let parts = [first].into_iter().chain(below[..more].iter().copied()).map(part);
    (parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n"), more)
}

/// Those of a comment are comments too.
fn lines_to_the_end(end: &Closing, rest: &str, line: &Line, below: &[&str]) -> usize {
    let comments = below.iter().take_while(|text| without_sign(text).0).map(|text| without_sign(text).1);
    let below: Vec<&str> = if line.is_comment { comments.collect() } else { below.to_vec() };
    let closes = match end {
        Closing::Quote(quote) => {
            below.iter().position(|line| closing(line, quote).is_some()).map(|index| index + 1)
        }
        Closing::Brackets => {
            let near = below.iter().take(MOST_LINES).copied();
            let text: String = [rest, "\n"].into_iter().chain(near).collect();
            balanced(&text).map(|end| text[..end].matches('\n').count())
        }
    };
    closes.unwrap_or(below.len())
}

fn lines_further_in(kind: &Kind, line: &Line, below: &[&str]) -> usize {
    let mut count = 0;
    for (index, text) in below.iter().enumerate() {
        let (is_comment, behind) = without_sign(text);
        let body = if line.is_comment { behind } else { text };
        if line.is_comment && !is_comment || (*kind == Kind::Plain && is_comment != line.is_comment) {
            break;
        }
        let content = body.trim();
        if content.is_empty() {
            continue;
        }
        let column = body.chars().take_while(|c| matches!(c, ' ' | '\t')).count();
        let is_item =
            *kind == Kind::Nested && column == line.column && (content == "-" || content.starts_with("- "));
        if column <= line.column && !is_item {
            break;
        }
        count = index + 1;
    }
    count
}

/// What a line has of a value: without the dash of an item, a key before it, and quotes.
fn part(line: &str) -> &str {
    let mut text = without_sign(line).1.trim();
    while let Some(rest) = text.strip_prefix("- ") {
        text = rest.trim_start();
    }
    let is_key = |key: &str| !key.is_empty() && !key.contains(char::is_whitespace);
    let behind = text.split_once(": ").filter(|(key, _)| is_key(key)).map(|(_, value)| value.trim());
    unquoted(behind.unwrap_or(text))
}

/// A text without the quotes around it.
pub fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.trim_start_matches(['"', '\'', '\\']).trim_end_matches(['"', '\'', '\\'])
}

/// The quote that a text begins with, with the backslashes before it where it is one in a quoted text.
fn opening(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('\\');
    bare.starts_with(['"', '\'']).then(|| text[..=text.len() - bare.len()].to_owned())
}

/// Where the quote closes that opened before this text. In double quotes a backslash lets one stand for itself, in single
/// ones another; in a text in a text, it takes three where the quotes themselves have one.
fn closing(text: &str, quote: &str) -> Option<usize> {
    let (slashes, sign) = quote.split_at(quote.len() - 1);
    let slashes = slashes.len();
    let mut from = 0;
    while let Some(found) = text[from..].find(sign) {
        let at = from + found;
        let run = text[..at].len() - text[..at].trim_end_matches('\\').len();
        if quote == "'" && text[at + 1..].starts_with('\'') {
            from = at + 2;
        } else if quote == "'" || run % (2 * (slashes + 1)) == slashes {
            return Some(at - slashes);
        } else {
            from = at + 1;
        }
    }
    None
}

/// Where the bracket closes that a text begins with.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' if !text[..at].chars().next_back().is_some_and(char::is_alphanumeric) => {
                at += closing(&text[at + 1..], &c.to_string())? + 1;
            }
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
