//! Following links for many certificates at once, so that none of them waits for another.
//!
//! Each certificate waits for one link at a time. Of the links that wait, one goes first for which some certificate
//! has used the least time, then one that many wait for: so who leads to slow servers waits for the others, and not the
//! other way round.

use std::cell::Cell;
use std::cmp::Reverse;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use super::Search;
use super::budget::{DEEPEST, Ended, Ledger};
use super::links::{Fetch, Link};
use super::seeker::Seeker;

/// Requests at a time, and those of them to one server and port.
const AT_ONCE: usize = 32;
const AT_ONCE_TO_A_SERVER: usize = 4;

/// How links are followed.
pub struct Following<'a> {
    /// How a link is followed.
    pub fetch: &'a Fetch<'a>,
    /// When all of it must be over.
    pub deadline: Instant,
    /// How long all links of one certificate may take together, before its last one begins.
    pub share: Duration,
}

/// A link that waits.
struct Waiting {
    link: String,
    /// The least time that one of these certificates used.
    time: Duration,
    numbers: Vec<usize>,
}

/// A request that goes on.
struct Running {
    link: String,
    /// The certificates for which it was made, and those that want the same since.
    payers: Vec<usize>,
    others: Vec<usize>,
}

/// What came of a request.
struct Done {
    link: String,
    outcome: Result<Vec<u8>, String>,
    refused: Option<Ended>,
    time: Duration,
}

/// What all requests share.
struct Desk {
    ledger: Mutex<Ledger>,
    done: Mutex<Vec<Done>>,
    bell: Condvar,
}

/// Hands in what came of a request, whatever happens to its thread.
struct Promise<'d> {
    done: Option<Done>,
    desk: &'d Desk,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        lock(&self.desk.done).extend(self.done.take());
        self.desk.bell.notify_one();
    }
}

/// The links of all certificates.
struct Pursuit<'p, 'f> {
    following: &'p Following<'f>,
    desk: &'p Desk,
    /// In the order of the links.
    waiting: Vec<Waiting>,
    running: Vec<Running>,
}

/// Follows links until no certificate has any left to follow, or may follow it.
pub(super) fn pursue(search: &mut Search<'_>, seekers: &mut [Seeker<'_>], following: &Following<'_>) {
    let ledger = Mutex::new(Ledger::new(seekers.len()));
    let desk = Desk { ledger, done: Mutex::default(), bell: Condvar::new() };
    let mut pursuit = Pursuit { following, desk: &desk, waiting: Vec::new(), running: Vec::new() };
    thread::scope(|scope| {
        let mut news: Vec<usize> = (0..seekers.len()).collect();
        loop {
            pursuit.choose(search, seekers, news);
            pursuit.start(scope, seekers);
            if pursuit.running.is_empty() {
                break;
            }
            news = pursuit.finished(search, seekers);
        }
    });
}

