//! Responses of the TPM, checked as far as they are read.

use tpm2_protocol::TpmUnmarshal;
use tpm2_protocol::data::{TpmCap, TpmsAuthResponse};
use tpm2_protocol::frame::TpmUnmarshalBody;

use crate::tpm::commands::{Failure, HandleList, Outcome, PropertyList};
use crate::tpm::response_code::ResponseCode;

/// Bytes of a response's header: tag, size and response code (TPM 2.0 Library, part 1, section 18).
pub(super) const HEADER_LENGTH: usize = 10;
/// `TPM_ST_NO_SESSIONS` and `TPM_ST_SESSIONS` (part 2, section 6.9).
const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
/// `TPM_TAG_RSP_COMMAND` of TPM 1.2, with which a TPM 1.2 answers every TPM 2.0 command (same section).
const TPM_1_2: u16 = 0x00C4;
/// The handles of transient objects start with this byte (part 2, section 7.2).
const TRANSIENT: u32 = 0x80;

/// A response of success.
pub(super) struct Response {
    bytes: Vec<u8>,
    /// Where the handles end.
    after_handles: usize,
    with_sessions: bool,
}

/// The size that a response's header gives, with the header itself, in bytes.
pub(super) fn announced_size(header: &[u8; HEADER_LENGTH]) -> usize {
    u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize
}

impl Response {
    /// Reads the header of the response to a command with or without sessions, which brings that many
    /// handles on success.
    pub(super) fn parse(bytes: Vec<u8>, with_sessions: bool, handles: usize) -> Outcome<Self> {
        let header = bytes
            .first_chunk::<HEADER_LENGTH>()
            .ok_or_else(|| Failure::malformed("it is shorter than a header"))?;
        let tag = u16::from_be_bytes([header[0], header[1]]);
        let code = u32::from_be_bytes([header[6], header[7], header[8], header[9]]);
        if tag == TPM_1_2 {
            return Err(Failure::tpm_1_2());
        }
        if announced_size(header) != bytes.len() {
            return Err(Failure::malformed("its size is not the one in its header"));
        }
        let expected = if with_sessions && code == 0 { SESSIONS } else { NO_SESSIONS };
        if tag != expected {
            return Err(Failure::malformed(format!("its tag is {tag:#06x} and not {expected:#06x}")));
        }
        match (code, bytes.len()) {
            (0, _) => Ok(Self { after_handles: HEADER_LENGTH + 4 * handles, with_sessions, bytes }),
            (code, HEADER_LENGTH) => Err(Failure::Code(ResponseCode(code))),
            // Part 1, section 18: a command that fails has a header for its response, and nothing else.
            _ => {
                Err(Failure::malformed("it goes on after a response code that says that the command failed"))
            }
        }
    }

    /// The handle of the transient object that was made.
    pub(super) fn handle(&self) -> Outcome<u32> {
        match self.handles()? {
            [a, b, c, d] if u32::from(*a) == TRANSIENT => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => Err(Failure::malformed("the handle of a new key is not that of a transient object")),
        }
    }

    fn handles(&self) -> Outcome<&[u8]> {
        self.bytes
            .get(HEADER_LENGTH..self.after_handles)
            .ok_or_else(|| Failure::malformed("it ends before its handles do"))
    }

    /// The parameters. With sessions they come after their size, and are followed by one session (part 1,
    /// section 18).
    pub(super) fn parameters(&self) -> Outcome<&[u8]> {
        let wrong = || Failure::malformed("its parameters reach beyond its end");
        let rest = self.bytes.get(self.after_handles..).ok_or_else(wrong)?;
        if !self.with_sessions {
            return Ok(rest);
        }
        let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (parameters, sessions) =
            rest.split_at_checked(u32::from_be_bytes(*size) as usize).ok_or_else(wrong)?;
        match TpmsAuthResponse::unmarshal(sessions) {
            Ok((_, [])) => Ok(parameters),
            _ => Err(Failure::malformed("its authorisation area is not one session")),
        }
    }

