//! Whose process listens at an address of this host (`proc_pid_net(5)`, `proc_pid_fd(5)`).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;

use super::user_name;

/// The sockets of this process's network namespace that listen for TCP.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// `TCP_LISTEN` in these tables.
const LISTENING: &str = "0A";

/// The sockets that a connection to some addresses can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners(Vec<Socket>);

/// A socket, by its number among the files of sockfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Socket {
    inode: u64,
    /// The user who made it.
    user: u32,
}

/// Whose sockets they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The processes' that were asked about.
    Theirs,
    /// Another process's, in words.
    Other(String),
    /// That cannot be seen, and why.
    Unknown(String),
}

impl Listeners {
    /// Those that would take a connection to one of these addresses, at this moment.
    #[must_use]
    pub fn at(addresses: &[SocketAddr]) -> Self {
        let tables: Vec<String> = TABLES.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
        let all: Vec<(SocketAddr, Socket)> =
            tables.iter().flat_map(|table| table.lines()).filter_map(listening).collect();
        let mut sockets = Vec::new();
        for address in addresses {
            let ranked = || all.iter().map(|(local, socket)| (rank(*local, *address), *socket));
            let best = ranked().map(|(rank, _)| rank).max().unwrap_or_default();
            sockets.extend(ranked().filter(|(rank, _)| *rank > 0 && *rank == best).map(|(_, socket)| socket));
        }
        Self(sockets)
    }

    /// Whose they are: that of one of these processes, or of another.
    #[must_use]
    pub fn owner(&self, processes: &[u32]) -> Owner {
        if self.0.is_empty() {
            return Owner::Unknown("no process of this host listens there".to_owned());
        }
        if !processes.is_empty() && processes.iter().all(|process| has_own_network(*process)) {
            return Owner::Other("another process: the service has a network of its own".to_owned());
        }
        for socket in &self.0 {
            let held: Vec<Option<bool>> =
                processes.iter().map(|process| holds(*process, socket.inode)).collect();
            if held.contains(&Some(true)) {
                continue;
            }
            let users = || processes.iter().filter_map(|process| user_of(*process));
            let is_strangers = socket.user != 0 && users().all(|user| user != socket.user);
            if held.contains(&None) && !is_strangers {
                return Owner::Unknown("only root can see whose process listens there".to_owned());
            }
            return Owner::Other(socket.describe());
        }
        Owner::Theirs
    }

    /// Whether a process of this number, as it sees itself or as this host does, holds all of them; none where that cannot
    /// be seen.
    #[must_use]
    pub fn are_held_by(&self, number: u64) -> Option<bool> {
        let mut is_visible = true;
        for socket in &self.0 {
            let (holders, sees_all) = holders(socket.inode);
            if holders.iter().any(|process| is_numbered(*process, number)) {
                continue;
            }
            if sees_all {
                return Some(false);
            }
            is_visible = false;
        }
        (is_visible && !self.0.is_empty()).then_some(true)
    }
}

impl Socket {
    /// The process that holds it, as far as it can be seen, and its user.
    fn describe(self) -> String {
        let user = user_name(self.user);
        match holders(self.inode).0.first() {
            Some(process) => {
                let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
                let name: String = name.trim_end().chars().flat_map(char::escape_default).collect();
                format!("process {process} ({name}) of user {user}")
            }
            None => format!("a process of user {user}"),
        }
    }
}

/// Whether a process has this number in its own or any other namespace of processes (`NSpid` of `proc_pid_status(5)`).
#[must_use]
pub fn is_numbered(process: u32, number: u64) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    u64::from(process) == number || numbers.split_whitespace().any(|it| it.parse() == Ok(number))
}

/// A line of a table: its address and socket, where it listens.
fn listening(line: &str) -> Option<(SocketAddr, Socket)> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTENING {
        return None;
    }
    let user = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((socket_address(local)?, Socket { inode, user }))
}

/// An address as these tables have it: words of 32 bits in this machine's byte order, and a port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let bytes = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

/// How well a listening socket fits a connection, as the kernel ranks them; 0 where it does not.
fn rank(local: SocketAddr, wanted: SocketAddr) -> u8 {
    if local.port() != wanted.port() {
        return 0;
    }
    match (local.ip(), wanted.ip().to_canonical()) {
        (local, wanted) if local == wanted => 4,
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(_)) => 3,
        (local @ IpAddr::V6(_), wanted @ IpAddr::V4(_)) if local.to_canonical() == wanted => 2,
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), _) => 1,
        _ => 0,
    }
}

/// Whether a process holds a socket; none where that may not be seen. One that has ended holds none.
fn holds(process: u32, inode: u64) -> Option<bool> {
    let files = match fs::read_dir(format!("/proc/{process}/fd")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(false),
        files => files.ok()?,
    };
    let link = format!("socket:[{inode}]");
    let is_it = |file: fs::DirEntry| {
        fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link.as_str())
    };
    Some(files.flatten().any(is_it))
}

/// The processes that hold a socket, and whether all processes could be looked at.
fn holders(inode: u64) -> (Vec<u32>, bool) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut sees_all = true;
    let mut found = Vec::new();
    for process in processes {
        match holds(process, inode) {
            Some(true) => found.push(process),
            Some(false) => {}
            None => sees_all = false,
        }
    }
    (found, sees_all)
}