impl<'p> Pursuit<'p, '_> {
    /// Has these certificates look at what their links led to, and choose the next ones.
    fn choose(&mut self, search: &mut Search<'_>, seekers: &mut [Seeker<'_>], mut news: Vec<usize>) {
        while !news.is_empty() {
            search.look(seekers, &news);
            news.retain(|number| {
                let seeker = &mut seekers[*number];
                // Without signatures, nothing that links lead to is of use.
                let may_go_on = !seeker.is_settled && seeker.signatures > 0;
                may_go_on && self.choose_for(search, seeker, *number)
            });
        }
    }

    /// Chooses the next link of a certificate. True where it is known already where that leads.
    fn choose_for(&mut self, search: &Search<'_>, seeker: &mut Seeker<'_>, number: usize) -> bool {
        let Some((link, depth)) = seeker.next_link(&search.candidates, search.given) else { return false };
        if depth > DEEPEST {
            seeker.end(Ended::Depth);
            return false;
        }
        if let Some(outcome) = search.links.outcome(&link) {
            let places = if let Link::Leads(places) = outcome { places.as_slice() } else { &[] };
            seeker.take(&link, depth, places, search.given);
            return true;
        }
        if let Some(running) = self.running.iter_mut().find(|running| running.link == link) {
            running.others.push(number);
        } else if !lock(&self.desk.ledger).may_ask(number) {
            seeker.end(Ended::Requests);
        } else if seeker.time >= self.following.share {
            seeker.end(Ended::Share);
        } else {
            self.wait(link, seeker.time, number);
        }
        false
    }

    /// Has a certificate wait for a link.
    fn wait(&mut self, link: String, time: Duration, number: usize) {
        match self.waiting.binary_search_by(|waiting| waiting.link.cmp(&link)) {
            Ok(place) => {
                let waiting = &mut self.waiting[place];
                waiting.time = waiting.time.min(time);
                waiting.numbers.push(number);
            }
            Err(place) => self.waiting.insert(place, Waiting { link, time, numbers: vec![number] }),
        }
    }

    /// Starts as many requests as may go on at once.
    fn start<'s>(&mut self, scope: &'s Scope<'s, '_>, seekers: &mut [Seeker<'_>])
    where
        'p: 's,
    {
        if Instant::now() >= self.following.deadline {
            for waiting in self.waiting.drain(..) {
                waiting.numbers.iter().for_each(|number| seekers[*number].end(Ended::Total));
            }
        }
        while self.running.len() < AT_ONCE {
            let Some((link, payers)) = self.next() else { return };
            lock(&self.desk.ledger).count(&payers);
            let (fetch, desk, numbers) = (self.following.fetch, self.desk, payers.clone());
            self.running.push(Running { link: link.clone(), payers, others: Vec::new() });
            scope.spawn(move || ask(link, &numbers, fetch, desk));
        }
    }

    /// The link that is to be followed next, and for which certificates.
    fn next(&mut self) -> Option<(String, Vec<usize>)> {
        let servers: Vec<&str> = self.running.iter().map(|running| server(&running.link)).collect();
        let count = |wanted: &str| servers.iter().filter(|running| **running == wanted).count();
        let mut busy = servers.clone();
        busy.retain(|server| count(server) >= AT_ONCE_TO_A_SERVER);
        let is_ready = |waiting: &Waiting| !busy.contains(&server(&waiting.link));
        let places = (0..self.waiting.len()).filter(|place| is_ready(&self.waiting[*place]));
        let rank = |place: &usize| (self.waiting[*place].time, Reverse(self.waiting[*place].numbers.len()));
        let first = places.min_by_key(rank)?;
        let Waiting { link, numbers, .. } = self.waiting.remove(first);
        Some((link, numbers))
    }

    /// Waits for a request to end, and says which certificates have news by that.
    fn finished(&mut self, search: &mut Search<'_>, seekers: &mut [Seeker<'_>]) -> Vec<usize> {
        let mut all = lock(&self.desk.done);
        let done = loop {
            match all.pop() {
                Some(done) => break done,
                None => all = self.desk.bell.wait(all).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(all);
        let Done { link, outcome, refused, time } = done;
        let Some(place) = self.running.iter().position(|running| running.link == link) else {
            return Vec::new();
        };
        let Running { mut payers, others, .. } = self.running.swap_remove(place);
        for number in &payers {
            seekers[*number].time += time;
            if let Some(why) = refused {
                // For these alone: others may still ask.
                seekers[*number].end(why);
                seekers[*number].take(&link, 0, &[], search.given);
            }
        }
        if refused.is_none() {
            search.links.take(link, outcome, &mut search.candidates);
        }
        payers.extend(others);
        payers
    }
}

/// Follows a link, on a thread of its own.
fn ask(link: String, numbers: &[usize], fetch: &Fetch<'_>, desk: &Desk) {
    let outcome = Err("it could not be followed".to_owned());
    let done = Done { link: link.clone(), outcome, refused: None, time: Duration::ZERO };
    let mut promise = Promise { done: Some(done), desk };
    let (refused, is_redirect, start) = (Cell::new(None), Cell::new(false), Instant::now());
    let permit = |server: &str| {
        lock(&desk.ledger).admit(server, numbers, is_redirect.replace(true)).map_err(|why| {
            refused.set(Some(why));
            why.words().to_owned()
        })
    };
    let outcome = fetch(&link, &permit);
    promise.done = Some(Done { link, outcome, refused: refused.get(), time: start.elapsed() });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server and port of a link, as it writes them.
fn server(link: &str) -> &str {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
