//! Pieces of a streamed reply, let go of only when no secret can hide in the seams between them.

use crate::engine::Redact;

/// What is held back of the pieces of one call.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    held: String,
}

impl Chunks {
    /// Takes a piece, and gives what can be told now (still with its secrets, which are whole in it; often nothing).
    pub(crate) fn push(&mut self, piece: &str, redact: &Redact) -> String {
        self.held.push_str(piece);
        let keep = (redact.begun)(&self.held);
        let cut = self.held.floor_char_boundary(self.held.len().saturating_sub(keep));
        let (told, kept) = self.held.split_at(cut);
        let rewritten = |text: &str| (redact.rewrite)(text).unwrap_or_else(|| text.to_owned());
        // A secret across the cut would be found in neither part: then it waits for more.
        if keep > 0 && rewritten(&self.held) != rewritten(told) + &rewritten(kept) {
            return String::new();
        }
        let kept = kept.to_owned();
        let mut told = std::mem::replace(&mut self.held, kept);
        told.truncate(cut);
        told
    }

    /// What is left when no more pieces follow.
    pub(crate) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn redact(secrets: &'static [&'static str]) -> Redact {
        let rewrite = move |text: &str| {
            let new = secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "*"));
            (new != text).then_some(new)
        };
        let begun = move |text: &str| {
            let begins =
                |from: &usize| secrets.iter().any(|secret| secret.as_bytes().starts_with(&text.as_bytes()[*from..]));
            (0..text.len()).find(begins).map_or(0, |from| text.len() - from)
        };
        Redact { rewrite: Arc::new(rewrite), begun: Arc::new(begun) }
    }

    fn told(pieces: &[&str], redact: &Redact) -> Vec<String> {
        let mut chunks = Chunks::default();
        let mut told: Vec<String> = pieces.iter().map(|piece| chunks.push(piece, redact)).collect();
        told.push(chunks.rest());
        told.iter().map(|text| (redact.rewrite)(text).unwrap_or_else(|| text.clone())).collect()
    }

    #[test]
    fn without_secrets_pieces_go_as_they_come() {
        assert_eq!(told(&["a ", "bc", "d"], &Redact::default()), ["a ", "bc", "d", ""]);
    }

    #[test]
    fn a_secret_in_two_pieces_is_not_told() {
        assert_eq!(told(&["the key is sec", "ret, see"], &redact(&["secret"])), ["the key is ", "*, see", ""]);
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_the_same_is_told(
            words in prop::collection::vec(prop::sample::select(vec!["abc", "xyz-9", "b", "é", "xy", "z-9 "]), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let (text, redact) = (words.concat(), redact(&["abc", "xyz-9"]));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(cut.index(text.len() + 1))).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let whole = (redact.rewrite)(&text).unwrap_or_else(|| text.clone());
            prop_assert_eq!(told(&pieces, &redact).concat(), whole);
        }
    }
}
