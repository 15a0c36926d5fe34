//! `nexus serve`.

use hyper::{Method, StatusCode};

use crate::http::{Answer, exchange, request};
use crate::program::{Running, command, run};

async fn get(server: &Running, path: &str, host: &str) -> Answer {
    exchange(server.authority(), request(Method::GET, path, host, "")).await
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    for signal in ["-TERM", "-INT"] {
        let server = Running::serve().await;
        assert_eq!(get(&server, "/healthz", server.authority()).await.status, StatusCode::OK);
        server.signal(signal).await;
        let ended = server.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.err, "stopping; once more to stop at once\n");
    }
}

#[tokio::test]
async fn options_and_environment_set_the_bounds() {
    let limits = async |server: Running| {
        get(&server, "/stats", server.authority()).await.json()["limits"].clone()
    };
    let server = Running::start(&[
        "serve",
        "--port",
        "0",
        "--ephemeral",
        "--history",
        "7",
        "--workers",
        "3",
    ])
    .await;
    let found = limits(server).await;
    assert_eq!((&found["history_events"], &found["max_workers"]), (&7.into(), &3.into()));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = command(&["serve"]).env("NEXUS_BIND", &address).output().await.unwrap();
    crate::program::Ended::from(ended).refused(1, "is in use");
}

#[tokio::test]
async fn a_port_in_use_is_one_line_that_names_the_way_out() {
    let server = Running::serve().await;
    for command in ["serve", "demo"] {
        let ended = run(&[command, "--port", server.port()]).await;
        ended.refused(1, &format!("port {} on 127.0.0.1 is in use", server.port()));
        assert!(ended.err.contains("--port"));
    }
}

#[tokio::test]
async fn wrong_options_are_wrong_usage() {
    run(&["serve", "--bind", "over there"]).await.refused(2, "127.0.0.1:7878");
    run(&["serve", "--port", "0", "--workers", "0"])
        .await
        .refused(2, "--workers is 1 to 1024, not 0");
    run(&["serve", "--port", "0", "--workers", "1025"]).await.refused(2, "not 1025");
    for arguments in [&["serve", "--port", "65536"][..], &["demo", "--speed", "0"], &["dance"], &[]]
    {
        assert_eq!(run(arguments).await.code, Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn another_name_for_this_machine_is_refused() {
    let server = Running::serve().await;
    let answer = get(&server, "/events", "evil.example").await;
    assert_eq!((answer.status, &*answer.code()), (StatusCode::FORBIDDEN, "foreign_host"));
    assert!(answer.headers.contains_key("content-security-policy"));
    assert_eq!(get(&server, "/events", "localhost").await.status, StatusCode::OK);
}
