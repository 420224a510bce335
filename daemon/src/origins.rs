//! Where the box is: its names, its LAN addresses, and the URLs made of them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::config::{Settings, host_name};
use crate::pki::is_permitted;

/// The ports people come to, once they are known, and the names the settings give the box.
#[derive(Clone, Debug)]
pub struct Origins {
    pub https: SocketAddr,
    pub plain: SocketAddr,
    names: Vec<String>,
    /// The box's own CA vouches for private addresses only; no phone would ever trust the page at another.
    private_only: bool,
}

impl Origins {
    /// `https` and `plain` as bound, which is not as set where the settings say port 0.
    pub fn new(settings: &Settings, https: SocketAddr, plain: SocketAddr) -> Origins {
        Origins {
            https,
            plain,
            names: settings.web.names.iter().map(ToString::to_string).collect(),
            private_only: settings.web.certificate.is_none(),
        }
    }

    /// The page by its name, which stays the same when the address changes.
    pub fn by_name(&self) -> String {
        let name = self.names.first().cloned().unwrap_or_else(local_name);
        url("https", &name, self.https.port(), 443)
    }

    /// The page by each address it can be reached at, the likeliest first.
    pub fn by_address(&self) -> Vec<String> {
        let mut addresses = addresses_behind(self.https);
        if self.private_only && addresses.iter().any(is_permitted) {
            addresses.retain(is_permitted);
        }
        addresses
            .into_iter()
            .map(|ip| url("https", &host(ip), self.https.port(), 443))
            .collect()
    }

    /// The page for a link: a configured name, else an address. Older Androids cannot look up `.local`.
    pub fn for_links(&self) -> String {
        match self.names.is_empty() {
            true => self.by_address().into_iter().next(),
            false => None,
        }
        .unwrap_or_else(|| self.by_name())
    }

    /// Whether links lead to the box from the box alone: it has no address on a network.
    pub fn only_here(&self) -> bool {
        let is_loopback = |ip: &IpAddr| ip.is_loopback();
        self.names.is_empty() && addresses_behind(self.https).iter().all(is_loopback)
    }

    /// The landing page, for a first visit.
    pub fn landing(&self) -> String {
        let address = addresses_behind(self.plain)
            .into_iter()
            .min_by_key(|ip| self.private_only && !is_permitted(ip));
        let host = match (self.names.first(), address) {
            (Some(name), _) => name.clone(),
            (None, Some(ip)) => host(ip),
            (None, None) => local_name(),
        };
        url("http", &host, self.plain.port(), 80)
    }

    /// The page on the box itself, without a certificate.
    pub fn on_this_machine(&self) -> String {
        url("http", "localhost", self.plain.port(), 80)
    }
}

/// Every DNS name and address that should reach the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    pub names: BTreeSet<String>,
    pub addresses: BTreeSet<IpAddr>,
}

impl Reached {
    pub fn now(settings: &Settings) -> Reached {
        let mut names = BTreeSet::from([local_name(), "localhost".to_string()]);
        names.extend(settings.web.names.iter().map(ToString::to_string));
        let mut addresses: BTreeSet<IpAddr> = interfaces().into_iter().collect();
        addresses.extend(settings.media.addresses.iter().map(|address| address.0));
        addresses.extend([
            Ipv4Addr::LOCALHOST.into(),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]),
        ]);
        Reached { names, addresses }
    }
}

/// The box's name in multicast DNS.
pub fn local_name() -> String {
    format!("{}.local", host_name().to_ascii_lowercase())
}

