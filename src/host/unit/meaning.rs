//! Whether two units say the same.
//!
//! What counts is what systemd makes of a text (systemd.syntax(7), and the page of each directive), so
//! comments, the order of different directives, white space and quoting play no part. Directives that are
//! never written here are compared by their text. Where in doubt, two texts differ.

use std::collections::BTreeMap;

use super::syntax::{Assignment, BLANKS, Escapes, Word, assignments, words};

/// What a file is to systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A unit, which stands for itself.
    Unit,
    /// A drop-in, which adds to a unit: there an empty assignment takes away what the unit says.
    DropIn,
}

/// Whether two units, or two drop-ins, mean the same to systemd. A description means nothing to it.
#[must_use]
pub fn same_directives(one: &str, other: &str, form: Form) -> bool {
    meaning(one, form) == meaning(other, form)
}

/// Whether two units mean the same but for the pid file and a directory for it.
#[must_use]
pub fn same_but_for_pid_file(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|text| {
        let mut settings = meaning(text, Form::Unit);
        settings.retain(|(section, name), setting| {
            if section == "Service" && name == "ExecStart" {
                setting.items.iter_mut().for_each(remove_pid_file);
            }
            section != "Service" || !OF_PID_FILE.contains(&name.as_str())
        });
        settings
    });
    one == other
}

/// What a unit says of the pid file besides its command.
const OF_PID_FILE: [&str; 4] =
    ["PIDFile", "RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve"];

/// Takes the flag for the pid file out of a command, whose words have zero bytes between them.
fn remove_pid_file(command: &mut String) {
    let mut kept = Vec::new();
    let mut words = command.split('\0');
    while let Some(word) = words.next() {
        if word == "--pid-file" {
            words.next();
        } else if !word.starts_with("--pid-file=") {
            kept.push(word);
        }
    }
    *command = kept.join("\0");
}

/// What is assigned to each directive of each section in the end.
fn meaning(text: &str, form: Form) -> BTreeMap<(String, String), Setting> {
    let mut settings: BTreeMap<(String, String), Setting> = BTreeMap::new();
    for Assignment { section, name, value } in assignments(text) {
        let kind = Kind::of(&section, &name);
        settings.entry((section, name)).or_default().assign(kind, &value);
    }
    for ((section, name), setting) in &mut settings {
        setting.settle(Kind::of(section, name), form);
    }
    settings.retain(|(section, name), setting| {
        let is_description = section == "Unit" && name == "Description";
        !is_description && (setting.is_reset || !setting.items.is_empty())
    });
    settings
}

/// How systemd reads a directive's assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The last assignment counts.
    Scalar(Scalar),
    /// Words that add up, in any order.
    Words,
    /// The same, but an empty assignment takes none away (systemd.unit(5): dependencies).
    Dependencies,
    /// Words that add up; a `~` before an assignment's first word takes them all away.
    Filter,
    /// The same, and the empty list is another than none at all.
    Capabilities,
    /// Assignments that add up, in any order, each as a whole.
    Lines,
    /// Commands that add up.
    Commands,
    /// Assignments of variables; the last one of each counts.
    Environment,
    /// A directive that is never written here.
    Unknown,
}

/// What makes two values of a directive equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Text,
    /// systemd's words for true and false; other words stand for themselves.
    Boolean,
    /// systemd.time(7), as far as one number with a unit.
    Time,
    /// One number for both limits, or `soft:hard`.
    Limit,
    Octal,
}

impl Kind {
    fn of(section: &str, name: &str) -> Self {
        match (section, name) {
            ("Unit", "After" | "Before" | "Wants" | "Requires") => Self::Dependencies,
            ("Install", "WantedBy" | "RequiredBy") => Self::Words,
            ("Service", name) => Self::of_service(name),
            _ => Self::Unknown,
        }
    }

    fn of_service(name: &str) -> Self {
        match name {
            "Type"
            | "User"
            | "Group"
            | "Restart"
            | "PIDFile"
            | "DevicePolicy"
            | "KeyringMode"
            | "ProtectProc"
            | "ProcSubset"
            | "RuntimeDirectoryPreserve"
            | "SystemCallErrorNumber" => Self::Scalar(Scalar::Text),
            "LockPersonality"
            | "MemoryDenyWriteExecute"
            | "NoNewPrivileges"
            | "PrivateTmp"
            | "ProtectClock"
            | "ProtectControlGroups"
            | "ProtectHome"
            | "ProtectHostname"
            | "ProtectKernelLogs"
            | "ProtectKernelModules"
            | "ProtectKernelTunables"
            | "ProtectSystem"
            | "RemoveIPC"
            | "RestrictNamespaces"
            | "RestrictRealtime"
            | "RestrictSUIDSGID" => Self::Scalar(Scalar::Boolean),
            "RestartSec" => Self::Scalar(Scalar::Time),
            "LimitNOFILE" => Self::Scalar(Scalar::Limit),
            "UMask" | "RuntimeDirectoryMode" => Self::Scalar(Scalar::Octal),
            "SupplementaryGroups"
            | "ReadOnlyPaths"
            | "ReadWritePaths"
            | "RuntimeDirectory"
            | "SystemCallArchitectures" => Self::Words,
            "AmbientCapabilities" | "RestrictAddressFamilies" | "SystemCallFilter" => Self::Filter,
            "CapabilityBoundingSet" => Self::Capabilities,
            "DeviceAllow" => Self::Lines,
            "ExecStart" | "ExecStartPre" | "ExecReload" => Self::Commands,
            "Environment" => Self::Environment,
            _ => Self::Unknown,
        }
    }
}

