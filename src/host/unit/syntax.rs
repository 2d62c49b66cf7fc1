//! systemd's syntax: writing paths into units, and reading a unit's lines and words (systemd.syntax(7)).

use crate::error::{Error, Result};
use crate::host::AbsolutePath;

/// Bytes of the longest path that the kernel takes, `PATH_MAX` without its final zero.
const LONGEST_PATH: usize = 4095;

/// The path, where a unit can hold it in some way. `parameter` is what to blame.
///
/// Refused are a path that is longer than any file's, `/`, and Unicode's noncharacters, since systemd
/// passes over a line that has one.
pub fn writable<'a>(path: &'a AbsolutePath, parameter: &str) -> Result<&'a str> {
    let text = path.as_str();
    let wrong =
        |what: &str| Err(Error::invalid(format!("parameter `{parameter}`: the path {text:?} {what}")));
    if text.len() > LONGEST_PATH {
        return Err(Error::invalid(format!(
            "parameter `{parameter}`: a path has at most {LONGEST_PATH} bytes, and this one {}",
            text.len()
        )));
    }
    let is_noncharacter =
        |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || matches!(u32::from(c) & 0xffff, 0xfffe | 0xffff);
    match text {
        "/" => wrong("is the root of the file system"),
        _ if text.chars().any(is_noncharacter) => wrong("has a character that systemd does not read"),
        _ => Ok(text),
    }
}

/// A program's path. systemd (252, at least) runs none whose path has quotes or backslashes, however
/// they are written.
pub fn program<'a>(path: &'a AbsolutePath, parameter: &str) -> Result<&'a str> {
    let text = writable(path, parameter)?;
    if text.contains(['"', '\'', '\\']) {
        return Err(Error::invalid(format!(
            "parameter `{parameter}`: systemd runs no program with quotes or backslashes in its path, as in {text:?}; \
             put it elsewhere"
        )));
    }
    Ok(text)
}

/// A path that takes the rest of a line, as after `PIDFile=`: quotes and backslashes mean nothing there,
/// white space at the end is cut off, and a backslash at the end joins the next line to this one.
pub fn rest_of_line(path: &AbsolutePath, parameter: &str) -> Result<String> {
    let text = writable(path, parameter)?;
    if text.ends_with([' ', '\\']) {
        return Err(Error::invalid(format!(
            "parameter `{parameter}`: the path {text:?} ends with a space or a backslash, which systemd would not \
             take as a part of it"
        )));
    }
    Ok(without_specifiers(text))
}

/// One word of a list or command line, in quotes where it needs them. Inside, only `\\` and `\"` are
/// escaped, which every directive reads alike; other C-style escapes some take and some do not.
pub fn word(text: &str) -> String {
    quoted(&without_specifiers(text))
}

/// A word as it was read from a unit: its specifiers keep their meaning.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-.:+@,=%$".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A part of a command line.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// A word that stands for itself.
    Plain(&'a str),
    /// A word as a unit has it, with what systemd puts in there.
    AsRead(&'a str),
}

/// A command line (systemd.service(5), "Command lines"). Where there is a `$`, the prefix `:` keeps
/// systemd from putting environment variables there: in the arguments, and in the program's own path,
/// which is passed as the first of them. `is_verbatim` asks for that prefix in any case.
pub fn command_line(program: &str, arguments: &[Part<'_>], is_verbatim: bool) -> String {
    let is_plain_dollar = |part: &Part<'_>| matches!(part, Part::Plain(text) if text.contains('$'));
    let takes_no_variables = is_verbatim || program.contains('$') || arguments.iter().any(is_plain_dollar);
    let program = word(&format!("{}{program}", if takes_no_variables { ":" } else { "" }));
    let arguments = arguments.iter().map(|part| match part {
        Part::Plain(text) => word(text),
        Part::AsRead(text) => (*text).to_owned(),
    });
    [program].into_iter().chain(arguments).collect::<Vec<String>>().join(" ")
}

/// systemd.unit(5), "Specifiers".
fn without_specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// One `Name=value` of a unit, in its section, or a line that is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The section's name, empty before the first.
    pub section: String,
    /// The directive's name, or the whole line where it has no `=`.
    pub name: String,
    /// What stands after the `=`, without white space around it.
    pub value: String,
}

/// The assignments of a unit, in their order.
pub fn assignments(text: &str) -> Vec<Assignment> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in logical_lines(text) {
        let line = line.trim_matches(BLANKS);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if !line.is_empty() {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            found.push(Assignment {
                section: section.clone(),
                name: name.trim_matches(BLANKS).to_owned(),
                value: value.trim_matches(BLANKS).to_owned(),
            });
        }
    }
    found
}

