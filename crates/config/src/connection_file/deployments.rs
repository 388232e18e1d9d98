//! What is known of a connection's deployments.

use std::sync::Arc;

use super::Collected;
use crate::reader::Reader;
use crate::{Deployment, Deployments, Variables};

pub(super) fn read(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Deployments {
    let mut deployments =
        Deployments { never_adapt: !problems.or(reader.switch("adapt"), true), ..Deployments::default() };
    let Some(table) = problems.maybe(reader.table("deployments")) else { return deployments };
    let path = reader.key("deployments");
    let inner = Reader::new(table, &path, variables);
    for name in inner.keys() {
        let Some(table) = problems.maybe(inner.table(name)) else { continue };
        let path = inner.key(name);
        let deployment = deployment(&Reader::new(table, &path, variables), variables, problems);
        deployments.by_name.insert(Arc::from(name), deployment);
    }
    deployments
}

fn deployment(reader: &Reader<'_>, variables: &Variables, problems: &mut Collected) -> Deployment {
    let mut rename: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    if let Some(table) = problems.maybe(reader.table("rename")) {
        let path = reader.key("rename");
        let inner = Reader::new(table, &path, variables);
        for old in inner.keys() {
            if let Some(new) = problems.maybe(inner.written_text(old)) {
                rename.push((old.into(), new.trim().into()));
            }
        }
    }
    let drop: Vec<Arc<str>> = problems.or(reader.texts("drop"), Vec::new()).into_iter().map(Arc::from).collect();
    if let Some((both, _)) = rename.iter().find(|(old, _)| drop.contains(old)) {
        let message = format!("`{}` drops `{both}`, and `rename` sends it by another name", reader.key("drop"));
        problems.push(reader.problem("drop", "config::wrong_value", message).help("take it out of one of the two"));
    }
    Deployment { reasoning: problems.or(reader.flag("reasoning"), false), rename, drop }
}
