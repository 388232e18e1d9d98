//! Where in a run something happens.

use std::fmt;

use serde::{Deserialize, Serialize};
use sluicegate_flow::plan::NodeName;

/// Where in a run something happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The line of a batch, from 0; `None` in a run of one input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The repeat of a case, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// The node; empty for the run or line itself.
    #[serde(default, skip_serializing_if = "NodePath::is_root")]
    pub path: NodePath,
    /// The node's attempt, from 1; 0 where no node is meant.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The way to a node through nested flows: `summarise[3]/extract`. Empty for the run or line itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodePath(pub Vec<PathStep>);

/// A node, and which item (of a `map`) or round (of a `loop`) of it, from 0.
///
/// The last step of a path to a `map` or `loop` node itself has no index; a step through one has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathStep {
    /// The node.
    pub node: NodeName,
    /// Which item or round.
    pub index: Option<u32>,
}

impl NodePath {
    /// Whether this is the run or line itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path to a node inside the flow that this path leads to.
    #[must_use]
    pub fn child(&self, node: &NodeName) -> Self {
        let mut steps = self.0.clone();
        steps.push(PathStep { node: node.clone(), index: None });
        Self(steps)
    }

    /// The same path with the last step's item or round.
    #[must_use]
    pub fn at_index(mut self, index: u32) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.index = Some(index);
        }
        self
    }

    /// The path to the node that this one is inside of; `None` for a node of the flow itself and for the root. The
    /// parent's last step has no index, so that it is the path under which that node's own events stand.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, before) = self.0.split_last()?;
        let mut steps = before.to_vec();
        steps.last_mut()?.index = None;
        Some(Self(steps))
    }

    /// Reads `summarise[3]/extract`; `None` if a step is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        // A name may hold `/` and `[`: those stand escaped by a backslash.
        let mut steps = Vec::new();
        let mut name = String::new();
        let mut index: Option<String> = None;
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (letter, &mut index) {
                ('\\', None) => name.push(letters.next()?),
                ('[', None) => index = Some(String::new()),
                (']', Some(_)) => {}
                ('/', _) => steps.push(step(&mut name, index.take())?),
                (digit, Some(digits)) => digits.push(digit),
                (letter, None) => name.push(letter),
            }
        }
        steps.push(step(&mut name, index)?);
        Some(Self(steps))
    }
}

fn step(name: &mut String, index: Option<String>) -> Option<PathStep> {
    let node = NodeName(std::mem::take(name).into());
    let index = match index {
        Some(digits) => Some(digits.parse().ok()?),
        None => None,
    };
    Some(PathStep { node, index })
}

impl fmt::Display for NodePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            if position > 0 {
                out.write_str("/")?;
            }
            let mut rest = &*step.node.0;
            while let Some(next) = rest.find(['/', '[', '\\']) {
                out.write_str(&rest[..next])?;
                out.write_str("\\")?;
                // The mark is of one byte.
                out.write_str(&rest[next..=next])?;
                rest = &rest[next + 1..];
            }
            out.write_str(rest)?;
            if let Some(index) = step.index {
                write!(out, "[{index}]")?;
            }
        }
        Ok(())
    }
}

impl Serialize for NodePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no node path")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_path_comes_back(steps in prop::collection::vec((".+", prop::option::of(any::<u32>())), 0..4)) {
            let path = NodePath(steps.into_iter().map(|(name, index)| PathStep { node: name.as_str().into(), index }).collect());
            prop_assert_eq!(NodePath::parse(&path.to_string()), Some(path));
        }
    }

    #[test]
    fn a_path_reads_as_people_write_it() {
        let path = NodePath::default().child(&"summarise".into()).at_index(3).child(&"extract".into());
        assert_eq!(path.to_string(), "summarise[3]/extract");
        assert_eq!(path.parent().map(|parent| parent.to_string()).as_deref(), Some("summarise"));
    }
}
