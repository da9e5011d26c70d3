//! How a central says on its network that it is there: DNS-SD over multicast DNS (RFC 6763 and 6762, IPv4), so that other tools
//! for it (`avahi-browse`, `dns-sd`) show centrals too.
//!
//! Anybody on the network can send anything. So of a message one announcement is read at most, of [`MAX_RECORDS`] records, each name
//! in a bounded number of steps; what is not whole is nothing; and every text becomes a value of its type or is dropped. Nothing
//! said here proves anything: where a central is dialled is where its message came from, and who it is its certificate says.

use std::net::Ipv4Addr;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::ids::CentralId;
use crate::trust::site::SiteMark;

/// The group all of multicast DNS is said to, and its port.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
pub const PORT: u16 = 5353;
/// Longest message that is read; ours have less than 500 bytes.
pub const MAX_MESSAGE_BYTES: usize = 2_048;
/// How long others may take an announcement for good, in s: longer than two periods in which all are asked.
pub const LIFETIME_S: u32 = 150;

/// Records, or questions, of a message that are looked at.
const MAX_RECORDS: usize = 32;
/// Longest name, as DNS has it; and how often one may point elsewhere.
const MAX_NAME_BYTES: usize = 255;
const MAX_POINTERS: usize = 8;
const SERVICE: [&str; 3] = ["_parkmesh", "_tcp", "local"];
const SERVICE_NAME: &[u8] = b"_parkmesh._tcp.local.";
const IS_ANSWER: u16 = 0x8400;
const CLASS: u16 = 1;
/// Of a record that has one owner: it takes the place of those heard before.
const ALONE: u16 = 0x8000;
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;

/// What a central says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    pub central: CentralId,
    pub fingerprint: Fingerprint,
    pub site: SiteMark,
    pub p2p_port: u16,
}

/// One message, as far as it concerns centrals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    WhoIsThere,
    Here(Announcement),
    Leaving(Fingerprint),
}

/// The question who is there.
pub fn question() -> Vec<u8> {
    let mut message = header(0, 1, 0, 0);
    name(&mut message, &SERVICE);
    numbers(&mut message, &[PTR, CLASS]);
    message
}

impl Announcement {
    /// That it is there. `ip`: its address; the records have none where only the system knows it.
    pub fn here(&self, ip: Option<Ipv4Addr>) -> Vec<u8> {
        self.message(ip, LIFETIME_S)
    }

    /// That it goes.
    pub fn leaving(&self) -> Vec<u8> {
        self.message(None, 0)
    }

    fn message(&self, ip: Option<Ipv4Addr>, lifetime_s: u32) -> Vec<u8> {
        // Unlike an id no two have the same one, so nobody has to be asked whether it is free.
        let fingerprint = self.fingerprint.to_string();
        let label = format!("parkmesh-{}", fingerprint.get(..15).unwrap_or(&fingerprint));
        let [service, protocol, domain] = SERVICE;
        let own = [label.as_str(), service, protocol, domain];
        let host = [label.as_str(), domain];
        let mut message = header(IS_ANSWER, 0, 1, 2 + u16::from(ip.is_some()));
        let mut record = |owner: &[&str], kind: u16, class: u16, content: &[u8]| {
            name(&mut message, owner);
            numbers(&mut message, &[kind, class]);
            message.extend(lifetime_s.to_be_bytes());
            numbers(&mut message, &[u16::try_from(content.len()).unwrap_or_default()]);
            message.extend(content);
        };
        let mut content = Vec::new();
        name(&mut content, &own);
        record(&SERVICE, PTR, CLASS, &content);
        content.clear();
        numbers(&mut content, &[0, 0, self.p2p_port]);
        name(&mut content, &host);
        record(&own, SRV, CLASS | ALONE, &content);
        content.clear();
        for text in
            ["v=1".into(), format!("id={}", self.central), format!("fp={fingerprint}"), format!("site={}", self.site)]
        {
            text_of(&mut content, &text);
        }
        record(&own, TXT, CLASS | ALONE, &content);
        if let Some(ip) = ip {
            record(&host, A, CLASS | ALONE, &ip.octets());
        }
        message
    }

    /// Of the texts of a TXT record. Of two of one name the first counts; names nobody knows here are for later versions.
    fn of_texts(texts: &[u8], p2p_port: u16) -> Option<Self> {
        let (mut central, mut fingerprint, mut site) = (None, None, None);
        let mut reader = MessageReader { message: texts, at: 0 };
        while let Some(length) = reader.byte() {
            let text = std::str::from_utf8(reader.take(usize::from(length))?).ok();
            let Some((key, value)) = text.and_then(|text| text.split_once('=')) else { continue };
            match key.to_ascii_lowercase().as_str() {
                "id" if central.is_none() => central = Some(CentralId::new(value).ok()?),
                "fp" if fingerprint.is_none() => fingerprint = Some(value.parse().ok()?),
                "site" if site.is_none() => site = Some(value.parse().ok()?),
                _ => {}
            }
        }
        let p2p_port = Some(p2p_port).filter(|port| *port > 0)?;
        Some(Self { central: central?, fingerprint: fingerprint?, site: site?, p2p_port })
    }
}

