//! Requests to `storage`, and what its answers say.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::privileges::{directory, group, user};
use super::{run, succeed, tool};

/// A request for the directory at `path`, with further parameters.
pub fn request(path: impl AsRef<Path>, extra: Value) -> Value {
    let mut request = json!({ "action": "storage", "path": path.as_ref(), "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// A bot's directory that is right but for what is put into it.
pub fn bot(place: &Path) -> PathBuf {
    directory(place.join("bot"), user("daemon"), group("mail"), 0o700)
}

/// The request that makes it so.
pub fn wanted(path: &Path) -> Value {
    request(path, json!({ "owner": "daemon", "group": "mail" }))
}

/// The same in check mode.
pub fn in_check_mode(mut request: Value) -> Value {
    request["_ansible_check_mode"] = json!(true);
    request
}

/// The answer to a request that changes something, as check mode foresees it to the letter, and after which
/// nothing is left to change.
pub fn changes(request: &Value) -> Value {
    let foreseen = succeed(&in_check_mode(request.clone()));
    let answer = succeed(request);
    assert_eq!(foreseen, answer);
    assert_eq!(answer["changed"], true, "{answer}");
    let again = succeed(request);
    assert_eq!(again["changed"], false, "{again}");
    assert!(again.get("diff").is_none(), "{again}");
    answer
}

/// The message of a request that is refused as unsafe, by check mode in the same words.
pub fn refused(request: &Value) -> String {
    let answer = run(request);
    assert_eq!(answer["error"]["kind"], "unsafe_path", "{answer}");
    assert_eq!(run(&in_check_mode(request.clone())), answer);
    let message = answer["msg"].as_str().unwrap();
    assert!(message.contains("nothing was changed"), "{message}");
    message.to_owned()
}

/// The two sides of an answer's diff.
pub fn diff(answer: &Value) -> (&str, &str) {
    (answer["diff"]["before"].as_str().unwrap(), answer["diff"]["after"].as_str().unwrap())
}

/// All warnings of an answer.
pub fn warnings(answer: &Value) -> String {
    let warnings = answer["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Paths, owners and modes of everything in a directory, to see that nothing changed.
fn everything(directory: &Path) -> String {
    let format = "%P %u %g %m %l\n";
    let mut found: Vec<_> =
        String::from_utf8(tool("find", &[directory.to_str().unwrap(), "-printf", format]))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
    found.sort();
    found.join("\n")
}

/// The message with which a path is refused, and nothing below `place` changed for it.
pub fn refused_in(place: &Path, request: &Value) -> String {
    let before = everything(place);
    let message = refused(request);
    assert_eq!(everything(place), before);
    message
}
