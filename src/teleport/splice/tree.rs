//! Where the mappings of a YAML text are: the positions of their keys and values.

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

/// A value of the text, in bytes from its start. The end is that of what it says: comments and empty lines
/// behind it are not part of it.
#[derive(Debug)]
pub struct Node {
    pub start: usize,
    pub end: usize,
    pub style: Style,
}

/// How a value is written, as far as that matters for putting another in its place.
#[derive(Debug)]
pub enum Style {
    /// Nothing at all: a key without a value.
    Absent,
    /// What can stand behind something else in its line: plain and quoted texts, aliases, flow sequences.
    Inline,
    /// `|` or `>`. Its start is that of its first line, behind that of the sign.
    BlockScalar,
    /// `- a`, in lines of its own.
    BlockSequence,
    /// `a: b`, in lines of its own.
    BlockMapping(Vec<Entry>),
    /// `{a: b}`, with the place of its opening bracket.
    FlowMapping(usize, Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Debug)]
pub struct Entry {
    /// What the key says; none where it is no text, or takes over the fields of other mappings (`<<`).
    pub name: Option<String>,
    pub key: Range<usize>,
    pub value: Node,
    /// From the key, or the `?` before it, to the end of what the value says.
    pub whole: Range<usize>,
    /// Whether the key is announced (`? key`).
    pub is_announced: bool,
}

/// The one document of a text; none where it holds none. A text of several documents is an error, and so is
/// one that is no YAML.
pub fn parse(text: &str) -> Result<Option<Node>, String> {
    let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut reader = Reader { text, offsets, parser: Parser::new_from_str(text) };
    let mut root = None;
    loop {
        match reader.next()? {
            (Event::DocumentStart(_), _) if root.is_some() => return Err("it has several documents".into()),
            (Event::DocumentStart(_), _) => {
                let first = reader.next()?;
                root = Some(reader.node(first, 0, false)?);
            }
            (Event::StreamEnd, _) => return Ok(root),
            _ => {}
        }
    }
}

type Place<'a> = (Event<'a>, Range<usize>);

