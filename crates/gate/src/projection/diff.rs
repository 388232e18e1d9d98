//! Two outputs, line by line.

/// A line of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiffLine<'a> {
    /// In both.
    Same(&'a str),
    /// In the baseline only.
    Gone(&'a str),
    /// In the candidate only.
    New(&'a str),
}

/// Above this many lines on a side the two are not compared but shown one after the other: the table of the comparison
/// has as many cells as the product.
const MOST_LINES: usize = 300;

/// Compares by longest common subsequence.
pub(super) fn compare<'a>(before: &'a str, after: &'a str) -> Vec<DiffLine<'a>> {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    if old.len() > MOST_LINES || new.len() > MOST_LINES {
        return old.into_iter().map(DiffLine::Gone).chain(new.into_iter().map(DiffLine::New)).collect();
    }
    // `longest[i][j]`: the longest common subsequence of what follows line i and line j.
    let mut longest = vec![vec![0_u16; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] =
                if old[i] == new[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let mut lines = Vec::with_capacity(old.len().max(new.len()));
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(DiffLine::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j >= new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(DiffLine::Gone(old[i]));
            i += 1;
        } else {
            lines.push(DiffLine::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(before: &str, after: &str, expected: &str) {
        let shown: Vec<String> = compare(before, after)
            .into_iter()
            .map(|line| match line {
                DiffLine::Same(text) => format!(" {text}"),
                DiffLine::Gone(text) => format!("-{text}"),
                DiffLine::New(text) => format!("+{text}"),
            })
            .collect();
        assert_eq!(shown.join("|"), expected);
    }

    #[test]
    fn common_lines_are_kept() {
        check("a\nb\nc", "a\nx\nc", " a|-b|+x| c");
        check("", "a", "+a");
        check("a", "", "-a");
        check("same", "same", " same");
    }

    proptest! {
        #[test]
        fn both_sides_can_be_read_back(before in "[ab\n]{0,30}", after in "[ab\n]{0,30}") {
            let lines = compare(&before, &after);
            let side = |mine: fn(&DiffLine<'_>) -> bool| -> Vec<String> {
                lines.iter().filter(|line| mine(line)).map(|line| match line {
                    DiffLine::Same(text) | DiffLine::Gone(text) | DiffLine::New(text) => (*text).to_owned(),
                }).collect()
            };
            prop_assert_eq!(side(|line| !matches!(line, DiffLine::New(_))), before.lines().collect::<Vec<_>>());
            prop_assert_eq!(side(|line| !matches!(line, DiffLine::Gone(_))), after.lines().collect::<Vec<_>>());
        }
    }
}
