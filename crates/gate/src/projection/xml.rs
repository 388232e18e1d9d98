//! Escaping for XML, which is HTML's too as we write it.

/// Escapes text for element content and for attributes in double quotes. What XML forbids must be gone already
/// ([`super::text`]); what slipped through (line ends and tabs are allowed) is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // `]]>` may not stand in XML content.
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(letter),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => out.push(letter),
        }
    }
    out
}

/// Hostile text on one line, shortened, escaped.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    escape(&super::text::one_line(text, limit))
}

/// Hostile text with its lines, shortened, escaped.
pub(super) fn lines(text: &str, limit: usize) -> String {
    escape(&super::text::lines(text, limit))
}
