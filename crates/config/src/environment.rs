//! What holds for one flow in one config environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_source::suggest::nearest;
use sluicegate_value::{Map, Value};

use crate::interpolate::{Piece, holds_secret, pieces};
use crate::keys::SECTION_KEYS;
use crate::layers::{Table, Tree, merge};
use crate::reader::{Reader, resolve_tree};
use crate::variables::{ALWAYS_SECRET, REQUESTS_CA_BUNDLE, SSL_CERT_FILE, looks_secret};
use crate::{
    Connection, ConnectionFacts, HttpPolicy, Limits, ModelPrice, Project, Proxies, PythonSettings, Redactor, Secret,
    Setting, Settings, Store, Telemetry, Variable, Variables, connection_file, http_policy, prices, python, store,
    telemetry,
};

/// What holds for one flow in one config environment. A value's variables are looked up when it is asked for, so that
/// what nobody uses may be incomplete.
#[derive(Clone)]
pub struct Environment {
    pub(crate) settings: Arc<Settings>,
    flow: Arc<str>,
    /// Where the flow lies, if it was asked for by its path.
    path: Option<PathBuf>,
    /// The flow's section: what its environments share, then its own, then flags.
    pub(crate) section: Table,
    /// Everything else: files, variables, flags.
    pub(crate) root: Tree,
}

impl Environment {
    pub(crate) fn new(settings: Settings, flow: Arc<str>, path: Option<PathBuf>, sections: &[Tree]) -> Self {
        let flags: Vec<Tree> = settings.flag_layers(false).collect();
        let section = merge(sections.iter().chain(&flags));
        let root = settings.root(Some(&section));
        let section = match section {
            Tree::Table(table) => table,
            Tree::Leaf(_) => Table::new(),
        };
        Self { settings: Arc::new(settings), flow, path, section, root }
    }

    /// The flow's name; empty if these are the settings of no flow in particular.
    #[must_use]
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// The config environment's name, if one was chosen.
    #[must_use]
    pub fn environment_name(&self) -> Option<&str> {
        self.settings.environment_name()
    }

