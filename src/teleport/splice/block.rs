//! Mappings in block style: entries in lines of their own.

use std::ops::Range;

use serde_json::{Map, Value};

use super::flow;
use super::is_new;
use super::tree::{Entry, Node, Style, colon_end, line_end, line_start};
use crate::teleport::yaml;

/// Changes to a text in block style.
pub struct Splicer<'a> {
    text: &'a str,
    line_break: &'static str,
    /// Whether new values are written within one line.
    in_flow: bool,
    first_line_goes: bool,
    /// What comes in place of what, inner changes before outer ones.
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Splicer<'a> {
    pub fn new(text: &'a str, in_flow: bool) -> Self {
        Self { text, line_break: line_break(text), in_flow, first_line_goes: false, edits: Vec::new() }
    }

    /// Puts values behind a text that says nothing.
    pub fn append(&mut self, new: &Map<String, Value>) {
        let start = if self.text.is_empty() || self.text.ends_with(['\n', '\r']) { "" } else { "\n" };
        let end = self.text.len();
        self.edit(end..end, format!("{start}{}", yaml::write(&Value::Object(new.clone()))));
    }

    /// Puts lines in the place of others. The last line break is that of the text.
    fn edit(&mut self, place: Range<usize>, lines: impl AsRef<str>) {
        self.edits.push((place, lines.as_ref().replace('\n', self.line_break)));
    }

    /// Changes the entries of a mapping.
    pub fn mapping(
        &mut self,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<(), String> {
        let Some((first, others)) = entries.split_first() else { return Ok(()) };
        let column = self.column(first.whole.start);
        let stays = |entry: &&Entry| entry.name.as_ref().is_none_or(|name| new.contains_key(name));
        let Some(last_to_stay) = entries.iter().rfind(stays) else {
            let place = line_start(self.text, first.whole.start)..line_end(self.text, first.whole.end);
            self.edit(place, self.entries(new.clone(), column));
            for entry in others {
                self.remove(entry);
            }
            return Ok(());
        };
        for entry in entries {
            let Some(name) = &entry.name else { continue };
            match (old.get(name), new.get(name)) {
                (_, None) => self.remove(entry),
                (Some(was), Some(value)) if was != value => self.replace(entry, column, was, value)?,
                _ => {}
            }
        }
        let added: Map<String, Value> = new
            .iter()
            .filter(|(name, value)| is_new(entries, old, name, value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !added.is_empty() {
            let at = self.behind(last_to_stay, column);
            self.edit(at..at, format!("\n{}", self.entries(added, column)));
        }
        Ok(())
    }

    /// Where another entry can follow: behind the comments, too, that are indented as its value is.
    fn behind(&self, entry: &Entry, column: usize) -> usize {
        let mut end = line_end(self.text, entry.whole.end);
        let mut at = end;
        while let Some(line_break) = first_line_break(&self.text[at..]) {
            let start = at + line_break.len();
            at = line_end(self.text, start);
            let line = &self.text[start..at];
            let content = line.trim_start();
            if content.starts_with('#') && line.len() - content.len() > column {
                end = at;
            } else if !content.is_empty() {
                break;
            }
        }
        end
    }

    /// The lines of new entries.
    fn entries(&self, new: Map<String, Value>, column: usize) -> String {
        if !self.in_flow || new.is_empty() {
            return lines(&Value::Object(new), column);
        }
        let line = |(name, value): (&String, &Value)| {
            format!("{}: {}", yaml::write_flow(&Value::from(name.as_str())), yaml::write_flow(value))
        };
        indented(&new.iter().map(line).collect::<Vec<_>>().join("\n"), column)
    }

    /// Removes lines with the line break before them, so that others can follow where they end.
    fn remove(&mut self, entry: &Entry) {
        let before = &self.text[..line_start(self.text, entry.whole.start)];
        let start = before.len() - last_line_break(before).len();
        self.first_line_goes |= before.is_empty();
        self.edits.push((start..line_end(self.text, entry.whole.end), String::new()));
    }

    fn replace(&mut self, entry: &Entry, column: usize, was: &Value, value: &Value) -> Result<(), String> {
        if entry.is_announced {
            let name = entry.name.clone().unwrap_or_default();
            let lines = self.entries([(name, value.clone())].into_iter().collect(), column);
            let place = line_start(self.text, entry.whole.start)..line_end(self.text, entry.whole.end);
            self.edit(place, lines);
            return Ok(());
        }
        let colon = colon_end(self.text, entry.key.end).ok_or("a key has no colon")?;
        match (&entry.value.style, was, value) {
            (Style::BlockMapping(entries), Value::Object(was), Value::Object(value)) if !value.is_empty() => {
                return self.mapping(entries, was, value);
            }
            (Style::FlowMapping(open, entries), Value::Object(was), Value::Object(value))
                if !was.is_empty() && !value.is_empty() =>
            {
                let end = entry.value.end;
                let spliced = flow::spliced(self.text, *open, end, entries, was, value);
                self.edits.push((*open..end, spliced));
                return Ok(());
            }
            _ => {}
        }
        let text = if self.in_flow { yaml::write_flow(value) } else { yaml::write(value) };
        match (value, text.trim_end_matches('\n').split_once('\n')) {
            (Value::String(_), Some((sign, _))) => {
                self.put_in_lines(&entry.value, colon, column, value, sign);
            }
            (Value::String(_), None) => self.put_in_line(&entry.value, colon, text.trim_end_matches('\n')),
            _ if has_lines(value) && !self.in_flow => {
                self.put_in_lines(&entry.value, colon, column, value, "");
            }
            _ => self.put_in_line(&entry.value, colon, text.trim_end_matches('\n')),
        }
        Ok(())
    }

    fn put_in_line(&mut self, old: &Node, colon: usize, text: &str) {
        match old.style {
            Style::Inline | Style::FlowMapping(..) => self.edit(old.start..old.end, text),
            Style::Absent => self.edit(colon..colon, format!(" {text}")),
            _ => {
                let place = colon..line_end(self.text, old.end);
                self.edits.push((place, format!(" {text}{}", self.before(old, colon))));
            }
        }
    }

    /// Comments in the key's line, and between the key and its value, stay there.
    fn put_in_lines(&mut self, old: &Node, colon: usize, column: usize, value: &Value, sign: &str) {
        let end = old.end.max(colon);
        let place = colon..line_end(self.text, end);
        let before = self.before(old, colon);
        let (in_line, between) = before.split_at(before.find(['\n', '\r']).unwrap_or(before.len()));
        let behind = match old.style {
            Style::Absent | Style::Inline | Style::FlowMapping(..) => self.text[end..place.end].trim(),
            _ => "",
        };
        // One line has room for one comment.
        let comment = if in_line.is_empty() { behind } else { in_line.trim() };
        let words = [sign, comment].into_iter().filter(|word| !word.is_empty());
        let mut out: String = words.flat_map(|word| [" ", word]).collect();
        let lines = if sign.is_empty() {
            out.push_str(between);
            lines(value, self.column_of(old, column, value))
        } else {
            let literal = yaml::write(value);
            indented(literal.split_once('\n').map_or("", |(_, lines)| lines), column)
        };
        out.push_str(self.line_break);
        out.push_str(&lines.replace('\n', self.line_break));
        self.edits.push((place, out));
    }

    /// The comments between a colon and a value, with the line breaks before them.
    fn before(&self, old: &Node, colon: usize) -> &str {
        match old.style {
            Style::Absent | Style::BlockScalar => "",
            _ => self.text[colon..old.start].trim_end(),
        }
    }

    /// The column for a value in lines of its own: that of the former one where it can be.
    fn column_of(&self, old: &Node, column: usize, value: &Value) -> usize {
        const STEP: usize = 2;
        let before = &self.text[line_start(self.text, old.start)..old.start];
        let found = match old.style {
            // One with an anchor or tag begins in its key's line.
            Style::BlockSequence | Style::BlockMapping(_) if before.trim().is_empty() => {
                self.column(old.start)
            }
            _ => column + STEP,
        };
        let is_list = value.is_array() && matches!(old.style, Style::BlockSequence);
        // A list may stand in the column of its key.
        if found > column || (is_list && found == column) { found } else { column + STEP }
    }

    fn column(&self, at: usize) -> usize {
        self.text[line_start(self.text, at)..at].chars().count()
    }

    /// The changed text.
    pub fn finish(mut self) -> Result<String, String> {
        self.edits.sort_by_key(|(place, _)| (place.start, place.end));
        let mut out = String::with_capacity(self.text.len());
        let mut at = 0;
        let mut ends_in_lines = false;
        for (place, new) in std::mem::take(&mut self.edits) {
            let stays = self.text.get(at..place.start).ok_or("two changes meet")?;
            out.push_str(self.without_first_break(stays));
            out.push_str(&new);
            at = place.end;
            ends_in_lines = at == self.text.len() && (new.is_empty() || new.contains(['\n', '\r']));
        }
        out.push_str(self.without_first_break(&self.text[at..]));
        if ends_in_lines && !out.ends_with(['\n', '\r']) {
            out.push_str(self.line_break);
        }
        Ok(out)
    }

    /// Lines go with the line break before them, and the first one with that behind it.
    fn without_first_break<'b>(&mut self, stays: &'b str) -> &'b str {
        if stays.is_empty() || !std::mem::take(&mut self.first_line_goes) {
            return stays;
        }
        &stays[first_line_break(stays).map_or(0, str::len)..]
    }
}

/// Whether a value takes lines of its own.
fn has_lines(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

/// A value in lines that begin in this column, without the last line break.
fn lines(value: &Value, column: usize) -> String {
    indented(&yaml::write(value), column)
}

fn indented(text: &str, column: usize) -> String {
    let indentation = " ".repeat(column);
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("{indentation}{line}") };
    text.trim_end_matches('\n').split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// That of the first line.
fn line_break(text: &str) -> &'static str {
    text.find(['\n', '\r']).and_then(|at| first_line_break(&text[at..])).unwrap_or("\n")
}

const LINE_BREAKS: [&str; 3] = ["\r\n", "\n", "\r"];

/// The line break that a text begins with.
fn first_line_break(text: &str) -> Option<&'static str> {
    LINE_BREAKS.into_iter().find(|line_break| text.starts_with(line_break))
}

/// The line break that a text ends with.
fn last_line_break(text: &str) -> &'static str {
    LINE_BREAKS.into_iter().find(|line_break| text.ends_with(line_break)).unwrap_or_default()
}
