//! `draw`: a flow as a picture.

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Draw a flow's nodes and what flows between them.
///
/// For a picture in a README: sluicegate draw FLOW >> README.md (mermaid), or --format svg > flow.svg.
#[derive(Debug, clap::Args)]
pub(crate) struct DrawArgs {
    /// The flow
    #[arg(value_name = "FLOW")]
    flow: String,

    /// How
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Text that GitHub and many editors draw
    Mermaid,
    /// Graphviz
    Dot,
    /// A picture that stands alone
    Svg,
}

/// Draws a flow to stdout.
pub(crate) fn draw(session: &Session, args: &DrawArgs) -> Result<Exit, CliError> {
    let plan = session.plan(&session.find_flow(&args.flow)?, None)?;
    let picture = match args.format {
        Format::Mermaid => sluicegate_flow::draw::mermaid(&plan),
        Format::Dot => sluicegate_flow::draw::dot(&plan),
        Format::Svg => sluicegate_flow::draw::svg(&plan),
    };
    session.printer().data(picture.trim_end())?;
    Ok(Exit::Done)
}
