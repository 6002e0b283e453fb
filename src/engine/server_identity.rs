//! Which server has the database: what stands in the audit, and a person is told when it is another one. Pure.
//!
//! The random identity of the database ([`super::identity`]) tells another database. This tells that the same
//! one is served by another server: after a failover, a restore, an upgrade. None of these is an error.

use std::fmt;

/// What a server says of itself (`pg_control_system()`, `pg_control_checkpoint()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerIdentity {
    /// Made once, when the server's data directory was (`initdb`); a standby and a copy of the directory have it,
    /// too.
    pub system_identifier: i64,
    /// Begins at 1. Each end of recovery, such as a failover or a restore to a point in time, begins the next one.
    pub timeline: i64,
}

impl fmt::Display for ServerIdentity {
    /// As it stands in the audit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SYSTEM_IDENTIFIER}{}{TIMELINE}{}",
            self.system_identifier, self.timeline
        )
    }
}

const SYSTEM_IDENTIFIER: &str = "system identifier ";
const TIMELINE: &str = ", timeline ";

impl ServerIdentity {
    /// Reads what stands in the audit; `None`: it says nothing of a server.
    #[must_use]
    pub fn parse(detail: &str) -> Option<Self> {
        let (system_identifier, timeline) = detail
            .strip_prefix(SYSTEM_IDENTIFIER)?
            .split_once(TIMELINE)?;
        Some(Self {
            system_identifier: system_identifier.parse().ok()?,
            timeline: timeline.parse().ok()?,
        })
    }
}

/// The server as it is, and as the audit has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerSeen {
    /// What it says now; `None`: it does not tell this role.
    pub now: Option<ServerIdentity>,
    /// What it said when the audit last took it down; `None`: never.
    pub audited: Option<ServerIdentity>,
}

impl ServerSeen {
    /// What the audit does not have yet.
    #[must_use]
    pub fn news(&self) -> Option<ServerIdentity> {
        self.now.filter(|now| self.audited != Some(*now))
    }

    /// The server that the audit has, and another one now.
    #[must_use]
    pub fn change(&self) -> Option<ServerChange> {
        Some(ServerChange {
            before: self.audited?,
            now: self.news()?,
        })
    }
}

/// The same database on another server, or on another timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerChange {
    /// As the audit had it.
    pub before: ServerIdentity,
    /// As it is now.
    pub now: ServerIdentity,
}

impl fmt::Display for ServerChange {
    /// A warning: what changed, what does that, what it means for the data, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, now } = self;
        if before.system_identifier == now.system_identifier {
            write!(
                f,
                "The database server is on timeline {}, and it was on {}: a standby became the primary, or a backup \
                 was restored. What had not arrived there by then is lost, in tables of the application, too.",
                now.timeline, before.timeline
            )?;
        } else {
            write!(
                f,
                "Another database server answers than before: its system identifier is {}, and it was {}. An upgrade \
                 with pg_upgrade and a move of the data to a new server do that.",
                now.system_identifier, before.system_identifier
            )?;
        }
        write!(
            f,
            " This run goes on from the history that is there, and the audit has both. If nobody meant it, find out \
             why before the old server is given up."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(system_identifier: i64, timeline: i64) -> ServerIdentity {
        ServerIdentity {
            system_identifier,
            timeline,
        }
    }

    #[test]
    fn the_audit_gives_back_what_it_was_told() {
        for told in [
            server(7_345_678_901_234_567_890, 1),
            server(-1, 4_294_967_295),
        ] {
            assert_eq!(ServerIdentity::parse(&told.to_string()), Some(told));
        }
        for other in [
            "",
            "system identifier x, timeline 1",
            "system identifier 7",
            "schema",
        ] {
            assert_eq!(ServerIdentity::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_another_server_is_news_and_only_a_known_one_can_change() {
        let (one, two) = (server(7, 1), server(7, 2));
        for (now, audited, news, change) in [
            (None, None, None, false),
            (None, Some(one), None, false),
            (Some(one), Some(one), None, false),
            (Some(one), None, Some(one), false),
            (Some(two), Some(one), Some(two), true),
        ] {
            let seen = ServerSeen { now, audited };
            assert_eq!(seen.news(), news, "{seen:?}");
            assert_eq!(seen.change().is_some(), change, "{seen:?}");
        }
    }

    #[test]
    fn a_warning_says_what_changed() {
        let change = |before, now| ServerChange { before, now }.to_string();
        let failover = change(server(7, 1), server(7, 2));
        assert!(
            failover.contains("is on timeline 2, and it was on 1"),
            "{failover}"
        );
        let upgrade = change(server(7, 3), server(8, 1));
        assert!(
            upgrade.contains("identifier is 8, and it was 7"),
            "{upgrade}"
        );
    }
}
