//! Requests for units, and what systemd itself says of what comes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;
use serde_json::{Value, json};

use super::succeed;

/// The first line of what the binary writes.
pub const MARKER: &str = "# Written by tbot_tpm. Put changes of your own into a drop-in: systemctl edit";
/// The unit as tbot itself writes it.
pub const BY_TBOT: &str = "[Unit]
Description=\"tbot - Teleport Machine & Workload Identity Service\"
After=network.target

[Service]
Type=simple
User=teleport
Group=teleport
Restart=always
RestartSec=5
Environment=\"TELEPORT_ANONYMOUS_TELEMETRY=0\"
ExecStart=/usr/local/bin/tbot start -c /etc/tbot.yaml --pid-file=/run/tbot.pid
ExecReload=/bin/kill -HUP $MAINPID
PIDFile=/run/tbot.pid
LimitNOFILE=524288

[Install]
WantedBy=multi-user.target
";
/// A unit for drop-ins to add to, as a package may install one.
pub const PACKAGED: &str = "[Unit]\nDescription=tbot\n[Service]\nType=simple\nUser=root\nExecStart=/bin/true packaged\nPIDFile=/run/packaged.pid\n";

/// A request for a service in `directory`.
pub fn request(directory: &Path, extra: Value) -> Value {
    let mut request = json!({ "action": "systemd", "directory": directory, "_ansible_diff": true });
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    request
}

/// An answer's warnings, but for those of accounts: few machines that run tests have a user teleport.
pub fn warnings(answer: &Value) -> Vec<&str> {
    let all = answer["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap());
    all.filter(|warning| !warning.ends_with("without which the service cannot start")).collect()
}

/// The answer to a request that writes a unit or drop-in, or keeps one, which systemd then accepts.
pub fn install(directory: &Path, extra: Value) -> Value {
    let request = request(directory, extra);
    let answer = succeed(&request);
    let path = PathBuf::from(answer["path"].as_str().unwrap());
    let content = fs::read_to_string(&path).unwrap();
    assert_eq!(answer["content"], content, "the file is not what the answer says");
    let name = request["name"].as_str().unwrap_or("tbot");
    let files = match answer["mode"].as_str() {
        Some("unit") => vec![(format!("{name}.service"), with_stand_in(&request, &content))],
        _ => vec![
            (format!("{name}.service"), PACKAGED.to_owned()),
            (format!("{name}.service.d/10-tbot-tpm.conf"), with_stand_in(&request, &content)),
        ],
    };
    accepted(&files);
    answer
}

/// The text with a program that exists in place of one that does not.
fn with_stand_in(request: &Value, content: &str) -> String {
    let program = request["tbot_path"].as_str().unwrap_or("/usr/local/bin/tbot");
    if Path::new(program).exists() { content.to_owned() } else { content.replace(program, "/bin/true") }
}

/// Whether systemd-analyze can be asked; says why not.
pub fn has_systemd_analyze() -> bool {
    let can_run = Command::new("systemd-analyze").arg("--version").output().is_ok();
    let may_run = Path::new("/run/systemd").exists() || geteuid().is_root();
    if !can_run {
        super::note("skipped: there is no systemd-analyze");
    } else if !may_run {
        super::note("skipped: systemd is not running, and systemd-analyze then needs root");
    }
    can_run && may_run
}

/// systemd's version.
pub fn systemd_version() -> u32 {
    let said = String::from_utf8(super::tool("systemd-analyze", &["--version"])).unwrap();
    said.split_whitespace().nth(1).and_then(|version| version.parse().ok()).unwrap()
}

/// systemd accepts the unit that comes first, with the drop-ins after it, without a word about it.
pub fn accepted(files: &[(String, String)]) {
    if let Some((is_success, said)) = analyze(&["verify", "--man=no"], files) {
        // Other units of this machine may be reported too.
        let is_about_it = files.iter().any(|(name, _)| said.contains(&name.replace(':', "-")));
        assert!(is_success && !is_about_it, "{said}\n{files:#?}");
    }
}

/// How exposed `systemd-analyze security` finds a unit, from 0 to 10.
pub fn exposure(files: &[(String, String)]) -> Option<f64> {
    let (_, said) = analyze(&["security", "--offline=yes", "--no-pager"], files)?;
    let overall = said.lines().find(|line| line.contains("Overall exposure level")).expect(&said);
    overall.split_whitespace().find_map(|word| word.parse().ok())
}

/// Whether systemd-analyze succeeds, and what it says of the first file with the others beside it; none
/// where it cannot be asked.
fn analyze(arguments: &[&str], files: &[(String, String)]) -> Option<(bool, String)> {
    if !has_systemd_analyze() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        // To systemd-analyze a colon begins an alias.
        let path = folder.path().join(name.replace(':', "-"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(folder.path().join(files[0].0.replace(':', "-")))
        // The system's units after these.
        .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
