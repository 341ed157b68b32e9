//! What no good client would send.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use limbeck_serve::ServeOptions;
use serde_json::json;

use crate::client::{JSON, ask, connect, get, raw, read, request};
use crate::running::Running;

fn lives(server: &Running) {
    let response = ask(server.address, &json!({"question": "who ?", "context": "the cat sat"}));
    assert_eq!(response.status, 200, "{response:?}");
}

#[test]
fn every_bad_body_gets_its_status_and_one_line() {
    let server = Running::start(ServeOptions::default());
    let deep = "[".repeat(100_000);
    let long_word = format!("{{\"question\":\"{}\",\"context\":\"a\"}}", "who ".repeat(100_000));
    for (body, status) in [
        (&b""[..], 400),
        (b"{", 400),
        (b"nonsense", 400),
        (b"\xff\xfe{}", 400),
        (b"{\"question\": \"\xff\", \"context\": \"b\"}", 400),
        (b"{\"question\": \"\\ud800\", \"context\": \"b\"}", 400),
        (b"{\"question\": \"a\", \"context\": \"b\"} trailing", 400),
        (deep.as_bytes(), 400),
        (b"null", 422),
        (b"[]", 422),
        (b"[\"a\", null, \"b\"]", 422),
        (b"7", 422),
        (b"{}", 422),
        (b"{\"question\": 1, \"context\": \"b\"}", 422),
        (b"{\"question\": \"a\"}", 422),
        (b"{\"context\": \"a\"}", 422),
        (b"{\"question\": \" \", \"context\": \"b\"}", 422),
        (b"{\"questions\": [], \"context\": \"b\"}", 422),
        (b"{\"question\": \"a\", \"questions\": [\"a\"], \"context\": \"b\"}", 422),
        (b"{\"question\": \"a\", \"question\": \"a\", \"context\": \"b\"}", 422),
        (b"{\"question\": \"a\", \"context\": \"b\", \"colour\": 1}", 422),
        (b"{\"question\": \"a\", \"context\": \"b\", \"n_best\": 0}", 422),
        (b"{\"question\": \"a\", \"context\": \"b\", \"n_best\": -1}", 422),
        (b"{\"question\": \"a\", \"context\": \"b\", \"max_answer_length\": 0}", 422),
        (b"{\"question\": \"a\", \"context\": \"b\", \"model\": \"nobody\"}", 404),
        // Cut to `max_query_length`, as everywhere.
        (long_word.as_bytes(), 200),
        (b"{\"question\": \"a\", \"context\": \"\"}", 200),
        (
            "{\"question\": \"e\u{301}?\", \"context\": \"🦀 \u{0} \u{202e} ๛ 日本\"}".as_bytes(),
            400,
        ),
        (
            "{\"question\": \"e\u{301}?\", \"context\": \"🦀 \\u0000 \u{202e} ๛ 日本\"}".as_bytes(),
            200,
        ),
    ] {
        let response = raw(server.address, &request("POST", "/v1/answer", &[JSON], body)).unwrap();
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(response.status, status, "{shown}: {}", response.body);
        if status != 200 {
            let line = response.json()["error"].as_str().unwrap().to_owned();
            assert!(!line.is_empty() && !line.contains('\n') && line.len() < 400, "{line}");
        }
    }
    lives(&server);
}

#[test]
fn bad_heads_get_their_status_or_lose_their_connection() {
    let server = Running::start(ServeOptions::default());
    let status = |bytes: &[u8]| raw(server.address, bytes).map_or(0, |response| response.status);
    assert_eq!(status(&request("GET", "/v1/answer", &[], b"")), 405);
    assert_eq!(status(&request("POST", "/health", &[], b"")), 405);
    assert_eq!(status(&request("GET", "/../../etc/passwd", &[], b"")), 404);
    assert_eq!(status(&request("GET", "/%00%ff", &[], b"")), 404);
    assert_eq!(
        status(&request("POST", "/v1/answer", &[("Content-Type", "text/plain")], b"{}")),
        415
    );
    assert_eq!(status(&request("POST", "/v1/answer", &[], b"{}")), 415);
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/answer HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/answer HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let status = status(nonsense);
        assert!(
            [0, 400, 505].contains(&status),
            "{status} for {:?}",
            String::from_utf8_lossy(nonsense)
        );
    }
    let huge = format!("GET / HTTP/1.1\r\nX-Filler: {}\r\n\r\n", "x".repeat(100_000));
    assert!([0, 431].contains(&status(huge.as_bytes())));
    lives(&server);
}

#[test]
fn slow_senders_lose_their_connection() {
    let options = ServeOptions { read_timeout: Duration::from_millis(300), ..Default::default() };
    let server = Running::start(options);
    let begun = Instant::now();
    let mut head = connect(server.address);
    head.write_all(b"POST /v1/answer HTTP/1.1\r\nHost:").unwrap();
    let mut body = connect(server.address);
    let request = request("POST", "/v1/answer", &[JSON], b"0123456789");
    body.write_all(&request[..request.len() - 5]).unwrap();
    let slow = read(&body).unwrap();
    assert_eq!((slow.status, slow.json()["code"].as_str()), (408, Some("slow_body")));
    assert!(
        read(&head).is_ok_and(|response| response.status == 408) || begun.elapsed().as_secs() < 5
    );
    lives(&server);
}

#[test]
fn thousands_of_open_connections_do_not_keep_others_out() {
    let options = ServeOptions {
        max_connections: 200,
        read_timeout: Duration::from_secs(1),
        ..Default::default()
    };
    let server = Running::start(options);
    // Idle ones, some of them with half a head. As many as this process may have.
    let open: Vec<TcpStream> = (0..1500)
        .map_while(|number| {
            let mut stream = TcpStream::connect(server.address).ok()?;
            if number % 3 == 0 {
                stream.write_all(b"GET / HTTP").ok()?;
            }
            Some(stream)
        })
        .collect();
    assert!(open.len() > 400, "{} connections", open.len());
    let begun = Instant::now();
    // Told to come back at first, served once the idle ones have lost their places.
    loop {
        let response = get(server.address, "/health");
        assert!([200, 503].contains(&response.status), "{response:?}");
        if response.status == 200 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    lives(&server);
}
