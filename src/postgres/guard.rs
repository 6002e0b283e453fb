//! Where a connection may go. Whoever may write a resource chooses the host, and the operator stands where others
//! do not: beside the cloud's metadata service, the API server and what listens on loopback. So the host is
//! resolved, every address is judged, and then it is dialled by its name. A name whose addresses change between
//! the two gets past it; a `NetworkPolicy` does not let it through.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::engine::error::{DatabaseError, DatabaseErrorKind};

use super::settings::Settings;
use super::{error, names};

/// Metadata and host services of clouds outside of the link-local range: of AWS by IPv6, Alibaba, Azure, Oracle.
const CLOUD: [(IpAddr, u8); 4] = [
    (
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0)),
        32,
    ),
    (IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), 32),
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), 32),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)), 32),
];

/// `64:ff9b::/96`, behind which an IPv4 address stands (RFC 6052).
const NAT64: (IpAddr, u8) = (
    IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)),
    96,
);

/// `64:ff9b:1::/48`, NAT64 that a network has for itself (RFC 8215). Servers may well be behind it; but where in it
/// the IPv4 address stands is for that network to say, so that it would be a way around what is said of those.
const LOCAL_NAT64: (IpAddr, u8) = (
    IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0)),
    48,
);

/// Other ways to write an IPv4 address as an IPv6 one, each a way around what is said of IPv4 addresses. Nobody has
/// used them for long, so no server is behind them: 6to4 (RFC 7526), Teredo (RFC 4380), and addresses that are
/// translated (RFC 7915) or compatible (RFC 4291).
const EMBEDDED: [(IpAddr, u8); 4] = [
    (IpAddr::V6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0)), 32),
    (IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0)), 96),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 96),
];

/// What one resource may connect to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Loopback may be dialled.
    pub allows_loopback: bool,
    /// The API server.
    pub api_server: Option<ApiServer>,
    /// Never dialled.
    pub denied: Vec<HostPattern>,
    /// When given, nothing else is dialled.
    pub allowed: Option<Vec<HostPattern>>,
}

/// Where the API server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Hosts, by name or by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// One name.
    Name(String),
    /// `*.example.com`: every name below it; here with its dot.
    Below(String),
    /// `10.0.0.0/8`, or one address: hosts with no address outside of it.
    Network(IpAddr, u8),
}

/// Why a host may not be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Loopback,
    Reserved,
    LocalNat64,
    ApiServer,
    Denied,
    NotAllowed,
}

/// Resolves the host of `settings` and judges it.
///
/// # Errors
/// `HostNotAllowed`, or that a name cannot be resolved. Nothing was sent.
pub async fn admit(settings: &Settings) -> Result<(), DatabaseError> {
    let Some(guard) = &settings.guard else {
        return Ok(());
    };
    let addresses = resolve(&settings.host, settings.port)
        .await
        .map_err(|cause| error::unresolved(settings, &cause))?;
    let api_server = guard.api_server_at(settings.port).await.map_err(|cause| {
        DatabaseError::new(
            DatabaseErrorKind::Unreachable,
            format!(
                "Whether {} is the API server is not known, because the API server's own name cannot be resolved: {}. \
                 Nothing was sent.",
                names::place(settings),
                error::io_text(&cause)
            ),
        )
    })?;
    match guard.refusal(&settings.host, &addresses, &api_server) {
        None => Ok(()),
        Some(refusal) => Err(refused(settings, refusal)),
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.collect())
}

