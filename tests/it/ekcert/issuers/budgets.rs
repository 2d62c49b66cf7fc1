//! What one certificate may cost: hostile hosts, whose certificates and servers are all theirs, keep no other host from
//! being resolved, and no server is asked without end.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tbot_tpm::ekcert::EkCertificate;

use crate::support::certificates::{Parts, extension, name};
use crate::support::der::{element, oid, printable, sequence, tagged};
use crate::support::issuing::{QuickKey, pem};
use crate::support::messages::snapshot;
use crate::support::server::{Reply, Server};
use crate::support::{fail, succeed};

/// A CA with a name and a key of its own.
struct Ca {
    key: QuickKey,
    name: Vec<u8>,
}

impl Ca {
    fn new(text: &str) -> Self {
        Self { key: QuickKey::new(), name: name(&[("2.5.4.3", printable(text))]) }
    }

    /// Its certificate by an issuer, which links there.
    fn by(&self, issuer: &Self, links: &[String]) -> Vec<u8> {
        let mut parts = self.key.authority();
        parts.subject.clone_from(&self.name);
        parts.issuer.clone_from(&issuer.name);
        parts.extensions.extend(access(links));
        issuer.key.issue(parts)
    }

    fn root(&self) -> Vec<u8> {
        self.by(self, &[])
    }

    /// A host with an EK certificate that links there.
    fn host(&self, description: &str, links: &[String]) -> Value {
        let mut parts = Parts { issuer: self.name.clone(), key: QuickKey::new().public(), ..Parts::valid() };
        parts.extensions = access(links).into_iter().collect();
        let text = pem(&self.key.issue(parts));
        let certificate = EkCertificate::from_pem(&text).unwrap();
        json!({
            "description": description, "ek_public_hash": certificate.public_key().unwrap().hash(),
            "ek_cert_present": true, "ek_cert_serial": certificate.serial.to_string(), "ek_cert_pem": text,
        })
    }
}

/// The extension with these links to the issuer's certificate.
fn access(links: &[String]) -> Option<Vec<u8>> {
    let link = |url: &String| sequence(&[oid("1.3.6.1.5.5.7.48.2"), element(0x86, url.as_bytes())]);
    let links: Vec<Vec<u8>> = links.iter().map(link).collect();
    (!links.is_empty()).then(|| extension("1.3.6.1.5.5.7.1.1", &sequence(&links)))
}

/// A PKCS #7 message that holds these certificates.
fn pkcs7(certificates: &[Vec<u8>]) -> Vec<u8> {
    let content = sequence(&[oid("1.2.840.113549.1.7.1")]);
    let certificates = tagged(0, &certificates.concat());
    let signed = sequence(&[element(2, &[1]), element(0x31, &[]), content, certificates, element(0x31, &[])]);
    sequence(&[oid("1.2.840.113549.1.7.2"), tagged(0, &signed)])
}

/// An answer that comes this late.
fn late(by: Duration, body: Vec<u8>) -> Reply {
    Reply::by(move |_, stream| {
        thread::sleep(by);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat())
    })
}

/// A host of this CA, with sixty links behind its certificate: it leads to sixty certificates of the CA, each of which
/// links to another path of the server.
fn hostile(description: &str, evil: &Ca, server: &Server) -> Value {
    let link = |number| server.url(&format!("/{description}/{number}"));
    let issuers = (0..60).map(|number| evil.by(&Ca::new("Parent"), &[link(number)]));
    server.set(&format!("/{description}"), Reply::ok(pkcs7(&issuers.collect::<Vec<_>>())));
    evil.host(description, &[server.url(&format!("/{description}"))])
}

/// A request for these hosts, whose links may lead to this machine.
fn request(hosts: &[Value], root: &[u8]) -> Value {
    json!({
        "action": "ekcert_ca", "hosts": hosts, "trusted_roots": [pem(root)], "allowed_urls": ["127.0.0.1", "localhost"],
        "skip_untrusted": true,
    })
}