struct Reader<'a> {
    text: &'a str,
    /// The byte of each character, since the parser counts these.
    offsets: Vec<usize>,
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Place<'a>, String> {
        let (event, span) =
            self.parser.next().ok_or("it ends too early")?.map_err(|error| error.to_string())?;
        let byte = |index: usize| self.offsets.get(index).copied().ok_or("it has no such place");
        Ok((event, byte(span.start.index())?..byte(span.end.index())?))
    }

    /// The value that begins with this event. `before` is where what is before it ends.
    fn node(&mut self, first: Place<'a>, before: usize, in_flow: bool) -> Result<Node, String> {
        let (event, place) = first;
        match event {
            // Go's reader decodes it, and takes what comes of it even for a key.
            Event::Scalar(_, _, _, Some(tag)) if tag.suffix == "binary" => {
                Err("the tag !!binary stands for another text: write that".into())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let has_properties = anchor != 0 || tag.is_some();
                Ok(self.scalar(&text, style, place, before, has_properties))
            }
            Event::SequenceStart(..) => self.sequence(place, in_flow),
            Event::MappingStart(..) => self.mapping(place, in_flow),
            _ => Ok(Node { start: place.start, end: place.end, style: Style::Inline }),
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        place: Range<usize>,
        before: usize,
        has_properties: bool,
    ) -> Node {
        let (start, written) = (place.start, &self.text[place.clone()]);
        match style {
            ScalarStyle::Plain if text.is_empty() && !has_properties => {
                Node { start: before, end: before, style: Style::Absent }
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // Empty lines at its end belong to it where it keeps them (`|+`).
                let written = if text.ends_with("\n\n") {
                    let lines = written.trim_end_matches([' ', '\t']);
                    lines.strip_suffix('\n').map_or(lines, |rest| rest.strip_suffix('\r').unwrap_or(rest))
                } else {
                    written.trim_end()
                };
                // Where it has no lines, its end is that of the line with the sign.
                let sign = self.text[before..].find(['\n', '\r']).map_or(self.text.len(), |at| before + at);
                let end = if written.is_empty() { sign } else { start + written.len() };
                Node { start, end, style: Style::BlockScalar }
            }
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let quote = if style == ScalarStyle::SingleQuoted { '\'' } else { '"' };
                // The parser's place goes on over comments.
                Node { start, end: start + quoted_length(written, quote), style: Style::Inline }
            }
            ScalarStyle::Plain => Node { start, end: start + written.trim_end().len(), style: Style::Inline },
        }
    }

    fn sequence(&mut self, place: Range<usize>, in_flow: bool) -> Result<Node, String> {
        let has_brackets = self.bracket(&place).is_some();
        let mut end = place.end;
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) if has_brackets => {
                    return Ok(Node { start: place.start, end: self.closed(end)?, style: Style::Inline });
                }
                (Event::SequenceEnd, after) => {
                    let start = self.block_start(&place);
                    let end = self.content_end(end, after.start);
                    return Ok(Node { start, end, style: Style::BlockSequence });
                }
                item => end = self.node(item, end, in_flow || has_brackets)?.end,
            }
        }
    }

    fn mapping(&mut self, place: Range<usize>, in_flow: bool) -> Result<Node, String> {
        let bracket = self.bracket(&place);
        let has_brackets = bracket.is_some();
        let mut entries: Vec<Entry> = Vec::new();
        let mut end = place.end;
        loop {
            match self.next()? {
                (Event::MappingEnd, after) => {
                    return self.finished(place, entries, bracket, in_flow, after.start);
                }
                first => {
                    let entry = self.entry(first, end, in_flow || has_brackets)?;
                    if let Some(last) = entries.last_mut().filter(|_| !has_brackets && !in_flow) {
                        last.whole.end = self.content_end(last.whole.end, entry.whole.start);
                    }
                    end = entry.whole.end;
                    entries.push(entry);
                }
            }
        }
    }

    fn entry(&mut self, first: Place<'a>, before: usize, in_flow: bool) -> Result<Entry, String> {
        let name = match &first.0 {
            Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<" => None,
            // To some readers it is a key like any other.
            Event::Scalar(text, ..) if text == "<<" => {
                return Err("a key `<<` in quotes: leave them out".into());
            }
            Event::Scalar(text, ..) => Some(Cow::clone(text).into_owned()),
            // It may stand for `<<`, which then merges for some readers.
            Event::Alias(_) => return Err("a key is an alias (*name): write it out".into()),
            _ => None,
        };
        let key = self.node(first, before, in_flow)?;
        let next = self.next()?;
        let value = self.node(next, key.end, in_flow)?;
        let line = self.line_begin(key.start);
        let is_announced = !in_flow && line < key.start;
        let end = match value.style {
            Style::Absent if in_flow => colon_end(self.text, key.end).unwrap_or(key.end),
            _ => value.end,
        };
        let start = if is_announced { line } else { key.start };
        Ok(Entry { name, key: key.start..key.end, value, whole: start..end, is_announced })
    }

    fn finished(
        &self,
        place: Range<usize>,
        mut entries: Vec<Entry>,
        bracket: Option<usize>,
        in_flow: bool,
        after: usize,
    ) -> Result<Node, String> {
        let last = entries.last().map_or(place.end, |entry| entry.whole.end);
        if let Some(bracket) = bracket {
            let style = Style::FlowMapping(bracket, entries);
            return Ok(Node { start: place.start, end: self.closed(last)?, style });
        }
        if in_flow {
            // A pair in a list: `[a: b]`.
            return Ok(Node { start: place.start, end: last, style: Style::Inline });
        }
        let end = self.content_end(last, after);
        if let Some(entry) = entries.last_mut() {
            entry.whole.end = end;
        }
        Ok(Node { start: self.block_start(&place), end, style: Style::BlockMapping(entries) })
    }

    /// The opening bracket of a list or mapping, which may have an anchor, a tag and comments before it.
    fn bracket(&self, place: &Range<usize>) -> Option<usize> {
        let mut at = place.start;
        loop {
            let rest = self.text.get(at..place.end)?;
            let word = rest.trim_start();
            at = place.end - word.len();
            match word.chars().next()? {
                '[' | '{' => return Some(at),
                '#' => at += word.find(['\n', '\r'])?,
                _ => at += word.find(|c: char| c.is_whitespace() || "[{".contains(c))?,
            }
        }
    }

    /// Behind the bracket that closes what ends here, but for commas, comments and the like.
    fn closed(&self, from: usize) -> Result<usize, String> {
        let mut rest = self.text[from..].char_indices();
        while let Some((at, c)) = rest.next() {
            match c {
                ']' | '}' => return Ok(from + at + 1),
                '#' => _ = rest.find(|(_, c)| matches!(c, '\n' | '\r')),
                _ => {}
            }
        }
        Err("a bracket is not closed".into())
    }

    /// The end of the last line that says something: what has no value has no place of its own.
    fn content_end(&self, from: usize, to: usize) -> usize {
        let (mut at, mut end) = (from, from);
        for line in self.text.get(from..to).unwrap_or_default().split_inclusive(['\n', '\r']) {
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                end = at + line.trim_end().len();
            }
            at += line.len();
        }
        end
    }

    /// Where a list or mapping in lines of its own begins: at its anchor or tag, where it has one. These take up a
    /// place; else that is empty, and the line is the first one's.
    fn block_start(&self, place: &Range<usize>) -> usize {
        if place.is_empty() { self.line_begin(place.start) } else { place.start }
    }

    /// Where the line of a place begins, behind its indentation.
    fn line_begin(&self, at: usize) -> usize {
        let start = line_start(self.text, at);
        start + self.text[start..at].len() - self.text[start..at].trim_start_matches([' ', '\t']).len()
    }
}

/// Bytes of a text in quotes, with its anchor and tag. A backslash in double quotes, and a quote before another
/// in single ones, let a quote stand for itself.
fn quoted_length(written: &str, quote: char) -> usize {
    let mut characters = written.char_indices().peekable();
    characters.find(|(_, c)| *c == quote);
    while let Some((at, c)) = characters.next() {
        if c == '\\' && quote == '"' {
            characters.next();
        } else if c == quote && (quote == '"' || characters.next_if(|(_, next)| *next == quote).is_none()) {
            return at + 1;
        }
    }
    written.trim_end().len()
}

/// The start of the line of a place.
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1)
}

/// The end of the line of a place, before its line break.
pub fn line_end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |end| at + end)
}

/// Behind the colon of a key that ends here.
pub fn colon_end(text: &str, key_end: usize) -> Option<usize> {
    let rest = text[key_end..].trim_start();
    rest.starts_with(':').then(|| text.len() - rest.len() + 1)
}
