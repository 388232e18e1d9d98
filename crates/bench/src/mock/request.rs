//! Requests as they stand in a connection's buffer: whole, or not yet.

use std::borrow::Cow;

/// A head is never longer; nobody's is.
const LONGEST_HEAD: usize = 64 * 1024;
/// A body is never longer: the rows of the benchmarks are small, batches of spans at most some MiB.
const LONGEST_BODY: usize = 256 * 1024 * 1024;

/// What the beginning of a buffer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// More bytes are needed.
    Incomplete,
    /// A whole request.
    Request(Request<'a>),
    /// Nothing that HTTP/1.1 knows; the connection cannot go on.
    Wrong(&'static str),
}

/// A whole request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a [u8],
    /// As written, a query included.
    pub(crate) target: &'a [u8],
    pub(crate) body: Cow<'a, [u8]>,
    /// Whether the client wants to go on with this connection.
    pub(crate) keep_alive: bool,
    /// Whether the body is compressed.
    pub(crate) encoded: bool,
    /// How many bytes of the buffer it takes.
    pub(crate) length: usize,
}

/// Reads the request that a buffer begins with.
pub(crate) fn parse(buffer: &[u8]) -> Parsed<'_> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if buffer.len() > LONGEST_HEAD { Parsed::Wrong("a head without end") } else { Parsed::Incomplete };
    };
    let (head, rest) = buffer.split_at(end);
    let rest = &rest[4..];
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next().unwrap_or_default().split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Wrong("no request line");
    };
    let mut keep_alive = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Parsed::Wrong("another version than HTTP/1"),
    };
    let (mut content_length, mut chunked, mut encoded) = (None, false, false);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Parsed::Wrong("a header without a colon");
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let Some(length) = number(value, 10) else { return Parsed::Wrong("a content-length that is no number") };
            content_length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            chunked = value.eq_ignore_ascii_case(b"chunked");
            if !chunked {
                return Parsed::Wrong("another transfer-encoding than chunked");
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            if value.eq_ignore_ascii_case(b"close") {
                keep_alive = false;
            } else if value.eq_ignore_ascii_case(b"keep-alive") {
                keep_alive = true;
            }
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            encoded = !value.eq_ignore_ascii_case(b"identity");
        }
    }
    let (body, taken) = if chunked {
        match dechunked(rest) {
            Chunks::Whole(body, taken) => (Cow::Owned(body), taken),
            Chunks::Incomplete => return Parsed::Incomplete,
            Chunks::Wrong(why) => return Parsed::Wrong(why),
        }
    } else {
        let length = content_length.unwrap_or(0);
        if length > LONGEST_BODY {
            return Parsed::Wrong("a body that is too long");
        }
        match rest.get(..length) {
            Some(body) => (Cow::Borrowed(body), length),
            None => return Parsed::Incomplete,
        }
    };
    Parsed::Request(Request { method, target, body, keep_alive, encoded, length: end + 4 + taken })
}

enum Chunks {
    /// The body, and how many bytes its chunks took.
    Whole(Vec<u8>, usize),
    Incomplete,
    Wrong(&'static str),
}

fn dechunked(buffer: &[u8]) -> Chunks {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some((line, after)) = line_at(buffer, at) else { return Chunks::Incomplete };
        // What follows a semicolon is an extension, which nobody uses.
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let Some(size) = number(digits, 16) else { return Chunks::Wrong("a chunk's size that is no number") };
        if size > LONGEST_BODY - body.len() {
            return Chunks::Wrong("a body that is too long");
        }
        at = after;
        if size == 0 {
            break;
        }
        let (Some(data), Some(end)) = (buffer.get(at..at + size), buffer.get(at + size..at + size + 2)) else {
            return Chunks::Incomplete;
        };
        if end != b"\r\n" {
            return Chunks::Wrong("a chunk that is longer than its size");
        }
        body.extend_from_slice(data);
        at += size + 2;
    }
    // Trailers, up to an empty line.
    loop {
        let Some((line, after)) = line_at(buffer, at) else { return Chunks::Incomplete };
        at = after;
        if line.is_empty() {
            return Chunks::Whole(body, at);
        }
    }
}

