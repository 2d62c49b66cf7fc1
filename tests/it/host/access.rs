//! `access`: the bot's account by a real systemd-sysusers, in an `/etc` that ends with the test, and its access to
//! TPMs in software.

use serde_json::{Value, json};

use crate::support::SoftwareTpm;
use crate::support::privileges::{NOBODY, in_own_mounts, is_root, place, run_as};

/// Runs a script where what is written to `/etc` is gone afterwards, and no `teleport` is there.
pub fn in_own_etc(script: &str, arguments: &[String]) -> Vec<String> {
    let place = place();
    let all = format!(
        r#"mount -t tmpfs none "$1"
        mkdir "$1/upper" "$1/work"
        mount -t overlay none -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
        # Without what this machine may have of it.
        sed -i '/^teleport:/d; s/\bteleport\b//' /etc/passwd /etc/group /etc/shadow /etc/gshadow
        getent group tss >/dev/null || echo tss:x:4301: >>/etc/group
        place=$1
        shift
        {script}"#
    );
    let place = place.path().display().to_string();
    let all_arguments: Vec<String> = [place].into_iter().chain(arguments.iter().cloned()).collect();
    in_own_mounts(&all, &all_arguments)
}

fn access(tcti: &str, more: &Value) -> Value {
    let mut request = json!({ "action": "access", "tcti": tcti, "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

pub fn answer(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn the_account_is_made_once_and_reads_the_tpm() {
    if !is_root() {
        return;
    }
    let tpm = SoftwareTpm::start();
    let script = r#"
        printf %s "$1" | "$TBOT_TPM"
        getent passwd teleport || echo none
        printf %s "$2" | "$TBOT_TPM"
        getent passwd teleport | cut -d: -f6,7
        id -Gn teleport
        printf %s "$2" | "$TBOT_TPM"
        printf %s "$1" | "$TBOT_TPM"
    "#;
    let check = access(&tpm.tcti(), &json!({ "_ansible_check_mode": true }));
    let run = access(&tpm.tcti(), &json!({ "supplementary_groups": ["tss", "no-such-group"] }));
    let lines = in_own_etc(script, &[check.to_string(), run.to_string()]);
    let foreseen = answer(&lines[0]);
    assert_eq!((&foreseen["changed"], &foreseen["verified"]), (&json!(true), &json!(false)), "{foreseen}");
    assert_eq!(lines[1], "none");
    let made = answer(&lines[2]);
    assert_eq!((&made["changed"], &made["verified"]), (&json!(true), &json!(true)), "{made}");
    assert_eq!(foreseen["diff"], made["diff"]);
    assert_eq!(made["diff"]["after"], "user: teleport\ngroup: teleport\ngroups: [teleport, tss]\n");
    assert_eq!(made["groups"], json!(["teleport", "tss"]));
    assert_eq!(made["absent_groups"], json!(["no-such-group"]));
    assert!(made["uid"].as_u64().is_some_and(|uid| uid > 0) && made["gid"].is_u64(), "{made}");
    assert_eq!((lines[3].as_str(), lines[4].as_str()), ("/nonexistent:/usr/sbin/nologin", "teleport tss"));
    for line in &lines[5..7] {
        let again = answer(line);
        assert_eq!((&again["changed"], &again["verified"]), (&json!(false), &json!(true)), "{again}");
    }
}

#[test]
fn an_account_that_is_there_keeps_what_it_has_and_gets_the_groups() {
    if !is_root() {
        return;
    }
    let tpm = SoftwareTpm::start();
    let script = r#"
        echo people:x:4300: >>/etc/group
        echo bot-1:x:4300:4300::/srv/bot:/bin/sh >>/etc/passwd
        printf %s "$1" | "$TBOT_TPM"
        getent passwd bot-1 | cut -d: -f6,7
        id -gn bot-1
        id -Gn bot-1
    "#;
    let lines = in_own_etc(script, &[access(&tpm.tcti(), &json!({ "user": "bot-1" })).to_string()]);
    let made = answer(&lines[0]);
    assert_eq!(made["groups"], json!(["people", "teleport", "tss"]), "{made}");
    assert_eq!(made["diff"]["before"], "user: bot-1\ngroup: absent\ngroups: [people]\n");
    assert_eq!(lines[1..3], ["/srv/bot:/bin/sh", "people"]);
    let mut groups: Vec<&str> = lines[3].split(' ').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["people", "teleport", "tss"]);
}

#[test]
fn without_systemd_sysusers_one_is_told_what_to_do() {
    if !is_root() {
        return;
    }
    let tpm = SoftwareTpm::start();
    let script = r#"
        for directory in /usr/bin /bin; do
            [ -L "$directory" ] || [ ! -e $directory/systemd-sysusers ] || hide=$directory
        done
        mkdir "$place/bin" "$place/hidden"
        mount -t overlay none -o "lowerdir=$hide,upperdir=$place/bin,workdir=$place/hidden" "$hide"
        rm "$hide/systemd-sysusers"
        printf %s "$1" | "$TBOT_TPM" || true
    "#;
    let lines = in_own_etc(script, &[access(&tpm.tcti(), &json!({})).to_string()]);
    let failure = answer(&lines[0]);
    assert_eq!(failure["error"]["kind"], "not_found", "{failure}");
    assert!(lines[0].contains("create: false"), "{failure}");
}

#[test]
fn names_that_would_say_more_than_a_name_are_refused() {
    let tpm = SoftwareTpm::start();
    for name in ["a b", "bot\nu evil 0", "%H", "\"bot\"", "no.such.name", "4000123"] {
        for parameter in ["user", "group"] {
            for check in [true, false] {
                let request = access(&tpm.tcti(), &json!({ parameter: name, "_ansible_check_mode": check }));
                let answer = crate::support::parse(&crate::support::run_raw(request.to_string().as_bytes()));
                assert_eq!(answer["error"]["kind"], "invalid_request", "{name:?}: {answer}");
            }
        }
    }
}

#[test]
fn another_user_than_root_makes_nothing_and_sees_only_its_own_access() {
    if !is_root() {
        return;
    }
    let tpm = SoftwareTpm::start();
    let failure = run_as(NOBODY, NOBODY, &access(&tpm.tcti(), &json!({ "user": "no-such-user" })));
    assert_eq!(failure["error"]["kind"], "permission_denied", "{failure}");
    let foreign = json!({ "user": "daemon", "create": false });
    let failure = run_as(NOBODY, NOBODY, &access(&tpm.tcti(), &foreign));
    assert_eq!(failure["error"]["kind"], "permission_denied", "{failure}");
    let own = json!({ "user": "nobody", "group": "nogroup", "create": false });
    let answer = run_as(NOBODY, NOBODY, &access(&tpm.tcti(), &own));
    assert_eq!((&answer["changed"], &answer["verified"]), (&json!(false), &json!(true)), "{answer}");
}

#[test]
fn nothing_is_made_where_that_is_not_wanted() {
    let tpm = SoftwareTpm::start();
    let request = access(&tpm.tcti(), &json!({ "user": "no-such-user", "create": false }));
    let answer = crate::support::parse(&crate::support::run_raw(request.to_string().as_bytes()));
    assert_eq!(answer["error"]["kind"], "not_found", "{answer}");
}
