//! What other sessions of the server hold, and how far our own one is, in the words that people read.

use std::fmt;

use jiff::Timestamp;

/// The session that holds the migration lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its server process id.
    pub pid: i32,
    /// Its `application_name`, sanitised.
    pub application_name: String,
    /// Its role.
    pub user: String,
    /// Seconds since its connection began; `None` where our role may not see it.
    pub connected_seconds: Option<i64>,
    /// `pg_stat_activity.state`, such as `active`, and for how many seconds; `None` where our role may
    /// not see it.
    pub state: Option<(String, i64)>,
    /// True when it bears our own `application_name` and logged in as our own role.
    pub is_same_identity: bool,
    /// What holds the lock that it waits for; then what the first of those waits for in turn, and so on. Empty
    /// while it waits for none.
    pub waits_for: Vec<Vec<Blocker>>,
}

/// What lets a session go on that waits for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// What has to be over, as a sentence without its end; where there is a session to end, it leads to the statement
    /// that does.
    pub sentence: String,
    /// The session to end; `None` for what cannot or should not be ended so.
    pub pid: Option<i32>,
}

/// Something that holds a lock which a version waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// What holds it.
    pub owner: LockOwner,
    /// Its role; empty for a process of the server's own.
    pub user: String,
    /// Seconds since its transaction began, where our role may see that.
    pub held_seconds: Option<i64>,
    /// The relation waited for, schema-qualified, where known.
    pub relation: Option<String>,
}

/// What can hold a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockOwner {
    /// A session.
    Session {
        /// Its server process id.
        pid: i32,
        /// Its `application_name`, sanitised.
        application_name: String,
        /// `pg_stat_activity.state`, such as `idle in transaction`, or what kind of server process it
        /// is; `None` where our role may not see it.
        state: Option<String>,
    },
    /// A transaction that was prepared for a two-phase commit. It has no session, and outlives even the
    /// server.
    PreparedTransaction {
        /// The name that it was given, sanitised.
        gid: String,
    },
}

/// What the server shows of a version under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Since when it works on it, by its own clock.
    pub since: Timestamp,
    /// What holds the lock that it waits for; empty while it waits for none.
    pub waits_for: Vec<Blocker>,
    /// How far an index is that it builds.
    pub index_build: Option<IndexBuild>,
}

/// How far CREATE INDEX or REINDEX is (`pg_stat_progress_create_index`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBuild {
    /// The phase, in the server's words, such as `building index: scanning table`.
    pub phase: String,
    /// How much of the phase is done, in per cent, where the server says so.
    pub percent: Option<u8>,
    /// While it waits for other transactions: how many of them are over, and how many there are.
    pub lockers: Option<(i64, i64)>,
    /// The session that it waits for.
    pub current_locker: Option<i32>,
}

/// `pid 4711 (app "report", role "crm", idle in transaction)` without what is unknown.
fn session(pid: i32, application_name: &str, user: &str, state: Option<&str>) -> String {
    let quoted =
        |label: &str, name: &str| (!name.is_empty()).then(|| format!("{label} \"{name}\""));
    let known: Vec<_> = [
        quoted("app", application_name),
        quoted("role", user),
        state.map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect();
    if known.is_empty() {
        format!("pid {pid}")
    } else {
        format!("pid {pid} ({})", known.join(", "))
    }
}

/// A span in the largest unit that keeps it readable: `40 s`, `12 min`, `3 h`.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&session(self.pid, &self.application_name, &self.user, None))?;
        if let Some(seconds) = self.connected_seconds {
            write!(f, ", connected for {}", span(seconds))?;
        }
        if let Some((state, seconds)) = &self.state {
            write!(f, ", {state} for {}", span(*seconds))?;
        }
        let mut links = self.waits_for.iter();
        links.try_for_each(|blockers| write!(f, ", which waits for {}", waited_for(blockers)))
    }
}