    /// Handles and parameters as tpm2-protocol's type for this response; nothing may be left over.
    pub(super) fn unmarshal<R: TpmUnmarshalBody>(&self) -> Outcome<R> {
        R::unmarshal_body(self.handles()?, self.parameters()?)
            .map_err(|error| Failure::malformed(error.to_string()))
    }
}

/// The properties in the parameters of a `TPM2_GetCapability` response (part 3, section 30.2): known to
/// anyone or not, but ascending from `first`, and no more than `count`.
pub(super) fn properties(parameters: &[u8], first: u32, count: u32) -> Outcome<PropertyList> {
    let wrong = || Failure::malformed("a list of properties that makes no sense");
    let (more, pairs) = capability::<8>(parameters, TpmCap::TpmProperties, count).ok_or_else(wrong)?;
    let list: Vec<(u32, u32)> = pairs
        .iter()
        .map(|[a, b, c, d, e, f, g, h]| {
            (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]))
        })
        .collect();
    let ascends = list.first().is_none_or(|(number, _)| *number >= first)
        && list.is_sorted_by(|before, after| before.0 < after.0);
    if ascends { Ok(PropertyList { list, more }) } else { Err(wrong()) }
}

/// The handles in the parameters of such a response, by the same rules.
pub(super) fn handles(parameters: &[u8], first: u32, count: u32) -> Outcome<HandleList> {
    let wrong = || Failure::malformed("a list of handles that makes no sense");
    let (more, handles) = capability::<4>(parameters, TpmCap::Handles, count).ok_or_else(wrong)?;
    let list: Vec<u32> = handles.iter().map(|handle| u32::from_be_bytes(*handle)).collect();
    let ascends = list.first().is_none_or(|handle| *handle >= first)
        && list.is_sorted_by(|before, after| before < after);
    if ascends { Ok(HandleList { list, more }) } else { Err(wrong()) }
}

/// Whether there is more, and the elements of `SIZE` bytes: of this capability, and no more than `count`.
fn capability<const SIZE: usize>(
    parameters: &[u8],
    wanted: TpmCap,
    count: u32,
) -> Option<(bool, &[[u8; SIZE]])> {
    let (head, body) = parameters.split_first_chunk::<9>()?;
    let [more, capability @ .., _, _, _, _] = *head;
    let announced = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let (elements, rest) = body.as_chunks::<SIZE>();
    let fits = u32::from_be_bytes(capability) == wanted as u32
        && u32::try_from(elements.len()) == Ok(announced)
        && announced <= count
        && rest.is_empty()
        && more <= 1;
    fits.then_some((more == 1, elements))
}

