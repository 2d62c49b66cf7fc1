//! Failures of tctl: what each means, and what to do.

use std::time::Duration;

use serde_json::json;
use tbot_tpm::teleport::tctl::{Resource, Tctl};

use crate::support::messages::{listed, snapshot};
use crate::support::stand_in::{Cluster, name, script, told};

#[test]
fn each_failure_of_the_stand_in_says_what_to_do() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    let cases = [
        json!({ "fails": "access-denied", "logs": true }),
        json!({ "fails": "host-uuid" }),
        json!({ "fails": "lookup" }),
        json!({ "fails": "host" }),
        json!({ "fails": "file" }),
        json!({ "fails": "command" }),
        json!({ "fails": "user" }),
        json!({ "mfa": true, "logs": true }),
    ];
    let said = listed(cases, |awkward| {
        cluster.be_awkward(awkward);
        (awkward.to_string(), told(&cluster.tctl().get(Resource::Token(&name("token-bot"))).unwrap_err()))
    });
    snapshot!(said, @r#"
    {"fails":"access-denied","logs":true}
        permission_denied: `tctl get token/token-bot --format=json` failed: ERROR: access denied
        hint: the identity that tctl uses needs a role whose rules (spec.allow.rules) for `token` and `bot` allow read, list, create, update and delete
    {"fails":"host-uuid"}
        permission_denied: `tctl get token/token-bot --format=json` failed: ERROR: open /var/lib/teleport/host_uuid: permission denied
        hint: tctl takes this host for an Auth Service, by /etc/teleport.yaml or TELEPORT_CONFIG_FILE. If it is one, run tctl as root (`[sudo, -n, tctl]`); else set `identity_file` and `auth_server`, or run it where there is no such file
    {"fails":"lookup"}
        network: `tctl get token/token-bot --format=json` failed: ERROR: dial tcp: lookup token-bot.example.com on 192.0.2.53:53: no such host
        hint: see whether this host reaches the cluster: the address in `auth_server` (PROXY:443), its name in DNS, firewalls, and HTTPS_PROXY and NO_PROXY
    {"fails":"host"}
        io: `tctl get token/token-bot --format=json` failed: ERROR: host token-bot.example.com not found
        hint: run this command by hand where tctl runs, and see what it needs
    {"fails":"file"}
        not_found: `tctl get token/token-bot --format=json` failed: ERROR: identity file /etc/token-bot/identity not found
        hint: `identity_file` is the file `identity` in the directory of an `identity` output of tbot; it must be on the host where tctl runs, and that tbot must have run
    {"fails":"command"}
        not_found: `tctl get token/token-bot --format=json` failed: sh: 1: token-bot-helper: not found
        hint: install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is
    {"fails":"user"}
        io: `tctl get token/token-bot --format=json` failed: ERROR: user "token-bot" not found
        hint: run this command by hand where tctl runs, and see what it needs
    {"mfa":true,"logs":true}
        permission_denied: `tctl get token/token-bot --format=json` failed: ERROR: admin-level API request requires MFA verification
        hint: the cluster wants a second factor (MFA), and nobody can answer here: for automation, give tctl the identity of a bot of its own: `identity_file` (an `identity` output of tbot on this host) and `auth_server` (PROXY:443), or `-i FILE --auth-server PROXY:443` in `tctl` (`tbot_tctl_command`). That bot needs a role whose rules for `token` and `bot` allow read, list, create, update and delete
    "#);
}

#[test]
fn missing_is_worded_in_two_ways() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    for awkward in [json!({}), json!({ "not_found": "plain", "logs": true, "deprecation": "stderr" })] {
        cluster.be_awkward(&awkward);
        let [token, bot] = ["test-hosts", "test-bot"].map(name);
        for resource in [Resource::Token(&token), Resource::Bot(&bot)] {
            assert_eq!(cluster.tctl().get(resource).unwrap(), None, "{awkward}");
            assert!(!cluster.tctl().remove(resource).unwrap(), "{awkward}");
        }
    }
}