/// The addresses stay unsaid: a resource is no way to ask the cluster's DNS.
fn refused(settings: &Settings, refusal: Refusal) -> DatabaseError {
    let (why, remedy) = match refusal {
        Refusal::Loopback => (
            "it leads back to the operator itself (a loopback address)",
            "Give the server's own address; or let the operator be started with --allow-loopback",
        ),
        Refusal::Reserved => (
            "it leads to an address that is no database server's (link-local, multicast, a service of \
             the cloud, or a notation of IPv4 addresses that is out of use)",
            "Give the server's own address",
        ),
        Refusal::LocalNat64 => (
            "it leads into 64:ff9b:1::/48, the NAT64 of one network (RFC 8215), and which IPv4 address is behind it \
             is not known, so that nobody can say whether the operator may connect to it",
            "Name the server by its IPv4 address, or by another address",
        ),
        Refusal::ApiServer => (
            "it leads to the Kubernetes API server",
            "Give the database server's address",
        ),
        Refusal::Denied => (
            "hosts.deny of the operator's configuration names it",
            "Give another one, or ask whoever runs the operator",
        ),
        Refusal::NotAllowed => (
            "hosts.allow of the operator's configuration does not name it for this namespace",
            "Give another one, or ask whoever runs the operator to add it",
        ),
    };
    DatabaseError::new(
        DatabaseErrorKind::HostNotAllowed,
        format!(
            "{} may not be connected to: {why}. Nothing was sent to it. {remedy}.",
            names::place(settings)
        ),
    )
}

impl Guard {
    /// The addresses of the API server as they are now, if it listens on this port.
    async fn api_server_at(&self, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.api_server {
            Some(own) if own.port == port => resolve(&own.host, port).await,
            _ => Ok(Vec::new()),
        }
    }

    fn refusal(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        api_server: &[SocketAddr],
    ) -> Option<Refusal> {
        let ips: Vec<IpAddr> = addresses.iter().map(|at| plain(at.ip())).collect();
        let reserved = ips.iter().copied().any(is_reserved);
        let loopback = ips.iter().any(IpAddr::is_loopback);
        let is_api_server = addresses.iter().any(|at| {
            let same =
                |own: &SocketAddr| own.port() == at.port() && plain(own.ip()) == plain(at.ip());
            api_server.iter().any(same)
        });
        if reserved {
            return Some(Refusal::Reserved);
        }
        if ips.iter().any(|ip| holds(LOCAL_NAT64, *ip)) {
            return Some(Refusal::LocalNat64);
        }
        if loopback && !self.allows_loopback {
            return Some(Refusal::Loopback);
        }
        if is_api_server {
            return Some(Refusal::ApiServer);
        }
        let denies = |pattern: &HostPattern| pattern.names(host) || pattern.holds_any(addresses);
        if self.denied.iter().any(denies) {
            return Some(Refusal::Denied);
        }
        let allows = |pattern: &HostPattern| pattern.names(host) || pattern.admits_all(addresses);
        match &self.allowed {
            Some(allowed) if !allowed.iter().any(allows) => Some(Refusal::NotAllowed),
            _ => None,
        }
    }
}

/// An IPv4 address that is written as an IPv6 one, as what it is.
fn plain(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if holds(NAT64, ip) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        canonical => canonical,
    }
}

