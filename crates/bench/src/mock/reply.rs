//! Replies, made once: a chat completion, a refusal, an empty answer.

/// What stands before a row's number, in its text and in the reply to it.
pub(crate) const MARK: u8 = b'#';
/// A row's number always has this many digits, so that every reply is as long as the next.
pub(crate) const DIGITS: usize = 9;

/// The row's number as it stands in texts, and in the reply to them: `#000000017`.
pub(crate) fn mark_of(row: usize) -> String {
    format!("#{row:09}")
}

/// The replies of a mock.
#[derive(Debug)]
pub(crate) struct Replies {
    completion: Vec<u8>,
    /// Where in the completion the row's number stands.
    number_at: usize,
    /// The whole answer 429.
    pub(crate) refused: Vec<u8>,
    /// To spans: a response of protobuf in which nothing is said, 200.
    pub(crate) received: Vec<u8>,
    /// To an address that nobody serves.
    pub(crate) not_found: Vec<u8>,
    /// To what is no request.
    pub(crate) bad_request: Vec<u8>,
}

impl Replies {
    pub(crate) fn new() -> Self {
        let unnumbered = mark_of(0);
        let completion = whole(
            "200 OK",
            "content-type: application/json\r\n",
            &format!(
                "{{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1735689600,\"model\":\"mock\",\
                 \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\
                 \"software engineer, librarian {unnumbered}\"}},\"finish_reason\":\"stop\"}}],\
                 \"usage\":{{\"prompt_tokens\":80,\"completion_tokens\":8,\"total_tokens\":88}}}}"
            ),
        );
        let number_at =
            completion.windows(unnumbered.len()).position(|part| part == unnumbered.as_bytes()).map_or(0, |at| at + 1);
        let json = "content-type: application/json\r\n";
        Self {
            completion,
            number_at,
            refused: whole(
                "429 Too Many Requests",
                "content-type: application/json\r\nretry-after-ms: 50\r\nretry-after: 1\r\n",
                r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
            ),
            received: whole("200 OK", "content-type: application/x-protobuf\r\n", ""),
            not_found: whole("404 Not Found", json, r#"{"error":{"message":"there is nothing here"}}"#),
            bad_request: whole("400 Bad Request", "connection: close\r\n", ""),
        }
    }

    /// Writes the completion that answers a request, with the number of the row that is in it.
    pub(crate) fn write_completion(&self, request_body: &[u8], out: &mut Vec<u8>) {
        let start = out.len() + self.number_at;
        out.extend_from_slice(&self.completion);
        if let (Some(number), Some(place)) = (row_number(request_body), out.get_mut(start..start + DIGITS)) {
            place.copy_from_slice(number);
        }
    }
}

/// The digits of the row's number in a text.
pub(crate) fn row_number(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    loop {
        let at = rest.iter().position(|byte| *byte == MARK)?;
        rest = &rest[at + 1..];
        if let Some(digits) = rest.get(..DIGITS).filter(|digits| digits.iter().all(u8::is_ascii_digit)) {
            return Some(digits);
        }
    }
}

fn whole(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_repeats_the_number_of_its_row_and_never_changes_its_length() {
        let replies = Replies::new();
        let check = |request: &str, expected: &str| {
            let mut out = b"before".to_vec();
            replies.write_completion(request.as_bytes(), &mut out);
            assert_eq!(out.len(), 6 + replies.completion.len());
            let text = String::from_utf8(out).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["choices"][0]["message"]["content"], format!("software engineer, librarian {expected}"));
        };
        check(&format!("a text {}.", mark_of(123_456_789)), "#123456789");
        check("a #1 text # with #12345678x and then #000000042", "#000000042");
        check("a text without a number #", "#000000000");
    }
}
