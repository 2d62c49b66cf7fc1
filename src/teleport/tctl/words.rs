//! `tctl`'s own words in messages: bounded, and with no secret in them.

use crate::message::bounded;
use crate::secrets::Known;

/// Characters of its words in a message, and in the detail of an error.
const IN_MESSAGE: usize = 300;
const IN_DETAIL: usize = 2000;
/// The name of a token of another join method is a secret, and whoever quotes a resource quotes its name.
const RESOURCE: &str = "metadata";

/// Its words for a sentence, in one line.
pub fn in_message(said: &str) -> String {
    let words = plain(said).split_whitespace().collect::<Vec<_>>().join(" ");
    shown(&words, IN_MESSAGE)
}

/// Its words for whoever looks closer.
pub fn in_detail(said: &str) -> String {
    shown(plain(said).trim(), IN_DETAIL)
}

fn shown(words: &str, most: usize) -> String {
    if words.contains(RESOURCE) {
        return format!("({} characters that may hold secrets, and are not shown)", words.chars().count());
    }
    bounded(&Known::default().hide_in_message(words), most)
}

/// The lines by which `tctl` says why it failed.
pub fn errors(said: &str) -> Vec<String> {
    plain(said).lines().map(str::trim).filter(|line| line.starts_with("ERROR: ")).map(str::to_owned).collect()
}

/// A text without what steers a terminal: colours (ECMA-48, CSI) and control characters. Each line stays one.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                if rest.clone().next() == Some('[') {
                    rest.by_ref().skip(1).find(|c| ('@'..='~').contains(c));
                }
            }
            '\r' | '\n' => plain.push('\n'),
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{errors, in_message};

    #[test]
    fn words_are_one_plain_line_without_secrets() {
        for (said, shown) in [
            ("\u{1b}[31mERROR: \u{1b}[0maccess\r\n\tdenied\u{7}\n", "ERROR: access denied"),
            ("cannot get https://me:hunter22@proxy/", "cannot get https://********@proxy/"),
            ("bad password=hunter22", "bad password=********"),
            (
                "[{\"metadata\": {\"name\": \"s3cret\"}}]",
                "(34 characters that may hold secrets, and are not shown)",
            ),
        ] {
            assert_eq!(in_message(said), shown);
        }
        assert!(in_message(&"word ".repeat(1000)).chars().count() < 350);
    }

    #[test]
    fn errors_are_the_lines_that_say_so() {
        let said = "WARN cached ERROR: x\r\u{1b}[1mERROR: a\u{1b}[0m\n  ERROR: b \n";
        assert_eq!(errors(said), ["ERROR: a", "ERROR: b"]);
    }
}