#[test]
fn only_this_resource_s_own_absence_is_one() {
    let (token, bot) = (name("test-hosts"), name("test-bot"));
    let missing_token = "ERROR: provisioning token(*******sts) not found";
    for (resource, status, said, is_missing) in [
        (Resource::Token(&token), 1, missing_token, true),
        (
            Resource::Token(&token),
            1,
            "WARN x\n\x1b[31mERROR: \x1b[0mprovisioning token(*******sts) not found",
            true,
        ),
        (Resource::Token(&token), 2, missing_token, false),
        (Resource::Token(&token), 1, "ERROR: provisioning token(********ts) not found", false),
        (Resource::Token(&token), 1, "ERROR: provision token \"other\" not found", false),
        (Resource::Token(&token), 1, &format!("{missing_token}\nERROR: connection reset"), false),
        (Resource::Token(&token), 1, "ERROR: user \"bot-test-bot\" not found", false),
        (Resource::Token(&token), 1, "cached provisioning token(*******sts) not found", false),
        (Resource::Bot(&bot), 1, "ERROR: user \"bot-test-bot\" not found", true),
        (Resource::Bot(&bot), 1, "ERROR: user \"bot-another\" not found", false),
        (Resource::Bot(&bot), 1, "sudo: unknown user robot: user not found", false),
    ] {
        let tctl = script(&format!("cat >&2 <<'END'\n{said}\nEND\nexit {status}"));
        assert_eq!(tctl.get(resource).is_ok_and(|it| it.is_none()), is_missing, "{status} {said}");
        assert_eq!(tctl.remove(resource).is_ok_and(|was_there| !was_there), is_missing, "{status} {said}");
    }
}

