//! YAML files as people write them, in all styles, and changes to them.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

/// A key with its value, as it is written.
#[derive(Debug, Clone)]
pub struct Field {
    key: String,
    /// Lines before it.
    before: Vec<&'static str>,
    /// Behind it in its line.
    comment: &'static str,
    style: Style,
}

#[derive(Debug, Clone)]
enum Style {
    Absent,
    Plain(&'static str),
    Single(String),
    Double(String),
    /// Its sign, and its lines.
    Scalar(&'static str, Vec<&'static str>),
    FlowList(Vec<&'static str>, &'static str),
    FlowMapping(Vec<(String, &'static str)>),
    /// How far in, and the comments between the items.
    List(usize, Vec<(&'static str, &'static str)>),
    Mapping(usize, Vec<Field>),
}

/// A whole file.
#[derive(Debug, Clone)]
pub struct File {
    pub fields: Vec<Field>,
    /// Lines before the first key and behind the last, and the line break.
    around: (&'static str, &'static str, &'static str),
    is_open: bool,
}

/// One change somewhere in a file.
#[derive(Debug, Clone)]
pub struct Edit {
    depth: usize,
    at: [Index; 3],
    value: Option<Value>,
    name: Option<String>,
}

/// A line of the file, and the keys to what it belongs to; none where it belongs to nothing.
type Line = (Vec<String>, String);

impl File {
    pub fn text(&self) -> String {
        let (start, end, line_break) = self.around;
        let lines: Vec<String> = self.lines().into_iter().map(|(_, line)| line).collect();
        let body = lines.join(line_break);
        let last = if self.is_open { "" } else { line_break };
        format!("{}{body}{last}{}", start.replace('\n', line_break), end.replace('\n', line_break))
    }

    /// That of a text without one is a program's own choice.
    pub fn line_break(&self) -> &str {
        if self.text().contains(self.around.2) { self.around.2 } else { "\n" }
    }

    pub fn values(&self) -> Map<String, Value> {
        values(&self.fields)
    }

    /// The values after these changes.
    pub fn changed(&self, edits: &[Edit]) -> Map<String, Value> {
        let mut values = self.values();
        for edit in edits {
            edit.apply(&mut values, 0);
        }
        values
    }

    /// The lines that a change to these values must leave, in order.
    pub fn lasting(&self, wanted: &Map<String, Value>) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|(keys, _)| lasts(&self.fields, keys, wanted))
            .map(|(_, line)| line)
            .collect()
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        write(&self.fields, 0, &[], &mut lines);
        lines
    }
}

/// Whether the lines of what these keys lead to stay: it, and all that it is in, is unchanged, or a mapping
/// in lines of its own before and after.
fn lasts(fields: &[Field], keys: &[String], wanted: &Map<String, Value>) -> bool {
    let Some((key, keys)) = keys.split_first() else { return true };
    let field = fields.iter().find(|field| field.key == *key).unwrap();
    match (&field.style, wanted.get(key)) {
        (_, Some(value)) if *value == field.value() => true,
        (Style::Mapping(_, fields), Some(Value::Object(wanted))) => {
            !wanted.is_empty() && lasts(fields, keys, wanted)
        }
        _ => false,
    }
}

fn ends_in_text(fields: &[Field]) -> bool {
    match fields.last().map(|field| &field.style) {
        Some(Style::Scalar(..)) => true,
        Some(Style::Mapping(_, fields)) => ends_in_text(fields),
        _ => false,
    }
}

fn values(fields: &[Field]) -> Map<String, Value> {
    fields.iter().map(|field| (field.key.clone(), field.value())).collect()
}

impl Field {
    fn value(&self) -> Value {
        match &self.style {
            Style::Absent => Value::Null,
            Style::Plain(word) => json!(word),
            Style::Single(text) | Style::Double(text) => json!(text),
            Style::Scalar(sign, lines) => match *sign {
                "|-" => json!(lines.join("\n")),
                ">-" => json!(lines.join(" ")),
                _ => json!(lines.join("\n") + "\n"),
            },
            Style::FlowList(items, _) => json!(items),
            Style::FlowMapping(fields) => {
                fields.iter().map(|(key, word)| (key.clone(), json!(word))).collect()
            }
            Style::List(_, items) => items.iter().map(|(item, _)| json!(item)).collect(),
            Style::Mapping(_, fields) => Value::Object(values(fields)),
        }
    }

    fn write(&self, column: usize, keys: &[String], lines: &mut Vec<Line>) {
        let indent = |column: usize| " ".repeat(column);
        let mut own = keys.to_vec();
        own.push(self.key.clone());
        for before in &self.before {
            let indentation = if before.is_empty() { String::new() } else { indent(column) };
            lines.push((keys.to_vec(), indentation + before));
        }
        let mut line = |text: String| lines.push((own.clone(), text));
        let (key, comment) = (format!("{}{}:", indent(column), self.key), self.comment);
        match &self.style {
            Style::Absent => line(format!("{key}{comment}")),
            Style::Plain(word) => line(format!("{key} {word}{comment}")),
            Style::Single(text) => line(format!("{key} '{}'{comment}", text.replace('\'', "''"))),
            Style::Double(text) => line(format!("{key}   {}{comment}", json!(text))),
            Style::Scalar(sign, content) => {
                line(format!("{key} {sign}"));
                for text in content {
                    line(format!("{}{text}", indent(column + 3)));
                }
            }
            Style::FlowList(items, between) if between.contains('\n') => {
                line(format!("{key} ["));
                for item in items {
                    line(format!("{}{item}, # ]", indent(column + 2)));
                }
                line(format!("{}]{comment}", indent(column + 1)));
            }
            Style::FlowList(items, between) => line(format!("{key} [{}]{comment}", items.join(between))),
            Style::FlowMapping(fields) => {
                let fields: Vec<String> = fields.iter().map(|(key, word)| format!("{key}: {word}")).collect();
                line(format!("{key} {{{}}}{comment}", fields.join(", ")));
            }
            Style::List(depth, items) => {
                line(format!("{key}{comment}"));
                for (item, comment) in items {
                    line(format!("{}- {item}{comment}", indent(column + depth)));
                }
            }
            Style::Mapping(depth, fields) => {
                line(format!("{key}{comment}"));
                write(fields, column + depth, &own, lines);
            }
        }
    }
}

fn write(fields: &[Field], column: usize, keys: &[String], lines: &mut Vec<Line>) {
    for field in fields {
        field.write(column, keys, lines);
    }
}

impl Edit {
    fn apply(&self, values: &mut Map<String, Value>, depth: usize) {
        if let Some(name) = self.name.as_ref().filter(|_| depth == self.depth || values.is_empty()) {
            values.insert(name.clone(), self.value.clone().unwrap_or_default());
        } else if !values.is_empty() {
            let key = values.keys().nth(self.at[depth].index(values.len())).unwrap().clone();
            match (&self.value, values.get_mut(&key)) {
                (_, Some(Value::Object(inner))) if depth < self.depth => self.apply(inner, depth + 1),
                (Some(value), _) => _ = values.insert(key, value.clone()),
                (None, _) => _ = values.shift_remove(&key),
            }
        }
    }
}

/// Files with comments and empty lines, and changes to each.
pub fn files_and_edits() -> impl Strategy<Value = (File, Vec<Edit>)> {
    let starts =
        prop::sample::select(vec!["", "", "# start\n", "---\n", "\u{feff}", "\u{feff}# é\n--- # start\n\n"]);
    let ends = prop::sample::select(vec!["", "", "# end\n", "\n\n", "...\n", "  # end\n...\n# the end"]);
    let line_breaks = prop::sample::select(vec!["\n", "\n", "\r\n"]);
    let parts = (fields(3), (starts, ends, line_breaks), any::<bool>());
    let file = parts.prop_map(|(fields, around, is_open)| {
        // The last line break of a text is one of its file.
        let is_open = is_open && around.1.is_empty() && !ends_in_text(&fields);
        File { fields, around, is_open }
    });
    (file, prop::collection::vec(edit(), 1..4))
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["tpm", "x/y", "host.example", "sha256-ab", "a b", "it's", "ß", "12a", "a#b"])
}

fn comment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " # why", "   # it's \"so\": [x", " # {\t&x"])
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "x", "it's", "a: b", "# no", "\"quoted\"", "back\\slash", "é ]}", "12:34"])
        .prop_map(str::to_owned)
}