/// Lines without comments, and with those joined that end with a backslash, also past comments. The
/// backslash becomes a space.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    for line in physical_lines(text) {
        if line.trim_start_matches(BLANKS).starts_with(['#', ';']) {
            continue;
        }
        joined.push_str(line);
        let backslashes = joined.len() - joined.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            joined.pop();
            joined.push(' ');
        } else {
            lines.push(std::mem::take(&mut joined));
        }
    }
    lines.push(joined);
    lines
}

/// Lines end with a newline, a carriage return or a zero byte to systemd, or with two different ones.
fn physical_lines(text: &str) -> impl Iterator<Item = &str> {
    const ENDS: [char; 3] = ['\n', '\r', '\0'];
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (line, after) = match rest?.split_once(ENDS) {
            Some((line, after)) => {
                let end = rest?.get(line.len()..=line.len())?;
                let second = after.strip_prefix(ENDS).filter(|_| !after.starts_with(end));
                (line, Some(second.unwrap_or(after)))
            }
            None => (rest?, None),
        };
        rest = after;
        Some(line)
    })
}

/// systemd's white space within a line.
pub const BLANKS: [char; 2] = [' ', '\t'];

/// What backslashes do in a directive's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// They begin C-style escapes.
    Decoded,
    /// They stay as they are, but a quote after one is no quote.
    Kept,
}

/// A word, and whether any of it was quoted or escaped.
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    /// The word without its quotes.
    pub text: String,
    /// Whether it stands there as it is.
    pub is_bare: bool,
}

/// The words of a value, at white space outside of quotes; none where a quote is not closed or an escape
/// does not make text.
pub fn words(value: &str, escapes: Escapes) -> Option<Vec<Word>> {
    let mut found = Vec::new();
    let mut rest = value.trim_start_matches(BLANKS).chars();
    while !rest.as_str().is_empty() {
        found.push(next_word(&mut rest, escapes)?);
        rest = rest.as_str().trim_start_matches(BLANKS).chars();
    }
    Some(found)
}

fn next_word(rest: &mut std::str::Chars<'_>, escapes: Escapes) -> Option<Word> {
    let mut word = Word { text: String::new(), is_bare: true };
    let mut quote = None;
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', _) => {
                word.is_bare = false;
                match escapes {
                    Escapes::Decoded => decode(rest, &mut word.text)?,
                    Escapes::Kept => word.text.extend(['\\', rest.next()?]),
                }
            }
            ('"' | '\'', None) => {
                word.is_bare = false;
                quote = Some(c);
            }
            (_, Some(open)) if c == open => quote = None,
            (' ' | '\t', None) => return Some(word),
            _ => word.text.push(c),
        }
    }
    quote.is_none().then_some(word)
}

/// One C-style escape (systemd.syntax(7), "Quoting"), after its backslash. What is none stays as it is.
fn decode(rest: &mut std::str::Chars<'_>, text: &mut String) -> Option<()> {
    let kind = rest.next()?;
    let code = match kind {
        'a' => 7,
        'b' => 8,
        't' => 9,
        'n' => 10,
        'v' => 11,
        'f' => 12,
        'r' => 13,
        's' => 32,
        '\\' | '"' | '\'' => u32::from(kind),
        // Bytes that are not ASCII may be parts of a character, or none: too odd to be compared.
        'x' => digits(rest, 2, 16).filter(|code| *code < 128)?,
        '0'..='7' => Some(kind.to_digit(8)? * 64 + digits(rest, 2, 8)?).filter(|code| *code < 128)?,
        'u' => digits(rest, 4, 16)?,
        'U' => digits(rest, 8, 16)?,
        _ => {
            text.extend(['\\', kind]);
            return Some(());
        }
    };
    text.push(char::from_u32(code).filter(|c| *c != '\0')?);
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut number: u32 = 0;
    for _ in 0..count {
        number = number.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)?;
    }
    Some(number)
}