impl Call {
    /// What a message says of centrals; `None`: nothing, or nothing whole.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut reader = MessageReader { message, at: 0 };
        let [_id, flags, questions, answers, authorities, additional] = reader.numbers()?;
        let asks = flags & 0x8000 == 0;
        // A kind of question or an error that is no concern of ours.
        if flags & 0x780f != 0 {
            return None;
        }
        for _ in 0..usize::from(questions).min(MAX_RECORDS) {
            let asked = reader.name()?;
            let [_kind, _class] = reader.numbers()?;
            if asks && asked.ends_with(SERVICE_NAME) {
                return Some(Self::WhoIsThere);
            }
        }
        if asks {
            return None;
        }
        let (mut texts, mut ports) = (None, Vec::new());
        let records = [answers, authorities, additional].iter().map(|count| usize::from(*count)).sum::<usize>();
        for _ in 0..records.min(MAX_RECORDS) {
            let owner = reader.name()?;
            let [kind, _class, lifetime_high, lifetime_low, length] = reader.numbers()?;
            let content = reader.take(usize::from(length))?;
            let is_ours = owner.strip_suffix(SERVICE_NAME).is_some_and(|label| label.ends_with(b"."));
            match (is_ours, kind) {
                (true, TXT) if texts.is_none() => texts = Some((owner, content, lifetime_high | lifetime_low)),
                (true, SRV) => ports.push((owner, MessageReader { message: content, at: 4 }.number()?)),
                _ => {}
            }
        }
        let (owner, texts, lifetime) = texts?;
        let port = ports.into_iter().find(|(of, _)| *of == owner)?.1;
        let announcement = Announcement::of_texts(texts, port)?;
        Some(if lifetime == 0 { Self::Leaving(announcement.fingerprint) } else { Self::Here(announcement) })
    }
}

fn header(flags: u16, questions: u16, answers: u16, additional: u16) -> Vec<u8> {
    let mut message = Vec::new();
    numbers(&mut message, &[0, flags, questions, answers, 0, additional]);
    message
}

