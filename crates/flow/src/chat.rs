//! Turns of a chat: what was said and answered, in the form that the next turn's history has (spec: promptflow.md §1.15).

use sluicegate_value::{Map, Value};

use crate::plan::ChatMarkers;

impl ChatMarkers {
    /// A turn that is over: `{"inputs": {<chat input>: …}, "outputs": {<chat output>: …}}`. What else went in and came
    /// out is no part of it.
    #[must_use]
    pub fn turn(&self, inputs: &Map, outputs: &Map) -> Value {
        let said = inputs.get(&self.input).cloned().unwrap_or_default();
        let answered = outputs.get(&self.output).cloned().unwrap_or_default();
        let turn = [("inputs", Map::from([(&*self.input, said)])), ("outputs", Map::from([(&*self.output, answered)]))];
        Map::from(turn).into()
    }

    /// A history with one more turn. What is no list counts as an empty one.
    #[must_use]
    pub fn with_turn(&self, history: &Value, turn: Value) -> Value {
        let mut turns = history.as_list().unwrap_or_default().to_vec();
        turns.push(turn);
        turns.into()
    }

    /// The inputs of the next turn: the same as of the last one, with what is said now and the history up to it.
    #[must_use]
    pub fn next_inputs(&self, last: &Map, history: Value, said: Value) -> Map {
        let mut next = last.clone();
        next.insert(self.history.clone(), history);
        next.insert(self.input.clone(), said);
        next
    }

    /// What is odd about a history that somebody gave: the original fails on it in the middle of a template.
    ///
    /// # Errors
    /// Which turn has not the form of one, as a fragment for people.
    pub fn check_history(&self, history: &Value) -> Result<(), String> {
        let name = &self.history;
        let Some(turns) = history.as_list() else {
            return Err(format!("`{name}` is no list of turns, but of type `{}`", history.type_name()));
        };
        let is_turn = |turn: &Value| ["inputs", "outputs"].iter().all(|part| turn.get(part).is_some_and(is_map));
        match turns.iter().position(|turn| !is_turn(turn)) {
            Some(index) => Err(format!(
                "turn {} of `{name}` has not the form {{\"inputs\": {{\"{}\": …}}, \"outputs\": {{\"{}\": …}}}}",
                index + 1,
                self.input,
                self.output
            )),
            None => Ok(()),
        }
    }
}

fn is_map(value: &Value) -> bool {
    value.as_map().is_some()
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;

    fn markers() -> ChatMarkers {
        ChatMarkers { input: "question".into(), history: "chat_history".into(), output: "answer".into() }
    }

    fn map(text: &str) -> Map {
        json::read(text).unwrap().as_map().unwrap().clone()
    }

    #[test]
    fn a_turn_holds_what_was_said_and_answered_and_no_more() {
        let chat = markers();
        let inputs = map(r#"{"question": "hi", "chat_history": [], "language": "en"}"#);
        let turn = chat.turn(&inputs, &map(r#"{"answer": "hello", "tokens": 3}"#));
        assert_eq!(turn.to_json(), r#"{"inputs":{"question":"hi"},"outputs":{"answer":"hello"}}"#);

        let history = chat.with_turn(&Value::empty_list(), turn);
        assert_eq!(chat.check_history(&history), Ok(()));
        let next = chat.next_inputs(&inputs, history, "and?".into());
        assert_eq!(
            Value::from(next).to_json(),
            r#"{"question":"and?","chat_history":[{"inputs":{"question":"hi"},"outputs":{"answer":"hello"}}],"language":"en"}"#
        );
    }

    #[test]
    fn what_is_no_turn_is_told() {
        let told = |history: &str| markers().check_history(&json::read(history).unwrap()).unwrap_err();
        assert_eq!(told("3"), "`chat_history` is no list of turns, but of type `int`");
        assert_eq!(
            told(r#"[{"inputs": {}, "outputs": {}}, {"role": "user", "content": "hi"}]"#),
            r#"turn 2 of `chat_history` has not the form {"inputs": {"question": …}, "outputs": {"answer": …}}"#
        );
    }
}
