//! `connections`: where models live, and whether they answer.

mod import;

use sluicegate_config::{Auth, AzureApi, Connection, ConnectionKind, Environment};
use sluicegate_model::{CallContext, ChatRequest, ConnectionName, Message, ModelError, Models as _, Prompt};
use sluicegate_value::{Map, Value};

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::{harmless, show_duration, table};

/// Connections: where models live.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List connections with their type, address and what is missing
    List(ListArgs),
    /// Show one connection's settings and who set them; its secrets are masked
    Show(OneArgs),
    /// Print prompt flow's connection files as entries of the config, or add them there
    Import(import::ImportArgs),
    /// Ask one connection's model a word, to see that address, key and model are right
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Which overlay of the config applies
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// JSON in place of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OneArgs {
    /// The connection's name
    #[arg(value_name = "NAME")]
    name: String,

    /// Which overlay of the config applies
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    one: OneArgs,

    /// Which deployment or model is asked
    #[arg(long, value_name = "MODEL", default_value = "gpt-4o-mini")]
    model: String,
}

/// Does what `connections` was asked.
pub(crate) fn connections(session: &Session, command: &ConnectionsCommand) -> Result<Exit, CliError> {
    match command {
        ConnectionsCommand::List(args) => list(session, args),
        ConnectionsCommand::Show(args) => show(session, args),
        ConnectionsCommand::Import(args) => import::import(session, args),
        ConnectionsCommand::Test(args) => test(session, args),
    }
}

fn list(session: &Session, args: &ListArgs) -> Result<Exit, CliError> {
    let environment = session.settings_of_all(args.environment_name.as_deref())?;
    let rows: Vec<Vec<String>> = environment.connection_names().iter().map(|name| row(&environment, name)).collect();
    let printer = session.printer();
    if args.json {
        let value = rows.iter().map(|row| {
            let names = ["name", "type", "address", "state"];
            Value::from(names.into_iter().zip(row.iter().map(String::as_str)).collect::<Map>())
        });
        printer.data(&Value::from(value.collect::<Vec<_>>()).to_json_pretty())?;
    } else if rows.is_empty() {
        printer.say("there are no connections; describe one under `connections:` in config/config.yaml");
    } else {
        printer.data(&table(&["NAME", "TYPE", "ADDRESS", "STATE"], rows))?;
    }
    Ok(Exit::Done)
}

fn row(environment: &Environment, name: &str) -> Vec<String> {
    let (kind, address, state) = match environment.connection(name) {
        Ok(connection) => {
            let (kind, address) = described(&connection);
            (kind, address, "complete".to_owned())
        }
        Err(problems) => {
            let state = problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ");
            ("-".to_owned(), "-".to_owned(), state)
        }
    };
    vec![name.to_owned(), kind, address, state]
}

/// A connection's type, with what is particular about it, and its address.
fn described(connection: &Connection) -> (String, String) {
    let mut particular = Vec::new();
    let (type_name, address) = match &connection.kind {
        ConnectionKind::AzureOpenAi { api_base, api, responses, auth } => {
            particular.extend((*api == AzureApi::V1).then_some("v1"));
            particular.extend(responses.then_some("responses"));
            particular.extend(matches!(auth, Auth::Entra(_)).then_some("entra"));
            ("azure_open_ai", api_base.clone())
        }
        ConnectionKind::OpenAi { base_url, responses, .. } => {
            particular.extend(responses.then_some("responses"));
            ("open_ai", base_url.clone())
        }
        ConnectionKind::Serverless { endpoint, auth, .. } => {
            particular.push("legacy");
            particular.extend(matches!(auth, Auth::Entra(_)).then_some("entra"));
            ("serverless", endpoint.clone())
        }
        ConnectionKind::Anthropic { base_url, .. } => ("anthropic", base_url.clone()),
        ConnectionKind::Simulated { script } => ("simulated", script.display().to_string()),
        ConnectionKind::Other { type_name } => {
            let facts = &connection.facts;
            particular.extend(facts.custom_type.as_deref());
            let address = ["api_base", "endpoint"].iter().find_map(|key| facts.configs.get(key)?.as_str());
            (type_name.as_str(), address.unwrap_or("-").to_owned())
        }
    };
    let type_name = match particular.as_slice() {
        [] => type_name.to_owned(),
        some => format!("{type_name} ({})", some.join(", ")),
    };
    (type_name, address)
}

