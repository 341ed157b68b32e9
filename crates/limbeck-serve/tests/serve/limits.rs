//! What happens when more is asked than can be done.

use std::io::Write;
use std::time::{Duration, Instant};

use limbeck_serve::{ApiKey, ServeOptions};
use serde_json::{Value, json};

use crate::client::{JSON, ask, connect, get, metric, raw, read, request};
use crate::running::Running;

/// Work for some tenths of a second.
fn long() -> Value {
    json!({"question": "who ?", "context": "the cat sat on the mat . ".repeat(12_000)})
}

#[test]
fn with_a_full_queue_every_request_gets_an_answer_or_is_told_to_come_back() {
    let server = Running::start(ServeOptions { max_queue: 4, ..Default::default() });
    let statuses: Vec<(u16, bool)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let response = ask(server.address, &long());
                    (response.status, response.headers.contains_key("retry-after"))
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|seen| [(200, false), (429, true)].contains(seen)), "{statuses:?}");
    assert!(statuses.contains(&(200, false)) && statuses.contains(&(429, true)), "{statuses:?}");
    // Everything is as before.
    assert_eq!(
        ask(server.address, &json!({"question": "who ?", "context": "the cat"})).status,
        200
    );
    assert_eq!(metric(server.address, "limbeck_questions_in_flight"), 0.0);
}

#[test]
fn an_answer_that_comes_too_late_is_a_timeout_and_its_place_is_free_again() {
    let server = Running::start(ServeOptions { max_queue: 1, ..Default::default() });
    let mut body = long();
    body["timeout_ms"] = json!(1);
    assert_eq!(ask(server.address, &body).status, 504);
    // It is free when the work that nobody waits for has been dropped.
    let begun = Instant::now();
    loop {
        let small = json!({"question": "who ?", "context": "the cat"});
        let status = ask(server.address, &small).status;
        if status == 200 {
            break;
        }
        assert_eq!(status, 429);
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_goes_away_is_taken_out_of_the_queue() {
    let server = Running::start(ServeOptions::default());
    let body = long().to_string();
    for _ in 0..8 {
        let mut stream = connect(server.address);
        stream.write_all(&request("POST", "/v1/answer", &[JSON], body.as_bytes())).unwrap();
        std::thread::sleep(Duration::from_millis(30));
    }
    // All clients are gone; the question that comes now need not wait for theirs.
    let begun = Instant::now();
    while metric(server.address, "limbeck_questions_in_flight") > 0.0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    let tokens = metric(server.address, "limbeck_tokens_total");
    let answered = ask(server.address, &long()).json();
    let whole = answered["usage"]["tokens"].as_f64().unwrap();
    assert!(tokens < 7.0 * whole, "{tokens} tokens were computed for nobody, {whole} a question");
}

#[test]
fn too_much_in_one_request_is_refused_before_it_costs_anything() {
    let options = ServeOptions {
        max_body_bytes: 10_000,
        max_input_tokens: 500,
        max_questions: 6,
        ..Default::default()
    };
    let server = Running::start(options);
    let code = |body: &Value| {
        let response = ask(server.address, body);
        (response.status, response.json()["code"].as_str().unwrap().to_owned())
    };
    let too_large = (413, "too_large".to_owned());
    assert_eq!(code(&json!({"question": "who ?", "context": "cat ".repeat(4000)})), too_large);
    assert_eq!(code(&json!({"question": "who ?", "context": "cat ".repeat(1000)})), too_large);
    let many = json!({"questions": vec!["who ?"; 3], "documents": vec!["cat"; 3]});
    assert_eq!(code(&many), too_large);
    // A length that is only announced.
    let head = "POST /v1/answer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                Content-Length: 99999999999\r\n\r\n";
    assert_eq!(raw(server.address, head.as_bytes()).unwrap().status, 413);
    // One that is not announced.
    let mut chunked = b"POST /v1/answer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                        Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&[b' '; 0x400]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(raw(server.address, &chunked).unwrap().status, 413);
}

#[test]
fn connections_over_the_limit_are_told_so_and_the_others_served() {
    let options = ServeOptions {
        max_connections: 2,
        read_timeout: Duration::from_secs(2),
        ..Default::default()
    };
    let server = Running::start(options);
    let held = [connect(server.address), connect(server.address)];
    std::thread::sleep(Duration::from_millis(100));
    let refused = get(server.address, "/health");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "too_many_connections");
    assert!(refused.headers.contains_key("retry-after"));
    // Who sends nothing loses its connection, and the place is free again.
    for stream in &held {
        assert!(read(stream).is_err());
    }
    let begun = Instant::now();
    while get(server.address, "/health").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn only_who_shows_the_key_may_ask() {
    let key = Some(ApiKey::new("open sesame"));
    let server = Running::start(ServeOptions { api_key: key, ..Default::default() });
    let body = json!({"question": "who ?", "context": "the cat"}).to_string();
    let status = |authorization: Option<&str>| {
        let mut headers = vec![JSON];
        headers.extend(authorization.map(|value| ("Authorization", value)));
        let request = request("POST", "/v1/answer", &headers, body.as_bytes());
        raw(server.address, &request).unwrap().status
    };
    assert_eq!(status(Some("Bearer open sesame")), 200);
    assert_eq!(status(Some("bearer open sesame")), 200);
    for wrong in
        [None, Some("Bearer "), Some("open sesame"), Some("Bearer open sesame2"), Some("B")]
    {
        assert_eq!(status(wrong), 401, "{wrong:?}");
    }
    assert_eq!(get(server.address, "/health").status, 200);
    assert_eq!(get(server.address, "/info").json()["needs_key"], true);
}

#[test]
fn a_server_that_stops_finishes_what_is_under_way() {
    let mut server = Running::start(ServeOptions::default());
    let address = server.address;
    let client = std::thread::spawn(move || ask(address, &long()));
    let begun = Instant::now();
    while metric(address, "limbeck_questions_in_flight") == 0.0 && !client.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    server.stop();
    assert_eq!(client.join().unwrap().status, 200);
    server.join();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_request_that_never_ends_does_not_hold_the_server_up() {
    let options =
        ServeOptions { shutdown_timeout: Duration::from_millis(200), ..Default::default() };
    let server = Running::start(options);
    let mut stream = connect(server.address);
    stream.write_all(b"POST /v1/answer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    server.join();
    assert!(begun.elapsed() < Duration::from_secs(5));
}
