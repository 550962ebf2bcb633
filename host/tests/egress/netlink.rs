//! A network namespace in which every address is this machine's own: whatever is dialled, a listener here gets it, and
//! nothing leaves.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;
/// A request that is to be acknowledged.
const REQUEST: u16 = 1 | 4;
const CREATE: u16 = 0x400;
/// The loopback device of a new namespace.
const LOOPBACK: u32 = 1;
const INTERFACE_UP: u32 = 1;

/// Brings the loopback device up and routes all addresses to it.
pub(super) fn take_all_addresses() {
    // Family, padding, type; then index, flags and which flags change.
    ask(NEW_LINK, REQUEST, &[&[0; 4][..], &words(&[LOOPBACK, INTERFACE_UP, INTERFACE_UP])].concat());
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let family = u8::try_from(family.as_raw()).unwrap();
        // Family, three lengths of nothing, the table of this machine's own addresses, by hand, for the host, local.
        let route = [family, 0, 0, 0, 255, 3, 254, 2, 0, 0, 0, 0];
        // An attribute of eight bytes: the device.
        let device = [&8_u16.to_ne_bytes()[..], &4_u16.to_ne_bytes(), &LOOPBACK.to_ne_bytes()].concat();
        ask(NEW_ROUTE, REQUEST | CREATE, &[&route[..], &device].concat());
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn ask(kind: u16, flags: u16, payload: &[u8]) {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let head = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &words(&[1, 0])].concat();
    // No protocol means the first one, which is about routes.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).unwrap();
    send(&socket, &[&head[..], payload].concat(), SendFlags::empty()).unwrap();
    let mut answer = [0; 4096];
    let (_, bytes) = recv(&socket, &mut answer, RecvFlags::empty()).unwrap();
    assert!(bytes >= 20, "a short acknowledgement of {kind}");
    let code = i32::from_ne_bytes(answer[16..20].try_into().unwrap());
    assert_eq!(code, 0, "the kernel refused {kind}: {}", std::io::Error::from_raw_os_error(-code));
}
