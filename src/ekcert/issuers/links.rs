//! Links to issuers' certificates, each followed once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::candidates::Candidates;
use super::formats::Contents;

/// Gets what a URL leads to, or says in a few words why not. Called from several threads at once.
pub type Fetch<'a> = dyn Fn(&str) -> Result<Vec<u8>, String> + Sync + 'a;

/// Links that are to be followed, each once, in a fixed order.
pub type Wanted = BTreeSet<String>;

/// Requests at a time. One slow site keeps nobody waiting.
const AT_ONCE: usize = 8;

/// What came of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It was not followed.
    Untried,
    /// It leads to certificates of these names.
    Leads(Vec<String>),
    /// It leads nowhere: why, in a few words.
    Dead(String),
}

/// All links that were followed.
#[derive(Debug, Default)]
pub struct Links {
    outcomes: BTreeMap<String, Link>,
}

impl Links {
    /// The first of these links that was not followed yet.
    pub(super) fn next_of(&self, links: &[String]) -> Option<String> {
        links.iter().find(|link| !self.outcomes.contains_key(*link)).cloned()
    }

    /// What came of these links.
    pub(super) fn outcomes(&self, links: &[String]) -> Vec<(String, Link)> {
        let outcome = |link: &String| self.outcomes.get(link).cloned().unwrap_or(Link::Untried);
        links.iter().map(|link| (link.clone(), outcome(link))).collect()
    }

    /// The links that lead nowhere, and why.
    pub fn dead(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outcomes.iter().filter_map(|(link, outcome)| match outcome {
            Link::Dead(why) => Some((link.as_str(), why.as_str())),
            Link::Untried | Link::Leads(_) => None,
        })
    }

    /// Follows links, and adds what they lead to to the candidates.
    pub(super) fn follow(&mut self, wanted: &Wanted, fetch: &Fetch<'_>, candidates: &mut Candidates) {
        for (link, outcome) in fetch_all(wanted, fetch) {
            let outcome = outcome.map_or_else(Link::Dead, |bytes| take(&link, &bytes, candidates));
            self.outcomes.insert(link, outcome);
        }
    }
}

fn take(link: &str, bytes: &[u8], candidates: &mut Candidates) -> Link {
    let contents = Contents::of(bytes);
    let places = contents.certificates.iter().filter_map(|der| candidates.add(der, link));
    let places: Vec<usize> = places.collect();
    if places.is_empty() {
        return Link::Dead(match contents.damaged.first() {
            Some(why) => format!("what it leads to is no certificate that can be read ({why})"),
            None => "what it leads to is no certificate, in DER, PEM or PKCS #7".to_owned(),
        });
    }
    Link::Leads(places.iter().map(|place| candidates.get(*place).subject()).collect())
}

/// What came of each link, in their order.
fn fetch_all(wanted: &Wanted, fetch: &Fetch<'_>) -> Vec<(String, Result<Vec<u8>, String>)> {
    let waiting = Mutex::new(wanted.iter());
    let done = Mutex::new(BTreeMap::new());
    let next = || waiting.lock().ok()?.next();
    let work = || {
        while let Some(link) = next() {
            let outcome = fetch(link);
            if let Ok(mut done) = done.lock() {
                done.insert(link.clone(), outcome);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..wanted.len().min(AT_ONCE) {
            scope.spawn(work);
        }
        work();
    });
    done.into_inner().unwrap_or_default().into_iter().collect()
}
