//! Mappings in flow style, JSON's objects among them.

use serde_json::{Map, Value};

use super::is_new;
use super::tree::{Entry, Style};
use crate::teleport::yaml;

/// A mapping in flow style, from its bracket on, with other values: what stays keeps its text, and what comes
/// is written as in JSON.
pub fn spliced(
    text: &str,
    open: usize,
    end: usize,
    entries: &[Entry],
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> String {
    let stays = |entry: &Entry| entry.name.as_ref().is_none_or(|name| new.contains_key(name));
    if !entries.iter().any(stays) {
        return yaml::write_flow(&Value::Object(new.clone()));
    }
    let gaps = Gap::all(text, open, end, entries);
    let mut pieces: Vec<Piece> = Vec::new();
    // Comments in lines of their own stay where their entry goes.
    let mut comments = String::new();
    for (entry, around) in entries.iter().zip(gaps.windows(2)) {
        let lead = around[0].lead;
        if stays(entry) {
            let lead = std::mem::take(&mut comments) + lead;
            pieces.push(Piece { lead, entry: entry_text(text, entry, old, new), tail: around[1].tail });
        } else if lead.contains('#') {
            comments.push_str(lead.trim_end());
        }
    }
    let lead = lead_of_new(&pieces);
    for (name, value) in new.iter().filter(|(name, value)| is_new(entries, old, name, value)) {
        let key = yaml::write_flow(&Value::from(name.as_str()));
        let entry = format!("{key}: {}", yaml::write_flow(value));
        pieces.push(Piece { lead: lead.clone(), entry, tail: "" });
    }
    let (first, last) = (gaps.first().map_or("", |gap| gap.tail), gaps.last().map_or("", |gap| gap.lead));
    format!("{{{first}{}{comments}{last}}}", joined(&pieces))
}

/// The pieces with commas between them, but none behind the last, as JSON wants it.
fn joined(pieces: &[Piece<'_>]) -> String {
    let mut out = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        out.push_str(&piece.lead);
        out.push_str(&piece.entry);
        out.push_str(if index + 1 < pieces.len() { "," } else { "" });
        out.push_str(piece.tail);
    }
    out
}

struct Piece<'a> {
    /// The white space, or lines, before it.
    lead: String,
    entry: String,
    /// The comment in its line.
    tail: &'a str,
}

/// What is between two entries, without the comma.
struct Gap<'a> {
    /// The rest of the line of the entry before.
    tail: &'a str,
    /// The beginning of the entry behind, from the line break on.
    lead: &'a str,
}

impl<'a> Gap<'a> {
    fn all(text: &'a str, open: usize, end: usize, entries: &[Entry]) -> Vec<Self> {
        let starts = entries.iter().map(|entry| entry.whole.start).chain([end - 1]);
        let ends = [open + 1].into_iter().chain(entries.iter().map(|entry| entry.whole.end));
        ends.zip(starts).map(|(from, to)| Self::of(text.get(from..to).unwrap_or_default())).collect()
    }

    fn of(gap: &'a str) -> Self {
        // The comma, where there is one, is before any comment, or in a line of its own.
        let comma = gap.find(',').filter(|at| !gap[..*at].contains('#'));
        let rest = comma.map_or(gap, |at| &gap[at + 1..]);
        match rest.find(['\n', '\r']) {
            Some(at) => Self { tail: rest[..at].trim_end(), lead: &rest[at..] },
            None => Self { tail: "", lead: rest },
        }
    }
}

/// What is before a new entry: a line of its own where the last one has that.
fn lead_of_new(pieces: &[Piece<'_>]) -> String {
    let Some(last) = pieces.last() else { return String::new() };
    match last.lead.rfind(['\n', '\r']) {
        Some(at) if last.lead[..at].ends_with('\r') => last.lead[at - 1..].to_owned(),
        Some(at) => last.lead[at..].to_owned(),
        None if last.tail.is_empty() => " ".to_owned(),
        // Not into the comment.
        None => "\n  ".to_owned(),
    }
}

fn entry_text(text: &str, entry: &Entry, old: &Map<String, Value>, new: &Map<String, Value>) -> String {
    let whole = &text[entry.whole.clone()];
    let values = entry.name.as_ref().map(|name| (old.get(name), new.get(name)));
    let Some((Some(was), Some(value))) = values.filter(|(was, value)| was != value) else {
        return whole.to_owned();
    };
    match (&entry.value.style, was, value) {
        (Style::FlowMapping(open, entries), Value::Object(was), Value::Object(value))
            if !value.is_empty() =>
        {
            let spliced = spliced(text, *open, entry.value.end, entries, was, value);
            format!("{}{spliced}", &text[entry.whole.start..*open])
        }
        (Style::Absent, ..) => format!("{}: {}", &text[entry.key.clone()], yaml::write_flow(value)),
        _ => format!("{}{}", &text[entry.whole.start..entry.value.start], yaml::write_flow(value)),
    }
}
