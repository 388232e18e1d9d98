//! The mock as clients meet it: a real client, and raw bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::counts::Counts;
use super::reply::mark_of;
use super::{Behaviour, Mock, runtime};
use crate::floor::client;

/// Sends these bytes in pieces on one connection, closes its side, and gives all that comes back.
async fn exchange(mock: &Mock, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(mock.address).await.unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[test]
fn a_hundred_requests_of_a_real_client_are_answered_each_with_its_number() {
    runtime(1).unwrap().block_on(async {
        let mock = Mock::start(0, Behaviour { latency: Duration::from_millis(1), refuse_every: None }).unwrap();
        let client = client().unwrap();
        let url = format!("http://{}/v1/chat/completions", mock.address);
        let ask = |row: usize| {
            let sent = client.post(&url).body(format!("{{\"text\":\"row {}\"}}", mark_of(row))).send();
            async move { (row, sent.await.unwrap().text().await.unwrap()) }
        };
        for ten in 0..10 {
            let asked: Vec<_> = (0..10).map(|one| tokio::spawn(ask(ten * 10 + one))).collect();
            for task in asked {
                let (row, text) = task.await.unwrap();
                assert!(text.contains(&mark_of(row)), "{text}");
            }
        }
        let counts = mock.counters.read();
        assert_eq!((counts.requests, counts.refused, counts.other), (100, 0, 0));
        // A client may open one more while another comes free, but they are kept.
        assert!((1..100).contains(&counts.connections), "{counts:?}");
        assert!((1..=10).contains(&counts.most_in_flight), "{counts:?}");
        assert_eq!(Counts::from_json(&counts.to_json().to_string()).unwrap(), counts);
    });
}

#[test]
fn every_third_request_may_be_refused() {
    runtime(1).unwrap().block_on(async {
        let mock = Mock::start(0, Behaviour { latency: Duration::ZERO, refuse_every: Some(3) }).unwrap();
        let client = client().unwrap();
        let url = format!("http://{}/v1/chat/completions", mock.address);
        let mut statuses = Vec::new();
        for _ in 0..6 {
            statuses.push(client.post(&url).send().await.unwrap().status().as_u16());
        }
        assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
        assert_eq!(mock.counters.read().refused, 2);
    });
}

#[test]
fn pipelined_and_split_requests_are_answered_in_order() {
    let requests: Vec<u8> = (1..=3)
        .map(|row| {
            let body = mark_of(row);
            format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        })
        .collect::<String>()
        .into_bytes();
    for latency in [0, 1] {
        runtime(1).unwrap().block_on(async {
            let behaviour = Behaviour { latency: Duration::from_millis(latency), refuse_every: None };
            let mock = Mock::start(0, behaviour).unwrap();
            let pieces: Vec<&[u8]> = requests.chunks(37).collect();
            for text in [exchange(&mock, &[&requests]).await, exchange(&mock, &pieces).await] {
                let places: Vec<_> = (1..=3).map(|row| text.find(&mark_of(row)).expect("an answer")).collect();
                assert!(places.is_sorted(), "{text}");
                assert_eq!(text.matches("HTTP/1.1 200").count(), 3);
            }
            assert_eq!(mock.counters.read().requests, 6);
        });
    }
}

#[test]
fn traces_are_received_and_anything_else_is_not_found() {
    runtime(1).unwrap().block_on(async {
        let mock = Mock::start(0, Behaviour::default()).unwrap();
        let one_span = b"\x0a\x06\x12\x04\x12\x02\x0a\x00";
        let post = [b"POST /v1/traces HTTP/1.1\r\ncontent-length: 8\r\n\r\n".as_slice(), one_span].concat();
        let text = exchange(&mock, &[&post, b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n"]).await;
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0"),
            "{text}"
        );
        assert!(text.contains("HTTP/1.1 404"), "{text}");
        assert!(exchange(&mock, &[b"hello\r\n\r\n"]).await.starts_with("HTTP/1.1 400"));
        let counts = mock.counters.read();
        assert_eq!((counts.trace_requests, counts.trace_bytes, counts.spans), (1, 8, 1));
        assert_eq!((counts.requests, counts.other), (0, 2));
    });
}
