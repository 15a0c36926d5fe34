//! The snapshot as JSON and for Prometheus.

use nexus_events_dispatch::Bus;
use nexus_events_patterns::{Reject, Requests};

use super::number;

#[tokio::test]
async fn a_snapshot_is_json_and_metrics_text() {
    let bus = Bus::new();
    assert!(number(&bus, 1_000).await.is_err());
    bus.respond("price.asked", || Ok::<_, Reject>(1_u64)).unwrap();
    assert!(number(&bus, 1_000).await.is_ok());
    let stats = bus.request_stats();
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!((&json["requests"], &json["no_responders"]), (&2.into(), &1.into()));
    let text = stats.to_prometheus();
    for line in [
        "# TYPE nexus_events_requests_pending gauge\n",
        "# HELP nexus_events_request_replies_total Replies that a requester was there for.\n",
        "# TYPE nexus_events_request_replies_total counter\nnexus_events_request_replies_total 1\n",
        "nexus_events_request_requests_total 2\n",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert_eq!(text.lines().count(), 3 * json.as_object().unwrap().len());
}
