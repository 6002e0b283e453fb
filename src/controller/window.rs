//! The windows in which scripts may run: when the next one opens, and whether one is open. Pure; the time is given.
//!
//! A schedule is read as clock time and only then set into its time zone, by the rule of RFC 5545: an opening in a
//! gap comes as much later as the clocks skip, one in a fold comes the first time alone. So each match of a
//! schedule is one opening, of its whole duration.

use std::time::Duration;

use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::api::v1alpha1::{WindowScope, WindowSpec};
use crate::engine::hold::{Hold, Opening, OutsideWindow};
use crate::engine::review::ReviewedScript;

/// Shortest and longest time that a window is open.
const DURATION: std::ops::RangeInclusive<Duration> =
    Duration::from_mins(1)..=Duration::from_hours(168);
/// What the CRD says of it.
pub const DURATION_RANGE: &str = "must be from 1m to 168h";
/// Windows of one resource.
const MAX_WINDOWS: usize = 20;
/// Fields of a schedule.
const FIELDS: usize = 5;

/// All windows of a resource.
#[derive(Debug, Clone, Default)]
pub struct Windows(Vec<Window>);

#[derive(Debug, Clone)]
struct Window {
    /// Matches clock times, as if they were of UTC.
    schedule: Crontab,
    duration: SignedDuration,
    zone: TimeZone,
    zone_name: String,
    scope: WindowScope,
}

impl Windows {
    /// The windows that these specs say.
    ///
    /// # Errors
    /// What is wrong with them, each as `field: why`.
    pub fn new(specs: &[WindowSpec]) -> Result<Self, Vec<String>> {
        if !(1..=MAX_WINDOWS).contains(&specs.len()) {
            return Err(vec!["spec.windows: must be 1 to 20 windows".to_owned()]);
        }
        let (windows, defects): (Vec<_>, Vec<_>) =
            specs.iter().map(Window::new).partition(Result::is_ok);
        let defects: Vec<String> = defects.into_iter().filter_map(Result::err).collect();
        if defects.is_empty() {
            Ok(Self(windows.into_iter().flatten().collect()))
        } else {
            Err(defects)
        }
    }

    /// Why these scripts may not run at `now`, if they may not.
    #[must_use]
    pub fn hold(&self, scripts: &[ReviewedScript], now: Timestamp) -> Option<Box<Hold>> {
        let is_risky = scripts.iter().any(ReviewedScript::is_risky);
        let applying = || {
            let windows = self.0.iter();
            windows.filter(|window| window.scope == WindowScope::All || is_risky)
        };
        let is_free = scripts.is_empty() || applying().next().is_none();
        if is_free || applying().any(|window| window.is_open(now)) {
            return None;
        }
        let openings = applying().filter_map(|window| window.next_opening(now));
        let opening = openings.min_by_key(|opening| opening.at);
        Some(Box::new(Hold::Window(OutsideWindow::new(scripts, opening))))
    }
}

impl Window {
    fn new(spec: &WindowSpec) -> Result<Self, String> {
        let schedule = &spec.schedule;
        let duration = spec.duration.get();
        let duration = duration.map_err(|error| format!("spec.windows.duration: {error}"))?;
        if !DURATION.contains(&duration) {
            return Err(format!("spec.windows.duration: {DURATION_RANGE}"));
        }
        let zone = TimeZoneDatabase::bundled().get(&spec.time_zone).map_err(|_| {
            format!(
                "spec.windows.timeZone: \"{}\" is no time zone of the IANA database; write one such as \
                 Europe/Berlin",
                spec.time_zone
            )
        })?;
        Ok(Self {
            schedule: parse(schedule).ok_or_else(|| {
                format!(
                    "spec.windows.schedule: \"{schedule}\" is no schedule; write minute, hour, day of month, month \
                     and day of week, such as \"0 2 * * 6\" for Saturdays at 02:00"
                )
            })?,
            duration: SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX),
            zone,
            zone_name: spec.time_zone.clone(),
            scope: spec.applies_to,
        })
        .and_then(|window| match window.matches_after(SOME_DAY) {
            Some(_) => Ok(window),
            None => Err(format!(
                "spec.windows.schedule: \"{schedule}\" is a day that never comes"
            )),
        })
    }

    fn is_open(&self, now: Timestamp) -> bool {
        let Some(earliest) = now.checked_sub(self.duration).ok() else {
            return false;
        };
        // The first one that would not be over yet: open when it is not still to come.
        let opening = self.openings(earliest).find(|opening| *opening > earliest);
        opening.is_some_and(|opening| opening <= now)
    }

    fn next_opening(&self, now: Timestamp) -> Option<Opening> {
        let at = self.openings(now).find(|opening| *opening > now)?;
        let local = at.to_zoned(self.zone.clone());
        Some(Opening {
            at,
            local: format!("{} {}", local.strftime("%a %Y-%m-%d %H:%M"), self.zone_name),
        })
    }

    /// The openings from a little before `from` on.
    fn openings(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> {
        // Clocks have been set by as much as a day.
        let from = self.zone.to_datetime(from).saturating_sub(1.day());
        let mut last = Some(from);
        std::iter::from_fn(move || {
            let clock = self.matches_after(last?);
            last = clock;
            self.zone.to_timestamp(clock?).ok()
        })
    }

    /// The next clock time that the schedule matches.
    fn matches_after(&self, clock: DateTime) -> Option<DateTime> {
        let after = TimeZone::UTC.to_timestamp(clock).ok()?;
        let found = self.schedule.find_next(MakeTimestamp(after)).ok()?;
        Some(found.datetime())
    }
}

