//! The items of a JSON list, or JSON values one after the other, cut without reading the whole.

use std::io;

use super::Piece;
use super::input::{Input, shorten};

/// Brackets deeper than JSON is read are counted, not compared.
const COMPARED: usize = 256;

/// Finds where items begin and end; what is in them is read elsewhere.
#[derive(Debug)]
pub(super) struct Items {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No list: values follow one another.
    Stream,
    /// Before the `[`.
    List,
    /// After the `[`.
    First,
    /// After an item of the list.
    AfterItem,
    /// After the `]`.
    AfterList,
}

/// Where in an item the next byte stands.
#[derive(Debug, Default)]
struct Walk {
    open: Vec<u8>,
    deeper: u64,
    in_string: bool,
    is_escaped: bool,
    /// Whether the item is a bare word or number, which ends where something else begins.
    is_bare: bool,
    is_over: bool,
    /// Whether the wrong bracket closed: what follows is anybody's guess.
    is_mismatched: bool,
}

impl Items {
    pub(super) fn list() -> Self {
        Self { state: State::List }
    }

    pub(super) fn stream() -> Self {
        Self { state: State::Stream }
    }

    pub(super) fn next(&mut self, input: &mut Input, piece: &mut Vec<u8>) -> io::Result<Piece> {
        loop {
            let next = input.skip_blanks()?;
            let broken = |message, help| {
                let (line, column) = input.place();
                Ok(Piece::Broken { line, column, message, help })
            };
            match (self.state, next) {
                (State::Stream | State::AfterList, None) => return Ok(Piece::End),
                (State::Stream, Some(_)) => return item(input, piece),
                (State::List, Some(b'[')) => self.step(input, State::First),
                (State::First, Some(b']')) | (State::AfterItem, Some(b']')) => self.step(input, State::AfterList),
                (State::First, Some(_)) => {
                    self.state = State::AfterItem;
                    return item(input, piece);
                }
                (State::AfterItem, Some(b',')) => {
                    input.consume(1);
                    return match input.skip_blanks()? {
                        None => Ok(self.cut(input)),
                        Some(b']' | b',') => {
                            let (line, column) = input.place();
                            Ok(Piece::Broken {
                                line,
                                column,
                                message: "an item is missing after `,`",
                                help: "remove the comma before",
                            })
                        }
                        Some(_) => item(input, piece),
                    };
                }
                (State::AfterItem, Some(_)) => {
                    return broken("expected `,` or `]` after an item of the list", "the rest of the file is not read");
                }
                (State::AfterList, Some(_)) => {
                    return broken(
                        "there is more text after the list",
                        "a file holds one list, or objects one after the other and no list",
                    );
                }
                (State::List | State::First | State::AfterItem, _) => return Ok(self.cut(input)),
            }
        }
    }

    fn step(&mut self, input: &mut Input, state: State) {
        input.consume(1);
        self.state = state;
    }

    fn cut(&self, input: &Input) -> Piece {
        let (line, column) = input.place();
        Piece::Broken { line, column, message: "the file ends inside the list", help: "is it cut off?" }
    }
}

/// Takes one item whole, whatever is in it.
fn item(input: &mut Input, piece: &mut Vec<u8>) -> io::Result<Piece> {
    let (line, column) = input.place();
    let mut walk = Walk::default();
    let mut is_whole = true;
    loop {
        let max = input.max_row_bytes();
        let chunk = input.chunk()?;
        if chunk.is_empty() {
            break;
        }
        let used = walk.over(chunk, piece.is_empty() && is_whole);
        if is_whole && piece.len() + used <= max {
            piece.extend_from_slice(&chunk[..used]);
        } else if is_whole {
            piece.extend_from_slice(&chunk[..used.min(1024)]);
            is_whole = false;
            shorten(piece);
        }
        input.consume(used);
        if walk.is_over {
            break;
        }
    }
    // A word or a number may end with the file.
    Ok(Piece::Found { line, column, is_whole, is_last: walk.is_mismatched || !(walk.is_over || walk.is_bare) })
}

impl Walk {
    /// Goes over the bytes that belong to the item; how many there are.
    fn over(&mut self, chunk: &[u8], is_start: bool) -> usize {
        let mut at = 0;
        if is_start {
            self.is_bare = !matches!(chunk.first(), Some(b'{' | b'[' | b'"'));
        }
        while let Some(byte) = chunk.get(at).copied() {
            if self.in_string {
                if self.is_escaped {
                    self.is_escaped = false;
                    at += 1;
                    continue;
                }
                let rest = &chunk[at..];
                let Some(found) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
                    return chunk.len();
                };
                self.is_escaped = rest[found] == b'\\';
                self.in_string = self.is_escaped;
                at += found + 1;
                if !self.in_string && self.is_at_top() {
                    self.is_over = true;
                    return at;
                }
                continue;
            }
            // The first byte is always taken, so that what is no JSON at all does not stand still.
            let is_first = is_start && at == 0;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' if !self.is_bare => self.enter(byte),
                b'}' | b']' if !self.is_bare => {
                    at += 1;
                    if self.leave(byte) {
                        self.is_over = true;
                        return at;
                    }
                    continue;
                }
                b',' | b']' | b' ' | b'\t' | b'\r' | b'\n' if self.is_bare && !is_first => {
                    self.is_over = true;
                    return at;
                }
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn is_at_top(&self) -> bool {
        self.open.is_empty() && !self.is_bare
    }

    fn enter(&mut self, bracket: u8) {
        if self.open.len() < COMPARED { self.open.push(bracket) } else { self.deeper += 1 }
    }

    /// Whether the item ends here: its first bracket closes, or the wrong one does; reading it will say so.
    fn leave(&mut self, bracket: u8) -> bool {
        if self.deeper > 0 {
            self.deeper -= 1;
            return false;
        }
        let fits = match self.open.pop() {
            Some(b'{') => bracket == b'}',
            _ => bracket == b']',
        };
        self.is_mismatched = !fits;
        !fits || self.open.is_empty()
    }
}
