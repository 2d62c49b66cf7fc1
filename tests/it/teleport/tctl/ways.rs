//! What tctl is asked, and how it is run.

use std::time::Duration;

use serde_json::json;
use tbot_tpm::error::Kind;
use tbot_tpm::teleport::tctl::{Resource, Tctl};

use crate::support::messages::{listed, snapshot};
use crate::support::stand_in::{Cluster, name, script, told};

const TOKEN: &str = "kind: token\nversion: v2\nmetadata:\n  name: test-hosts\nspec:\n  roles: [Bot]\n  join_method: tpm\n  \
     bot_name: test-bot\n  tpm:\n    allow:\n      - ek_public_hash: eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n";
const BOT: &str = "kind: bot\nversion: v1\nmetadata:\n  name: test-bot\nspec:\n  roles: [access]\n";

#[test]
fn resources_are_created_read_replaced_and_removed() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    let tctl = cluster.tctl();
    let [token, bot] = ["test-hosts", "test-bot"].map(name);
    let [token, bot] = [Resource::Token(&token), Resource::Bot(&bot)];
    for resource in [token, bot] {
        assert_eq!(tctl.get(resource).unwrap(), None);
        assert!(!tctl.remove(resource).unwrap());
    }
    assert_eq!(tctl.tokens().unwrap(), Vec::<serde_json::Value>::new());
    assert_eq!(tctl.locks().unwrap(), Some(Vec::new()));

    tctl.create(&format!("{BOT}---\n{TOKEN}")).unwrap();
    tctl.create(&BOT.replace("access", "audit")).unwrap();
    assert_eq!(tctl.get(bot).unwrap().unwrap()["spec"]["roles"], json!(["audit"]));
    let stored = tctl.get(token).unwrap().unwrap();
    assert_eq!(stored["spec"]["bot_name"], "test-bot");
    assert_eq!(tctl.tokens().unwrap(), [stored]);
    assert!(tctl.remove(token).unwrap());
    assert_eq!(tctl.get(token).unwrap(), None);
}

#[test]
fn a_token_of_any_length_of_name_is_known_to_be_missing() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    for length in [1, 2, 3, 4, 5, 30, 200] {
        let name = name(&"n".repeat(length));
        assert_eq!(cluster.tctl().get(Resource::Token(&name)).unwrap(), None, "{length}");
    }
}

#[test]
fn a_token_of_a_hundred_thousand_hosts_is_passed_whole() {
    let text = TOKEN.to_owned() + &"      - ek_public_hash: e\n".repeat(100_000);
    script(&format!("[ $(wc -c) = {} ]", text.len())).create(&text).unwrap();
}

#[test]
fn flags_and_variables_reach_tctl() {
    let says = r#"printf '[{"metadata": {"name": "web"}, "said": "%s"}]' "$* $TELEPORT_TOOLS_VERSION $HOME""#;
    let tctl = script(says).with_identity(Some("/opt/id"), Some("proxy:443"));
    let web = name("web");
    let said = tctl.get(Resource::Token(&web)).unwrap().unwrap();
    let home = std::env::var("HOME").unwrap();
    assert_eq!(
        said["said"],
        format!("-i /opt/id --auth-server proxy:443 get token/web --format=json off {home}")
    );
}

#[test]
fn an_automation_s_identity_is_not_asked_for_a_second_factor() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    cluster.be_awkward(&json!({ "mfa": true }));
    let tctl = cluster.tctl().with_identity(Some("/dev/null"), Some("localhost:443"));
    tctl.create(TOKEN).unwrap();
    assert_eq!(tctl.tokens().unwrap().len(), 1);
}