impl Holder {
    /// Its process id and those of whom it waits for, in their order: what stays the same while only time goes by.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        let blockers = self.waits_for.iter().flatten();
        let pids = blockers.filter_map(|blocker| match blocker.owner {
            LockOwner::Session { pid, .. } => Some(pid),
            LockOwner::PreparedTransaction { .. } => None,
        });
        std::iter::once(self.pid).chain(pids).collect()
    }

    /// What it waits for in the end, and how that comes to an end; `None`: it waits for nothing, as far as is known.
    #[must_use]
    pub fn way_out(&self) -> Option<WayOut> {
        let last = self.waits_for.last()?.first()?;
        let goes_on = "The holder of the migration lock goes on by itself once";
        Some(match last.owner {
            LockOwner::Session { pid, .. } if !last.user.is_empty() => WayOut {
                sentence: format!(
                    "{goes_on} pid {pid} ends its transaction; to end pid {pid}, which takes back what it has not \
                     committed"
                ),
                pid: Some(pid),
            },
            LockOwner::Session { pid, .. } => WayOut {
                sentence: format!("{goes_on} pid {pid}, a process of the server, is done"),
                pid: None,
            },
            LockOwner::PreparedTransaction { .. } => WayOut {
                sentence: format!(
                    "{goes_on} somebody commits that prepared transaction or rolls it back"
                ),
                pid: None,
            },
        })
    }
}

impl Blocker {
    /// What is waited for, without how long it has been held: the same words from look to look.
    fn lock(&self) -> String {
        match &self.relation {
            None => "a lock".to_owned(),
            Some(relation) => format!("a lock on {relation}"),
        }
    }

    fn owner(&self) -> String {
        match &self.owner {
            LockOwner::Session {
                pid,
                application_name,
                state,
            } => session(*pid, application_name, &self.user, state.as_deref()),
            LockOwner::PreparedTransaction { gid } => {
                format!("prepared transaction \"{gid}\" (role \"{}\")", self.user)
            }
        }
    }
}

impl fmt::Display for Blocker {
    /// `a lock on public.orders held for 12 min by pid 4711 (app "report", role "crm", idle in
    /// transaction)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} held", self.lock())?;
        if let Some(seconds) = self.held_seconds {
            write!(f, " for {}", span(seconds))?;
        }
        write!(f, " by {}", self.owner())
    }
}

/// What a version waits for: the first of `blockers`, and how many others there are.
#[must_use]
pub fn waited_for(blockers: &[Blocker]) -> String {
    let Some((first, others)) = blockers.split_first() else {
        return "a lock that was not free".to_owned();
    };
    format!("{first}{}", and_others(others.len()))
}

/// The same without the time it has been held, so that it stays the same from look to look.
#[must_use]
pub fn waits_for(blockers: &[Blocker]) -> Option<String> {
    let (first, others) = blockers.split_first()?;
    Some(format!(
        "{} held by {}{}",
        first.lock(),
        first.owner(),
        and_others(others.len())
    ))
}

fn and_others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        count => format!(" and {count} others"),
    }
}

impl IndexBuild {
    /// The phase, and how many of those that it waits for are over.
    #[must_use]
    pub fn phase_with_lockers(&self) -> String {
        match self.lockers {
            None => self.phase.clone(),
            Some((over, all)) => format!("{}, {over} of {all} over", self.phase),
        }
    }
}

