//! Links to issuers' certificates, and what came of each.

use std::collections::BTreeMap;

use super::candidates::Candidates;
use super::formats::Contents;

/// Whether a server may be asked, by its name or address: asked before each request, also before the one that a redirect
/// leads to. Otherwise why not.
pub type Permit<'a> = dyn Fn(&str) -> Result<(), String> + 'a;

/// Gets what a URL leads to, or says in a few words why not. Called from several threads at once.
pub type Fetch<'a> = dyn Fn(&str, &Permit<'_>) -> Result<Vec<u8>, String> + Sync + 'a;

/// What came of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It was not followed.
    Untried,
    /// It leads to certificates: where they are among the candidates.
    Leads(Vec<usize>),
    /// It leads nowhere: why, in a few words.
    Dead(String),
}

/// All links that were followed, each once.
#[derive(Debug, Default)]
pub struct Links {
    outcomes: BTreeMap<String, Link>,
}

impl Links {
    /// What came of a link; none where it was not followed yet.
    pub(super) fn outcome(&self, link: &str) -> Option<&Link> {
        self.outcomes.get(link)
    }

    /// What came of these links.
    pub(super) fn outcomes(&self, links: &[String]) -> Vec<(String, Link)> {
        let outcome = |link: &String| self.outcome(link).cloned().unwrap_or(Link::Untried);
        links.iter().map(|link| (link.clone(), outcome(link))).collect()
    }

    /// The links that lead nowhere, and why.
    pub fn dead(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outcomes.iter().filter_map(|(link, outcome)| match outcome {
            Link::Dead(why) => Some((link.as_str(), why.as_str())),
            Link::Untried | Link::Leads(_) => None,
        })
    }

    /// Takes up what a link led to, and adds its certificates to the candidates.
    pub(super) fn take(
        &mut self,
        link: String,
        outcome: Result<Vec<u8>, String>,
        candidates: &mut Candidates,
    ) {
        let outcome = outcome.map_or_else(Link::Dead, |bytes| read(&link, &bytes, candidates));
        self.outcomes.insert(link, outcome);
    }
}

fn read(link: &str, bytes: &[u8], candidates: &mut Candidates) -> Link {
    let contents = Contents::of(bytes);
    let places = contents.certificates.iter().filter_map(|der| candidates.add(der, link));
    let places: Vec<usize> = places.collect();
    if places.is_empty() {
        return Link::Dead(match contents.damaged.first() {
            Some(why) => format!("what it leads to is no certificate that can be read ({why})"),
            None => "what it leads to is no certificate, in DER, PEM or PKCS #7".to_owned(),
        });
    }
    Link::Leads(places)
}