#[test]
fn a_command_line_can_be_pasted_into_a_shell() {
    let lines = listed(
        [
            "tctl",
            "sudo -n tctl",
            "'/opt/my tctl/tctl' -c \"it's.yaml\"",
            "env A=b\\ c tctl # a comment",
            "tctl $HOME ~ | ;",
            "kubectl exec -n teleport deploy/auth -- tctl",
            "kubectl exec -it deploy/auth -- tctl -i id",
            "kubectl exec deploy/auth -- tctl -i id",
            "/usr/bin/docker exec teleport tctl",
            "docker exec --interactive teleport tctl",
            "docker compose exec -T teleport tctl",
            "ssh auth exec tctl",
        ],
        |text| {
            let tctl = Tctl::parse(text).unwrap().with_identity(None, Some("a b:443"));
            ((*text).to_owned(), tctl.command_line(&["get", "token/web"]))
        },
    );
    snapshot!(lines, @r#"
    tctl
        tctl --auth-server 'a b:443' get token/web
    sudo -n tctl
        sudo -n tctl --auth-server 'a b:443' get token/web
    '/opt/my tctl/tctl' -c "it's.yaml"
        '/opt/my tctl/tctl' -c "it's.yaml" --auth-server 'a b:443' get token/web
    env A=b\ c tctl # a comment
        env 'A=b c' tctl --auth-server 'a b:443' get token/web
    tctl $HOME ~ | ;
        tctl '$HOME' '~' '|' ';' --auth-server 'a b:443' get token/web
    kubectl exec -n teleport deploy/auth -- tctl
        kubectl exec -i -n teleport deploy/auth -- tctl --auth-server 'a b:443' get token/web
    kubectl exec -it deploy/auth -- tctl -i id
        kubectl exec -it deploy/auth -- tctl -i id --auth-server 'a b:443' get token/web
    kubectl exec deploy/auth -- tctl -i id
        kubectl exec -i deploy/auth -- tctl -i id --auth-server 'a b:443' get token/web
    /usr/bin/docker exec teleport tctl
        /usr/bin/docker exec -i teleport tctl --auth-server 'a b:443' get token/web
    docker exec --interactive teleport tctl
        docker exec --interactive teleport tctl --auth-server 'a b:443' get token/web
    docker compose exec -T teleport tctl
        docker compose exec -T teleport tctl --auth-server 'a b:443' get token/web
    ssh auth exec tctl
        ssh auth exec tctl --auth-server 'a b:443' get token/web
    "#);
}

#[test]
fn a_command_that_cannot_be_one_is_an_invalid_request() {
    let said = listed(["", "  ", "# tctl", "tctl 'x", "tctl \\", "''", "tctl a\0b"], |text| {
        let error = Tctl::parse(text).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidRequest);
        (format!("{text:?}"), told(&error))
    });
    snapshot!(said, @r##"
    ""
        invalid_request: the command for tctl is empty
        hint: give a list such as [tctl] or [sudo, -n, tctl]
    "  "
        invalid_request: the command for tctl is empty
        hint: give a list such as [tctl] or [sudo, -n, tctl]
    "# tctl"
        invalid_request: the command for tctl is empty
        hint: give a list such as [tctl] or [sudo, -n, tctl]
    "tctl 'x"
        invalid_request: the command for tctl cannot be split into words: a quote is not closed, or it ends with a backslash
        hint: give it as a list, a word an item
    "tctl \\"
        invalid_request: the command for tctl cannot be split into words: a quote is not closed, or it ends with a backslash
        hint: give it as a list, a word an item
    "''"
        invalid_request: the command for tctl is empty
        hint: give a list such as [tctl] or [sudo, -n, tctl]
    "tctl a\0b"
        invalid_request: the command for tctl has a NUL character
    "##);
    assert_eq!(Tctl::new(Vec::new()).unwrap_err().kind, Kind::InvalidRequest);
}

#[test]
fn a_slow_tctl_is_waited_for_as_long_as_was_asked() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    cluster.be_awkward(&json!({ "seconds": 1 }));
    assert!(cluster.tctl().tokens().is_ok());
    let error = cluster.tctl().with_timeout(Duration::from_millis(200)).tokens().unwrap_err();
    assert_eq!(error.kind, Kind::Network);
}

#[test]
fn locks_that_may_not_be_read_are_unknown() {
    let Some(cluster) = Cluster::new_or_skip() else { return };
    cluster.be_awkward(&json!({ "fails": "access-denied", "calls": 1 }));
    assert_eq!(cluster.tctl().locks().unwrap(), None);
    cluster.store(&json!({ "kind": "lock", "metadata": { "name": "x" } }));
    assert_eq!(cluster.tctl().locks().unwrap().unwrap().len(), 1);
    cluster.be_awkward(&json!({ "fails": "lookup" }));
    assert_eq!(cluster.tctl().locks().unwrap_err().kind, Kind::Network);
}
