//! `storage` where other file systems are mounted: inside the directory, at it, or below it as layers.

use serde_json::{Value, json};

use crate::support::privileges::{directory, in_own_mounts, is_root, place};
use crate::support::storage::{bot, wanted, warnings};

#[test]
fn what_is_mounted_inside_is_left_alone() {
    if !is_root() {
        return;
    }
    // Of another file system and of the same, where files may have the same device number; a file too.
    let script = r#"
        mkdir "$1/tmpfs" "$1/same" "$1/same/below"
        touch "$1/file" "$1/own"
        mkdir "$1/../outside"
        touch "$1/../outside/secret"
        chmod 600 "$1/../outside/secret" "$1/own"
        mount -t tmpfs none "$1/tmpfs"
        touch "$1/tmpfs/secret"
        mount --bind "$1/../outside" "$1/same/below"
        mount --bind "$1/../outside/secret" "$1/file"
        echo "$2" | "$TBOT_TPM"
        echo "$2" | "$TBOT_TPM"
        stat -c %U "$1/tmpfs" "$1/tmpfs/secret" "$1/same/below" "$1/same/below/secret" "$1/file" "$1/same" "$1/own"
    "#;
    let place = place();
    let path = bot(place.path());
    let lines = in_own_mounts(script, &[path.to_str().unwrap(), &wanted(&path).to_string()]);
    let answer: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(answer["changed"], true);
    let elsewhere = "left alone: `file is on another file system`, `same/below is on another file system`, \
                     `tmpfs is on another file system`";
    assert!(warnings(&answer).contains(elsewhere), "{answer}");
    assert_eq!(serde_json::from_str::<Value>(&lines[1]).unwrap()["changed"], false);
    assert_eq!(lines[2..], ["root", "root", "root", "root", "root", "daemon", "daemon"]);
}

#[test]
fn the_layers_of_an_overlay_are_one_file_system() {
    if !is_root() {
        return;
    }
    let place = place();
    // Of two file systems, so that its files and its directories have different devices' numbers.
    let script = r#"
        cd "$1"
        mkdir upper merged lower lower/bot lower/bot/sub
        chmod 700 lower/bot
        echo x >lower/bot/key
        echo x >lower/bot/sub/key
        chmod 600 lower/bot/key lower/bot/sub/key
        mount -t tmpfs none upper
        mkdir upper/upper upper/work
        mount -t overlay none -o lowerdir=lower,upperdir=upper/upper,workdir=upper/work merged ||
            { echo none; exit; }
        printf %s "$2" | "$TBOT_TPM"
        stat --format=%U:%G merged/bot/key merged/bot/sub merged/bot/sub/key
        printf %s "$2" | "$TBOT_TPM"
    "#;
    let request = wanted(&place.path().join("merged/bot"));
    let lines = in_own_mounts(script, &[place.path().to_str().unwrap(), &request.to_string()]);
    if lines[0] == "none" {
        crate::support::note("skipped: overlays cannot be mounted here");
        return;
    }
    let answer: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&answer["changed"], warnings(&answer)), (&json!(true), String::new()));
    assert_eq!(lines[1..4], ["daemon:mail"; 3]);
    let again: Value = serde_json::from_str(&lines[4]).unwrap();
    assert_eq!(again["changed"], false, "{again}");
}

#[test]
fn a_directory_that_is_mounted_itself_is_put_right() {
    if !is_root() {
        return;
    }
    let script = r#"
        mount -t tmpfs none "$1"
        touch "$1/key"
        echo "$2" | "$TBOT_TPM"
        stat -c '%U %a' "$1" "$1/key"
    "#;
    let place = place();
    let path = directory(place.path().join("bot"), 0, 0, 0o700);
    let lines = in_own_mounts(script, &[path.to_str().unwrap(), &wanted(&path).to_string()]);
    assert_eq!(lines[1..], ["daemon 700", "daemon 644"]);
}
