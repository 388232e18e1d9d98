//! What the mock can do: requests a second, from a load of raw bytes that costs less than any client.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::arguments::Arguments;
use crate::batch::prompt_of;
use crate::failure::Failure;
use crate::files_limit;
use crate::mock::process::MockProcess;
use crate::mock::reply::{Replies, mark_of};
use crate::mock::{Behaviour, runtime};

/// The command `ceiling`.
pub(crate) fn main(mut arguments: Arguments) -> Result<(), Failure> {
    let requests = arguments.count("--requests")?.unwrap_or(300_000);
    let connections = arguments.count("--connections")?.unwrap_or(64);
    let pipelined = arguments.count("--pipelined")?.unwrap_or(1);
    let threads = arguments.count("--threads")?.unwrap_or(1);
    let client_threads = arguments.count("--client-threads")?.unwrap_or(1);
    arguments.finish()?;
    files_limit::raise();
    let mock = MockProcess::start(Behaviour { latency: Duration::ZERO, refuse_every: None }, threads)?;
    let rounds = requests.div_ceil(connections * pipelined);
    let sent = rounds * connections * pipelined;
    let start = Instant::now();
    runtime(client_threads)?.block_on(async {
        let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(load(mock.port(), rounds, pipelined))).collect();
        for task in tasks {
            task.await.map_err(Failure::while_doing("a connection"))??;
        }
        Ok(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = mock.cpu_milliseconds();
    let counts = mock.finish()?;
    if counts.requests != sent as u64 {
        return Err(Failure::new(format_args!("{sent} requests were sent, and {} seen", counts.requests)));
    }
    println!("{sent} requests in {seconds:.2} s: {:.0} a second", sent as f64 / seconds);
    if let Some(cpu) = cpu {
        let each = cpu * 1000.0 / sent as f64;
        println!("the mock's CPU: {each:.1} µs a request, so {:.0} a second if it had a core to itself", 1e6 / each);
    }
    Ok(())
}

/// One connection: so many requests in one write, then so many replies, and again.
async fn load(port: u16, rounds: usize, pipelined: usize) -> Result<(), Failure> {
    let failed = || Failure::while_doing::<std::io::Error>("loading the mock");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(failed())?;
    stream.set_nodelay(true).map_err(failed())?;
    let requests = request().repeat(pipelined);
    let mut reply = Vec::new();
    Replies::new().write_completion(b"", &mut reply);
    let expected = reply.len() * pipelined;
    let mut replies = vec![0; expected];
    for _ in 0..rounds {
        stream.write_all(&requests).await.map_err(failed())?;
        stream.read_exact(&mut replies).await.map_err(failed())?;
    }
    Ok(())
}

/// As long as what real clients send for a row.
fn request() -> Vec<u8> {
    let (system, user) = prompt_of("job title", &mark_of(7));
    let body = serde_json::json!({
        "model": "mock",
        "messages": [{ "role": "system", "content": system }, { "role": "user", "content": user }],
        "temperature": 0,
        "max_tokens": 64,
    });
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\ncontent-type: application/json\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}
