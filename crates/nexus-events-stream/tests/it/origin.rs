//! Who may open a connection.

use nexus_events_stream::StreamOptions;

use crate::raw::RawClient;
use crate::support::Server;

#[tokio::test]
async fn pages_of_this_host_and_of_the_list_may_connect_and_no_others() {
    let server = Server::with(StreamOptions::new().allow_origin("https://*.example.com")).await;
    let own = format!("Origin: http://{}\r\n", server.address);
    for (header, expected) in [
        ("", 101),
        (own.as_str(), 101),
        ("Origin: https://app.example.com\r\n", 101),
        ("Origin: https://example.org\r\n", 403),
        ("Origin: null\r\n", 403),
    ] {
        assert_eq!(RawClient::request(&server, header).await.0, expected, "{header}");
    }
    let stats = server.streamer.stats();
    assert_eq!(stats.refused["origin"], 2);
    assert_eq!(stats.limits["allowed_origins"][0], "https://*.example.com");
}
