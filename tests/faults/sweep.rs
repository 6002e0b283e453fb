//! The kill sweep: a fault at every message of a run, in every phase.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::case::judge;
use crate::harness::Postgres;
use crate::operator::Operator;
use crate::pgfault::Then;
use crate::point::{FAULTS, PHASES, Point};
use crate::runner::{CLI, Runner};
use crate::scenario::{self, Scenario};
use crate::site::{self, Site};

/// How many points of each kind a sample has.
const SAMPLE: [(Kind, usize); 4] = [
    (Kind::Quick, 60),
    (Kind::BlackHole, 3),
    (Kind::Server, 5),
    (Kind::Operator, 8),
];

/// What a point costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A second or two.
    Quick,
    /// Half a minute of waiting.
    BlackHole,
    /// A server of its own.
    Server,
    /// An operator, its release and its resource.
    Operator,
}

impl Kind {
    fn of(point: &Point) -> Self {
        if point.needs_own_server() {
            Self::Server
        } else if point.runner == Operator.name() {
            Self::Operator
        } else if point.then == Then::BlackHole {
            Self::BlackHole
        } else {
            Self::Quick
        }
    }

    /// How many points of it run at a time. Most of a point is waiting, and all of a black hole is; what takes a
    /// server down has it alone.
    fn workers(self) -> usize {
        match self {
            Self::Quick => workers(),
            Self::BlackHole => 4 * workers(),
            Self::Server => 1,
            Self::Operator => workers().div_ceil(2),
        }
    }
}

/// Runs a sample of points; with `FAULTS=all` every one, with `FAULTS=plain/cli/after-forward/rst/17` that one, and
/// with a beginning such as `FAULTS=plain/cli` all below it. `FAULTS_SEED` draws the sample of an earlier run.
#[test]
fn a_fault_at_any_message_breaks_no_promise() {
    if crate::matrix::alone_is_asked_for() {
        return;
    }
    let began = Instant::now();
    let sweep = Sweep::new();
    let (points, drawn) = chosen(sweep.points());
    println!("faults: {} points, {drawn}", points.len());
    assert!(!points.is_empty(), "there is no such point");
    let failures = sweep.run(&points);
    for failure in &failures {
        println!("{failure}");
    }
    print_summary(&points, failures.len(), began);
    assert!(failures.is_empty(), "{} points failed", failures.len());
}

/// Whether any point of this scenario and program may be.
fn is_asked_for(scenario: &Scenario, runner: &dyn Runner) -> bool {
    let own = format!("{}/{}/", scenario.name, runner.name());
    match std::env::var("FAULTS").as_deref() {
        Ok("all") => true,
        Ok(name) => own.starts_with(&format!("{name}/")) || name.starts_with(&own),
        // For a sample one scenario of the operator is enough.
        Err(_) => runner.name() != Operator.name() || scenario.name == "plain",
    }
}

/// The points that `FAULTS` asks for, and how they were chosen.
fn chosen(all: Vec<Point>) -> (Vec<Point>, String) {
    match std::env::var("FAULTS") {
        Ok(name) if name == "all" => (all, "all of them".to_owned()),
        Ok(name) => {
            let below: Vec<_> = all
                .into_iter()
                .filter(|point| point.is_below(&name))
                .collect();
            (below, format!("all of {name}"))
        }
        Err(_) => {
            let seed = seed();
            (sample(all, seed), format!("drawn with FAULTS_SEED={seed}"))
        }
    }
}

fn seed() -> u64 {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
    };
    std::env::var("FAULTS_SEED").map_or_else(
        |_| u64::from(now().subsec_nanos()),
        |text| text.parse().expect("FAULTS_SEED is a number"),
    )
}

/// Draws points without putting them back.
fn sample(mut all: Vec<Point>, seed: u64) -> Vec<Point> {
    let mut random = seed;
    for last in (1..all.len()).rev() {
        let drawn = usize::try_from(next(&mut random) >> 33).expect("31 bits") % (last + 1);
        all.swap(last, drawn);
    }
    let mut rest = BTreeMap::from(SAMPLE);
    all.retain(|point| {
        let left = rest.get_mut(&Kind::of(point));
        left.is_some_and(|left| {
            let take = *left > 0;
            *left = left.saturating_sub(1);
            take
        })
    });
    all
}

/// `SplitMix64` (Steele, Lea, Flood 2014): the same numbers for the same seed, on every machine.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn print_summary(points: &[Point], failed: usize, began: Instant) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for point in points {
        *count
            .entry(format!("{}/{}", point.scenario, point.runner))
            .or_default() += 1;
    }
    let count: Vec<_> = count
        .iter()
        .map(|(scenario, number)| format!("{scenario} {number}"))
        .collect();
    println!(
        "faults: {} points ({}), {failed} failed, {} s",
        points.len(),
        count.join(", "),
        began.elapsed().as_secs()
    );
}

