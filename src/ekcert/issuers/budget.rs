//! What the search for the issuer of one certificate may cost.
//!
//! One host makes its EK certificate what it likes, and so the servers that its links lead to. So each certificate
//! pays for its own search: nothing that it leads to counts for another, and what it may use up is a small share.
//! A request for several certificates is made once, and each of them counts it.

/// Requests for one certificate, redirects included. A chain of four CAs with two links each takes fewer.
const MOST_REQUESTS: usize = 16;
/// Of these, requests to one server, by its name or address.
const MOST_TO_A_SERVER: usize = 8;
/// Requests to one server for all certificates together.
const MOST_OF_A_SERVER: usize = 512;
/// Of the second half of these, requests for one certificate: some that ask often leave the rest to others.
const FEW_TO_A_SERVER: usize = 4;

/// Links one after the other: the certificate's own is the first.
pub(super) const DEEPEST: usize = 8;
/// Certificates that links may lead to for one certificate.
pub(super) const MOST_CANDIDATES: usize = 128;
/// Signatures that are checked for one certificate.
pub(super) const MOST_SIGNATURES: usize = 256;

/// What ended a search before everything was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The certificate led to too many requests.
    Requests,
    /// A server was asked often enough, for this certificate or for all.
    Server,
    /// Links led from one certificate to the next too often.
    Depth,
    /// Links led to too many certificates.
    Candidates,
    /// Too many signatures had to be checked.
    Signatures,
    /// The certificate's share of the time was over.
    Share,
    /// The time for all requests was over.
    Total,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::Server,
        Self::Depth,
        Self::Candidates,
        Self::Signatures,
        Self::Share,
        Self::Total,
    ];

    /// The limit, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Requests => "one EK certificate may cause 16 requests",
            Self::Server => "a server is asked at most 8 times for one EK certificate, and 512 times in all",
            Self::Depth => "links are followed 8 certificates deep",
            Self::Candidates => "the links of one EK certificate may lead to 128 certificates",
            Self::Signatures => "256 signatures are checked for one EK certificate",
            Self::Share => "the links of one EK certificate may take half of the time for all",
            Self::Total => "the time for all requests was over",
        }
    }
}

/// What was asked, and for which searches, by their numbers.
#[derive(Debug)]
pub(super) struct Ledger {
    /// By search.
    requests: Vec<usize>,
    servers: Vec<Server>,
}

#[derive(Debug)]
struct Server {
    name: String,
    asked: usize,
    by_search: Vec<usize>,
}

impl Ledger {
    /// For so many searches.
    pub(super) fn new(searches: usize) -> Self {
        Self { requests: vec![0; searches], servers: Vec::new() }
    }

    /// Whether a search may follow another link.
    pub(super) fn may_ask(&self, search: usize) -> bool {
        self.requests[search] < MOST_REQUESTS
    }

    /// Counts a request for each of these searches.
    pub(super) fn count(&mut self, searches: &[usize]) {
        for search in searches {
            self.requests[*search] += 1;
        }
    }

    /// Lets a request go to a server, where one of these searches may ask it, and counts it for all of them. A
    /// redirect is one more request; any other was counted when its link was chosen.
    pub(super) fn admit(&mut self, server: &str, searches: &[usize], is_redirect: bool) -> Result<(), Ended> {
        if is_redirect && !searches.iter().any(|search| self.may_ask(*search)) {
            return Err(Ended::Requests);
        }
        let known = self.servers.iter().position(|known| known.name == server).unwrap_or_else(|| {
            let by_search = vec![0; self.requests.len()];
            self.servers.push(Server { name: server.to_owned(), asked: 0, by_search });
            self.servers.len() - 1
        });
        let of_server = &mut self.servers[known];
        let most = match of_server.asked {
            MOST_OF_A_SERVER.. => 0,
            asked if asked >= MOST_OF_A_SERVER / 2 => FEW_TO_A_SERVER,
            _ => MOST_TO_A_SERVER,
        };
        if !searches.iter().any(|search| of_server.by_search[*search] < most) {
            return Err(Ended::Server);
        }
        of_server.asked += 1;
        for search in searches {
            of_server.by_search[*search] += 1;
        }
        if is_redirect {
            self.count(searches);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_the_limits() {
        for (ended, limits) in [
            (Ended::Requests, vec![MOST_REQUESTS]),
            (Ended::Server, vec![MOST_TO_A_SERVER, MOST_OF_A_SERVER]),
            (Ended::Depth, vec![DEEPEST]),
            (Ended::Candidates, vec![MOST_CANDIDATES]),
            (Ended::Signatures, vec![MOST_SIGNATURES]),
        ] {
            let words: Vec<&str> = ended.words().split(' ').collect();
            assert!(limits.iter().all(|limit| words.contains(&&*limit.to_string())), "{ended:?}");
        }
    }

    #[test]
    fn redirects_count_as_requests() {
        let mut ledger = Ledger::new(3);
        ledger.count(&[1]);
        for number in 1..MOST_REQUESTS {
            assert!(ledger.may_ask(1));
            assert_eq!(ledger.admit(&format!("server-{number}"), &[1], true), Ok(()));
        }
        assert!(!ledger.may_ask(1) && ledger.may_ask(2));
        assert_eq!(ledger.admit("another", &[1], true), Err(Ended::Requests));
        // Somebody else wants the same and may have it.
        assert_eq!(ledger.admit("another", &[1, 2], true), Ok(()));
    }

    #[test]
    fn searches_that_ask_a_server_often_leave_the_rest_to_others() {
        let mut ledger = Ledger::new(1000);
        let mut asked = 0;
        let searches = MOST_OF_A_SERVER / MOST_TO_A_SERVER;
        for search in 0..searches {
            while ledger.admit("server", &[search], false).is_ok() {
                asked += 1;
            }
        }
        // The first half went to the first ones, and then a few to each.
        assert_eq!(asked, MOST_OF_A_SERVER / 2 + searches / 2 * FEW_TO_A_SERVER);
        assert_eq!(ledger.admit("server", &[searches], false), Ok(()));
        for search in searches + 1..1000 {
            if ledger.admit("server", &[search], false).is_err() {
                break;
            }
        }
        assert_eq!(ledger.servers[0].asked, MOST_OF_A_SERVER);
        assert_eq!(ledger.admit("other", &[0], false), Ok(()));
    }
}