#[test]
fn other_failures_say_what_to_do_as_well() {
    let cases = [
        (1, "sudo: a password is required"),
        (1, "sudo: a terminal is required to read the password; either use the -S option"),
        (1, "sudo: tctl: command not found"),
        (126, "error: exec: \"tctl\": executable file not found in $PATH"),
        (127, "env: 'tctl': No such file or directory"),
        (1, "ERROR: open /opt/machine-id/identity: no such file or directory"),
        (1, "ERROR: open /opt/machine-id/identity: permission denied"),
        (1, "ERROR: your credentials have expired, please login using `tsh login`"),
        (1, "ERROR: tls: failed to verify certificate: x509: certificate signed by unknown authority"),
        (1, "ERROR: dial tcp 127.0.0.1:3025: connect: connection refused"),
        (1, "ERROR: rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
        (1, "ERROR: unknown field \"scope\"\nand more\n"),
        (5, ""),
        (1, "ERROR: cannot parse metadata.name: s3cret-token"),
        (1, "ERROR: cannot use https://me:s3cret@proxy/"),
    ];
    let said = listed(cases, |(status, text)| {
        let tctl = script(&format!("cat >&2 <<'END'\n{text}\nEND\nexit {status}"));
        (format!("{status} {}", text.escape_debug()), told(&tctl.create("kind: bot").unwrap_err()))
    });
    snapshot!(said, @r#"
    1 sudo: a password is required
        permission_denied: `tctl create -f /dev/stdin` failed: sudo: a password is required
        hint: sudo wants a password, and nobody answers here: allow this command with NOPASSWD in sudoers, or run as a user who may run tctl without sudo
    1 sudo: a terminal is required to read the password; either use the -S option
        permission_denied: `tctl create -f /dev/stdin` failed: sudo: a terminal is required to read the password; either use the -S option
        hint: sudo wants a password, and nobody answers here: allow this command with NOPASSWD in sudoers, or run as a user who may run tctl without sudo
    1 sudo: tctl: command not found
        not_found: `tctl create -f /dev/stdin` failed: sudo: tctl: command not found
        hint: install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is
    126 error: exec: \"tctl\": executable file not found in $PATH
        not_found: `tctl create -f /dev/stdin` failed: error: exec: "tctl": executable file not found in $PATH
        hint: install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is
    127 env: \'tctl\': No such file or directory
        not_found: `tctl create -f /dev/stdin` failed: env: 'tctl': No such file or directory
        hint: install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is
    1 ERROR: open /opt/machine-id/identity: no such file or directory
        not_found: `tctl create -f /dev/stdin` failed: ERROR: open /opt/machine-id/identity: no such file or directory
        hint: `identity_file` is the file `identity` in the directory of an `identity` output of tbot; it must be on the host where tctl runs, and that tbot must have run
    1 ERROR: open /opt/machine-id/identity: permission denied
        permission_denied: `tctl create -f /dev/stdin` failed: ERROR: open /opt/machine-id/identity: permission denied
        hint: the user that runs tctl must be able to read that file, which `identity_file` may name
    1 ERROR: your credentials have expired, please login using `tsh login`
        permission_denied: `tctl create -f /dev/stdin` failed: ERROR: your credentials have expired, please login using `tsh login`
        hint: the login is missing or has expired: log in with `tsh login` for a run by hand; where `identity_file` is set, see whether its tbot is running and renews it. For automation, give tctl the identity of a bot of its own: `identity_file` (an `identity` output of tbot on this host) and `auth_server` (PROXY:443), or `-i FILE --auth-server PROXY:443` in `tctl` (`tbot_tctl_command`). That bot needs a role whose rules for `token` and `bot` allow read, list, create, update and delete
    1 ERROR: tls: failed to verify certificate: x509: certificate signed by unknown authority
        network: `tctl create -f /dev/stdin` failed: ERROR: tls: failed to verify certificate: x509: certificate signed by unknown authority
        hint: tctl does not trust the certificate of `auth_server`: is the address the proxy's, and is its CA among those that this host trusts?
    1 ERROR: dial tcp 127.0.0.1:[PORT]: connect: connection refused
        network: `tctl create -f /dev/stdin` failed: ERROR: dial tcp 127.0.0.1:[PORT]: connect: connection refused
        hint: see whether this host reaches the cluster: the address in `auth_server` (PROXY:443), its name in DNS, firewalls, and HTTPS_PROXY and NO_PROXY
    1 ERROR: rpc error: code = DeadlineExceeded desc = context deadline exceeded
        network: `tctl create -f /dev/stdin` failed: ERROR: rpc error: code = DeadlineExceeded desc = context deadline exceeded
        hint: see whether this host reaches the cluster: the address in `auth_server` (PROXY:443), its name in DNS, firewalls, and HTTPS_PROXY and NO_PROXY
    1 ERROR: unknown field \"scope\"\nand more\n
        io: `tctl create -f /dev/stdin` failed: ERROR: unknown field "scope"
        hint: run this command by hand where tctl runs, and see what it needs
    5 
        io: `tctl create -f /dev/stdin` failed (exit status: 5) and said nothing
        hint: run this command by hand where tctl runs, and see what it needs
    1 ERROR: cannot parse metadata.name: s3cret-token
        io: `tctl create -f /dev/stdin` failed: (47 characters that may hold secrets, and are not shown)
        hint: run this command by hand where tctl runs, and see what it needs
    1 ERROR: cannot use https://me:s3cret@proxy/
        io: `tctl create -f /dev/stdin` failed: ERROR: cannot use https://********@proxy/
        hint: run this command by hand where tctl runs, and see what it needs
    "#);
}

#[test]
fn a_failure_s_detail_has_all_that_was_said() {
    let error =
        script("echo INFO trying >&2; echo ERROR: no luck >&2; echo on stdout; exit 1").tokens().unwrap_err();
    snapshot!(told(&error), @"
    io: `tctl get tokens --format=json` failed: ERROR: no luck
    hint: run this command by hand where tctl runs, and see what it needs
    ");
    snapshot!(error.detail.unwrap(), @"
    INFO trying
    ERROR: no luck
    on stdout
    ");
    let error = script("yes ERROR: again | head -n 1000 >&2; exit 1").tokens().unwrap_err();
    assert!(error.message.len() < 500 && error.detail.unwrap().len() < 2500);
}

#[test]
fn a_command_that_cannot_be_started_says_why() {
    let said = listed(
        ["no-such-tctl", "/etc/passwd", "/no/such/tctl", "TELEPORT_X=1 tctl", "~/bin/tctl"],
        |command| ((*command).to_owned(), told(&Tctl::parse(command).unwrap().tokens().unwrap_err())),
    );
    snapshot!(said, @"
    no-such-tctl
        not_found: cannot run tctl: there is no program `no-such-tctl` on this host
        hint: install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is
    /etc/passwd
        permission_denied: cannot run tctl by `/etc/passwd`: Permission denied (os error 13)
        hint: see whether it is a program, its mode, and whether its file system is mounted noexec
    /no/such/tctl
        not_found: cannot run tctl: there is no program `/no/such/tctl` on this host
        hint: install tctl there (it comes with Teleport's packages), or set `tctl` (`tbot_tctl_command`) to where it is
    TELEPORT_X=1 tctl
        not_found: cannot run tctl: there is no program `TELEPORT_X=1` on this host
        hint: no shell is run: write `env NAME=VALUE tctl` to set a variable
    ~/bin/tctl
        not_found: cannot run tctl: there is no program `~/bin/tctl` on this host
        hint: no shell is run: write the whole path in place of `~`
    ");
}

#[test]
fn a_command_that_does_not_end_by_itself_says_how_far_it_came() {
    let cases = [
        "sleep 60",
        "echo Connecting >&2; sleep 60",
        "echo Tap your security key >&2; sleep 60",
        "kill -9 $$",
        "echo ERROR: bad >&2; kill -15 $$",
        "kill -TTIN $$",
    ];
    let said = listed(cases, |text| {
        let tctl = script(text).with_timeout(Duration::from_secs(2));
        ((*text).to_owned(), told(&tctl.tokens().unwrap_err()))
    });
    snapshot!(said, @"
    sleep 60
        network: `tctl get tokens --format=json` did not end within 2 s, and was ended
        hint: see whether this host reaches the cluster, and whether the command asks for something when it is run by hand; a longer `timeout` helps a cluster that is slow
    echo Connecting >&2; sleep 60
        network: `tctl get tokens --format=json` did not end within 2 s, and was ended: Connecting
        hint: see whether this host reaches the cluster, and whether the command asks for something when it is run by hand; a longer `timeout` helps a cluster that is slow
    echo Tap your security key >&2; sleep 60
        permission_denied: `tctl get tokens --format=json` did not end within 2 s, and was ended: Tap your security key
        hint: the cluster wants a second factor (MFA), and nobody can answer here: for automation, give tctl the identity of a bot of its own: `identity_file` (an `identity` output of tbot on this host) and `auth_server` (PROXY:443), or `-i FILE --auth-server PROXY:443` in `tctl` (`tbot_tctl_command`). That bot needs a role whose rules for `token` and `bot` allow read, list, create, update and delete
    kill -9 $$
        io: `tctl get tokens --format=json` was ended by signal 9
        hint: see whether this host is short of memory (`journalctl -k`), then run this again
    echo ERROR: bad >&2; kill -15 $$
        io: `tctl get tokens --format=json` was ended by signal 15: ERROR: bad
        hint: see what ended it, then run this again
    kill -TTIN $$
        permission_denied: `tctl get tokens --format=json` asks for something on the terminal, and was ended
        hint: nobody answers here: use `sudo -n` where it is sudo's password; else give tctl the identity of a bot of its own: `identity_file` (an `identity` output of tbot on this host) and `auth_server` (PROXY:443), or `-i FILE --auth-server PROXY:443` in `tctl` (`tbot_tctl_command`). That bot needs a role whose rules for `token` and `bot` allow read, list, create, update and delete
    ");
    let error = script("yes >&2").tokens().unwrap_err();
    let until_it_was_ended = error.message.split(':').next().unwrap();
    snapshot!(until_it_was_ended, @"`tctl get tokens --format=json` printed more than 1048576 bytes to standard error, and was ended");
}