/// A schedule that fits none of the four years after it fits none.
const SOME_DAY: DateTime = jiff::civil::datetime(2025, 1, 1, 0, 0, 0, 0);

fn parse(schedule: &str) -> Option<Crontab> {
    let fields: Vec<&str> = schedule.split_ascii_whitespace().collect();
    if fields.len() != FIELDS {
        return None;
    }
    parse_crontab(&format!("{} UTC", fields.join(" "))).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::review::ReviewedStatement;
    use crate::migration::checksum::Checksum;
    use crate::migration::file_name::Direction;
    use crate::migration::lint::{Impact, LockMode, TableLock};
    use crate::migration::statement::StatementClass;
    use crate::migration::version::Version;

    fn window(schedule: &str, duration: &str, zone: &str) -> Window {
        let spec = json!({"schedule": schedule, "duration": duration, "timeZone": zone});
        Window::new(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_opening_for_its_duration() {
        let nights = window("0 2 * * 6", "2h", "Europe/Berlin");
        for (now, open, next) in [
            // Winter: 02:00 is 01:00 UTC. 2026-03-07 is a Saturday.
            ("2026-03-07T00:59:59Z", false, "2026-03-07T01:00:00Z"),
            ("2026-03-07T01:00:00Z", true, "2026-03-14T01:00:00Z"),
            ("2026-03-07T02:59:59.999Z", true, "2026-03-14T01:00:00Z"),
            ("2026-03-07T03:00:00Z", false, "2026-03-14T01:00:00Z"),
            // Summer.
            ("2026-07-03T12:00:00Z", false, "2026-07-04T00:00:00Z"),
            ("2026-07-04T00:00:00Z", true, "2026-07-11T00:00:00Z"),
        ] {
            assert_eq!(nights.is_open(at(now)), open, "{now}");
            assert_eq!(nights.next_opening(at(now)).unwrap().at, at(next), "{now}");
        }
        let opening = nights.next_opening(at("2026-03-06T00:00:00Z")).unwrap();
        assert_eq!(opening.local, "Sat 2026-03-07 02:00 Europe/Berlin");
    }

    #[test]
    fn openings_follow_the_clock_where_it_is_set() {
        // On 2026-03-29 clocks in Berlin go from 02:00 to 03:00 (01:00 UTC), on 2026-10-25 from 03:00 to 02:00
        // (01:00 UTC); in Lord Howe by half an hour, and Apia skipped 2011-12-30 whole.
        for (schedule, zone, from, openings) in [
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T00:00:00Z",
                // Skipped: one hour later by the clock, and there is one each day.
                [
                    "2026-03-28T01:30:00Z",
                    "2026-03-29T01:30:00Z",
                    "2026-03-30T00:30:00Z",
                ],
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T00:00:00Z",
                // Twice: the first time alone.
                [
                    "2026-10-24T00:30:00Z",
                    "2026-10-25T00:30:00Z",
                    "2026-10-26T01:30:00Z",
                ],
            ),
            (
                "0 2 * * 0",
                "America/New_York",
                "2026-03-01T12:00:00Z",
                [
                    "2026-03-08T07:00:00Z",
                    "2026-03-15T06:00:00Z",
                    "2026-03-22T06:00:00Z",
                ],
            ),
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T00:00:00Z",
                [
                    "2026-10-03T15:45:00Z",
                    "2026-10-04T15:15:00Z",
                    "2026-10-05T15:15:00Z",
                ],
            ),
            (
                "0 12 29-31 * *",
                "Pacific/Apia",
                "2011-12-29T00:00:00Z",
                // The 30th was skipped: its opening and that of the 31st are one.
                [
                    "2011-12-29T22:00:00Z",
                    "2011-12-30T22:00:00Z",
                    "2012-01-28T22:00:00Z",
                ],
            ),
        ] {
            let window = window(schedule, "1h", zone);
            let mut now = at(from);
            for expected in openings {
                now = window.next_opening(now).unwrap().at;
                assert_eq!(now, at(expected), "{schedule} {zone}");
                assert!(window.is_open(now), "{schedule} {zone} {now}");
            }
        }
        // Its whole duration, also across the change.
        let across = window("30 1 * * *", "2h", "Europe/Berlin");
        assert!(across.is_open(at("2026-03-29T02:29:00Z")));
        assert!(!across.is_open(at("2026-03-29T02:30:00Z")));
        assert!(across.is_open(at("2026-10-25T01:29:00Z")));
        assert!(!across.is_open(at("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn windows_that_overlap_are_open_together() {
        let always = window("*/5 * * * *", "168h", "Etc/UTC");
        let hourly = window("0 * * * *", "1h", "Etc/UTC");
        for now in [
            "2026-03-07T00:00:00Z",
            "2026-03-07T00:59:59Z",
            "2026-03-07T01:00:00Z",
        ] {
            assert!(always.is_open(at(now)), "{now}");
            assert!(hourly.is_open(at(now)), "{now}");
        }
    }

    fn script(impact: Impact) -> ReviewedScript {
        ReviewedScript {
            direction: Direction::Up,
            version: Version::parse("002").unwrap(),
            name: "limits".to_owned(),
            checksum: Checksum::of(b""),
            statements: vec![ReviewedStatement {
                line: 1,
                words: "CREATE TABLE t".to_owned(),
                class: StatementClass::Transactional,
                impact,
                lock: TableLock::Mode(LockMode::AccessExclusive),
                findings: Vec::new(),
            }],
            findings: Vec::new(),
            losses: Vec::new(),
        }
    }

    #[test]
    fn a_plan_waits_for_the_first_of_the_windows_that_are_for_it() {
        let specs = |scopes: [&str; 2]| {
            let [sundays, nights] = scopes;
            let specs = json!([
                {"schedule": "0 4 * * 0", "duration": "1h", "appliesTo": sundays},
                {"schedule": "0 1 * * *", "duration": "1h", "appliesTo": nights},
            ]);
            let specs: Vec<WindowSpec> = serde_json::from_value(specs).unwrap();
            Windows::new(&specs).unwrap()
        };
        let opens = |windows: &Windows, impact: Impact, now: &str| {
            windows.hold(&[script(impact)], at(now))?.opens_at()
        };
        let noon = "2026-03-07T12:00:00Z"; // a Saturday
        let night = Some(at("2026-03-08T01:00:00Z"));
        let sunday = Some(at("2026-03-08T04:00:00Z"));
        let all = specs(["All", "All"]);
        let mixed = specs(["All", "Risky"]);
        let risky = specs(["Risky", "Risky"]);
        for (windows, impact, expected) in [
            (&all, Impact::Additive, night),
            (&mixed, Impact::Additive, sunday),
            (&mixed, Impact::Rewrite, night),
            (&risky, Impact::Additive, None),
            (&risky, Impact::DataChange, None),
            (&risky, Impact::Incompatible, night),
            (&risky, Impact::Unknown, night),
            (&risky, Impact::Destructive, night),
        ] {
            assert_eq!(opens(windows, impact, noon), expected, "{impact}");
        }
        assert_eq!(opens(&all, Impact::Additive, "2026-03-08T01:30:00Z"), None);
        assert!(all.hold(&[], at(noon)).is_none(), "nothing is to run");
    }

    #[test]
    fn what_is_no_window_is_said_before_anything_is_touched() {
        for (schedule, duration, zone, said) in [
            ("0 2 * *", "1h", "Etc/UTC", "\"0 2 * *\" is no schedule"),
            ("0 25 * * *", "1h", "Etc/UTC", "is no schedule"),
            ("0 2 * * * Europe/Berlin", "1h", "Etc/UTC", "is no schedule"),
            ("@daily of all days", "1h", "Etc/UTC", "is no schedule"),
            ("0 2 30 2 *", "1h", "Etc/UTC", "is a day that never comes"),
            (
                "0 2 * * *",
                "30s",
                "Etc/UTC",
                "spec.windows.duration: must be from 1m to 168h",
            ),
            (
                "0 2 * * *",
                "200h",
                "Etc/UTC",
                "spec.windows.duration: must be from 1m to 168h",
            ),
            (
                "0 2 * * *",
                "long",
                "Etc/UTC",
                "spec.windows.duration: \"long\" is not a duration",
            ),
            (
                "0 2 * * *",
                "1h",
                "Berlin",
                "spec.windows.timeZone: \"Berlin\" is no time zone",
            ),
        ] {
            let spec = json!([{"schedule": schedule, "duration": duration, "timeZone": zone}]);
            let specs: Vec<WindowSpec> = serde_json::from_value(spec).unwrap();
            let defects = Windows::new(&specs).unwrap_err();
            assert!(defects[0].contains(said), "{defects:?}");
        }
        assert!(Windows::new(&[]).is_err());
        let leap = json!([{"schedule": "0 2 29 2 *", "duration": "1h"}]);
        let leap: Vec<WindowSpec> = serde_json::from_value(leap).unwrap();
        assert!(Windows::new(&leap).is_ok());
    }
}
