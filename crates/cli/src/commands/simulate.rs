//! `simulate`: a scripted model over HTTP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_model::script::Script;
use sluicegate_providers::read_script;
use sluicegate_server::simulate::Simulate;
use sluicegate_server::{Address, Listener, Served};
use sluicegate_source::SourceFile;
use sluicegate_value::duration;
use tokio::net::TcpListener;

use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupt;
use crate::session::Session;
use crate::terminal::{Printer, harmless, show_duration};

/// Serve a scripted model over HTTP, for demos, for tests and for your own CI
///
/// It speaks the APIs of OpenAI, Azure OpenAI, Azure AI model inference and Anthropic: conversations, completions, the
/// responses API, embeddings, tools and streams. The script is the one that a connection of `type: simulated` takes; it
/// may also set delays, faults, limits and a key. The address is written to stdout, one line for each request to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// What the model says (YAML)
    #[arg(long, short, value_name = "FILE")]
    script: PathBuf,

    /// Where to listen: PORT, HOST:PORT or `[IPV6]:PORT`. Port 0 takes a free one. Only this machine can reach it unless a
    /// host says otherwise
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Address,

    /// How long the model thinks before each reply, in place of what the script says
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| duration::parse(text))]
    latency: Option<Duration>,

    /// Say nothing of requests
    #[arg(long, short)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  sluicegate simulate --script config/simulated/entity_extraction.yaml
  OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=any python your_script.py
  sluicegate simulate --script model.yaml --listen 0 --quiet > address.txt &";

/// Serves until Ctrl-C.
pub(crate) fn simulate(session: &Session, args: &SimulateArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    let script = script(session, args)?;
    if !args.listen.is_loopback() {
        printer.warn(&format!("other machines can reach {}", args.listen));
    }
    let cannot = |error: std::io::Error| {
        let error = CliError::failed(format!("cannot listen at {}", args.listen)).cause(error.to_string());
        error.hint("`--listen 0` takes a port that is free")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("the program cannot wait for anything").cause(error.to_string()))?;
    let stopped = interrupt::listen(printer.clone())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen.to_string()).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        printer.data(&format!("http://{address}"))?;
        if !args.quiet {
            printer.say(&format!(
                "OpenAI: http://{address}/v1 · Azure OpenAI and model inference: http://{address} · Ctrl-C ends it"
            ));
        }
        let simulate = Simulate {
            latency: args.latency,
            listener: (!args.quiet).then(|| Arc::new(Tell(printer.clone())) as Arc<dyn Listener>),
            ..Simulate::new(script)
        };
        simulate.serve(listener, stopped).await.map_err(cannot)
    })?;
    // What hangs by script need not be waited for.
    runtime.shutdown_background();
    Ok(Exit::Done)
}

fn script(session: &Session, args: &SimulateArgs) -> Result<Script, CliError> {
    let path = session.directory().join(&args.script);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        CliError::misused(format!("script `{}` cannot be read", args.script.display())).cause(error.to_string())
    })?;
    read_script(&SourceFile::new(args.script.display().to_string(), text)).map_err(CliError::Problems)
}

/// Says a line for each request.
struct Tell(Printer);

impl Listener for Tell {
    fn served(&self, request: &Served<'_>) {
        let status = request.status.map_or_else(|| "cut".to_owned(), |status| status.to_string());
        let model = request.model.unwrap_or("-");
        let took = show_duration(request.duration);
        self.0.say(&harmless(&format!("{status}  {took:>8}  {} {}  {model}", request.method, request.path)));
    }
}
