//! Programs within limits of time and size, and what is left of them.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tbot_tpm::host::program::{Limits, Reason, Said, Unfinished, run_within};

const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1 << 20, errors: 1 << 16 };

fn run(script: &str, input: &[u8], limits: Limits) -> Result<Said, Unfinished> {
    run_within(Command::new("sh").args(["-c", script]), input, &limits)
}

fn within(script: &str, milliseconds: u64) -> Result<Said, Unfinished> {
    run(script, b"", Limits { time: Duration::from_millis(milliseconds), ..LIMITS })
}

/// Waits until something is so.
fn soon(is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Whether the process whose number a file holds is there, and is no zombie.
fn lives(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[test]
fn input_and_outputs_larger_than_pipes_do_not_block_each_other() {
    let input = vec![b'x'; 1 << 19];
    let script = "tee /dev/stderr; exit 3";
    let said = run(script, &input, Limits { errors: 1 << 20, ..LIMITS }).unwrap();
    assert_eq!(said.status.code(), Some(3));
    assert!(said.output.as_bytes() == input && said.errors.as_bytes() == input);
}

#[test]
fn input_that_is_not_read_is_no_failure() {
    let said = run("echo done", &vec![b'x'; 1 << 20], LIMITS).unwrap();
    assert_eq!((said.output.as_str(), said.status.code()), ("done\n", Some(0)));
    assert_eq!(run("cat", b"", LIMITS).unwrap().output, "", "there is an end of no input");
}

#[test]
fn the_environment_is_this_process_s_and_the_command_s_own() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo \"$PATH $OWN\""]).env("OWN", "mine");
    let said = run_within(&mut command, b"", &LIMITS).unwrap();
    assert_eq!(said.output, format!("{} mine\n", std::env::var("PATH").unwrap()));
}

#[test]
fn a_signal_that_ended_it_is_told() {
    assert_eq!(run("kill -9 $$", b"", LIMITS).unwrap().status.signal(), Some(9));
}

#[test]
fn more_than_it_may_print_is_an_error() {
    for (script, stream, limit) in
        [("yes", "standard output", LIMITS.output), ("yes >&2", "standard error", LIMITS.errors)]
    {
        let failed = run(script, b"", LIMITS).unwrap_err();
        match failed.reason {
            Reason::TooMuch { stream: which, limit: bytes } => assert_eq!((which, bytes), (stream, limit)),
            other => panic!("{script}: {other:?}"),
        }
    }
    let most = format!("head -c {} /dev/zero", LIMITS.output);
    assert_eq!(run(&most, b"", LIMITS).unwrap().output.len(), LIMITS.output);
}

#[test]
fn all_of_its_group_ends_with_the_time() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let script = format!("echo Tap your key >&2; sleep 60 & echo $! >{}; wait", pid.display());
    let start = Instant::now();
    let failed = within(&script, 500).unwrap_err();
    assert!(matches!(failed.reason, Reason::TooSlow), "{failed:?}");
    assert_eq!(failed.errors, "Tap your key\n");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(soon(|| !lives(&pid)), "its child goes on");
}