fn show(session: &Session, args: &OneArgs) -> Result<Exit, CliError> {
    let environment = session.settings_of_all(args.environment_name.as_deref())?;
    let prefix = format!("connections.{}.", args.name);
    let entries: Vec<_> = environment.entries().into_iter().filter(|entry| entry.key.starts_with(&prefix)).collect();
    if entries.is_empty() {
        environment.connection(&args.name)?;
    }
    let rows = entries.into_iter().map(|entry| vec![entry.key, entry.shown, entry.origin]).collect();
    session.printer().data(&table(&["KEY", "VALUE", "SET BY"], rows))?;
    Ok(Exit::Done)
}

fn test(session: &Session, args: &TestArgs) -> Result<Exit, CliError> {
    let environment = session.settings_of_all(args.one.environment_name.as_deref())?;
    let connection = environment.connection(&args.one.name)?;
    let redactor = environment.redactor([]);
    let (_, address) = described(&connection);
    let models = sluicegate_providers::connect(vec![connection], session.client_options(&environment, false)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("the program cannot wait for anything").cause(error.to_string()))?;
    let request = ChatRequest {
        model: args.model.as_str().into(),
        prompt: Prompt::Messages(vec![Message::text("user", "Reply with the word pong.")]),
        parameters: Map::new(),
        stream: false,
        called_from: "sluicegate".into(),
        api: None,
    };
    let began = std::time::Instant::now();
    let name = ConnectionName::from(args.one.name.as_str());
    let asked = models.chat(&name);
    let context = CallContext::detached();
    let answered = asked.and_then(|model| runtime.block_on(model.chat(&request, &context)));
    let printer = session.printer();
    match answered {
        Ok(reply) => {
            let text = reply.text.as_deref().unwrap_or("(no text)");
            let text = redactor.redact(text).unwrap_or_else(|| text.to_owned());
            let served = reply.model.as_deref().unwrap_or(&args.model);
            if let Some(identity) = models.identity(&name) {
                printer.say(&format!("identity: {}", harmless(&identity)));
            }
            // What an endpoint says of itself beside its answers; most say nothing, and none has to.
            if let Ok(about) = runtime.block_on(models.describe(&name)) {
                let told = [about.model, about.kind, about.maker];
                let told: Vec<String> = told.into_iter().flatten().map(|word| harmless(&word).into_owned()).collect();
                if !told.is_empty() {
                    printer.say(&format!("the endpoint serves: {}", told.join(", ")));
                }
            }
            let took = show_duration(began.elapsed());
            printer.data(&format!(
                "{}: {} answered in {took} at {address}: {}",
                args.one.name,
                harmless(served),
                harmless(&text)
            ))?;
            Ok(Exit::Done)
        }
        // The simulated model has no answer to this question; that it could say so is an answer.
        Err(ModelError::Unscripted { .. }) => {
            printer.data(&format!("{}: the script at {address} is sound", args.one.name))?;
            Ok(Exit::Done)
        }
        Err(error) => {
            let message = error.to_string();
            let message = redactor.redact(&message).unwrap_or(message);
            if let Some(identity) = models.identity(&name) {
                printer.say(&format!("identity: {}", harmless(&identity)));
            }
            if matches!(error, ModelError::UnknownModel { .. }) {
                let what = format!("connection `{}` answers, but has no model `{}`", args.one.name, args.model);
                return Err(CliError::failed(what).cause(message).hint("name one of its models: `--model NAME`"));
            }
            Err(CliError::failed(format!("connection `{}` does not work", args.one.name))
                .cause(message)
                .hint(format!("`sluicegate connections show {}` shows its settings and who set them", args.one.name)))
        }
    }
}
