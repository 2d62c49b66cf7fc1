//! `registry` with `hosts`, killed on the way.

use std::fs;

use super::many::{accepted, filled, request, request_file};
use crate::support::registry::Place;
use crate::support::{strace, succeed};

#[test]
fn each_entry_is_the_old_or_the_new_whenever_the_process_is_killed() {
    if !strace::is_usable() {
        return;
    }
    let texts =
        |place: &Place| ["web-1", "web-2", "web-3"].map(|host| fs::read_to_string(place.entry(host)).ok());
    let place = filled();
    let old = texts(&place);
    let (_directory, file) = request_file(&request(&place, accepted()));
    let calls = strace::calls_from_first_change(&file);
    let new = texts(&place);
    // Those that change something, and so all between which something differs.
    for call in calls.iter().filter(|call| call.is_change() || call.is_answer()) {
        let place = filled();
        let (_directory, file) = request_file(&request(&place, accepted()));
        call.tampered("signal=KILL", "022", &file);
        for (number, text) in texts(&place).iter().enumerate() {
            assert!(*text == old[number] || *text == new[number], "{call:?}: {text:?}");
        }
        let is_known =
            texts(&place)[0] == old[0] || fs::read_to_string(place.archived("web-1", 'a')).ok() == old[0];
        assert!(is_known, "{call:?}");
        succeed(&request(&place, accepted()));
        assert_eq!(texts(&place), new, "{call:?}");
        assert!(
            place.files().iter().all(|(path, _)| !path.to_str().unwrap().contains(".tbot_tpm.")),
            "{call:?}"
        );
    }
}