/// The line that begins at `at`, and where the next one does.
fn line_at(buffer: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = buffer.get(at..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    Some((&rest[..end], at + end + 2))
}

fn number(digits: &[u8], radix: u32) -> Option<usize> {
    // `from_str_radix` takes a sign, which HTTP does not know.
    let text = std::str::from_utf8(digits).ok().filter(|text| text.starts_with(|c: char| c.is_ascii_hexdigit()))?;
    usize::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_body(buffer: &[u8], expected: &[u8]) -> usize {
        let Parsed::Request(request) = parse(buffer) else { panic!("no request: {:?}", parse(buffer)) };
        assert_eq!(request.body.as_ref(), expected);
        request.length
    }

    /// Every shorter piece of a request is not yet one.
    #[track_caller]
    fn check_split_anywhere(request: &[u8]) {
        for end in 0..request.len() {
            assert_eq!(parse(&request[..end]), Parsed::Incomplete, "at {end}");
        }
        assert!(matches!(parse(request), Parsed::Request(read) if read.length == request.len()));
    }

    #[test]
    fn a_request_has_a_method_a_target_and_a_body_of_its_length() {
        let text = b"POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:  4 \r\n\r\n{ }\nGET";
        let Parsed::Request(request) = parse(text) else { panic!("no request") };
        assert_eq!(request.method, b"POST");
        assert_eq!(request.target, b"/v1/chat/completions?a=b");
        assert_eq!(request.body.as_ref(), b"{ }\n");
        assert!(request.keep_alive && !request.encoded);
        assert_eq!(&text[request.length..], b"GET");
    }

    #[test]
    fn pipelined_requests_are_read_one_after_another() {
        let buffer =
            b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\naPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                       1\r\nb\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        let first = check_body(buffer, b"a");
        let second = first + check_body(&buffer[first..], b"b");
        let third = second + check_body(&buffer[second..], b"");
        assert_eq!(third, buffer.len());
    }

    #[test]
    fn a_request_may_come_in_pieces() {
        check_split_anywhere(b"POST /v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
        check_split_anywhere(
            b"POST /v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nT: 1\r\n\r\n",
        );
    }

    #[test]
    fn chunks_are_joined_and_trailers_passed_over() {
        check_body(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;ext=1\r\n, world.\r\n\r\n0\r\nT: 1\r\n\r\n",
            b"hello, world.\r\n",
        );
    }

    #[test]
    fn a_connection_stays_unless_the_client_says_otherwise() {
        let check = |head: &str, expected: bool| {
            let text = format!("{head}\r\n\r\n");
            let Parsed::Request(request) = parse(text.as_bytes()) else { panic!("no request: {head}") };
            assert_eq!(request.keep_alive, expected, "{head}");
        };
        check("GET / HTTP/1.1", true);
        check("GET / HTTP/1.1\r\nConnection: Close", false);
        check("GET / HTTP/1.0", false);
        check("GET / HTTP/1.0\r\nconnection: keep-alive", true);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let check = |text: &str, why: &'static str| assert_eq!(parse(text.as_bytes()), Parsed::Wrong(why), "{text}");
        check("hello\r\n\r\n", "no request line");
        check("PRI * HTTP/2.0\r\n\r\n", "another version than HTTP/1");
        check("GET / HTTP/1.1\r\nno colon\r\n\r\n", "a header without a colon");
        check("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "a content-length that is no number");
        check("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", "another transfer-encoding than chunked");
        check("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", "a chunk's size that is no number");
        check("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc", "a chunk that is longer than its size");
        check("POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", "a body that is too long");
        check("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n", "a body that is too long");
        check(&"x".repeat(LONGEST_HEAD + 1), "a head without end");
    }

    proptest! {
        #[test]
        fn any_body_in_any_chunks_is_read_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8)) {
            let mut text = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for piece in &pieces {
                text.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                text.extend_from_slice(piece);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            let whole = text.len();
            text.extend_from_slice(b"GET");
            prop_assert_eq!(check_body(&text, &pieces.concat()), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(), &bytes].concat());
        }
    }
}