    /// The settings of all flows.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        self.settings.project()
    }

    /// Where the flow lies: the path by which it was asked for, else its `flow_path`, else `flows/NAME`.
    ///
    /// # Errors
    /// A `flow_path` that is no text or needs an unset variable, or a flow of which nothing says where it lies.
    pub fn flow_path(&self) -> Result<PathBuf, Problem> {
        if let Some(path) = &self.path {
            return Ok(path.clone());
        }
        if let Some(path) = self.reader().text("flow_path")? {
            return Ok(self.project().resolve(&path));
        }
        let usual = self.project().resolve(&format!("flows/{}", self.flow));
        if !self.flow.is_empty() && usual.exists() {
            return Ok(usual);
        }
        Err(Problem::error("config::missing_key", format!("nothing says where flow `{}` lies", self.flow))
            .help(format!("give section `{}` of `flow_configs` a `flow_path`", self.flow)))
    }

    /// The connection that the section names, for the flow's model nodes.
    ///
    /// # Errors
    /// A value that is no text or needs an unset variable.
    pub fn connection_name(&self) -> Result<Option<String>, Problem> {
        self.reader().text("connection_name")
    }

    /// The deployment or model that the section names, for the flow's model nodes.
    ///
    /// # Errors
    /// A value that is no text or needs an unset variable.
    pub fn deployment_name(&self) -> Result<Option<String>, Problem> {
        self.reader().text("deployment_name")
    }

    /// The deployment or model that the section names, for the flow's `embedding` nodes.
    ///
    /// # Errors
    /// A value that is no text or needs an unset variable.
    pub fn embedding_deployment_name(&self) -> Result<Option<String>, Problem> {
        self.reader().text("embedding_deployment_name")
    }

    /// The data set of a batch.
    ///
    /// # Errors
    /// A value that is no text or needs an unset variable.
    pub fn data_path(&self) -> Result<Option<PathBuf>, Problem> {
        Ok(self.reader().text("data_path")?.map(|path| self.project().resolve(&path)))
    }

    /// The data set of an evaluation.
    ///
    /// # Errors
    /// A value that is no text or needs an unset variable.
    pub fn eval_data_path(&self) -> Result<Option<PathBuf>, Problem> {
        Ok(self.reader().text("eval_data_path")?.map(|path| self.project().resolve(&path)))
    }

    /// Which column feeds which input, such as `text: ${data.text}`; in the order of the file, `None` if there is none.
    ///
    /// # Errors
    /// A value that is no map or needs an unset variable.
    pub fn column_mapping(&self) -> Result<Option<Map>, Problem> {
        let reader = self.reader();
        if reader.table("column_mapping")?.is_none() {
            return Ok(None);
        }
        let mapping = reader.setting("column_mapping")?;
        Ok(mapping.and_then(|mapping| mapping.value.as_map().cloned()))
    }

    /// The names of the section's own keys: those that mean nothing to sluicegate and reach the flow as values.
    #[must_use]
    pub fn value_names(&self) -> Vec<&str> {
        self.section.keys().map(|key| &**key).filter(|key| !SECTION_KEYS.contains(key)).collect()
    }

    /// A key of the section by its name, whatever it is; `None` if it is missing, `null` or empty.
    ///
    /// # Errors
    /// A value that needs an unset variable.
    pub fn value(&self, name: &str) -> Result<Option<Setting>, Problem> {
        self.reader().setting(name)
    }

    /// A variable of the process or of `.env`, as `${env:NAME}` in a flow asks for it.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Variable<'_>> {
        self.variables().get(name)
    }

    /// The names of the connections that can be asked for.
    #[must_use]
    pub fn connection_names(&self) -> Vec<String> {
        let table = self.root.get("connections").and_then(Tree::as_table);
        let mut names: Vec<String> = table.into_iter().flatten().map(|(name, _)| name.to_string()).collect();
        if let Ok(Some(name)) = self.connection_name()
            && self.aoai_config().is_some()
            && !names.contains(&name)
        {
            names.push(name);
        }
        names
    }

    /// A connection by its name, complete.
    ///
    /// # Errors
    /// No connection of this name, or everything that is wrong with it: unset variables, wrong types.
    pub fn connection(&self, name: &str) -> Result<Connection, Vec<Problem>> {
        let read = |table: &Table| self.read_connection(name, table);
        let of_file = self.root.get("connections").and_then(|connections| connections.get(name));
        if let Some(Tree::Table(table)) = of_file {
            return read(table);
        }
        // An older file names a connection of the cloud's workspace, and describes the one there is.
        if let (Ok(Some(named)), Some(aoai)) = (self.connection_name(), self.aoai_config())
            && named == name
        {
            let table = connection_file::from_aoai_config(aoai, &Tree::Table(self.section.clone()));
            return read(&table);
        }
        let known = self.connection_names();
        let problem = Problem::error("config::unknown_connection", format!("there is no connection `{name}`"));
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        Err(vec![match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => problem.help(format!("did you mean `{near}`? there are: {list}")),
            None if known.is_empty() => {
                problem.help(format!("describe it as `connections.{name}` in config/config.yaml"))
            }
            None => problem.help(format!("there are: {list}")),
        }])
    }

    /// What Python code sees of a connection: class, configs and secrets as the original's object has them.
    ///
    /// # Errors
    /// As [`Environment::connection`].
    pub fn connection_facts(&self, name: &str) -> Result<ConnectionFacts, Vec<Problem>> {
        Ok(self.connection(name)?.facts)
    }

    /// The connection that a prompty describes in itself, under a name of its own; its variables are looked up already.
    ///
    /// # Errors
    /// Everything that is wrong with it; what it leaves out and the variables that stand in for it do not say.
    pub fn inline_connection(
        &self,
        name: &str,
        provider: Option<&str>,
        configuration: &Map,
    ) -> Result<Connection, Vec<Problem>> {
        self.read_connection(name, &connection_file::from_prompty(provider, configuration, self.variables()))
    }

    /// Reads a connection, and what all connections share; what is wrong with both is told at once.
    fn read_connection(&self, name: &str, table: &Table) -> Result<Connection, Vec<Problem>> {
        let shared = self.max_in_flight();
        let limit = *shared.as_ref().unwrap_or(&Limits::default().max_in_flight);
        let read = connection_file::read(name, table, limit, self.project(), self.variables());
        match shared {
            Ok(_) => read,
            Err(problem) => Err(std::iter::once(problem).chain(read.err().into_iter().flatten()).collect()),
        }
    }

    /// How many model calls may be in flight at once, over all lines of a run.
    ///
    /// # Errors
    /// A value that is no whole number of at least 1, or needs an unset variable.
    pub fn max_in_flight(&self) -> Result<usize, Problem> {
        let reader = Reader::new(self.root.as_table().unwrap_or(&self.section), "", self.variables());
        let set = reader.whole_number("max_in_flight", 1, "a whole number of at least 1")?;
        Ok(set.unwrap_or(Limits::default().max_in_flight))
    }

    /// What models cost, by model or deployment name.
    ///
    /// # Errors
    /// Prices that are no numbers, or lack `input` or `output`.
    pub fn prices(&self) -> Result<BTreeMap<Arc<str>, ModelPrice>, Vec<Problem>> {
        prices::read(&self.root, self.variables())
    }

    /// Where traces go, and what is in them.
    ///
    /// # Errors
    /// A value of the wrong type, or one that needs an unset variable.
    pub fn telemetry(&self) -> Result<Telemetry, Problem> {
        telemetry::read(&self.root, self.variables())
    }

    /// The proxies that variables name, for whoever sends requests.
    #[must_use]
    pub fn proxies(&self) -> Proxies {
        Proxies::from_variables(self.variables())
    }

    /// Files of certificates that are trusted besides the system's, by variables: `SSL_CERT_FILE`, then
    /// `REQUESTS_CA_BUNDLE`. A connection's own is its `ca_file`.
    #[must_use]
    pub fn certificate_files(&self) -> Vec<PathBuf> {
        let set = [SSL_CERT_FILE, REQUESTS_CA_BUNDLE].into_iter().filter_map(|name| self.variable(name));
        let mut files: Vec<PathBuf> =
            set.map(|found| found.value.trim()).filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        files.dedup();
        files
    }

    /// What `http` nodes may do.
    ///
    /// # Errors
    /// A value of the wrong type, or one that needs an unset variable.
    pub fn http_policy(&self) -> Result<HttpPolicy, Problem> {
        http_policy::read(&self.root, self.variables())
    }

    /// Which Python runs the flow's tools, and how.
    ///
    /// # Errors
    /// A value of the wrong type, or one that needs an unset variable.
    pub fn python(&self) -> Result<PythonSettings, Problem> {
        python::read(&self.root, self.project(), self.variables())
    }

    /// How and where runs are kept.
    ///
    /// # Errors
    /// A value of the wrong type, or one that needs an unset variable.
    pub fn store(&self) -> Result<Store, Problem> {
        store::read(&self.root, self.project(), self.variables())
    }

    /// Takes every secret out that these settings know: keys of all connections, the collector's headers, and the
    /// variables that look secret by name (in `.env`, in these settings, or among `used`, the variables that a flow
    /// reads). What is unset has nothing to hide.
    #[must_use]
    pub fn redactor<'a>(&self, used: impl IntoIterator<Item = &'a str>) -> Redactor {
        self.redactor_with(used, &[])
    }

    /// The same, and the keys of connections that stand nowhere in these settings.
    #[must_use]
    pub fn redactor_with<'a>(&self, used: impl IntoIterator<Item = &'a str>, connections: &[Connection]) -> Redactor {
        let mut secrets: Vec<Secret> = connections.iter().flat_map(Connection::secrets).collect();
        let mut names: Vec<String> = used.into_iter().map(str::to_owned).collect();
        names.extend(self.variables().dot_env_names().map(str::to_owned));
        let whole = [(&self.root, ""), (&Tree::Table(self.section.clone()), "")];
        for (tree, path) in whole {
            tree.for_each_leaf(path, &mut |key, leaf| {
                leaf.value.map_strings(&mut |text| {
                    names.extend(pieces(text).into_iter().filter_map(|piece| match piece {
                        Piece::Variable { name, .. } => Some(name.to_owned()),
                        Piece::Literal(_) => None,
                    }));
                    None
                });
                let secret =
                    is_secret_key(key).then(|| resolve_tree(&Tree::Leaf(leaf.clone()), key, self.variables()).ok());
                if let Some(Value::Str(text)) = secret.flatten().map(|setting| setting.value) {
                    let secret = Secret::new(&*text);
                    if is_of_gateway(key) { secrets.extend(secret.parts()) } else { secrets.push(secret) }
                }
            });
        }
        names.sort_unstable();
        names.dedup();
        let looked_up = names.iter().filter(|name| looks_secret(name)).filter_map(|name| self.variable(name));
        secrets.extend(looked_up.map(|variable| Secret::new(variable.value)));
        for name in self.connection_names() {
            secrets.extend(self.connection(&name).iter().flat_map(Connection::secrets));
        }
        let always = ALWAYS_SECRET.iter().filter_map(|name| self.variables().get_non_empty(name));
        secrets.extend(always.map(|variable| Secret::new(variable.value)));
        for (_, value) in self.telemetry().map(|telemetry| telemetry.headers).unwrap_or_default() {
            // `Bearer …` is no secret; what follows it is.
            if let Some((_, token)) = value.expose().split_once(' ') {
                secrets.push(Secret::new(token));
            }
            secrets.push(value);
        }
        Redactor::new(secrets.iter().map(Secret::expose))
    }

    pub(crate) fn variables(&self) -> &Variables {
        self.settings.variables()
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.section, self.section_name(), self.variables())
    }

    pub(crate) fn section_name(&self) -> &str {
        &self.flow
    }

    fn aoai_config(&self) -> Option<&Table> {
        self.root.get("aoai_config").and_then(Tree::as_table)
    }
}

/// Whether a dotted key holds a secret: by its last part's looks, or because it lies under a connection's `headers`,
/// `query` or `secrets`, or under the collector's headers.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let of_custom = key.contains(".secrets.") && is_of_connection(key);
    holds_secret(key) || key.contains("telemetry.headers") || of_custom || is_of_gateway(key)
}

/// Whether a dotted key is a header or a piece of the query that a connection sends.
fn is_of_gateway(key: &str) -> bool {
    is_of_connection(key) && (key.contains(".headers.") || key.contains(".query."))
}

/// The settings of a flow's section may hold connections too: `FLOW.connections.NAME.…`.
fn is_of_connection(key: &str) -> bool {
    key.starts_with("connections.") || key.contains(".connections.")
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field("flow", &self.flow)
            .field("environment_name", &self.environment_name())
            .finish_non_exhaustive()
    }
}
