//! `key=value` pairs, as Ansible takes them for an object.

/// The pairs of a text: separated by commas or white space, in either kind of quotes where a value
/// holds those, a backslash taking the meaning from the character after it. None where a part has no
/// `=` or a quote does not end.
pub(super) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let last = parts.last_mut()?;
        match (c, quote) {
            ('\\', _) => last.push(characters.next()?),
            (_, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            (_, None) if c == ',' || c.is_whitespace() => parts.push(String::new()),
            _ => last.push(c),
        }
    }
    if quote.is_some() {
        return None;
    }
    let given = parts.iter().filter(|part| !part.is_empty());
    given.map(|part| part.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::parse as pairs;

    #[test]
    fn pairs_are_separated_by_commas_and_spaces_outside_quotes() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs("env=prod, team=web"), Some(vec![pair("env", "prod"), pair("team", "web")]));
        assert_eq!(pairs("env=prod team=web"), Some(vec![pair("env", "prod"), pair("team", "web")]));
        assert_eq!(
            pairs(r#"a="x, y" b='"' c=\,"#),
            Some(vec![pair("a", "x, y"), pair("b", "\""), pair("c", ",")])
        );
        assert_eq!(pairs("a=b=c"), Some(vec![pair("a", "b=c")]));
        assert_eq!(pairs(""), Some(vec![]));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for wrong in ["x", "a=b c", "a=\"b", "a=b\\"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }
}
