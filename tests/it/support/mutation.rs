//! Damaged certificates, the same ones in every run: trees of elements are changed in a few places and
//! written with lengths that fit again, so that the damage gets deep into a parser.

use super::der::element;

/// A number from the environment: how many damaged things are compared, or with what seed.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Numbers that look random (`SplitMix64`).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below the limit, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// An element, and the elements in it where its content is nothing but elements.
#[derive(Clone)]
struct Node {
    tag: u8,
    /// What comes before the elements in the content: the number of unused bits of a bit string.
    prefix: Vec<u8>,
    content: Content,
    length: Length,
}

#[derive(Clone)]
enum Content {
    Bytes(Vec<u8>),
    Nodes(Vec<Node>),
}

/// How a length is written.
#[derive(Clone, Copy)]
enum Length {
    Shortest,
    ByteMore,
    Indefinite,
    Off(i8),
}

impl Node {
    fn encode(&self) -> Vec<u8> {
        let content = match &self.content {
            Content::Bytes(bytes) => [&self.prefix[..], bytes].concat(),
            Content::Nodes(nodes) => {
                [self.prefix.clone(), nodes.iter().flat_map(Self::encode).collect()].concat()
            }
        };
        match self.length {
            Length::Shortest => element(self.tag, &content),
            Length::ByteMore => {
                let length = u16::try_from(content.len()).unwrap().to_be_bytes();
                let padded = [&[self.tag, 0x83, 0][..], &length, &content].concat();
                if content.len() < 128 {
                    [&[self.tag, 0x81, length[1]][..], &content].concat()
                } else {
                    padded
                }
            }
            Length::Indefinite => [&[self.tag, 0x80][..], &content, &[0, 0]].concat(),
            Length::Off(by) => {
                let mut encoded = element(self.tag, &content);
                let position = encoded.len() - content.len() - 1;
                encoded[position] = encoded[position].wrapping_add_signed(by);
                encoded
            }
        }
    }

    /// This node and all in it, one of them at random.
    fn pick(&mut self, random: &mut Random) -> &mut Self {
        let mut chosen = random.below(self.count());
        let mut node = self;
        while chosen > 0 {
            chosen -= 1;
            let Content::Nodes(nodes) = &mut node.content else { unreachable!() };
            let mut index = 0;
            while chosen >= nodes[index].count() {
                chosen -= nodes[index].count();
                index += 1;
            }
            node = &mut nodes[index];
        }
        node
    }

    fn count(&self) -> usize {
        match &self.content {
            Content::Bytes(_) => 1,
            Content::Nodes(nodes) => 1 + nodes.iter().map(Self::count).sum::<usize>(),
        }
    }
}

/// Bytes as elements, if they are nothing else.
fn parse(mut bytes: &[u8]) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let (length, rest) = match first {
            ..=0x7f => (usize::from(*first), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        nodes.push(node(*tag, content));
        bytes = after;
    }
    bytes.is_empty().then_some(nodes)
}

fn node(tag: u8, content: &[u8]) -> Node {
    let (prefix, inside) =
        if tag == 3 && content.first() == Some(&0) { content.split_at(1) } else { content.split_at(0) };
    let may_nest = tag & 0x20 != 0 || tag == 3 || tag == 4;
    let nested = parse(inside).filter(|nodes| may_nest && !nodes.is_empty());
    let (prefix, content) = match nested {
        Some(nodes) => (prefix.to_vec(), Content::Nodes(nodes)),
        None => (Vec::new(), Content::Bytes(content.to_vec())),
    };
    Node { tag, prefix, content, length: Length::Shortest }
}

/// A copy with one to three changes. Parts of `other` may be put into it.
pub fn mutated(original: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let (Some(mut nodes), Some(mut donors)) = (parse(original), parse(other)) else {
        return flipped(original.to_vec(), random);
    };
    if nodes.is_empty() || donors.is_empty() || random.below(16) == 0 {
        return flipped(original.to_vec(), random);
    }
    for _ in 0..=random.below(3) {
        let donor = donors[0].pick(random).clone();
        change(nodes[0].pick(random), donor, random);
    }
    nodes.iter().flat_map(Node::encode).collect()
}

fn flipped(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(2) {
        if !bytes.is_empty() {
            let position = random.below(bytes.len());
            bytes[position] ^= 1 << random.below(8);
        }
    }
    bytes
}

/// Tags that mean something in certificates, and some that are wrong everywhere.
const TAGS: [u8; 28] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1c, 0x1e, 0x1f,
    0x30, 0x31, 0x80, 0x81, 0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa3, 0xa4,
];

fn change(node: &mut Node, donor: Node, random: &mut Random) {
    match random.below(8) {
        0 => node.tag = *random.pick(&TAGS),
        1 if random.below(4) == 0 => {
            node.length =
                *random.pick(&[Length::ByteMore, Length::Indefinite, Length::Off(1), Length::Off(-1)]);
        }
        2 => *node = donor,
        _ => match &mut node.content {
            Content::Bytes(bytes) => change_bytes(bytes, random),
            Content::Nodes(nodes) => change_nodes(nodes, donor, random),
        },
    }
}

fn change_nodes(nodes: &mut Vec<Node>, donor: Node, random: &mut Random) {
    let position = random.below(nodes.len() + 1);
    let index = random.below(nodes.len().max(1));
    let other = random.below(nodes.len().max(1));
    match random.below(5) {
        0 => nodes.insert(position, donor),
        1 => nodes
            .insert(position, node(*random.pick(&TAGS), &[random.byte(), random.byte()][..random.below(3)])),
        _ if nodes.is_empty() => {}
        2 => drop(nodes.remove(index)),
        3 => nodes.insert(position, nodes[index].clone()),
        _ => nodes.swap(index, other),
    }
}

/// Bytes at the edges of what rules allow.
const EDGES: &[u8] = b"\x00\x01\x02\x05\x7f\x80\x81\xff\xfe\xd8\xdf \"#%&'*+-./09:<=?@AZ[\\]_az{|}~";
/// Contents with rules of their own.
const CONTENTS: [&[u8]; 22] = [
    b"250101000000Z",
    b"2501010000Z",
    b"500229000000+2459",
    b"000229000000-0001",
    b"20000229000000Z",
    b"99991231235959-1200",
    b"00000101000000+0100",
    b"http://a:b@[fe80::1%25en0]:80/%41?#%41",
    b"https://a.b:1:2/",
    b"ldap://x[::ffff:1.2.3.4]/",
    b"a:b",
    b"//%c3%a4.b",
    b"\"a b\\\"\"@c.d",
    b"a\\@.b@c",
    b".a.b",
    b"::1",
    b"\x01\x02\x03\x04\xff\xff\xfe\x00",
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x00\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\x55\x1d\x20",
    b"\x2b\x65\x70",
];

fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    let position = random.below(bytes.len() + 1);
    let index = random.below(bytes.len().max(1));
    let other = random.below(bytes.len().max(1));
    match random.below(8) {
        0 => bytes.insert(position, *random.pick(EDGES)),
        1 => bytes.insert(position, random.byte()),
        2 => *bytes = random.pick(&CONTENTS).to_vec(),
        3 => bytes.truncate(position),
        _ if bytes.is_empty() => bytes.push(random.byte()),
        4 => drop(bytes.remove(index)),
        5 => bytes[index] = *random.pick(EDGES),
        6 => bytes[index] ^= 1 << random.below(8),
        _ => bytes.swap(index, other),
    }
}
