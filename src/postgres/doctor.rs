//! The way to a migration, looked at step by step: what is the first thing that is wrong, and what mends it.
//! Only reads.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use crate::engine::database::{Holder, Inspection};
use crate::engine::error::{DatabaseError, DatabaseErrorKind as Kind};

use super::connection::Postgres;
use super::facts::Facts;
use super::names::{self, place};
use super::password::ISSUE_TIMEOUT;
use super::quote::identifier;
use super::settings::{Password, Pooler, Settings, TlsMode};

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The host's name leads to an address.
    Dns,
    /// A connection to the port can be made.
    Tcp,
    /// The server's answer, encrypted as wanted, with a certificate that passes.
    Tls,
    /// Role, password and database are taken.
    Login,
    /// The role may read and write the history.
    Privileges,
    /// No pooler hands our session to others.
    Pooler,
    /// The server takes changes.
    Standby,
    /// The server is new enough.
    Version,
    /// Nobody holds the migration lock.
    Locks,
    /// The history can be read, and is as it was written.
    History,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Login,
        Self::Privileges,
        Self::Pooler,
        Self::Standby,
        Self::Version,
        Self::Locks,
        Self::History,
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Login => "login",
            Self::Privileges => "privileges",
            Self::Pooler => "pooler",
            Self::Standby => "standby",
            Self::Version => "version",
            Self::Locks => "locks",
            Self::History => "history",
        }
    }
}

/// A check that found nothing wrong, and what it saw.
#[derive(Debug)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// What was seen, as a clause.
    pub seen: String,
}

/// The first thing that is wrong.
#[derive(Debug)]
pub struct Trouble {
    /// The check that found it.
    pub check: Check,
    /// What is wrong, and what to do.
    pub message: String,
    /// What kind of trouble with a database it is; none: somebody holds the migration lock.
    pub kind: Option<Kind>,
    /// The command or statement that mends it, or shows more, where there is one.
    pub remedy: Option<String>,
}

impl Trouble {
    fn of(check: Check, error: DatabaseError, remedy: Option<String>) -> Self {
        Self {
            check,
            message: error.message,
            kind: Some(error.kind),
            remedy,
        }
    }
}

/// Goes through all checks but what the history says, and hands over the connection and what was seen of the
/// history. `tell` hears of each check that passed.
///
/// # Errors
/// The first thing that is wrong; the checks after it are not made.
pub async fn examine(
    settings: &Settings,
    tell: &mut dyn FnMut(Finding),
) -> Result<(Postgres, Inspection), Trouble> {
    let mut passed = |check, seen: String| tell(Finding { check, seen });
    let addresses = resolve(settings).await?;
    passed(Check::Dns, resolved(settings, &addresses));
    reach(settings, &addresses).await?;
    passed(Check::Tcp, format!("{} takes connections", place(settings)));
    let connecting = Postgres::connect(settings);
    let connected = in_time(settings, "the answer to connecting", connecting).await;
    let mut database = connected.map_err(|error| {
        let check = check_of_connecting(settings, error.kind);
        if check == Check::Login && was_asked(error.kind) {
            passed(Check::Tls, protection(settings).to_owned());
        }
        let remedy = remedy(settings, check, error.kind);
        Trouble::of(check, error, remedy)
    })?;
    passed(Check::Tls, protection(settings).to_owned());
    let looking = database.look_at_facts();
    let facts = in_time(settings, "what the server says of itself", looking).await;
    let facts = facts.map_err(|error| Trouble::of(Check::Login, error, None))?;
    let server = facts.server();
    passed(Check::Login, signed_in(settings));
    privileges(settings, &facts)?;
    passed(Check::Privileges, what_it_may(&facts));
    pooler(settings, &database, &facts).await?;
    passed(Check::Pooler, between(settings).to_owned());
    let wrong = |check| move |error| Trouble::of(check, error, None);
    facts.judge_primary().map_err(wrong(Check::Standby))?;
    passed(Check::Standby, "it takes changes".to_owned());
    facts.judge_version().map_err(wrong(Check::Version))?;
    passed(Check::Version, format!("PostgreSQL {}", server.version));
    let looking = database.lock_holder();
    let holder = in_time(settings, "who holds the migration lock", looking).await;
    if let Some(holder) = holder.map_err(wrong(Check::Locks))? {
        return Err(held(&holder));
    }
    passed(Check::Locks, "nobody migrates this database now".to_owned());
    let inspection = in_time(settings, "the history", database.inspect()).await;
    let inspection = inspection.map_err(wrong(Check::History))?;
    Ok((database, inspection))
}