#[test]
fn one_that_ignores_signals_ends_too() {
    let start = Instant::now();
    let failed = within("trap '' TERM INT HUP; sleep 60", 300).unwrap_err();
    assert!(matches!(failed.reason, Reason::TooSlow), "{failed:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn one_that_is_to_end_may_tidy_up() {
    let directory = tempfile::tempdir().unwrap();
    let tidied = directory.path().join("tidied");
    // It is ended for what it prints once the trap is set, however slowly it starts, and the trap starts no program.
    let script = format!("trap ': >{}; exit' TERM; sleep 60 & echo >&2; wait", tidied.display());
    let start = Instant::now();
    let failed = run(&script, b"", Limits { errors: 0, ..LIMITS }).unwrap_err();
    assert!(matches!(failed.reason, Reason::TooMuch { .. }), "{failed:?}");
    // On a machine so busy that it does not get its turn, it is ended after two seconds all the same.
    assert!(tidied.exists() || start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn what_it_leaves_behind_in_its_group_ends_and_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let start = Instant::now();
    let said = run(&format!("sleep 60 & echo $! >{}; echo done", pid.display()), b"", LIMITS).unwrap();
    assert_eq!((said.output.as_str(), said.status.code()), ("done\n", Some(0)));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(soon(|| !lives(&pid)), "it goes on");
}

#[test]
fn what_left_its_group_and_holds_its_pipes_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let start = Instant::now();
    let script = format!("setsid sh -c 'echo $$ >{}; exec sleep 30' & echo done", pid.display());
    let said = run(&script, b"", LIMITS).unwrap();
    assert_eq!(said.output, "done\n");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(soon(|| pid.exists() && lives(&pid)), "it is not ours to end");
    Command::new("kill").arg(fs::read_to_string(&pid).unwrap().trim()).status().unwrap();
}

#[test]
fn one_that_is_missing_or_no_program_is_not_started() {
    let failed = run_within(&mut Command::new("/no/such/program"), b"", &LIMITS).unwrap_err();
    match failed.reason {
        Reason::NotStarted(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

/// What the tests below run in a process of its own, since signals are for all of a process.
#[test]
fn in_a_process_of_its_own() {
    let Ok(script) = std::env::var("TBOT_TPM_RUN_WITHIN") else { return };
    let first = run(&script, b"", LIMITS).unwrap_err();
    let second = run("echo started >&2", b"", LIMITS).unwrap_err();
    match [&first.reason, &second.reason] {
        [Reason::Interrupted(first), Reason::Interrupted(second)] => {
            fs::write(std::env::var("TBOT_TPM_REPORT").unwrap(), format!("{first} {second}")).unwrap();
        }
        other => panic!("{other:?}"),
    }
    std::thread::sleep(Duration::from_secs(30));
}

/// This test binary with that test alone, by a command before it.
fn process(before: &[&str], script: &str, report: &Path) -> Child {
    let this = std::env::current_exe().unwrap();
    let all = [before, &[this.to_str().unwrap()]].concat();
    Command::new(all[0])
        .args(&all[1..])
        .args(["--exact", "host::program::in_a_process_of_its_own"])
        .env("TBOT_TPM_RUN_WITHIN", script)
        .env("TBOT_TPM_REPORT", report)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_signal_to_end_ends_the_group_first_and_then_nothing_is_started() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let directory = tempfile::tempdir().unwrap();
        let [pid, report] = ["pid", "report"].map(|name| directory.path().join(name));
        let script = format!("sleep 60 & echo $! >{}; wait", pid.display());
        // Whoever runs the tests in the background has some of them ignored.
        let mut child = process(&["env", "--default-signal=TERM,INT,HUP"], &script, &report);
        assert!(soon(|| fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))));
        signal(&format!("-{name}"), &child);
        assert!(soon(|| !lives(&pid)), "{name}: its child goes on");
        let expected = format!("SIG{name} SIG{name}");
        assert!(soon(|| fs::read_to_string(&report).is_ok_and(|text| text == expected)), "{name}");
        // Now that no program is waited for, it does what it always does.
        signal(&format!("-{name}"), &child);
        assert_eq!(child.wait().unwrap().signal(), Some(number));
    }
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let [pid, report] = ["pid", "report"].map(|name| directory.path().join(name));
    let script = format!("sleep 60 & echo $! >{}; wait", pid.display());
    let mut child = process(&["nohup"], &script, &report);
    assert!(soon(|| fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))));
    signal("-HUP", &child);
    std::thread::sleep(Duration::from_millis(300));
    assert!(lives(&pid) && !report.exists());
    signal("-TERM", &child);
    assert!(soon(|| report.exists()));
    signal("-TERM", &child);
    child.wait().unwrap();
}
