//! Many runs at the same time: they end as one does, and nobody ever sees anything half done.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::privileges::{is_root, place};
use crate::support::scenarios::Scenario;
use crate::support::succeed;
use crate::support::tree::Tree;

const AT_ONCE: usize = 16;

#[test]
fn sixteen_of_the_same_end_as_one() {
    if !is_root() {
        return;
    }
    for scenario in Scenario::all() {
        let stage = scenario.stage();
        for _ in 0..3 {
            stage.old.restore(&stage.root);
            std::thread::scope(|scope| {
                for _ in 0..AT_ONCE {
                    scope.spawn(|| succeed(&stage.request));
                }
            });
            assert!(Tree::of(&stage.root) == stage.new, "{}: {:?}", scenario.name, Tree::of(&stage.root));
            assert_eq!(succeed(&stage.request)["changed"], false, "{}", scenario.name);
        }
    }
}

#[test]
fn of_different_ones_one_wins_and_nobody_sees_anything_but_whole_files() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    let group = nix::unistd::getegid().as_raw();
    let config = |token: &str| {
        json!({
            "action": "config", "path": at("tbot.yaml"), "proxy_server": "a.example:443", "token": token, "group": group,
            "extra": { "diag_addr": format!("127.0.0.1:{}", 3000 + token.len()) },
        })
    };
    let unit = |user: &str| json!({ "action": "systemd", "name": "tbot-concurrent", "directory": place.path(), "user": user });
    let host = json!({ "description": "web-1", "ek_public_hash": "a".repeat(64) });
    let token = |label: &str| {
        json!({
            "action": "token", "name": "web", "bot_name": "web", "hosts": [host], "path": at("web.yaml"),
            "labels": { "is": label },
        })
    };
    let drop_in = |user: &str| {
        let mut drop_in = unit(user);
        drop_in["name"] = json!("tbot-packaged");
        drop_in["mode"] = json!("drop_in");
        drop_in
    };
    let storage = |mode: &str| json!({ "action": "storage", "path": at("bot"), "mode": mode });
    std::fs::write(at("tbot-packaged.service"), crate::support::systemd::PACKAGED).unwrap();
    compete(&at("tbot.yaml"), &[config("old"), config("first"), config("the-second")]);
    compete(&at("tbot-concurrent.service"), &[unit("old"), unit("first"), unit("the-second")]);
    let file = at("tbot-packaged.service.d/10-tbot-tpm.conf");
    compete(&file, &[drop_in("old"), drop_in("first"), drop_in("the-second")]);
    compete(&at("bot"), &[storage("0755"), storage("0750"), storage("0700")]);
    compete(&at("web.yaml"), &[token("old"), token("first"), token("the-second")]);
}

/// Begins with the file or directory of the first request, and lets the others compete for it while it is read.
fn compete(path: &Path, requests: &[Value; 3]) {
    let [old, first, second] = requests;
    let states: Vec<_> = [second, first, old].map(|request| (succeed(request), seen(path).unwrap()).1).into();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut readings = 0;
            while !is_over.load(Ordering::Relaxed) {
                let state = seen(path).unwrap();
                assert!(states.contains(&state), "{}: {state:?}", path.display());
                readings += 1;
            }
            readings
        });
        std::thread::scope(|scope| {
            for number in 0..AT_ONCE {
                scope.spawn(move || succeed(if number % 2 == 0 { first } else { second }));
            }
        });
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    let last = seen(path).unwrap();
    assert!(last == states[0] || last == states[1], "{}: {last:?}", path.display());
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Owner, group, mode and content of a file, all of one and the same; a directory has no content here.
fn seen(path: &Path) -> Option<(u32, u32, u32, String)> {
    let mut file = File::open(path).ok()?;
    let found = file.metadata().unwrap();
    let mut text = String::new();
    if found.is_file() {
        file.read_to_string(&mut text).unwrap();
    }
    Some((found.uid(), found.gid(), found.mode(), text))
}