impl fmt::Display for IndexBuild {
    /// `building index: scanning table, 43 %`, or `waiting for writers before build, 0 of 1 over, now
    /// for pid 4711`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.phase_with_lockers())?;
        if let Some(percent) = self.percent {
            write!(f, ", {percent} %")?;
        }
        if let Some(pid) = self.current_locker {
            write!(f, ", now for pid {pid}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocker(owner: LockOwner, held_seconds: Option<i64>, relation: Option<&str>) -> Blocker {
        Blocker {
            owner,
            user: "crm".to_owned(),
            held_seconds,
            relation: relation.map(str::to_owned),
        }
    }

    fn of_session(state: Option<&str>) -> LockOwner {
        LockOwner::Session {
            pid: 4711,
            application_name: "report".to_owned(),
            state: state.map(str::to_owned),
        }
    }

    #[test]
    fn a_blocker_is_told_as_far_as_it_is_known() {
        let prepared = LockOwner::PreparedTransaction {
            gid: "order-7".to_owned(),
        };
        let vacuum = Blocker {
            owner: LockOwner::Session {
                pid: 9,
                application_name: String::new(),
                state: Some("autovacuum worker".to_owned()),
            },
            user: String::new(),
            held_seconds: Some(7300),
            relation: None,
        };
        let table = [
            (
                blocker(
                    of_session(Some("idle in transaction")),
                    Some(720),
                    Some("public.orders"),
                ),
                "a lock on public.orders held for 12 min by pid 4711 (app \"report\", role \"crm\", \
                 idle in transaction)",
            ),
            (
                blocker(of_session(None), None, None),
                "a lock held by pid 4711 (app \"report\", role \"crm\")",
            ),
            (
                blocker(prepared, Some(40), Some("public.orders")),
                "a lock on public.orders held for 40 s by prepared transaction \"order-7\" (role \
                 \"crm\")",
            ),
            (vacuum, "a lock held for 2 h by pid 9 (autovacuum worker)"),
        ];
        for (blocker, expected) in table {
            assert_eq!(blocker.to_string(), expected);
        }
    }

    #[test]
    fn whom_a_holder_waits_for_is_told_to_the_end() {
        let holder = |waits_for| Holder {
            pid: 77,
            application_name: "schemaward/cli".to_owned(),
            user: "crm".to_owned(),
            connected_seconds: Some(300),
            state: Some(("active".to_owned(), 240)),
            is_same_identity: true,
            waits_for,
        };
        let known =
            "pid 77 (app \"schemaward/cli\", role \"crm\"), connected for 5 min, active for 4 min";
        assert_eq!(holder(Vec::new()).to_string(), known);
        assert_eq!(holder(Vec::new()).way_out(), None);
        let waiting = blocker(
            of_session(Some("waiting for a lock")),
            Some(40),
            Some("public.a"),
        );
        let idle = LockOwner::Session {
            pid: 4712,
            application_name: "psql".to_owned(),
            state: Some("idle in transaction".to_owned()),
        };
        let chain = holder(vec![
            vec![waiting],
            vec![blocker(idle, Some(7300), Some("public.b"))],
        ]);
        assert_eq!(
            chain.to_string(),
            format!(
                "{known}, which waits for a lock on public.a held for 40 s by pid 4711 (app \"report\", role \"crm\", \
                 waiting for a lock), which waits for a lock on public.b held for 2 h by pid 4712 (app \"psql\", role \
                 \"crm\", idle in transaction)"
            )
        );
        assert_eq!(chain.way_out().unwrap().pid, Some(4712));
        let prepared = LockOwner::PreparedTransaction {
            gid: "order-7".to_owned(),
        };
        let vacuum = Blocker {
            user: String::new(),
            ..blocker(of_session(None), None, None)
        };
        for nobody_to_end in [blocker(prepared, None, None), vacuum] {
            let way_out = holder(vec![vec![nobody_to_end]]).way_out().unwrap();
            assert_eq!(way_out.pid, None, "{}", way_out.sentence);
        }
    }

    #[test]
    fn the_first_blocker_is_named_and_the_others_are_counted() {
        let one = blocker(of_session(Some("active")), Some(5), Some("public.a"));
        assert_eq!(waited_for(&[]), "a lock that was not free");
        assert_eq!(waits_for(&[]), None);
        for (count, end) in [(1, ""), (2, " and 1 other"), (4, " and 3 others")] {
            let blockers = vec![one.clone(); count];
            let owner = "pid 4711 (app \"report\", role \"crm\", active)";
            assert_eq!(
                waited_for(&blockers),
                format!("a lock on public.a held for 5 s by {owner}{end}")
            );
            assert_eq!(
                waits_for(&blockers).unwrap(),
                format!("a lock on public.a held by {owner}{end}")
            );
        }
    }

    #[test]
    fn an_index_build_is_told_in_per_cent_or_by_whom_it_waits_for() {
        let build = |phase: &str, percent, lockers, current_locker| IndexBuild {
            phase: phase.to_owned(),
            percent,
            lockers,
            current_locker,
        };
        for (build, expected) in [
            (
                build("building index: scanning table", Some(43), None, None),
                "building index: scanning table, 43 %",
            ),
            (
                build(
                    "waiting for writers before build",
                    None,
                    Some((0, 1)),
                    Some(4711),
                ),
                "waiting for writers before build, 0 of 1 over, now for pid 4711",
            ),
            (build("initializing", None, None, None), "initializing"),
        ] {
            assert_eq!(build.to_string(), expected);
        }
    }
}
