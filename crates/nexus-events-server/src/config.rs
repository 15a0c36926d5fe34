//! What the command line and the environment say, checked: from words to values.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context;
use nexus_events_dispatch::{Bus, BusBuilder};
use tokio::net::TcpListener;

use crate::cli::ServeArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::limits::{HISTORY_MAX, WORKERS_MAX};

/// How many ports after the default one are tried when it is taken.
const PORTS_TRIED: u16 = 20;

/// A server's settings, checked.
pub(crate) struct ServeConfig {
    pub(crate) address: SocketAddr,
    pub(crate) bus: BusBuilder,
}

impl ServeConfig {
    pub(crate) fn new(args: &ServeArgs) -> Outcome<Self> {
        if !(1..=WORKERS_MAX).contains(&args.workers) {
            let message = format!("--workers is 1 to {WORKERS_MAX}, not {}", args.workers);
            return Err(Failure::new(Exit::Usage, message));
        }
        if args.history > HISTORY_MAX {
            let message = format!("--history is 0 to {HISTORY_MAX}, not {}", args.history);
            return Err(Failure::new(Exit::Usage, message));
        }
        let bus = Bus::builder().history(args.history).max_workers(args.workers);
        Ok(Self { address: address(&args.bind, args.port)?, bus })
    }
}

fn address(bind: &str, port: Option<u16>) -> Outcome<SocketAddr> {
    let bind = bind.replace("localhost", "127.0.0.1");
    let mut address: SocketAddr = bind.parse().map_err(|_| {
        let message = format!(
            "`{bind}` is no address to listen on; write it as 127.0.0.1:7878 or [::1]:7878"
        );
        Failure::new(Exit::Usage, message)
    })?;
    if let Some(port) = port {
        address.set_port(port);
    }
    Ok(address)
}

/// Listens on this very address.
pub(crate) async fn listen(address: SocketAddr) -> Outcome<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(socket) => Ok(socket),
        Err(error) => Err(Failure::new(Exit::Failed, refusal(address, &error))),
    }
}

fn refusal(address: SocketAddr, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "port {port} on {ip} is in use; stop what uses it, or choose another with --port ({} may be free, 0 takes any)",
                port.wrapping_add(1)
            )
        }
        ErrorKind::PermissionDenied => {
            format!("port {port} needs more rights; choose one above 1023 with --port")
        }
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {ip}; use 127.0.0.1, or 0.0.0.0 for all it has")
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// Listens on this port, or on the first free one after it.
pub(crate) async fn listen_near(ip: IpAddr, port: u16) -> Outcome<TcpListener> {
    for port in (port..=u16::MAX).take(PORTS_TRIED.into()) {
        match TcpListener::bind((ip, port)).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            other => return Ok(other.with_context(|| format!("cannot listen on {ip}:{port}"))?),
        }
    }
    listen((ip, 0).into()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_replaces_the_one_of_the_address() {
        assert_eq!(address("0.0.0.0:1", Some(9)).unwrap().to_string(), "0.0.0.0:9");
        assert_eq!(address("localhost:80", None).unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(address("[::1]:80", None).unwrap().to_string(), "[::1]:80");
    }

    #[test]
    fn a_wrong_address_is_wrong_usage() {
        let failure = address("over there", None).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("127.0.0.1:7878"));
    }

    #[tokio::test]
    async fn the_next_free_port_is_taken() {
        let first = listen(([127, 0, 0, 1], 0).into()).await.unwrap().local_addr().unwrap();
        let taken = TcpListener::bind(first).await.unwrap();
        let next = listen_near(first.ip(), first.port()).await.unwrap();
        assert_ne!(next.local_addr().unwrap(), taken.local_addr().unwrap());
        let refused = listen(first).await.unwrap_err();
        assert!(refused.to_string().contains("is in use"), "{refused}");
    }
}
