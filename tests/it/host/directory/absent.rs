//! `storage` with `state: absent`: only a bot's directory goes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::messages::snapshot;
use crate::support::privileges::{NOBODY, directory, in_own_mounts, is_root, place, run_as, traced};
use crate::support::storage::{changes, diff, in_check_mode, refused, request};
use crate::support::{fail, run, succeed};

/// What `tbot` keeps in its storage directory.
const FILES: [&str; 9] =
    [".lock", "identity", "key", "key.pub", "sshcacerts", "sshcert", "tlscacerts", "tlscert", "tokenhash"];

/// A directory with these files.
fn with_files(path: PathBuf, files: &[&str]) -> PathBuf {
    fs::create_dir(&path).unwrap();
    for file in files {
        fs::write(path.join(file), "secret").unwrap();
    }
    path
}

fn absent(path: &Path) -> Value {
    request(path, json!({ "state": "absent" }))
}

/// The message of a directory that stays with everything in it, as check mode foresees it.
fn stays(path: &Path) -> String {
    let names = || {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let message = fail(&absent(path), "conflict");
    assert_eq!(fail(&in_check_mode(absent(path)), "conflict"), message);
    assert_eq!(names(), before);
    message
}

#[test]
fn a_bots_directory_is_removed_and_its_parents_stay() {
    let place = place();
    let path = with_files(place.path().join("bot"), &FILES);
    assert_eq!(succeed(&in_check_mode(absent(&path)))["changed"], true);
    assert_eq!(fs::read_dir(&path).unwrap().count(), FILES.len(), "check mode removed something");
    let answer = changes(&absent(&path));
    assert!(place.path().exists() && !path.exists());
    assert_eq!((&answer["path"], &answer["created"]), (&json!(path), &json!(false)));
    let (before, after) = diff(&answer);
    assert_eq!(after, "state: absent\n");
    assert!(before.starts_with("state: directory\nowner: "), "{before}");
    let files = "files:\n  .lock\n  key\n  key.pub\n  identity\n  sshcacerts\n  sshcert\n  tlscacerts\n  tlscert\n  tokenhash\n";
    assert!(before.ends_with(files), "{before}");
}

#[test]
fn an_empty_directory_is_removed_and_a_missing_one_is_no_change() {
    let place = place();
    let path = with_files(place.path().join("bot"), &[]);
    changes(&absent(&path));
    assert!(!path.exists());
    for missing in [path.clone(), path.join("below/it")] {
        assert_eq!(succeed(&absent(&missing))["changed"], false);
        assert!(!path.exists());
    }
}

#[test]
fn one_file_is_enough_by_which_only_a_bots_directory_is_known() {
    let place = place();
    for file in ["identity", "sshcacerts", "sshcert", "tlscacerts", "tlscas", "tlscert", "tokenhash"] {
        let path = with_files(place.path().join("bot"), &[file]);
        changes(&absent(&path));
        assert!(!path.exists());
    }
}

#[test]
fn a_directory_that_is_no_bots_stays_and_what_is_strange_is_named() {
    let place = place();
    let path = |name: &str| place.path().join(name);
    let message = stays(&with_files(path("mixed"), &["identity", "notes.txt", "tlscert", "a\nb"]));
    snapshot!(message, @r"[DIR]/mixed holds what is not known to be a bot's: `a\nb`, `notes.txt`; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
    let many: Vec<String> = (10..30).map(|number| format!("file-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let message = stays(&with_files(path("many"), &many));
    snapshot!(message, @"[DIR]/many holds what is not known to be a bot's: `file-10`, `file-11`, `file-12`, `file-13`, `file-14`, `file-15`, `file-16`, `file-17`, `file-18`, `file-19` and 10 more; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
    // Others have keys too, and known hosts.
    let message = stays(&with_files(path("keys"), &["key", "key.pub", "known_hosts"]));
    snapshot!(message, @"[DIR]/keys holds none of the files by which a bot's directory is known; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
    let inner = with_files(path("with-directory"), &FILES);
    fs::create_dir(inner.join("backup")).unwrap();
    snapshot!(stays(&inner), @"[DIR]/with-directory holds what is not known to be a bot's: `backup`; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
}

#[test]
fn names_count_only_for_files() {
    let place = place();
    let path = with_files(place.path().join("bot"), &["tlscert"]);
    fs::create_dir(path.join("identity")).unwrap();
    snapshot!(stays(&path), @"[DIR]/bot holds what is not known to be a bot's: `identity`; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
    fs::remove_dir(path.join("identity")).unwrap();
    symlink("/etc/passwd", path.join("identity")).unwrap();
    snapshot!(stays(&path), @"[DIR]/bot holds what is not known to be a bot's: `identity`; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
}

#[test]
fn a_file_with_a_second_name_keeps_that() {
    let place = place();
    let path = with_files(place.path().join("bot"), &FILES);
    fs::hard_link(path.join("key"), place.path().join("outside")).unwrap();
    changes(&absent(&path));
    assert_eq!(fs::read_to_string(place.path().join("outside")).unwrap(), "secret");
}

#[test]
fn a_path_is_looked_at_with_the_same_care() {
    let place = place();
    let path = with_files(place.path().join("bot"), &FILES);
    symlink(&path, place.path().join("link")).unwrap();
    snapshot!(refused(&absent(&place.path().join("link"))), @"[DIR]/link is a symbolic link; nothing was changed; give the path of a directory that is the bot's alone, such as /var/lib/teleport/bot");
    refused(&absent(&path.join("identity")));
    if is_root() {
        let theirs = directory(place.path().join("theirs"), NOBODY, NOBODY, 0o755);
        with_files(theirs.join("bot"), &FILES);
        refused(&absent(&theirs.join("bot")));
        let shared = directory(place.path().join("shared"), 0, 0, 0o777);
        with_files(shared.join("bot"), &FILES);
        refused(&absent(&shared.join("bot")));
        assert_eq!(fs::read_dir(theirs.join("bot")).unwrap().count(), FILES.len());
        changes(&request(theirs.join("bot"), json!({ "state": "absent", "owner": "nobody" })));
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), FILES.len());
}

#[test]
fn an_account_that_is_gone_already_does_not_matter() {
    let place = place();
    let path = with_files(place.path().join("bot"), &FILES);
    let extra = json!({ "state": "absent", "owner": "no-such-user", "group": "no-such-group" });
    changes(&request(&path, extra));
    assert!(!path.exists());
}

#[test]
fn a_mount_point_stays_with_what_is_in_it() {
    if !is_root() {
        return;
    }
    let script = r#"
        mount -t tmpfs -o mode=700 none "$1"
        touch "$1/identity"
        echo "$2" | "$TBOT_TPM" || true
        ls "$1"
    "#;
    let place = place();
    let path = with_files(place.path().join("bot"), &[]);
    let lines = in_own_mounts(script, &[path.to_str().unwrap(), &absent(&path).to_string()]);
    let answer: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(answer["error"]["kind"], "conflict", "{answer}");
    snapshot!(answer["msg"].as_str().unwrap(), @"[DIR]/bot is a mount point; nothing was removed; move away what is to stay, or unmount or remove the directory yourself");
    assert_eq!(lines[1..], ["identity"]);
}

#[test]
fn a_user_who_may_not_is_told_so() {
    if !is_root() {
        return;
    }
    let place = place();
    let path = directory(place.path().join("bot"), NOBODY, NOBODY, 0o700);
    fs::write(path.join("identity"), "").unwrap();
    // Its parent is root's.
    let answer = run_as(NOBODY, NOBODY, &absent(&path));
    assert_eq!(answer["error"]["kind"], "permission_denied", "{answer}");
    assert!(path.exists());
}

#[test]
fn several_at_once_end_as_one_does() {
    let place = place();
    let path = place.path().join("bot");
    for _ in 0..10 {
        with_files(path.clone(), &FILES);
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..16).map(|_| scope.spawn(|| succeed(&absent(&path)))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(answers.iter().any(|answer| answer["changed"] == true));
        assert!(!path.exists());
    }
}

#[test]
fn a_removal_that_is_cut_short_is_finished_by_the_next_run() {
    let place = place();
    let path = place.path().join("bot");
    // One call for each file, and one for the directory.
    for call in 1..=FILES.len() + 1 {
        with_files(path.clone(), &FILES);
        let inject = format!("inject=unlinkat:signal=KILL:when={call}");
        let killed = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", "trace=unlinkat", "-e", &inject])
            .arg(env!("CARGO_BIN_EXE_tbot_tpm"))
            .arg(request_file(place.path(), &absent(&path)))
            .output()
            .unwrap();
        assert!(killed.stdout.is_empty(), "it was not killed");
        let answer = run(&absent(&path));
        assert!(answer.get("failed").is_none(), "killed at call {call}: {answer}");
        assert!(!path.exists());
    }
}

fn request_file(place: &Path, request: &Value) -> PathBuf {
    let path = place.join("request.json");
    fs::write(&path, request.to_string()).unwrap();
    path
}

#[test]
fn what_appears_meanwhile_keeps_the_directory() {
    let place = place();
    let path = with_files(place.path().join("bot"), &["identity"]);
    // The file's removal is only pretended, as if it had come back.
    let (answer, _) = traced(&["-e", "inject=unlinkat:retval=0:when=1"], &absent(&path));
    assert_eq!(answer["error"]["kind"], "io", "{answer}");
    assert!(path.join("identity").exists());
}

#[test]
fn what_another_run_removes_meanwhile_still_tells_whose_directory_it_is() {
    let place = place();
    let path = with_files(place.path().join("bot"), &[".lock", "identity"]);
    let request = in_check_mode(absent(&path));
    let (_, log) = traced(&["-e", "trace=newfstatat"], &request);
    let calls: Vec<&str> = log.lines().filter(|line| line.contains("newfstatat(")).collect();
    let last = calls.iter().rposition(|call| call.contains("\"identity\"")).unwrap() + 1;
    // As if it had gone after its name was read.
    let inject = format!("inject=newfstatat:error=ENOENT:when={last}");
    let (answer, log) = traced(&["-e", "trace=newfstatat", "-e", &inject], &request);
    assert!(log.lines().any(|line| line.contains("\"identity\"") && line.contains("INJECTED")), "{log}");
    assert_eq!(answer["changed"], true, "{answer}");
}
