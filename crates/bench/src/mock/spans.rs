//! Counts the spans of a request for `/v1/traces`, without reading them.

/// The number of spans in an `ExportTraceServiceRequest`: `resource_spans` (1), `scope_spans` (2), `spans` (2). What is no
/// protobuf has none.
pub(crate) fn count(body: &[u8]) -> u64 {
    let spans = |scope| Fields(scope).filter(|(number, _)| *number == 2).count() as u64;
    let scopes =
        |resource| Fields(resource).filter(|(number, _)| *number == 2).map(|(_, scope)| spans(scope)).sum::<u64>();
    Fields(body).filter(|(number, _)| *number == 1).map(|(_, resource)| scopes(resource)).sum()
}

/// The fields of a message that are themselves messages, texts or bytes; others are passed over.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let tag = self.varint()?;
            let length = match tag & 7 {
                0 => {
                    self.varint()?;
                    continue;
                }
                1 => 8,
                2 => usize::try_from(self.varint()?).ok()?,
                5 => 4,
                _ => return None,
            };
            let (content, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            if tag & 7 == 2 {
                return Some((tag >> 3, content));
            }
        }
    }
}

impl Fields<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let length = u8::try_from(content.len() & 0x7f).unwrap();
        // Two bytes of length, whatever it is: a varint may be longer than it need be.
        out.extend_from_slice(&[length | 0x80, u8::try_from(content.len() >> 7).unwrap()]);
        out.extend_from_slice(content);
        out
    }

    #[test]
    fn spans_are_counted_over_resources_and_scopes() {
        let span = message(2, b"\x08\x05\x11........\x1d....");
        let scope = message(2, &[message(1, b"scope"), span.clone(), span.clone(), message(3, b"url")].concat());
        let resource = message(1, &[message(1, b"resource"), scope.clone(), scope].concat());
        assert_eq!(count(&[resource.clone(), resource].concat()), 8);
    }

    #[test]
    fn what_is_no_protobuf_has_none() {
        for body in [
            b"".as_slice(),
            b"hello",
            b"\x0a\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0a\x05ab",
        ] {
            assert_eq!(count(body), 0, "{body:?}");
        }
    }
}