/// Longest that one look at the database may take, unless connecting may take longer.
const LIMIT: Duration = Duration::from_secs(10);

/// Puts a limit to the wait for `what`.
///
/// # Errors
/// What the wait ends with; or that nothing came in time.
pub async fn in_time<T>(
    settings: &Settings,
    what: &str,
    look: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    // Connecting has that limit itself, and says more when it is over.
    let issuing = if is_issued(settings) {
        ISSUE_TIMEOUT
    } else {
        Duration::ZERO
    };
    let limit = LIMIT.max(issuing + settings.connect_timeout + Duration::from_secs(1));
    let looked = tokio::time::timeout(limit, Box::pin(look)).await;
    looked.unwrap_or_else(|_| Err(no_answer(settings, what, limit)))
}

fn no_answer(settings: &Settings, what: &str, limit: Duration) -> DatabaseError {
    DatabaseError::new(
        Kind::ConnectionLost,
        format!(
            "{} did not give {what} within {} s. Nothing was changed. It is overloaded, or the network between \
             stopped carrying the connection: look at the server and try again.",
            place(settings),
            limit.as_secs()
        ),
    )
}

async fn resolve(settings: &Settings) -> Result<Vec<SocketAddr>, Trouble> {
    let lookup = lookup_host((settings.host.as_str(), settings.port));
    let found = match tokio::time::timeout(settings.connect_timeout, lookup).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Trouble {
        check: Check::Dns,
        message: format!(
            "The name of {} leads to no address. Nothing was sent. Correct it, or see whether this machine asks the \
             right DNS: a name inside a cluster or a VPC is known there alone.",
            place(settings)
        ),
        kind: Some(Kind::Unreachable),
        remedy: shown(settings).then(|| format!("getent hosts {}", settings.host)),
    })
}

fn resolved(settings: &Settings, addresses: &[SocketAddr]) -> String {
    if !shown(settings) {
        return format!("{} leads to an address", place(settings));
    }
    let mut ips: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
    ips.dedup();
    format!("{} is {}", settings.host, ips.join(", "))
}

/// Whether the host may stand in a message, or came out of a Secret.
fn shown(settings: &Settings) -> bool {
    settings.origins.host.is_none()
}

async fn reach(settings: &Settings, addresses: &[SocketAddr]) -> Result<(), Trouble> {
    let connecting = TcpStream::connect(addresses);
    let (why, todo) = match tokio::time::timeout(settings.connect_timeout, connecting).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(cause)) if cause.kind() == std::io::ErrorKind::ConnectionRefused => (
            "connection refused".to_owned(),
            "The host is there, and nothing listens at this port: see that the server runs, that the port is right, \
             and that its listen_addresses has this address",
        ),
        Ok(Err(cause)) => (cause.kind().to_string(), DROPPED),
        Err(_) => (
            format!("no answer within {} s", settings.connect_timeout.as_secs()),
            DROPPED,
        ),
    };
    let port = settings.port;
    let remedy = (todo == DROPPED).then(|| {
        format!(
            "aws ec2 authorize-security-group-ingress --group-id SERVERS-GROUP --protocol tcp --port {port} \
             --source-group OWN-GROUP"
        )
    });
    Err(Trouble {
        check: Check::Tcp,
        message: format!(
            "No connection to {}: {why}. Nothing was sent. {todo}.",
            place(settings)
        ),
        kind: Some(Kind::Unreachable),
        remedy,
    })
}

const DROPPED: &str = "Something on the way drops packets: let this machine in at the server's security group or \
     firewall and by NetworkPolicy, and see that the VPN or tunnel is up";