fn fields(depth: u32) -> impl Strategy<Value = Vec<Field>> {
    let before = prop::sample::select(vec!["", "# of it", "#", "# - a: [", "# 'x"]);
    let field = (prop::collection::vec(before, 0..3), comment(), style(depth));
    prop::collection::vec(field, 1..5).prop_map(|fields| {
        let named =
            |(number, (before, comment, style))| Field { key: format!("k{number}"), before, comment, style };
        fields.into_iter().enumerate().map(named).collect()
    })
}

fn style(depth: u32) -> BoxedStrategy<Style> {
    let signs = prop::sample::select(vec!["|", "|-", ">-"]);
    let lines = prop::collection::vec(prop::sample::select(vec!["x", "# no", "a: b", "- a"]), 1..4);
    let items = prop::collection::vec((word(), comment()), 1..4);
    let keys = "[a-z]k[a-z]";
    let flat = prop_oneof![
        Just(Style::Absent),
        word().prop_map(Style::Plain),
        text().prop_map(Style::Single),
        text().prop_map(Style::Double),
        (signs, lines).prop_map(|(sign, lines)| Style::Scalar(sign, lines)),
        (prop::collection::vec(word(), 0..4), prop::sample::select(vec![", ", " ,", "\n"]))
            .prop_map(|(items, between)| Style::FlowList(items, between)),
        prop::collection::btree_map(keys, word(), 0..4)
            .prop_map(|fields| Style::FlowMapping(fields.into_iter().collect())),
        (0..4_usize, items).prop_map(|(depth, items)| Style::List(depth, items)),
    ];
    if depth == 0 {
        return flat.boxed();
    }
    prop_oneof![3 => flat, 2 => (1..5_usize, fields(depth - 1)).prop_map(|(depth, fields)| Style::Mapping(depth, fields))]
        .boxed()
}

fn edit() -> impl Strategy<Value = Edit> {
    let value = prop::option::weighted(
        0.75,
        prop::sample::select(vec![
            json!("new"),
            json!("new: # [x"),
            json!(""),
            json!(null),
            json!(true),
            json!(13),
            json!([]),
            json!({}),
            json!(["new", "12:34"]),
            json!([{ "type": "new", "destination": { "type": "directory", "path": "/new" } }, []]),
            json!({ "k0": "new", "k1": { "k0": [1] } }),
            json!({ "new": "é" }),
            json!("new\nlines\n"),
            json!("new\n\nlines"),
        ]),
    );
    (0..3_usize, any::<[Index; 3]>(), value, prop::option::weighted(0.3, "n[0-9]"))
        .prop_map(|(depth, at, value, name)| Edit { depth, at, value, name })
}