fn url(scheme: &str, host: &str, port: u16, default: u16) -> String {
    match port == default {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{port}"),
    }
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The addresses a listener answers at: its own, or where it listens on all of them every LAN address, the one
/// of the default route first.
fn addresses_behind(listener: SocketAddr) -> Vec<IpAddr> {
    if !listener.ip().is_unspecified() {
        return vec![listener.ip().to_canonical()];
    }
    let mut found = named_interfaces();
    found.retain(|(_, ip)| !ip.is_loopback() && (listener.is_ipv6() || ip.is_ipv4()));
    let mut all = likeliest_first(found, default_route());
    if all.is_empty() {
        all.push(Ipv4Addr::LOCALHOST.into());
    }
    all
}

/// Bridges of containers and tunnels lead no phone here; they count only where there is nothing else.
fn likeliest_first(mut found: Vec<(String, IpAddr)>, default_route: Option<IpAddr>) -> Vec<IpAddr> {
    const NOT_THE_LAN: [&str; 9] = [
        "docker",
        "br-",
        "veth",
        "virbr",
        "cni",
        "tailscale",
        "wg",
        "tun",
        "tap",
    ];
    let is_lan = |name: &str| !NOT_THE_LAN.iter().any(|start| name.starts_with(start));
    if found.iter().any(|(name, _)| is_lan(name)) {
        found.retain(|(name, _)| is_lan(name));
    }
    found.sort_by_key(|(_, ip)| (Some(*ip) != default_route, ip.is_ipv6(), *ip));
    found.into_iter().map(|(_, ip)| ip).collect()
}

/// The machine's addresses that another machine can write down: no link-local IPv6, which needs a zone.
pub fn interfaces() -> Vec<IpAddr> {
    named_interfaces().into_iter().map(|(_, ip)| ip).collect()
}

fn named_interfaces() -> Vec<(String, IpAddr)> {
    let found = match if_addrs::get_if_addrs() {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the machine's addresses cannot be read");
            Vec::new()
        }
    };
    found
        .into_iter()
        .map(|interface| (interface.name.clone(), interface.ip()))
        .filter(|(_, ip)| match ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        })
        .collect()
}

/// The address packets to the outside would leave from. Connecting a UDP socket sends nothing.
fn default_route() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(https: &str, plain: &str, names: &str) -> Origins {
        let settings: Settings = toml::from_str(&format!("[web]\nnames = {names}")).unwrap();
        Origins::new(&settings, https.parse().unwrap(), plain.parse().unwrap())
    }

    #[test]
    fn the_usual_ports_are_left_out() {
        let usual = origins("192.168.1.5:443", "192.168.1.5:80", "[]");
        assert_eq!(usual.for_links(), "https://192.168.1.5");
        assert_eq!(usual.landing(), "http://192.168.1.5");
        let other = origins("[fd00::5]:8443", "127.0.0.1:8080", "[]");
        assert_eq!(other.for_links(), "https://[fd00::5]:8443");
        assert_eq!(other.on_this_machine(), "http://localhost:8080");
    }

    #[test]
    fn a_configured_name_goes_before_an_address() {
        let named = origins("[::]:8443", "[::]:80", "[\"gate.local\"]");
        assert_eq!(named.for_links(), "https://gate.local:8443");
        assert_eq!(named.by_name(), "https://gate.local:8443");
        assert_eq!(named.landing(), "http://gate.local");
    }

    #[test]
    fn a_bridge_or_a_tunnel_is_no_address_for_a_phone_unless_there_is_no_other() {
        let found = |all: &[(&str, &str)]| {
            let all = all.iter();
            all.map(|(name, ip)| (name.to_string(), ip.parse().unwrap()))
                .collect::<Vec<_>>()
        };
        let ips = |all: Vec<IpAddr>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut machine = found(&[
            ("tailscale0", "100.64.3.4"),
            ("docker0", "172.17.0.1"),
            ("br-3f2a", "172.18.0.1"),
        ]);
        let alone = likeliest_first(machine.clone(), None);
        assert_eq!(ips(alone), ["100.64.3.4", "172.17.0.1", "172.18.0.1"]);
        machine.extend(found(&[
            ("eth0", "192.168.1.5"),
            ("wlan0", "192.168.1.6"),
            ("wlan0", "fd00::6"),
        ]));
        let through_tunnel = likeliest_first(machine.clone(), machine[0].1.into());
        assert_eq!(
            ips(through_tunnel),
            ["192.168.1.5", "192.168.1.6", "fd00::6"]
        );
        let routed = likeliest_first(machine.clone(), machine[4].1.into());
        assert_eq!(ips(routed), ["192.168.1.6", "192.168.1.5", "fd00::6"]);
    }

    #[test]
    fn a_box_that_only_it_can_reach_says_so() {
        assert!(origins("127.0.0.1:443", "127.0.0.1:80", "[]").only_here());
        assert!(!origins("127.0.0.1:443", "127.0.0.1:80", "[\"gate.local\"]").only_here());
        assert!(!origins("192.168.1.5:443", "[::]:80", "[]").only_here());
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_at_some() {
        assert!(!origins("[::]:443", "[::]:80", "[]").by_address().is_empty());
    }
}