/// No database server has such an address.
fn is_reserved(ip: IpAddr) -> bool {
    let by_kind = match ip {
        // 0.0.0.0/8 and 240.0.0.0/4, broadcast among the latter, lead nowhere or back here.
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || v4.octets()[0] >= 240,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    by_kind
        || ip.is_unspecified()
        || ip.is_multicast()
        || CLOUD.iter().any(|network| holds(*network, ip))
        || (!ip.is_loopback() && EMBEDDED.iter().any(|network| holds(*network, ip)))
}

/// True when `ip` is in the network.
fn holds((network, length): (IpAddr, u8), ip: IpAddr) -> bool {
    let (network, ip, bits) = match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            (u128::from(network.to_bits()), u128::from(ip.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits(), ip.to_bits(), 128),
        _ => return false,
    };
    let host_bits = bits - u32::from(length).min(bits);
    // A shift by all the bits there are is everything.
    let cut = |value: u128| value.checked_shr(host_bits).unwrap_or_default();
    cut(network) == cut(ip)
}

impl HostPattern {
    /// True when it names the host as it is written in the resource.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self {
            Self::Any => true,
            Self::Name(name) => *name == host,
            Self::Below(suffix) => host.ends_with(suffix) && host.len() > suffix.len(),
            Self::Network(..) => false,
        }
    }

    fn holds_any(&self, addresses: &[SocketAddr]) -> bool {
        addresses.iter().any(|at| self.holds(at.ip()))
    }

    fn admits_all(&self, addresses: &[SocketAddr]) -> bool {
        !addresses.is_empty() && addresses.iter().all(|at| self.admits(at.ip()))
    }

    /// An address behind NAT64 is the IPv4 one: what is allowed of IPv6 allows it only where that is within NAT64.
    fn admits(&self, ip: IpAddr) -> bool {
        match self {
            Self::Network(network, length) => {
                let is_of_nat64 = *length >= NAT64.1 && holds(NAT64, *network);
                let ip = if is_of_nat64 { ip } else { plain(ip) };
                holds((*network, *length), ip)
            }
            Self::Any | Self::Name(_) | Self::Below(_) => false,
        }
    }

    /// An address behind NAT64 is in the networks of both.
    fn holds(&self, ip: IpAddr) -> bool {
        let holds = |network, length| {
            [ip.to_canonical(), plain(ip)]
                .into_iter()
                .any(|ip| holds((network, length), ip))
        };
        match self {
            Self::Network(network, length) => holds(*network, *length),
            Self::Any | Self::Name(_) | Self::Below(_) => false,
        }
    }

    /// A network of IPv4 addresses that is written as one of IPv6 is what it is; `None`: it is longer than they are.
    fn network(ip: IpAddr, length: u8) -> Option<Self> {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        if length > most {
            return None;
        }
        match (ip, ip.to_canonical()) {
            (IpAddr::V6(_), v4 @ IpAddr::V4(_)) => {
                Some(Self::Network(v4, length.checked_sub(128 - 32)?))
            }
            _ => Some(Self::Network(ip, length)),
        }
    }
}