struct Sweep {
    scenarios: Vec<Scenario>,
    /// The one for faults that take a server down; started when the first of them comes.
    own: OnceLock<Site>,
}

/// The programs that are swept.
fn runners() -> [&'static dyn Runner; 2] {
    [&CLI, &Operator]
}

impl Sweep {
    fn new() -> Self {
        Self {
            scenarios: scenario::all(),
            own: OnceLock::new(),
        }
    }

    /// Every point of every scenario, from a run that no fault strikes.
    fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        for scenario in &self.scenarios {
            for runner in runners() {
                if !is_asked_for(scenario, runner) {
                    continue;
                }
                let messages = messages(scenario, runner);
                println!(
                    "faults: {}/{}, {messages} messages",
                    scenario.name,
                    runner.name()
                );
                for message in 1..=messages {
                    points.extend(points_at(scenario.name, runner.name(), message));
                }
            }
        }
        points
    }

    fn run(&self, points: &[Point]) -> Vec<String> {
        let failures = Mutex::new(Vec::new());
        let lanes = [Kind::Quick, Kind::BlackHole, Kind::Server, Kind::Operator].map(|kind| {
            let points = points.iter().filter(move |point| Kind::of(point) == kind);
            (kind, Mutex::new(points))
        });
        std::thread::scope(|scope| {
            for (kind, points) in &lanes {
                for _ in 0..kind.workers() {
                    scope.spawn(|| {
                        while let Some(point) = next_of(points) {
                            self.take(self.site(point), point, &failures);
                        }
                    });
                }
            }
        });
        failures.into_inner().expect("no panic")
    }

    fn site(&self, point: &Point) -> &Site {
        if point.needs_own_server() {
            self.own.get_or_init(own_site)
        } else {
            site::shared()
        }
    }

    fn take(&self, site: &Site, point: &Point, failures: &Mutex<Vec<String>>) {
        let began = Instant::now();
        let failure = self.fails(site, point);
        let end = if failure.is_some() { "FAILED" } else { "ok" };
        println!("{point} {end} {:.1} s", began.elapsed().as_secs_f32());
        failures.lock().expect("no panic").extend(failure);
    }

    /// Runs one point; what is wrong with it, if anything is.
    fn fails(&self, site: &Site, point: &Point) -> Option<String> {
        let scenario = self
            .scenarios
            .iter()
            .find(|scenario| scenario.name == point.scenario)?;
        let runner = runners()
            .into_iter()
            .find(|runner| runner.name() == point.runner)?;
        let judged = judge(site, runner, scenario, Some(point.rule()));
        if judged.complaints.is_empty() {
            return None;
        }
        let complaints: Vec<_> = judged.complaints.iter().map(ToString::to_string).collect();
        let struck = judged.wire.frontend.get(point.message - 1);
        Some(format!(
            "FAULTS={point} cargo test --test faults sweep\n  at: {}\n  {}\n  it said: {}",
            struck.map_or("", String::as_str),
            complaints.join("\n  "),
            judged.said.replace('\n', "\n    ")
        ))
    }
}

/// How many messages a run sends that no fault strikes.
fn messages(scenario: &Scenario, runner: &dyn Runner) -> usize {
    let judged = judge(site::shared(), runner, scenario, None);
    assert!(judged.complaints.is_empty(), "without a fault: {judged:#?}");
    judged.wire.frontend.len()
}

/// All faults at one message. The first three log in, before which nobody knows the session's process.
fn points_at(scenario: &'static str, runner: &'static str, message: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for (phase, _) in PHASES {
        for (then, _) in FAULTS {
            let needs_session = matches!(then, Then::TerminateBackend | Then::KillBackend);
            if !needs_session || message > 3 {
                points.push(Point {
                    scenario,
                    runner,
                    phase,
                    then,
                    message,
                });
            }
        }
    }
    points
}

fn next_of<'p>(points: &Mutex<impl Iterator<Item = &'p Point>>) -> Option<&'p Point> {
    points.lock().expect("no panic").next()
}

/// A server that loses nothing of what it has flushed when it goes down, unlike the shared one, and does not flush
/// by itself before a fault comes.
pub fn own_site() -> Site {
    let settings = ["--set=synchronous_commit=on", "--set=wal_writer_delay=1s"];
    let server = Postgres::start(16, &settings);
    Site::new(Box::leak(Box::new(server)))
}

fn workers() -> usize {
    std::env::var("FAULTS_WORKERS")
        .map_or(4, |text| text.parse().expect("FAULTS_WORKERS is a number"))
}
