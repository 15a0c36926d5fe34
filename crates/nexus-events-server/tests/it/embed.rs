//! The routes in a program of one's own.

use std::time::Duration;

use axum::Router;
use hyper::{Method, StatusCode};
use nexus_events_dispatch::Bus;
use nexus_events_server::App;
use tokio::net::TcpListener;

use crate::http::{exchange, request};

#[tokio::test]
async fn the_routes_go_with_others_until_they_are_shut_down() {
    let app = App::new(Bus::new()).unwrap();
    let router =
        app.router().merge(Router::new().route("/mine", axum::routing::get(async || "mine")));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(socket, router).await });

    let get =
        async |path: &str| exchange(&authority, request(Method::GET, path, &authority, "")).await;
    assert_eq!(get("/mine").await.text, "mine");
    assert_eq!(get("/healthz").await.status, StatusCode::OK);
    assert!(app.shutdown(Duration::from_secs(5)).await.is_clean());
    assert_eq!(get("/healthz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}