/// A manufacturer with three CAs on its own server, each of which links to the next: the server, its root, and hosts.
fn honest(count: usize) -> (Server, Vec<u8>, Vec<Value>) {
    let server = Server::http();
    let (root, middle, issuing) = (Ca::new("Root"), Ca::new("Middle"), Ca::new("Issuing"));
    let last = issuing.by(&middle, &[server.url("/middle")]);
    server.set("/issuing", late(Duration::from_millis(50), last));
    server.set("/middle", late(Duration::from_millis(50), middle.by(&root, &[server.url("/root")])));
    let links = [server.url("/issuing")];
    let hosts = (0..count).map(|number| issuing.host(&format!("honest-{number}"), &links)).collect();
    (server, root.root(), hosts)
}

/// The hosts for which there is no CA.
fn left_out(answer: &Value) -> Vec<String> {
    let unresolved = answer["unresolved"].as_array().unwrap().iter();
    let hosts = unresolved.flat_map(|it| it["hosts"].as_array().unwrap());
    let mut hosts: Vec<String> = hosts.map(|host| host.as_str().unwrap().to_owned()).collect();
    hosts.sort();
    hosts
}

#[test]
fn slow_links_of_hostile_hosts_keep_no_honest_one_from_being_resolved() {
    let (honest_server, root, mut hosts) = honest(40);
    let server = Server::http();
    let evil = Ca::new("Evil");
    for host in 0..10 {
        hosts.insert(0, hostile(&format!("evil-{host}"), &evil, &server));
        (0..60).for_each(|link| server.set(&format!("/evil-{host}/{link}"), Reply::silence()));
    }
    let mut request = request(&hosts, &root);
    request["timeout"] = json!(2);
    request["total_timeout"] = json!(6);
    let start = Instant::now();
    let answer = succeed(&request);
    assert!(start.elapsed() < Duration::from_secs(9));
    assert_eq!(left_out(&answer).len(), 10, "{answer}");
    assert!(left_out(&answer).iter().all(|host| host.starts_with("evil")), "{answer}");
    assert_eq!((honest_server.count("/issuing"), honest_server.count("/middle")), (1, 1));
    assert!(server.connections() <= 10 * 3, "{}", server.connections());
}

