//! Messages as inline snapshots: a test shows what its request is answered, as users read it. `cargo insta review` shows what
//! has changed, and takes it over.

use std::fmt::Write;

/// Compares a text with the one beside it, after `@`.
macro_rules! snapshot {
    ($text:expr, @$expected:literal) => {
        crate::support::messages::settings().bind(|| insta::assert_snapshot!($text, @$expected))
    };
}
pub(crate) use snapshot;

/// What is another in each run is named by its kind.
pub fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    let temporary = format!(r"{}/\.tmp\w+", std::env::temp_dir().display());
    for (other, kind) in [
        (temporary.as_str(), "[DIR]"),
        (r"(127\.0\.0\.1|localhost):\d+", "$1:[PORT]"),
        (r"/run/tbot-tpm-test\.\w+", "[DIR]"),
        (r"(SHA-256|with the hash) [0-9a-f]{64}", "$1 [HASH]"),
        (r"expired on \d{4}-\d\d-\d\dT[\d:]+Z", "expired on [TIME]"),
        // The machine's resolver says why.
        (r"cannot be resolved \([^)]*\)", "cannot be resolved ([WHY])"),
        (r"(expires in \d+ days), on \d{4}-\d\d-\d\d", "$1, on [DATE]"),
    ] {
        settings.add_filter(other, kind);
    }
    settings
}

/// A line for each case, and what it is answered below.
pub fn listed<T>(cases: impl IntoIterator<Item = T>, ask: impl Fn(&T) -> (String, String)) -> String {
    cases.into_iter().fold(String::new(), |mut text, case| {
        let (asked, answered) = ask(&case);
        writeln!(text, "{asked}\n    {}", answered.replace('\n', "\n    ")).unwrap();
        text
    })
}
