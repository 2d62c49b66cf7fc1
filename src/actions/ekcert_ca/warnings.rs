//! What `ekcert_ca` found that nobody has to act on now.

use time::{Duration, OffsetDateTime};

use super::report::{Issuer, Report, SHOWN};
use crate::ekcert::issuers::Ended;
use crate::message::shown;

/// Before a CA expires, its users are told.
const NOTICE: Duration = Duration::days(30);

impl Report<'_> {
    /// One sentence each.
    pub(super) fn warnings(&self, now: OffsetDateTime) -> Vec<String> {
        let reasons: Vec<&String> = self.unresolved.keys().map(|(_, why)| why).collect();
        let is_told = |link: &str| reasons.iter().any(|reason| reason.contains(link));
        let dead: Vec<String> = self
            .search
            .links()
            .dead()
            .filter(|(link, _)| !is_told(link))
            .map(|(link, why)| format!("a link leads nowhere: {link}: {why}"))
            .collect();
        let ending = self.allowed().filter(|(issuer, _)| issuer.ends_by(now + NOTICE)).map(|(issuer, _)| {
            format!(
                "the CA {} expires on {}, and no host with its EK certificates can join then: ask the manufacturer for its \
                 successor",
                issuer.subject(),
                issuer.not_after()
            )
        });
        let dropped = self.dropped.iter().map(|what| format!("no longer in `ekcert_allowed_cas`: {what}"));
        let ended = Ended::ALL.into_iter().filter_map(|why| {
            let of_this = self.ended.iter().filter(|(ended, _)| *ended == why);
            let hosts: Vec<String> = of_this.map(|(_, host)| host.clone()).collect();
            let text =
                || format!("the search for the issuer stopped early for {}: {}", shown(&hosts), stopped(why));
            (!hosts.is_empty()).then(text)
        });
        dropped
            .chain(dead.into_iter().take(SHOWN))
            .chain(ended)
            .chain(ending)
            .chain(self.cas_of_one_machine())
            .collect()
    }

    /// That a token gets a CA for each of several machines.
    fn cas_of_one_machine(&self) -> Option<String> {
        let is_alone = |(place, issuer): &(&usize, &Issuer)| {
            issuer.is_of_use && issuer.hosts.len() == 1 && self.search.came_beside(**place)
        };
        let alone = self.issuers.iter().filter(is_alone);
        let hosts: Vec<String> = alone.flat_map(|(_, issuer)| issuer.hosts.clone()).collect();
        (hosts.len() > 1).then(|| {
            format!(
                "each of these hosts has a CA of its own in its TPM, so the token grows by one CA a host: {}. Give them a \
                 token without `ekcert_allowed_cas`, by their hashes",
                shown(&hosts)
            )
        })
    }
}

/// A reason, with what stopped the search.
pub(super) fn with_end(why: String, ended: Option<Ended>) -> String {
    match ended {
        Some(ended) => format!("{why}; the search stopped early: {}", stopped(ended)),
        None => why,
    }
}

/// What stopped a search, and what to do about it.
fn stopped(ended: Ended) -> String {
    let advice = match ended {
        Ended::Total | Ended::Share => {
            "raise `total_timeout`, or give the certificate of the issuer in `ca_bundle`"
        }
        _ => "get the certificate of the issuer from the manufacturer, and give it in `ca_bundle`",
    };
    format!("{}; {advice}", ended.words())
}
