//! Flags, read by hand: the bench has four commands and no completions.

use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::Failure;

/// The words after a command; each flag that is asked for is taken out, and what is left at the end is a mistake.
#[derive(Debug)]
pub(crate) struct Arguments {
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(words: impl Iterator<Item = String>) -> Self {
        // `--flag=value` is two words, as `--flag value`.
        let split = |word: String| match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
            _ => vec![word],
        };
        Self { words: words.flat_map(split).collect() }
    }

    /// Whether a flag without a value is there.
    pub(crate) fn switch(&mut self, flag: &str) -> bool {
        let found = self.words.iter().position(|word| word == flag);
        if let Some(at) = found {
            self.words.remove(at);
        }
        found.is_some()
    }

    /// The value of a flag; the last one, if it is given more often.
    pub(crate) fn text(&mut self, flag: &str) -> Result<Option<String>, Failure> {
        Ok(self.texts(flag)?.pop())
    }

    /// Every value of a flag that may be given more often.
    pub(crate) fn texts(&mut self, flag: &str) -> Result<Vec<String>, Failure> {
        let mut values = Vec::new();
        while let Some(at) = self.words.iter().position(|word| word == flag) {
            if at + 1 >= self.words.len() {
                return Err(Failure::asked_wrongly(format_args!("`{flag}` needs a value")));
            }
            values.extend(self.words.drain(at..at + 2).nth(1));
        }
        Ok(values)
    }

    pub(crate) fn path(&mut self, flag: &str) -> Result<Option<PathBuf>, Failure> {
        Ok(self.text(flag)?.map(PathBuf::from))
    }

    /// A number; digits may be grouped, as in `1_000_000`.
    pub(crate) fn number<N: FromStr>(&mut self, flag: &str) -> Result<Option<N>, Failure> {
        let Some(text) = self.text(flag)? else { return Ok(None) };
        let number = text.replace('_', "").parse();
        number.map(Some).map_err(|_| Failure::asked_wrongly(format_args!("`{flag} {text}` is not a number that fits")))
    }

    /// Like [`Self::number`], of a flag that must be at least 1.
    pub(crate) fn count(&mut self, flag: &str) -> Result<Option<usize>, Failure> {
        match self.number(flag)? {
            Some(0) => Err(Failure::asked_wrongly(format_args!("`{flag}` must be at least 1"))),
            number => Ok(number),
        }
    }

    /// A value that must be there.
    pub(crate) fn needed<T>(flag: &str, value: Option<T>) -> Result<T, Failure> {
        value.ok_or_else(|| Failure::asked_wrongly(format_args!("`{flag}` is needed; see --help")))
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.words.first() {
            Some(word) => Err(Failure::asked_wrongly(format_args!("`{word}` is not understood; see --help"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_taken_out_in_any_order_and_spelling() {
        let mut read = arguments("--rows 1_000 --profile --argument --limit --argument=5 --url=http://h/?a=b");
        assert!(read.switch("--profile"));
        assert!(!read.switch("--floor-only"));
        assert_eq!(read.texts("--argument").unwrap(), ["--limit", "5"]);
        assert_eq!(read.count("--rows").unwrap(), Some(1000));
        assert_eq!(read.text("--url").unwrap().as_deref(), Some("http://h/?a=b"));
        assert_eq!(read.text("--only").unwrap(), None);
        read.finish().unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |outcome: Result<_, Failure>, words: &str| {
            let failure = outcome.map(|_: Option<usize>| ()).expect_err("a mistake");
            assert!(failure.to_string().contains(words), "{failure}");
        };
        check(arguments("--rows many").number("--rows"), "`--rows many`");
        check(arguments("--rows 0").count("--rows"), "at least 1");
        check(arguments("--rows").number("--rows"), "needs a value");
        check(arguments("--rwos 5").finish().map(|()| None), "`--rwos`");
        check(Arguments::needed("--url", None), "`--url` is needed");
    }
}