fn numbers(message: &mut Vec<u8>, numbers: &[u16]) {
    message.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

fn text_of(message: &mut Vec<u8>, text: &str) {
    message.push(u8::try_from(text.len()).unwrap_or_default());
    message.extend(text.bytes());
}

fn name(message: &mut Vec<u8>, labels: &[&str]) {
    labels.iter().for_each(|label| text_of(message, label));
    message.push(0);
}

/// Where in a message it is read. Nothing is behind the end.
struct MessageReader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> MessageReader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(bytes)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn numbers<const COUNT: usize>(&mut self) -> Option<[u16; COUNT]> {
        let mut numbers = [0; COUNT];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Some(numbers)
    }

    /// A name with a dot behind each part, in small letters. It may go on earlier in the message, each time farther back.
    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut after, mut pointers) = (Vec::new(), None, 0);
        loop {
            let begins = self.at;
            match self.byte()? {
                0 => break,
                length @ 1..64 => {
                    let label = self.take(usize::from(length))?;
                    if name.len() + label.len() >= MAX_NAME_BYTES {
                        return None;
                    }
                    name.extend(label.to_ascii_lowercase());
                    name.push(b'.');
                }
                high @ 192.. => {
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, self.byte()?]));
                    pointers += 1;
                    if target >= begins || pointers > MAX_POINTERS {
                        return None;
                    }
                    after.get_or_insert(self.at);
                    self.at = target;
                }
                64..192 => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trust::site::SiteId;

    fn announcement() -> Announcement {
        Announcement {
            central: "central-7".parse().unwrap(),
            fingerprint: Fingerprint::of_certificate(b"x"),
            site: SiteMark { id: SiteId(0xab), firm: true },
            p2p_port: 9_000,
        }
    }

    /// An answer with one TXT record of these texts and a port.
    fn told(texts: &[&str], port: u16, lifetime_s: u32) -> Vec<u8> {
        let mut content = Vec::new();
        texts.iter().for_each(|text| text_of(&mut content, text));
        let mut message = header(IS_ANSWER, 0, 2, 0);
        let mut srv = Vec::new();
        numbers(&mut srv, &[0, 0, port]);
        for (kind, content) in [(SRV, srv), (TXT, content)] {
            name(&mut message, &["x", "_ParkMesh", "_TCP", "local"]);
            numbers(&mut message, &[kind, CLASS]);
            message.extend(lifetime_s.to_be_bytes());
            numbers(&mut message, &[u16::try_from(content.len()).unwrap()]);
            message.extend(content);
        }
        message
    }

    #[test]
    fn what_is_said_is_heard() {
        assert_eq!(Call::read(&question()), Some(Call::WhoIsThere));
        for ip in [None, Some(Ipv4Addr::new(10, 0, 0, 7))] {
            let message = announcement().here(ip);
            assert!(message.len() < 500, "{}", message.len());
            assert_eq!(Call::read(&message), Some(Call::Here(announcement())));
        }
        let longest = Announcement { central: "c".repeat(63).parse().unwrap(), ..announcement() };
        assert_eq!(Call::read(&longest.here(None)), Some(Call::Here(longest.clone())));
        assert_eq!(Call::read(&announcement().leaving()), Some(Call::Leaving(announcement().fingerprint)));
    }

    #[test]
    fn texts_become_an_announcement_or_nothing() {
        let fingerprint = announcement().fingerprint;
        let fp = format!("fp={fingerprint}");
        let site = "site=00000000000000ab firm";
        let right = Some(Call::Here(announcement()));
        for (texts, port, expected) in [
            (vec!["id=central-7", &fp, site], 9_000, right.clone()),
            // Another order and case, things of later versions, and a second one of a name.
            (vec!["later=1", "SITE=00000000000000ab firm", "flag", &fp, "id=central-7", "id=other"], 9_000, right),
            (vec!["id=central-7", &fp, site], 0, None),
            (vec!["id=central-7", site], 9_000, None),
            (vec![&fp, site], 9_000, None),
            (vec!["id=central-7", &fp], 9_000, None),
            (vec!["id=<script>alert(1)</script>", &fp, site], 9_000, None),
            (vec!["id=", &fp, site], 9_000, None),
            (vec!["id=central-7", "fp=AAAA", site], 9_000, None),
            (vec!["id=central-7", &fp, "site=zz"], 9_000, None),
            (vec![], 9_000, None),
        ] {
            assert_eq!(Call::read(&told(&texts, port, 120)), expected, "{texts:?}");
        }
        assert_eq!(Call::read(&told(&["id=central-7", &fp, site], 9_000, 0)), Some(Call::Leaving(fingerprint)));
    }

    #[test]
    fn what_others_say_is_no_concern_of_ours() {
        let mut printer = header(0, 1, 0, 0);
        name(&mut printer, &["_ipp", "_tcp", "local"]);
        numbers(&mut printer, &[PTR, CLASS]);
        assert_eq!(Call::read(&printer), None);
        let mut other_end = header(0, 1, 0, 0);
        name(&mut other_end, &["_parkmesh", "_tcp", "local", "example"]);
        numbers(&mut other_end, &[PTR, CLASS]);
        assert_eq!(Call::read(&other_end), None);
        // An update, and an error.
        for flags in [0x2800, 0x8403] {
            let mut message = question();
            message.splice(2..4, u16::to_be_bytes(flags));
            assert_eq!(Call::read(&message), None);
        }
    }

    #[test]
    fn a_name_ends_however_it_is_written() {
        let at = |bytes: &[u8], at| MessageReader { message: bytes, at }.name();
        // Points at itself, forward, and to and fro.
        assert_eq!(at(&[0xc0, 0], 0), None);
        assert_eq!(at(&[0xc0, 2, 0], 0), None);
        assert_eq!(at(&[1, b'a', 0xc0, 0], 2), None);
        assert_eq!(at(&[1, b'A', 0, 0xc0, 0], 3).unwrap(), b"a.");
        // A chain of pointers, each one step back.
        let chain: Vec<u8> =
            std::iter::once(0).chain((0..20_u8).flat_map(|step| [0xc0, (2 * step).saturating_sub(1)])).collect();
        assert_eq!(at(&chain, chain.len() - 2), None);
        assert!(at(&[[63; 64].as_slice(); 5].concat(), 0).is_none(), "longer than a name can be");
    }

    #[test]
    fn every_cut_and_changed_message_is_read_without_harm() {
        let message = announcement().here(Some(Ipv4Addr::LOCALHOST));
        for end in 0..message.len() {
            let cut = Call::read(&message[..end]);
            assert!(cut.is_none(), "{end}: {cut:?}");
        }
        for at in 0..message.len() {
            for byte in [0, 1, 63, 64, 0xc0, 0xff] {
                let mut changed = message.clone();
                changed[at] = byte;
                let _whatever_it_is = Call::read(&changed);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..600), ours in any::<bool>()) {
            if ours && bytes.len() > 12 {
                bytes.splice(2..12, [0x84, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
            }
            let _whatever_it_is = Call::read(&bytes);
        }
    }
}
