//! Calls the tool of a flow's folder once, and prints what it prints: a host that a test can kill.
//!
//! `one_call PYTHON FOLDER CACHE`

use std::path::PathBuf;

use sluicegate_python::{Host, Pools, Search, Settings, Stream, ToolCall, ToolSource};

struct Printing;

impl Host for Printing {
    #[expect(clippy::print_stdout, reason = "this is a program")]
    fn said(&self, _stream: Stream, text: &str) {
        print!("{text}");
        let _ = std::io::Write::flush(&mut std::io::stdout());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(python), Some(folder), cache) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("one_call PYTHON FOLDER [CACHE]".into());
    };
    let search = Search { configured: Some(python), ..Search::default() };
    let pools = Pools::new(Settings { search, cache, ..Settings::default() });
    let pool = pools.pool(&folder, &[]);
    let tool = pool.load(&ToolSource::File(folder.join("tool.py")), &Printing, None).await?;
    pool.call(&ToolCall::new(tool, Vec::new()), &Printing).await?;
    pools.shutdown().await;
    Ok(())
}