/// A counted buffer (`TPM2B`, part 2, section 10.4) at the start of `bytes`, and what follows it.
pub(super) fn counted(bytes: &[u8]) -> Outcome<(&[u8], &[u8])> {
    bytes
        .split_first_chunk::<2>()
        .and_then(|(size, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*size))))
        .ok_or_else(|| Failure::malformed("a counted buffer reaches beyond the end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response's bytes from its tag, code and what follows them; the size is right.
    fn bytes(tag: u16, code: u32, rest: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEADER_LENGTH + rest.len()).unwrap();
        [&tag.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes(), rest].concat()
    }

    fn detail<T>(outcome: Outcome<T>) -> String {
        match outcome {
            Err(Failure::Broken(error)) => error.detail.unwrap_or_default(),
            Err(Failure::Code(code)) => panic!("{code}"),
            Ok(_) => panic!("taken"),
        }
    }

    #[test]
    fn parameters_are_what_follows_handles_and_size_up_to_the_one_session() {
        let plain = Response::parse(bytes(NO_SESSIONS, 0, &[7, 8]), false, 0).unwrap();
        assert_eq!(plain.parameters().unwrap(), [7, 8]);
        let session = [0, 0, 1, 0, 0];
        let rest = [&[0x80, 0, 0, 1][..], &[0, 0, 0, 2], &[7, 8], &session].concat();
        let created = Response::parse(bytes(SESSIONS, 0, &rest), true, 1).unwrap();
        assert_eq!(created.handle().unwrap(), 0x8000_0001);
        assert_eq!(created.parameters().unwrap(), [7, 8]);
    }

    #[test]
    fn the_handle_is_known_whatever_follows_it() {
        for rest in
            [&[0x80, 0, 0, 1][..], &[0x80, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF], &[0x80, 0, 0, 1, 0, 0, 0, 0]]
        {
            let created = Response::parse(bytes(SESSIONS, 0, rest), true, 1).unwrap();
            assert_eq!(created.handle().unwrap(), 0x8000_0001);
            assert!(created.parameters().is_err());
        }
        for rest in [&[][..], &[0x80, 0, 0], &[0x81, 0, 0, 1], &[0, 0, 0, 0]] {
            assert!(
                Response::parse(bytes(SESSIONS, 0, rest), true, 1).unwrap().handle().is_err(),
                "{rest:?}"
            );
        }
    }

    #[test]
    fn a_code_of_failure_comes_alone_and_without_sessions() {
        let code = |bytes, with_sessions| match Response::parse(bytes, with_sessions, 0) {
            Err(Failure::Code(code)) => Some(code.0),
            _ => None,
        };
        assert_eq!(code(bytes(NO_SESSIONS, 0x18B, &[]), false), Some(0x18B));
        assert_eq!(code(bytes(NO_SESSIONS, 0x98E, &[]), true), Some(0x98E));
        assert_eq!(code(bytes(NO_SESSIONS, 0x18B, &[0]), false), None);
        assert_eq!(code(bytes(SESSIONS, 0x98E, &[]), true), None);
    }

    #[test]
    fn a_size_or_tag_that_is_wrong_is_refused() {
        let mut longer = bytes(NO_SESSIONS, 0, &[]);
        longer.push(0);
        assert!(detail(Response::parse(longer, false, 0)).contains("size"));
        assert!(detail(Response::parse(vec![0x80; 9], false, 0)).contains("shorter than a header"));
        assert!(detail(Response::parse(bytes(0x8003, 0, &[]), false, 0)).contains("0x8003"));
        assert!(detail(Response::parse(bytes(SESSIONS, 0, &[]), false, 0)).contains("0x8002"));
        assert!(detail(Response::parse(bytes(NO_SESSIONS, 0, &[]), true, 0)).contains("0x8001"));
    }

    #[test]
    fn properties_ascend_from_the_first_and_are_as_many_as_announced() {
        let list = |more: u8, count: u32, numbers: &[u32]| {
            let pairs: Vec<u8> =
                numbers.iter().flat_map(|number| [number.to_be_bytes(), [0; 4]].concat()).collect();
            [&[more][..], &6_u32.to_be_bytes(), &count.to_be_bytes(), &pairs].concat()
        };
        let read = |parameters: Vec<u8>| properties(&parameters, 0x100, 3);
        assert_eq!(
            read(list(1, 2, &[0x100, 0x1FE])),
            Ok(PropertyList { list: vec![(0x100, 0), (0x1FE, 0)], more: true })
        );
        assert_eq!(read(list(0, 0, &[])), Ok(PropertyList { list: vec![], more: false }));
        for wrong in [
            list(2, 1, &[0x100]),
            list(0, 2, &[0x100]),
            list(0, 0, &[0x100]),
            list(0, 1, &[0xFF]),
            list(0, 2, &[0x101, 0x100]),
            list(0, 2, &[0x100, 0x100]),
            list(0, 4, &[0x100, 0x101, 0x102, 0x103]),
            list(0, 1, &[0x100])[..16].to_vec(),
            vec![0; 8],
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_counted_buffer_ends_where_its_size_says() {
        assert_eq!(counted(&[0, 2, 7, 8, 9]), Ok((&[7, 8][..], &[9][..])));
        assert_eq!(counted(&[0, 0]), Ok((&[][..], &[][..])));
        for wrong in [&[][..], &[0], &[0, 1], &[0xFF, 0xFF, 0]] {
            assert!(counted(wrong).is_err(), "{wrong:?}");
        }
    }
}