/// What a directive is set to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Setting {
    /// Whether an empty assignment took away what was there before.
    is_reset: bool,
    /// Each a value, word, variable or command (its words with zero bytes between).
    items: Vec<String>,
}

impl Setting {
    fn assign(&mut self, kind: Kind, value: &str) {
        if value.is_empty() && !matches!(kind, Kind::Unknown | Kind::Dependencies) {
            *self = Self { is_reset: true, items: Vec::new() };
            return;
        }
        // What cannot be split is compared as it stands; the newline keeps it from looking like a word.
        let unclear = || vec![format!("\n{value}")];
        let texts = |words: Vec<Word>| words.into_iter().map(|word| word.text).collect();
        match kind {
            Kind::Scalar(scalar) => self.items = vec![scalar.normal(value)],
            Kind::Words | Kind::Dependencies => {
                self.items.extend(words(value, Escapes::Kept).map_or_else(unclear, texts));
            }
            Kind::Filter | Kind::Capabilities => {
                let (sign, value) = value.strip_prefix('~').map_or(("", value), |rest| ("~", rest));
                // A `~` alone means something too.
                let alone = value.is_empty().then(String::new);
                let words = split(value).map(str::to_owned).chain(alone);
                self.items.extend(words.map(|word| format!("{sign}{word}")));
            }
            Kind::Lines => self.items.push(split(value).collect::<Vec<_>>().join(" ")),
            Kind::Commands => {
                self.items
                    .extend(words(value, Escapes::Decoded).map_or_else(unclear, |words| commands(&words)));
            }
            Kind::Environment => {
                for variable in words(value, Escapes::Decoded).map_or_else(unclear, texts) {
                    let name = variable.split('=').next().unwrap_or_default();
                    self.items.retain(|known| known.split('=').next() != Some(name));
                    self.items.push(variable);
                }
            }
            Kind::Unknown => self.items.push(value.to_owned()),
        }
    }

    /// Puts into one order what has none, and forgets resets that take nothing away.
    fn settle(&mut self, kind: Kind, form: Form) {
        let sorts = match kind {
            Kind::Words | Kind::Dependencies | Kind::Lines | Kind::Environment => true,
            Kind::Filter | Kind::Capabilities => self.items.iter().all(|word| !word.starts_with('~')),
            Kind::Scalar(_) | Kind::Commands | Kind::Unknown => false,
        };
        if sorts {
            self.items.sort();
            self.items.dedup();
        }
        self.is_reset &= match (kind, form) {
            (Kind::Scalar(_), _) => self.items.is_empty() && form == Form::DropIn,
            (Kind::Capabilities, Form::Unit) => self.items.is_empty(),
            (_, Form::Unit) => false,
            (_, Form::DropIn) => true,
        };
    }
}

/// The commands of one line, which a `;` of its own separates.
fn commands(words: &[Word]) -> Vec<String> {
    let is_separator = |word: &Word| word.is_bare && word.text == ";";
    words
        .split(is_separator)
        .map(|command| command.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join("\0"))
        .collect()
}

impl Scalar {
    fn normal(self, value: &str) -> String {
        let normal = match self {
            Self::Text => None,
            Self::Boolean => truth(value),
            Self::Time => milliseconds(value),
            Self::Limit => {
                value.split_once(':').filter(|(soft, hard)| soft == hard).map(|(soft, _)| soft.to_owned())
            }
            Self::Octal => Some(value.trim_start_matches('0').to_owned()),
        };
        normal.unwrap_or_else(|| value.to_owned())
    }
}

/// The words of a value that knows no quotes.
fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(BLANKS).filter(|word| !word.is_empty())
}

fn truth(value: &str) -> Option<String> {
    let truth = match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => "yes",
        "0" | "no" | "n" | "false" | "f" | "off" => "no",
        _ => return None,
    };
    Some(truth.to_owned())
}

/// A number without a unit is one of seconds.
fn milliseconds(value: &str) -> Option<String> {
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at_checked(digits)?;
    let factor = match unit.trim_start_matches(BLANKS) {
        "ms" | "msec" => 1,
        "" | "s" | "sec" | "second" | "seconds" => 1000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        _ => return None,
    };
    Some(format!("{} ms", number.parse::<u64>().ok()?.checked_mul(factor)?))
}