/// A text that names no hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no hosts: write a name (db.example.com), names below one (*.example.com), an address or a \
     network (10.0.0.0/8), or * for all"
)]
pub struct InvalidPattern(String);

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPattern(text.to_owned());
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            let length = if ip.is_ipv4() { 32 } else { 128 };
            return Ok(Self::Network(ip, length));
        }
        if let Some((ip, length)) = text.split_once('/') {
            let ip: IpAddr = ip.parse().map_err(|_| invalid())?;
            let length: u8 = length.parse().map_err(|_| invalid())?;
            return Self::network(ip, length).ok_or_else(invalid);
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let below = name.strip_prefix('*').filter(|rest| rest.starts_with('.'));
        let plain = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            name.bytes().any(|byte| byte != b'.') && name.bytes().all(allowed)
        };
        match below {
            Some(suffix) if plain(suffix) => Ok(Self::Below(suffix.to_owned())),
            None if plain(&name) => Ok(Self::Name(name)),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Name(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Network(network, length) => write!(f, "{network}/{length}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(addresses: &[&str]) -> Vec<SocketAddr> {
        let at = |text: &&str| SocketAddr::new(text.parse().unwrap(), 5432);
        addresses.iter().map(at).collect()
    }

    fn patterns(texts: &[&str]) -> Vec<HostPattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_that_no_database_has_are_refused_and_private_ones_are_not() {
        let guard = Guard::default();
        for (address, expected) in [
            ("10.1.2.3", None),
            ("172.16.0.1", None),
            ("192.168.1.1", None),
            ("100.64.0.1", None),
            ("203.0.113.9", None),
            ("fd12:3456::1", None),
            ("64:ff9b::a01:203", None),
            ("::ffff:10.1.2.3", None),
            ("2001:1::1", None),
            ("2003::1", None),
            ("2001:db8::1", None),
            ("127.0.0.1", Some(Refusal::Loopback)),
            ("127.255.0.9", Some(Refusal::Loopback)),
            ("::1", Some(Refusal::Loopback)),
            ("::ffff:127.0.0.1", Some(Refusal::Loopback)),
            ("64:ff9b::7f00:1", Some(Refusal::Loopback)),
            ("169.254.169.254", Some(Refusal::Reserved)),
            ("169.254.170.23", Some(Refusal::Reserved)),
            ("::ffff:169.254.169.254", Some(Refusal::Reserved)),
            ("64:ff9b::a9fe:a9fe", Some(Refusal::Reserved)),
            ("fd00:ec2::254", Some(Refusal::Reserved)),
            ("fe80::1", Some(Refusal::Reserved)),
            ("224.0.0.1", Some(Refusal::Reserved)),
            ("ff02::1", Some(Refusal::Reserved)),
            ("0.0.0.0", Some(Refusal::Reserved)),
            ("0.1.2.3", Some(Refusal::Reserved)),
            ("::", Some(Refusal::Reserved)),
            ("255.255.255.255", Some(Refusal::Reserved)),
            ("100.100.100.200", Some(Refusal::Reserved)),
            ("168.63.129.16", Some(Refusal::Reserved)),
            // Ways around: NAT64 of one network, 6to4, Teredo, compatible, translated.
            ("64:ff9b:1::a9fe:a9fe", Some(Refusal::LocalNat64)),
            ("64:ff9b:1:a9fe:a9:fe00::", Some(Refusal::LocalNat64)),
            ("64:ff9b:0:1::1", None),
            ("64:ff9b:2::1", None),
            ("2002:a9fe:a9fe::1", Some(Refusal::Reserved)),
            ("2001:0:a01:203::5601:5601", Some(Refusal::Reserved)),
            ("::169.254.169.254", Some(Refusal::Reserved)),
            ("::127.0.0.1", Some(Refusal::Reserved)),
            ("::ffff:0:127.0.0.1", Some(Refusal::Reserved)),
        ] {
            assert_eq!(
                guard.refusal("db", &at(&[address]), &[]),
                expected,
                "{address}"
            );
            // One bad address among good ones is enough.
            let among = guard.refusal("db", &at(&["10.0.0.1", address]), &[]);
            assert_eq!(among, expected, "{address}");
        }
        let lenient = Guard {
            allows_loopback: true,
            ..Guard::default()
        };
        assert_eq!(lenient.refusal("db", &at(&["127.0.0.1", "::1"]), &[]), None);
        let metadata = lenient.refusal("db", &at(&["169.254.169.254"]), &[]);
        assert_eq!(metadata, Some(Refusal::Reserved));
    }

    #[test]
    fn the_api_server_is_no_database_and_its_neighbours_may_be() {
        let guard = Guard::default();
        let own = ["10.96.0.1:443".parse().unwrap()];
        let port = |port| [SocketAddr::new("::ffff:10.96.0.1".parse().unwrap(), port)];
        let refusal = |at: &[SocketAddr]| guard.refusal("k", at, &own);
        assert_eq!(refusal(&port(443)), Some(Refusal::ApiServer));
        assert_eq!(refusal(&port(5432)), None);
    }

    /// Its name may lead elsewhere by now, or have led nowhere when the operator began.
    #[tokio::test]
    async fn the_api_server_is_looked_for_at_each_connection() {
        let guard = Guard {
            api_server: Some(ApiServer {
                host: "localhost".to_owned(),
                port: 6443,
            }),
            ..Guard::default()
        };
        let found = guard.api_server_at(6443).await.unwrap();
        assert!(
            found.contains(&"127.0.0.1:6443".parse().unwrap()),
            "{found:?}"
        );
        // A database on another port is no reason to ask.
        assert_eq!(guard.api_server_at(5432).await.unwrap(), []);
        let nowhere = Guard {
            api_server: Some(ApiServer {
                host: "not a name".to_owned(),
                port: 6443,
            }),
            ..Guard::default()
        };
        assert!(nowhere.api_server_at(6443).await.is_err());
    }

    #[test]
    fn an_address_is_in_a_network_however_either_is_written() {
        for (pattern, address, expected) in [
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            ("::ffff:10.1.2.3", "10.1.2.3", true),
            ("::ffff:10.1.2.3/128", "10.1.2.3", true),
            ("::ffff:0.0.0.0/96", "203.0.113.1", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "64:ff9b::a01:203", true),
            ("64:ff9b::/96", "64:ff9b::a01:203", true),
            ("64:ff9b::/96", "10.1.2.3", false),
            ("::/0", "64:ff9b::a01:203", true),
            ("::/0", "::ffff:10.1.2.3", false),
        ] {
            let pattern: HostPattern = pattern.parse().unwrap();
            let holds = pattern.holds(address.parse().unwrap());
            assert_eq!(holds, expected, "{pattern} {address}");
        }
    }

    #[test]
    fn what_is_allowed_is_all_that_is_dialled_and_what_is_denied_never_is() {
        let guard = Guard {
            denied: patterns(&["10.9.0.0/16", "*.secret.example"]),
            allowed: Some(patterns(&["*.rds.example", "10.0.0.0/8", "db.example"])),
            ..Guard::default()
        };
        for (host, addresses, expected) in [
            ("a.rds.example", &["203.0.113.1"][..], None),
            ("A.RDS.example.", &["203.0.113.1"], None),
            ("rds.example", &["203.0.113.1"], Some(Refusal::NotAllowed)),
            ("xrds.example", &["203.0.113.1"], Some(Refusal::NotAllowed)),
            ("db.example", &["203.0.113.1"], None),
            ("x.db.example", &["203.0.113.1"], Some(Refusal::NotAllowed)),
            ("other", &["10.1.2.3"], None),
            (
                "other",
                &["10.1.2.3", "11.1.2.3"],
                Some(Refusal::NotAllowed),
            ),
            ("a.rds.example", &["10.9.1.1"], Some(Refusal::Denied)),
            ("a.secret.example", &["10.1.1.1"], Some(Refusal::Denied)),
            ("a.rds.example", &["127.0.0.1"], Some(Refusal::Loopback)),
        ] {
            assert_eq!(
                guard.refusal(host, &at(addresses), &[]),
                expected,
                "{host} {addresses:?}"
            );
        }
        // What is allowed of IPv6 allows no IPv4 address behind NAT64, unless it names that.
        for (pattern, address, expected) in [
            ("::/0", "64:ff9b::a01:203", Some(Refusal::NotAllowed)),
            ("64::/16", "64:ff9b::a01:203", Some(Refusal::NotAllowed)),
            ("::/0", "2001:db8::1", None),
            ("64:ff9b::/96", "64:ff9b::a01:203", None),
            ("64:ff9b::a00:0/104", "64:ff9b::a01:203", None),
            ("64:ff9b::a01:203", "64:ff9b::a01:203", None),
            (
                "64:ff9b::a00:0/104",
                "64:ff9b::b01:203",
                Some(Refusal::NotAllowed),
            ),
            ("10.0.0.0/8", "64:ff9b::a01:203", None),
        ] {
            let guard = Guard {
                allowed: Some(patterns(&[pattern])),
                ..Guard::default()
            };
            let refusal = guard.refusal("db", &at(&[address]), &[]);
            assert_eq!(refusal, expected, "{pattern} {address}");
        }
        let nothing = Guard {
            allowed: Some(Vec::new()),
            ..Guard::default()
        };
        let refused = nothing.refusal("db", &at(&["10.0.0.1"]), &[]);
        assert_eq!(refused, Some(Refusal::NotAllowed));
    }

    #[test]
    fn patterns_are_read_and_written_alike() {
        for text in ["*", "db.example", "*.example", "10.0.0.0/8", "fd00::/8"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
        for text in [
            "",
            ".",
            "*.",
            "*x",
            "a*b",
            "10.0.0.0/33",
            "::ffff:10.0.0.0/8",
            "x/8",
            "a b",
            "db:5432",
            "**",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        let every: HostPattern = "0.0.0.0/0".parse().unwrap();
        assert!(every.holds("203.0.113.1".parse().unwrap()));
        assert!(!every.holds("::1".parse().unwrap()));
    }
}