#[test]
fn one_certificate_with_sixty_slow_links_takes_half_of_the_time_and_says_so() {
    let (_server, root, mut hosts) = honest(3);
    let server = Server::http();
    hosts.insert(0, hostile("evil", &Ca::new("Evil"), &server));
    (0..60).for_each(|link| server.set(&format!("/evil/{link}"), Reply::silence()));
    let mut request = request(&hosts, &root);
    request["timeout"] = json!(1);
    request["total_timeout"] = json!(4);
    let answer = succeed(&request);
    assert_eq!(left_out(&answer), ["evil"]);
    assert!((3..=4).contains(&server.connections()), "{}", server.connections());
    let reason = answer["unresolved"][0]["reason"].as_str().unwrap();
    snapshot!(reason, @"issued by CN=Evil (SHA-256 [HASH], from http://127.0.0.1:[PORT]/evil), which is not trusted: it was issued by CN=Parent, of which there is no certificate here; the search stopped early: the links of one EK certificate may take half of the time for all; raise `total_timeout`, or give the certificate of the issuer in `ca_bundle`");
    snapshot!(answer["warnings"].to_string(), @r#"["a link leads nowhere: http://127.0.0.1:[PORT]/evil/0: no whole answer within 1 s","a link leads nowhere: http://127.0.0.1:[PORT]/evil/1: no whole answer within 1 s","the search for the issuer stopped early for `evil`: the links of one EK certificate may take half of the time for all; raise `total_timeout`, or give the certificate of the issuer in `ca_bundle`"]"#);
}

#[test]
fn quick_links_of_one_certificate_are_counted() {
    let (_server, root, mut hosts) = honest(3);
    let server = Server::http();
    hosts.insert(0, hostile("evil", &Ca::new("Evil"), &server));
    let answer = succeed(&request(&hosts, &root));
    assert_eq!(left_out(&answer), ["evil"]);
    assert_eq!(server.connections(), 8);
    // Several are followed at once, so that which of them is told of is no matter.
    let told = (0..8).fold(answer["warnings"].to_string(), |told, number| {
        told.replace(&format!("/evil/{number}:"), "/evil/N:")
    });
    snapshot!(told, @r#"["a link leads nowhere: http://127.0.0.1:[PORT]/evil/N: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/evil/N: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/evil/N: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/evil/N: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/evil/N: the answer has status 404","the search for the issuer stopped early for `evil`: a server is asked at most 8 times for one EK certificate, and 512 times in all; get the certificate of the issuer from the manufacturer, and give it in `ca_bundle`"]"#);

    // Of many servers, each is asked twice at most, but not all.
    let servers: Vec<Server> = (0..20).map(|_| Server::http()).collect();
    let evil = Ca::new("Evil");
    let links = |other: &Server| [other.url("/"), other.url_by("localhost", "/")];
    let issuers: Vec<Vec<u8>> =
        servers.iter().map(|other| evil.by(&Ca::new("Parent"), &links(other))).collect();
    server.set("/many", Reply::ok(pkcs7(&issuers)));
    let names = json!(["127.0.0.1", "localhost"]);
    let mut request = request(&[evil.host("evil", &[server.url("/many")]), hosts[1].clone()], &root);
    request["allowed_urls"] = names;
    let answer = succeed(&request);
    assert_eq!(left_out(&answer), ["evil"]);
    assert_eq!(servers.iter().map(Server::connections).sum::<usize>(), 14);
    snapshot!(answer["warnings"].to_string(), @r#"["a link leads nowhere: http://127.0.0.1:[PORT]/: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/: the answer has status 404","a link leads nowhere: http://127.0.0.1:[PORT]/: the answer has status 404","the search for the issuer stopped early for `evil`: a server is asked at most 8 times for one EK certificate, and 512 times in all; get the certificate of the issuer from the manufacturer, and give it in `ca_bundle`"]"#);
}

#[test]
fn redirects_of_hostile_servers_do_not_use_up_the_manufacturers() {
    let (honest_server, root, mut hosts) = honest(20);
    let server = Server::http();
    let evil = Ca::new("Evil");
    for host in 0..70 {
        let links: Vec<String> = (0..16).map(|link| server.url(&format!("/{host}/{link}"))).collect();
        for link in 0..16 {
            let target = honest_server.url_by("127.0.0.1", &format!("/{host}/{link}"));
            server.set(&format!("/{host}/{link}"), Reply::redirect(302, &target));
        }
        hosts.insert(0, evil.host(&format!("evil-{host}"), &links));
    }
    let answer = succeed(&request(&hosts, &root));
    assert!(left_out(&answer).iter().all(|host| host.starts_with("evil")), "{answer}");
    assert_eq!(left_out(&answer).len(), 70);
    assert!(honest_server.connections() + server.connections() <= 512, "all have one address here");
}

#[test]
fn a_message_with_many_certificates_that_link_further_stays_within_bounds() {
    let (_server, root, mut hosts) = honest(20);
    let server = Server::http();
    let evil = Ca::new("Evil");
    // All of one name and one key, which signed them all: each is the issuer of each.
    let many = |count: usize, at: &str| {
        let links = |number: usize| [server.url(&format!("/{at}/{number}"))];
        pkcs7(&(0..count).map(|number| evil.by(&evil, &links(number))).collect::<Vec<_>>())
    };
    let (fits, too_large) = (many(120, "a"), many(1000, "b"));
    assert!(fits.len() < 65536 && too_large.len() > 65536);
    for number in 0..120 {
        server.set(&format!("/a/{number}"), Reply::ok(many(120, &format!("c{number}"))));
    }
    server.set("/fits", Reply::ok(fits));
    server.set("/too-large", Reply::ok(too_large));
    hosts.insert(0, evil.host("fits", &[server.url("/fits")]));
    hosts.insert(0, evil.host("too-large", &[server.url("/too-large")]));
    let start = Instant::now();
    let answer = succeed(&request(&hosts, &root));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(left_out(&answer), ["fits", "too-large"]);
    assert!(server.connections() <= 16, "{}", server.connections());
    snapshot!(answer["warnings"].to_string(), @r#"["the search for the issuer stopped early for `fits`: 256 signatures are checked for one EK certificate; get the certificate of the issuer from the manufacturer, and give it in `ca_bundle`"]"#);
}

#[test]
fn a_deep_chain_and_a_loop_of_links_end() {
    let (_server, root, hosts) = honest(3);
    let server = Server::http();
    let cas: Vec<Ca> = (0..30).map(|number| Ca::new(&format!("Deep {number}"))).collect();
    for number in 1..30 {
        let link = [server.url(&format!("/{}", number + 1))];
        server.set(&format!("/{number}"), Reply::ok(cas[number - 1].by(&cas[number], &link)));
    }
    let deep = cas[0].host("deep", &[server.url("/1")]);
    let circle = Ca::new("Circle");
    server.set("/a", Reply::ok(circle.by(&circle, &[server.url("/b")])));
    server.set("/b", Reply::ok(circle.by(&circle, &[server.url("/a")])));
    let in_circle = circle.host("circle", &[server.url("/a")]);
    let answer = succeed(&request(&[&[deep, in_circle][..], &hosts].concat(), &root));
    assert_eq!(left_out(&answer), ["circle", "deep"]);
    assert!(server.connections() <= 8 + 2, "{}", server.connections());
    assert_eq!(
        (server.count("/8"), server.count("/9"), server.count("/a"), server.count("/b")),
        (1, 0, 1, 1)
    );
    snapshot!(answer["warnings"].to_string(), @r#"["the search for the issuer stopped early for `deep`: links are followed 8 certificates deep; get the certificate of the issuer from the manufacturer, and give it in `ca_bundle`"]"#);
}

#[test]
fn what_a_hostile_certificate_leads_to_is_in_nobodys_way() {
    let (honest_server, root, mut hosts) = honest(5);
    let server = Server::http();
    // CAs of the manufacturer's names, more than are looked through for one chain, each of which leads to a slow server.
    let evil = Ca::new("Issuing");
    let middle = Ca::new("Middle");
    let fakes: Vec<Vec<u8>> =
        (0..120).map(|number| middle.by(&middle, &[server.url(&format!("/{number}"))])).collect();
    server.set("/fakes", Reply::ok(pkcs7(&fakes)));
    server.set("/more", Reply::ok(pkcs7(&(0..120).map(|_| evil.by(&middle, &[])).collect::<Vec<_>>())));
    (0..120).for_each(|number| server.set(&format!("/{number}"), Reply::silence()));
    for number in 0..4 {
        hosts.insert(0, evil.host(&format!("evil-{number}"), &[server.url("/fakes"), server.url("/more")]));
    }
    let mut request = request(&hosts, &root);
    request["timeout"] = json!(1);
    request["total_timeout"] = json!(4);
    let answer = succeed(&request);
    assert_eq!(left_out(&answer), ["evil-0", "evil-1", "evil-2", "evil-3"], "{answer}");
    assert_eq!(honest_server.connections(), 2);
}

#[test]
fn a_host_without_links_is_resolved_by_what_another_ones_link_proved() {
    let server = Server::http();
    let (root, issuing) = (Ca::new("Root"), Ca::new("Issuing"));
    server.set("/issuing", Reply::ok(issuing.by(&root, &[])));
    let hosts = [issuing.host("without", &[]), issuing.host("with", &[server.url("/issuing")])];
    let answer = succeed(&request(&hosts, &root.root()));
    assert_eq!(left_out(&answer), [""; 0]);
    // And not by what nothing proves.
    let message = fail(&request(&hosts, &Ca::new("Root").root()), "untrusted_ca");
    assert!(message.contains("the EK certificate has no link to it"), "{message}");
}