/// Where connecting failed. A server that says nothing, or nonsense, does so at the first thing it is asked.
fn check_of_connecting(settings: &Settings, kind: Kind) -> Check {
    match kind {
        Kind::TlsVerificationFailed | Kind::TlsRequired | Kind::InvalidCredentials => Check::Tls,
        Kind::Unreachable if settings.tls.mode != TlsMode::Disable => Check::Tls,
        Kind::PoolerDetected => Check::Pooler,
        Kind::HostNotAllowed => Check::Dns,
        _ => Check::Login,
    }
}

/// Whether the server has answered before this went wrong.
fn was_asked(kind: Kind) -> bool {
    !matches!(kind, Kind::AccessDenied | Kind::IdentityUnavailable)
}

fn protection(settings: &Settings) -> &'static str {
    match settings.tls.mode {
        TlsMode::Disable => "not wanted: password and data travel as they are",
        TlsMode::Require => "encrypted, whoever the server is",
        TlsMode::VerifyCa => "encrypted, and a known authority signed the certificate",
        TlsMode::VerifyFull => "encrypted, and the certificate is for this host",
    }
}

fn remedy(settings: &Settings, check: Check, kind: Kind) -> Option<String> {
    let role = settings.origins.username.is_none();
    let database = settings.origins.database.is_none();
    match (check, kind) {
        (Check::Tls, Kind::TlsVerificationFailed) if shown(settings) => Some(format!(
            "openssl s_client -starttls postgres -connect {}:{} -showcerts",
            settings.host, settings.port
        )),
        (Check::Login, Kind::DatabaseNotFound) if role && database => Some(format!(
            "CREATE DATABASE {} OWNER {};",
            identifier(&settings.database),
            identifier(&settings.username)
        )),
        (Check::Login, Kind::AuthenticationFailed) if role && !is_issued(settings) => {
            Some(format!(
                "ALTER ROLE {} LOGIN PASSWORD '...';",
                identifier(&settings.username)
            ))
        }
        _ => None,
    }
}

fn is_issued(settings: &Settings) -> bool {
    matches!(settings.password, Password::Issued(_))
}

fn signed_in(settings: &Settings) -> String {
    format!("{} in {}", names::role(settings), names::database(settings))
}

fn privileges(settings: &Settings, facts: &Facts) -> Result<(), Trouble> {
    let wrong = |error| Trouble::of(Check::Privileges, error, None);
    facts.judge_reading(settings).map_err(wrong)?;
    let missing = facts.missing_grants(settings);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Trouble {
        check: Check::Privileges,
        message: format!(
            "Role {} lacks rights in database {}. Nothing was changed. Run this as its owner.",
            identifier(&facts.server().user),
            identifier(&facts.server().database)
        ),
        kind: Some(Kind::PermissionDenied),
        remedy: Some(missing.join(" ")),
    })
}

fn what_it_may(facts: &Facts) -> String {
    let more = facts.privileges();
    if more.is_empty() {
        "the role may do what a migration needs".to_owned()
    } else {
        format!("more than a migration needs: {}", more.join("; "))
    }
}

async fn pooler(settings: &Settings, database: &Postgres, facts: &Facts) -> Result<(), Trouble> {
    let wrong = |error| Trouble::of(Check::Pooler, error, None);
    let connected = database.connected_for();
    facts.session.judge(settings, connected).map_err(wrong)?;
    match settings.pooler {
        Pooler::None => Ok(()),
        Pooler::Session => {
            let proof = database.prove_that_nobody_shares_it();
            let proven = in_time(settings, "a second connection", proof).await;
            proven.map_err(wrong)
        }
    }
}

fn between(settings: &Settings) -> &'static str {
    match settings.pooler {
        Pooler::None => "the server itself answers",
        Pooler::Session => "it keeps one server session for us",
    }
}

fn held(holder: &Holder) -> Trouble {
    let (advice, to_end) = match holder.way_out() {
        None => ("If it hangs, end it.".to_owned(), Some(holder.pid)),
        Some(way_out) => (format!("{}.", way_out.sentence), way_out.pid),
    };
    Trouble {
        check: Check::Locks,
        message: format!(
            "Another run migrates this database: the migration lock is held by {holder}. Others wait for it. {advice}",
        ),
        kind: None,
        remedy: to_end.map(|pid| format!("SELECT pg_terminate_backend({pid});")),
    }
}