/// Whether a process is known to be in another network namespace than this one.
fn has_own_network(process: u32) -> bool {
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let theirs = network(&process.to_string());
    theirs.is_some() && theirs != network("self")
}

fn user_of(process: u32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{process}")).ok()?.uid())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{SocketAddr, TcpListener};
    use std::process::{Child, Command, Stdio};

    use super::{Listeners, Owner, is_numbered, rank, socket_address};

    fn own() -> u32 {
        std::process::id()
    }

    /// A process that listens where it says.
    struct Other(Child, SocketAddr);

    impl Other {
        fn listening(host: &str, wrapper: &[&str]) -> Option<Self> {
            let script = format!(
                "import socket, sys\nfamily = socket.AF_INET6 if ':' in '{host}' else socket.AF_INET\n\
                 s = socket.socket(family)\ns.bind(('{host}', 0))\ns.listen()\nprint(s.getsockname()[1], flush=True)\nsys.stdin.read()\n"
            );
            let all: Vec<&str> = wrapper.iter().copied().chain(["python3", "-c", &script]).collect();
            let mut child = Command::new(all[0])
                .args(&all[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .ok()?;
            let mut said = Vec::new();
            let mut output = child.stdout.take()?;
            while said.last() != Some(&b'\n') {
                let mut byte = [0];
                output.read_exact(&mut byte).ok()?;
                said.extend(byte);
            }
            let port = String::from_utf8(said).ok()?.trim().parse().ok()?;
            Some(Self(child, SocketAddr::new(host.parse().ok()?, port)))
        }
    }

    impl Drop for Other {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_socket_is_known_to_be_a_processs_own() {
        for host in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let port = listener.local_addr().unwrap().port();
            let asked = if host.contains("::1") { "::1" } else { "127.0.0.1" };
            let listeners = Listeners::at(&[SocketAddr::new(asked.parse().unwrap(), port)]);
            assert_eq!(listeners.owner(&[own()]), Owner::Theirs, "{host}");
            assert_eq!(listeners.are_held_by(own().into()), Some(true));
            assert!(
                matches!(listeners.owner(&[]), Owner::Other(who) if who.contains(&format!("process {} (", own())))
            );
            drop(listener);
            let none = Listeners::at(&[SocketAddr::new(asked.parse().unwrap(), port)]);
            assert!(matches!(none.owner(&[own()]), Owner::Unknown(_)));
        }
    }

    #[test]
    fn a_socket_of_another_process_is_named_with_its_user() {
        let other = Other::listening("127.0.0.1", &[]).unwrap();
        let listeners = Listeners::at(&[other.1]);
        let Owner::Other(who) = listeners.owner(&[own()]) else { panic!("{listeners:?}") };
        let user = crate::host::user_name(rustix::process::geteuid().as_raw());
        assert_eq!(who, format!("process {} (python3) of user {user}", other.0.id()));
        // The process among several, as in a control group.
        assert_eq!(listeners.owner(&[own(), other.0.id()]), Owner::Theirs);
        assert_ne!(listeners.are_held_by(own().into()), Some(true));
    }

    #[test]
    fn a_process_in_another_network_is_not_the_one_that_answers() {
        let Some(other) = Other::listening("127.0.0.1", &["unshare", "--net"]).or_else(|| {
            eprintln!("skipped: no network namespace can be made");
            None
        }) else {
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = Listeners::at(&[listener.local_addr().unwrap()]);
        let Owner::Other(who) = listeners.owner(&[other.0.id()]) else { panic!("{listeners:?}") };
        assert!(who.contains("network of its own"), "{who}");
    }

    #[test]
    fn a_process_has_its_number_and_that_of_its_own_namespace() {
        assert!(is_numbered(own(), own().into()));
        assert!(!is_numbered(own(), u64::from(own()) + 1));
    }

    #[test]
    fn tables_of_the_kernel_are_read_in_this_machines_order() {
        let words = |words: [u32; 4]| words.map(|word| format!("{word:08X}")).concat();
        let loopback = u32::from_ne_bytes([127, 0, 0, 1]);
        let address = |text: String| socket_address(&text).map(|address| address.to_string());
        assert_eq!(address(format!("{loopback:08X}:0BB9")).as_deref(), Some("127.0.0.1:3001"));
        let one = u32::from_ne_bytes([0, 0, 0, 1]);
        assert_eq!(address(words([0, 0, 0, one]) + ":0BB9").as_deref(), Some("[::1]:3001"));
        for wrong in ["", "0100007F", "0100007F:x", "01:0BB9", "é100007F:0BB9"] {
            assert_eq!(address(wrong.to_owned()), None, "{wrong}");
        }
    }

    #[test]
    fn the_most_exact_address_takes_a_connection() {
        let rank = |local: &str, wanted: &str| rank(local.parse().unwrap(), wanted.parse().unwrap());
        let order = ["127.0.0.1:1", "0.0.0.0:1", "[::ffff:127.0.0.1]:1", "[::]:1", "[::1]:1"];
        let ranks = order.map(|local| rank(local, "127.0.0.1:1"));
        assert_eq!(ranks, [4, 3, 2, 1, 0]);
        assert_eq!(
            (rank("[::1]:1", "[::1]:1"), rank("[::]:1", "[::1]:1"), rank("0.0.0.0:1", "[::1]:1")),
            (4, 1, 0)
        );
        assert_eq!(rank("127.0.0.1:2", "127.0.0.1:1"), 0);
    }
}
