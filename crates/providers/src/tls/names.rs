//! The names in a certificate: just enough DER (X.690) and X.509 (RFC 5280, 4.1) to say who vouches for whom.

/// Who vouches for whom, each as `CN=Corp Root, O=Corp`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) issuer: String,
    pub(super) subject: String,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
/// The context tag of a certificate's version, which the oldest certificates do not have.
const VERSION: u8 = 0xa0;

/// The names in a certificate; `None` if it is none.
pub(super) fn of(certificate: &[u8]) -> Option<Names> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (to_be_signed, _) = expect(SEQUENCE, certificate)?;
    let (tag, _, after_version) = element(to_be_signed)?;
    let rest = if tag == VERSION { after_version } else { to_be_signed };
    let (_, _, rest) = element(rest)?; // serial number
    let (_, rest) = expect(SEQUENCE, rest)?; // signature algorithm
    let (issuer, rest) = expect(SEQUENCE, rest)?;
    let (_, rest) = expect(SEQUENCE, rest)?; // validity
    let (subject, _) = expect(SEQUENCE, rest)?;
    Some(Names { issuer: name(issuer)?, subject: name(subject)? })
}

/// A distinguished name, its parts of common kinds in the order in which people write them.
fn name(mut parts: &[u8]) -> Option<String> {
    let mut found = Vec::new();
    while !parts.is_empty() {
        let (mut set, rest) = expect(SET, parts)?;
        parts = rest;
        while !set.is_empty() {
            let (pair, rest) = expect(SEQUENCE, set)?;
            set = rest;
            let (kind, value) = expect(OBJECT_IDENTIFIER, pair)?;
            let (tag, value, _) = element(value)?;
            // 2.5.4.x
            let kind = match kind {
                [0x55, 0x04, 3] => "CN",
                [0x55, 0x04, 11] => "OU",
                [0x55, 0x04, 10] => "O",
                _ => continue,
            };
            found.push((kind, text(tag, value)));
        }
    }
    found.reverse();
    let found: Vec<String> = found.into_iter().map(|(kind, value)| format!("{kind}={value}")).collect();
    Some(if found.is_empty() { "without a name".to_owned() } else { found.join(", ") })
}

/// A string that is fit for a terminal, however long or strange its maker wanted it.
fn text(tag: u8, bytes: &[u8]) -> String {
    let text = if tag == BMP_STRING {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    text.chars().filter(|letter| !letter.is_control() && *letter != '`').take(100).collect()
}

fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The first element: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use sluicegate_testkit::tls::{Authority, Certified};

    use super::*;

    fn der(pem: &str) -> Vec<u8> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    fn check(pem: &str, issuer: &str, subject: &str) {
        let expected = Names { issuer: issuer.to_owned(), subject: subject.to_owned() };
        assert_eq!(of(&der(pem)), Some(expected));
    }

    #[test]
    fn issuer_and_subject_are_found() {
        let root = Authority::new("Corp Root ä");
        let between = root.intermediate("Corp Web");
        check(&root.pem(), "CN=Corp Root ä", "CN=Corp Root ä");
        check(&between.pem(), "CN=Corp Root ä", "CN=Corp Web");
        check(&between.certify(&["a.test"]).certificate, "CN=Corp Web", "CN=a.test");
        check(&Certified::by_itself(&["a.test"]).certificate, "CN=a.test", "CN=a.test");
    }

    #[test]
    fn a_name_has_several_parts_in_several_alphabets() {
        let part = |kind: u8, tag: u8, text: &[u8]| {
            let value = [&[tag, u8::try_from(text.len()).unwrap()], text].concat();
            let pair = [&[OBJECT_IDENTIFIER, 3, 0x55, 4, kind], &value[..]].concat();
            let length = |of: &[u8]| u8::try_from(of.len()).unwrap();
            let pair = [&[SEQUENCE, length(&pair)], &pair[..]].concat();
            [&[SET, length(&pair)], &pair[..]].concat()
        };
        let parts = [part(6, 0x13, b"DE"), part(10, 0x13, b"Corp\x1b[1m"), part(3, BMP_STRING, b"\0R\0o\x20\xac")];
        assert_eq!(name(&parts.concat()).as_deref(), Some("CN=Ro€, O=Corp[1m"));
        assert_eq!(name(&[]).as_deref(), Some("without a name"));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = of(&bytes);
        }

        #[test]
        fn no_cut_or_changed_certificate_breaks_it(at in 0_usize..400, byte in any::<u8>()) {
            let mut bytes = der(&Certified::by_itself(&["a.test"]).certificate);
            let at = at % bytes.len();
            let _ = of(&bytes[..at]);
            bytes[at] = byte;
            let _ = of(&bytes);
        }
    }
}
