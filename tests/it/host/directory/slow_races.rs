//! `storage` while somebody exchanges what it works on: another's files keep their owner and mode.
//!
//! The attackers are threads of the tests, which run as root: they may do more than any user could.

use std::fs::{self, hard_link};
use std::os::unix::fs::{chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, getxattr, renameat_with};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::privileges::{NOBODY, directory, file, is_root, owned, place, traced};
use crate::support::storage::request;
use crate::support::{run, tool};

const RUNS: usize = 200;

/// What an attacker wants to have: root's files, which the future owner `nobody` may not touch.
struct Victim {
    place: TempDir,
}

impl Victim {
    fn new() -> Self {
        let victim = Self { place: place() };
        directory(victim.path("bot"), 0, 0, 0o755);
        for secret in ["secret", "bot/secret", "bot/identity"] {
            file(victim.path(secret), 0, 0, 0o640);
            tool("setfacl", &["-m", "user:games:r--", victim.path(secret).to_str().unwrap()]);
        }
        victim
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn is_untouched(&self) {
        assert_eq!((owned(self.path("")), owned(self.path("bot"))), ((0, 0, 0o755), (0, 0, 0o755)));
        for secret in ["secret", "bot/secret", "bot/identity"] {
            assert_eq!(owned(self.path(secret)), (0, 0, 0o640));
            let acl = getxattr(self.path(secret), "system.posix_acl_access", &mut [0; 64]);
            assert!(acl.is_ok(), "{secret} lost its ACL");
        }
        assert_eq!(fs::read_dir(self.path("")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(self.path("bot")).unwrap().count(), 2);
    }
}

/// A link of the attacker's.
fn link(to: &Path, at: &Path) {
    symlink(to, at).unwrap();
    lchown(at, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// Two names change places, in one step.
fn exchange(one: &Path, other: &Path) {
    let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
}

/// Runs a request again and again, each time after `prepare`, while `attack` goes on, and returns how often
/// it succeeded and how often it was refused. The victim keeps what it has all the while.
fn under_attack(
    victim: &Victim,
    run: impl Fn() -> Value,
    prepare: impl Fn(),
    attack: impl Fn() + Sync,
) -> (usize, usize) {
    let (is_over, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut outcomes = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                attack();
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        let runs = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..RUNS {
                prepare();
                let answer = run();
                assert_ne!(answer["error"]["kind"], "internal", "{answer}");
                if answer["failed"] == true {
                    outcomes.1 += 1;
                } else {
                    outcomes.0 += 1;
                }
                victim.is_untouched();
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        runs.unwrap();
    });
    assert!(rounds.load(Ordering::Relaxed) > RUNS, "there was hardly an attack");
    outcomes
}

#[test]
fn a_parent_is_exchanged_for_a_link() {
    if !is_root() {
        return;
    }
    let (victim, place) = (Victim::new(), place());
    let home = directory(place.path().join("home"), NOBODY, NOBODY, 0o755);
    let parent = directory(home.join("parent"), NOBODY, NOBODY, 0o755);
    let bot = directory(parent.join("bot"), 0, 0, 0o755);
    link(&victim.path(""), &home.join("link"));
    let bots = [bot, home.join("link/bot")];
    let prepare = || {
        for path in &bots {
            // The one of the two that is not the victim's.
            if !path.join("secret").exists() {
                let _ = chown(path, Some(0), Some(0));
            }
        }
    };
    let request = request(parent.join("bot"), json!({ "owner": "nobody", "group": NOBODY }));
    let attack = || exchange(&parent, &home.join("link"));
    let (succeeded, refused) = under_attack(&victim, || run(&request), prepare, attack);
    assert!(succeeded > 0 && refused > 0, "{succeeded}, {refused}");
}

#[test]
fn the_directory_is_exchanged_for_a_link() {
    if !is_root() {
        return;
    }
    let (victim, place) = (Victim::new(), place());
    let home = directory(place.path().join("home"), NOBODY, NOBODY, 0o755);
    let bot = directory(home.join("bot"), NOBODY, NOBODY, 0o755);
    link(&victim.path("bot"), &home.join("link"));
    for state in ["directory", "absent"] {
        let request = request(&bot, json!({ "owner": "nobody", "group": NOBODY, "state": state }));
        let prepare = || {
            let _ = fs::create_dir(&bot);
        };
        let (succeeded, refused) =
            under_attack(&victim, || run(&request), prepare, || exchange(&bot, &home.join("link")));
        assert!(succeeded > 0 && refused > 0, "{state}: {succeeded}, {refused}");
    }
}

#[test]
fn a_link_appears_where_the_directory_or_a_parent_is_to_be_made() {
    if !is_root() {
        return;
    }
    let (victim, place) = (Victim::new(), place());
    let shared = directory(place.path().join("shared"), 0, 0, 0o1777);
    for (name, path) in [("one", "one"), ("two", "two/bot")] {
        let at = shared.join(name);
        let request = request(shared.join(path), json!({ "owner": "nobody", "group": NOBODY }));
        let prepare = || {
            let _ = fs::remove_dir(shared.join(path));
            let _ = fs::remove_dir(&at);
        };
        let attack = || {
            if symlink(victim.path("bot"), &at).is_ok() {
                fs::remove_file(&at).unwrap();
            }
        };
        let (succeeded, _) = under_attack(&victim, || run(&request), prepare, attack);
        assert!(succeeded > 0);
    }
}

#[test]
fn what_is_inside_is_exchanged_for_links() {
    if !is_root() {
        return;
    }
    let (victim, place) = (Victim::new(), place());
    let bot = directory(place.path().join("bot"), NOBODY, NOBODY, 0o700);
    let inner = directory(bot.join("inner"), NOBODY, NOBODY, 0o700);
    let key = file(bot.join("key"), NOBODY, NOBODY, 0o600);
    link(&victim.path("bot"), &bot.join("link"));
    link(&victim.path("secret"), &bot.join("key-link"));
    let prepare = || {
        for path in [&key, &bot.join("key-link"), &inner, &bot.join("link")] {
            lchown(path, Some(0), Some(0)).unwrap();
        }
    };
    let attack = || {
        exchange(&inner, &bot.join("link"));
        exchange(&key, &bot.join("key-link"));
    };
    let request = request(&bot, json!({ "owner": "nobody", "group": NOBODY }));
    let (succeeded, _) = under_attack(&victim, || run(&request), prepare, attack);
    assert!(succeeded > 0);
}

#[test]
fn a_file_from_elsewhere_gets_a_name_inside_and_loses_it() {
    if !is_root() {
        return;
    }
    let (victim, place) = (Victim::new(), place());
    let bot = directory(place.path().join("bot"), NOBODY, NOBODY, 0o700);
    let key = bot.join("key");
    let request = request(&bot, json!({ "owner": "nobody", "group": NOBODY }));
    // Whoever attacks gets more time between the file's opening and the look at how many names it has.
    let slowly = ["-e", "trace=fstat", "-e", "inject=fstat:delay_enter=300"];
    let pause = || std::thread::sleep(Duration::from_micros(200));
    let attack = || {
        hard_link(victim.path("secret"), &key).unwrap();
        pause();
        fs::remove_file(&key).unwrap();
        pause();
    };
    let runs = || traced(&slowly, &request).0;
    let (succeeded, _) = under_attack(&victim, runs, || (), attack);
    assert!(succeeded > 0);
}
