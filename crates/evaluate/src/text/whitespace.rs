//! What Python takes for blanks. `str.split()` and `str.strip()` know four control characters more than Unicode's
//! property White_Space, which Rust follows.

/// Whether Python's `str.isspace()` holds.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\x1c'..='\x1f')
}

/// As `is_space`, for a byte of ASCII.
pub(super) fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1c..=0x1f | b' ')
}

/// Python's `text.split()`.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// Python's `text.lower()`, without a copy where nothing changes.
pub(super) fn lower(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
    } else {
        text.to_lowercase().into()
    }
}
