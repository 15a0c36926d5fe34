"""Speaks the seed protocol and checks every reply, its keys in order.

usage: seed_client.py ws://host:port/ws

Prints one event per line to be published, waits for "published" on stdin, and ends with
"all as the seed has it". Needs the package websockets.
"""

import asyncio
import json
import re
import sys

import websockets

UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
FIELDS = [
    "event_id", "event_type", "source", "target", "payload", "metadata", "timestamp", "priority",
    "correlation_id", "session_id", "user_id", "channel", "retryable", "max_retries", "retry_count",
]


def check(actual, expected):
    if actual != expected:
        raise SystemExit(f"expected {expected!r}, got {actual!r}")


def publish(**event):
    print(json.dumps(event), flush=True)
    check(sys.stdin.readline(), "published\n")


async def receive(socket):
    return json.loads(await socket.recv())


async def ask(socket, **message):
    await socket.send(json.dumps(message))
    return await receive(socket)


async def main(url):
    async with websockets.connect(url) as socket, websockets.connect(url) as other:
        welcome = await receive(socket)
        await receive(other)
        check(list(welcome), ["type", "client_id", "timestamp", "capabilities"])
        check(welcome["type"], "connection_established")
        check(bool(re.fullmatch(f"client_{UUID4}", welcome["client_id"])), True)
        check(bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", welcome["timestamp"])), True)
        check(welcome["capabilities"][:3], ["event_streaming", "real_time_updates", "filtered_subscriptions"])

        types, filters = ["workflow.failed", "no.such"], {"source": "engine", "priority": "high"}
        created = await ask(socket, type="subscribe", event_types=types, filters=filters, session_id="s-1")
        check(list(created), ["type", "subscription_id", "event_types", "filters"])
        check((created["type"], created["event_types"], created["filters"]), ("subscription_created", types, filters))
        first = created["subscription_id"]
        check(bool(re.fullmatch(f"sub_{UUID4}", first)), True)

        empty = await ask(socket, type="subscribe")
        check((empty["event_types"], empty["filters"]), ([], {}))

        second = (await ask(socket, type="subscribe", event_types=["workflow.*"]))["subscription_id"]
        publish(event_type="workflow.failed", source="engine", priority="high", session_id="s-1",
                payload={"reason": "ümlaut \u2713"})
        messages = [await receive(socket), await receive(socket)]
        check({message["subscription_id"] for message in messages}, {first, second})
        for message in messages:
            check(list(message), ["type", "subscription_id", "event"])
            check(message["type"], "event")
            event = message["event"]
            check(list(event), FIELDS)
            check((event["source"], event["target"], event["metadata"]), ("engine", None, {}))
            check(event["payload"], {"reason": "ümlaut \u2713"})
            check((event["retryable"], event["max_retries"], event["retry_count"]), (True, 3, 0))
        publish(event_type="workflow.failed", source="engine", priority="high", session_id="s-2")
        check((await receive(socket))["subscription_id"], second)

        stats = await ask(socket, type="get_stats")
        check(list(stats), ["type", "stats"])
        check(list(stats["stats"])[:4],
              ["active_streams", "total_subscriptions", "connected_clients", "subscriptions_by_type"])
        check(list(stats["stats"].values())[:3], [2, 3, 2])

        foreign = await ask(other, type="unsubscribe", subscription_id=first)
        check(foreign, {"type": "unsubscribed", "subscription_id": first, "success": False})
        for subscription_id, success in [(first, True), (first, False), ("sub_unknown", False)]:
            reply = await ask(socket, type="unsubscribe", subscription_id=subscription_id)
            check(list(reply), ["type", "subscription_id", "success"])
            check(reply, {"type": "unsubscribed", "subscription_id": subscription_id, "success": success})
        check(await ask(socket, type="unsubscribe"),
              {"type": "unsubscribed", "subscription_id": None, "success": False})

        await socket.send("not JSON")
        check(await receive(socket), {"type": "error", "message": "Invalid JSON message"})
        await socket.send("[1]")
        check((await receive(socket))["type"], "error")
        await socket.send(json.dumps({"type": "no_such_type"}))
        check((await ask(socket, type="get_stats"))["type"], "stats")
        pong = await socket.ping()
        await asyncio.wait_for(pong, 10)
    print("all as the seed has it", flush=True)


asyncio.run(main(sys.argv[1]))
