//! Signals that ask this process to end while it waits for a program: the program's group is to end first.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

const SIGNALS: [(i32, &str); 3] = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT"), (SIGHUP, "SIGHUP")];

/// As long as it lives, such a signal does not end this process, but is remembered.
pub struct Interrupts(&'static Handlers);

struct Handlers {
    /// How many wait for a program.
    waiting: Mutex<usize>,
    /// Whether none does: the signals do then what they always do.
    is_idle: Arc<AtomicBool>,
    /// The first signal, or 0. It stays: nothing more is to be started.
    received: Arc<AtomicUsize>,
}

impl Interrupts {
    /// Remembers signals from now on.
    pub fn remember() -> Self {
        static HANDLERS: OnceLock<Handlers> = OnceLock::new();
        let handlers = HANDLERS.get_or_init(Handlers::install);
        *handlers.waiting() += 1;
        handlers.is_idle.store(false, Ordering::SeqCst);
        Self(handlers)
    }

    /// The name of the signal that was received.
    pub fn received(&self) -> Option<&'static str> {
        let received = self.0.received.load(Ordering::SeqCst);
        SIGNALS.iter().find(|(signal, _)| usize::try_from(*signal) == Ok(received)).map(|(_, name)| *name)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        *waiting -= 1;
        self.0.is_idle.store(*waiting == 0, Ordering::SeqCst);
    }
}

impl Handlers {
    fn install() -> Self {
        let (is_idle, received) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let ignored = ignored();
        for (signal, _) in SIGNALS {
            let Ok(number) = usize::try_from(signal) else { continue };
            // Whoever started this with `nohup` wants it to go on.
            if ignored & (1 << (number - 1)) == 0 {
                // They fail for signals that cannot be handled, which these can.
                let _ = flag::register_conditional_default(signal, Arc::clone(&is_idle));
                let _ = flag::register_usize(signal, Arc::clone(&received), number);
            }
        }
        Self { waiting: Mutex::new(0), is_idle, received }
    }

    fn waiting(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The signals that this process ignores: a bit each, from signal 1 on (`SigIgn` in `/proc/PID/status`).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
