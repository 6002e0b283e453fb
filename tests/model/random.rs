//! Runs beyond the size that can be searched: up to twelve versions, four runners, and every fault
//! mixed in, along a way that a seed chooses. The seed alone gives the whole run again.

use std::ops::Range;
use std::thread;
use std::time::Instant;

use schemaward::engine::decision::Verdict;
use schemaward::engine::task::Task;
use schemaward::migration::target::{Rollback, Target};

use super::database::Committed;
use super::memory::Memory;
use super::scenario::{Faults, Part, Scenario, migrated, people};
use super::search::{Counterexample, afterwards};
use super::texts::{self, VERSIONS};
use super::world::World;

/// Which seed is the first, and how many follow. Both can be set.
const FIRST_SEED: (&str, u64) = ("SCHEMAWARD_MODEL_SEED", 1);
const RUNS: (&str, u64) = ("SCHEMAWARD_MODEL_RUNS", 100_000);

/// Numbers that look random, and are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but not including, `end`.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("a small number");
        usize::try_from(self.next() % end).expect("a small number")
    }

    fn within(&mut self, range: Range<usize>) -> usize {
        range.start + self.below(range.end - range.start)
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn few(&mut self, end: usize) -> u8 {
        u8::try_from(self.below(end)).expect("a small number")
    }
}

/// What is the same in all runners' parts, unless one differs.
struct Common {
    versions: Vec<(usize, usize)>,
    owner: Option<u8>,
    without_down: Vec<usize>,
}

/// One runner's view: mostly that of the others, and now and then another one.
fn part(dice: &mut Dice, common: &Common) -> Part {
    let mut part = Part {
        without_down: common.without_down.clone(),
        owner: common.owner,
        versions: common.versions.clone(),
        ..Part::up_to(0)
    };
    let count = common.versions.len();
    if dice.once_in(3) {
        part.rollback = Rollback::Allow;
    }
    match dice.below(24) {
        0 | 1 => {
            part.target = Target::Version(texts::version(dice.within(1..count + 1), 0));
        }
        2 => part.versions.truncate(dice.within(1..count + 1)),
        3 => {
            part.target = Target::DownTo(
                Some(dice.below(count))
                    .filter(|top| *top > 0)
                    .map(|top| texts::version(top, 0)),
            );
        }
        4 => part.versions[dice.below(count)].1 = texts::CHANGED,
        5 => {
            part.versions.remove(dice.below(count));
        }
        6 => part.zeros = 2,
        7 => part.owner = (!dice.once_in(4)).then(|| dice.few(4)),
        8 => part.without_down = (1..=count).filter(|_| dice.once_in(3)).collect(),
        _ => {}
    }
    part
}

/// What a run is about.
fn scenario(dice: &mut Dice) -> Scenario {
    let count = dice.within(2..VERSIONS + 1);
    let outside = dice.once_in(2);
    // What a crash of the server takes back is what shares a flush.
    let outages = dice.once_in(4);
    let along = dice.once_in(4);
    let text = |number| {
        if outside && dice.once_in(3) {
            (number, dice.within(texts::INDEX..texts::ESCAPES))
        } else if outages && dice.once_in(2) {
            (number, texts::BRIEF)
        } else if along {
            (number, texts::ALONG)
        } else {
            (number, texts::PLAIN)
        }
    };
    let versions: Vec<(usize, usize)> = (1..=count).map(text).collect();
    let applied = if dice.once_in(2) {
        dice.below(count + 1)
    } else {
        0
    };
    let mut people = People::come(dice);
    // A row of another program says nothing of its text; only a run that takes it over does.
    let is_told = versions[..applied]
        .iter()
        .all(|(_, text)| *text == texts::PLAIN);
    let may_be_foreign = is_told || !(people.check || people.decide);
    let database = migrated(&versions[..applied], dice.once_in(2) || !may_be_foreign);
    let common = Common {
        versions,
        owner: dice.once_in(2).then_some(0),
        without_down: if dice.once_in(8) {
            vec![dice.within(1..count + 1)]
        } else {
            Vec::new()
        },
    };
    let runners = dice.within(1..5);
    let mut tasks: Vec<Task> = (0..runners)
        .map(|_| {
            let part = part(dice, &common);
            people.task(dice, &part, &database)
        })
        .collect();
    if people.decide {
        tasks.push(decision(dice, &common));
    }
    Scenario {
        name: "random",
        runners: (0..tasks.len()).collect(),
        tasks,
        starts: 1 + dice.few(3),
        database,
        faults: Faults {
            crashes: dice.few(5),
            losses: dice.few(4),
            refusals: dice.few(4),
            failures: dice.few(3),
            interrupts: dice.few(3),
            spoils: if people.check { dice.few(4) } else { 0 },
            outages: if outages { dice.few(3) } else { 0 },
            closings: if people.close { dice.few(4) } else { 0 },
        },
        defect: None,
        must_reach: false,
        every_order: true,
        helps: Vec::new(),
        approved: people.approved.unwrap_or_default(),
    }
}

/// What people have to do with the runs; in most of them, nothing.
struct People {
    check: bool,
    close: bool,
    decide: bool,
    /// What was approved, as [`Scenario::approved`] has it; `None`: nobody approves.
    approved: Option<Vec<(usize, usize, bool)>>,
}

impl People {
    fn come(dice: &mut Dice) -> Self {
        Self {
            check: dice.once_in(4),
            close: dice.once_in(4),
            decide: dice.once_in(4),
            approved: dice.once_in(4).then(Vec::new),
        }
    }

    /// One runner's task: at times one that checks, has a window, or needs an approval. One plan is approved, so that
    /// what runs is known.
    fn task(&mut self, dice: &mut Dice, part: &Part, database: &Committed) -> Task {
        let mut task = part.task();
        if self.close && dice.once_in(2) {
            task = part.in_a_window();
        }
        if let Some(approved) = &mut self.approved
            && approved.is_empty()
            && dice.once_in(2)
        {
            task = part.approved_on(database);
            *approved = people::would_run(&task, database);
        }
        if self.check && dice.once_in(2) {
            task.checks = part.checked().checks;
        }
        task
    }
}

/// Somebody decides, whether there is something to decide or not.
fn decision(dice: &mut Dice, common: &Common) -> Task {
    let mut part = part(dice, common);
    let number = dice.within(1..common.versions.len() + 1);
    let verdict = if dice.once_in(2) {
        Verdict::Applied
    } else {
        Verdict::Retry
    };
    let wish = match dice.below(3) {
        0 => people::accept(number),
        1 => people::resolve(number, verdict),
        _ => people::takeover(dice.few(4)),
    };
    if dice.once_in(4) {
        part.owner = Some(dice.few(4));
    }
    part.decides(wish)
}

/// One run; how many things happened in it.
fn run(seed: u64) -> Result<usize, Counterexample> {
    let mut dice = Dice(seed);
    let scenario = scenario(&mut dice);
    let mut memory = Memory::forgetful(&scenario);
    let mut world = World::new(&mut memory);
    let mut trace = Vec::new();
    loop {
        let actions = world.actions(&memory);
        // Faults stand last.
        let good = actions.partition_point(|action| !action.is_fault());
        let from = match good {
            0 => &actions[..],
            _ if good < actions.len() && dice.once_in(8) => &actions[good..],
            _ => &actions[..good],
        };
        if from.is_empty() {
            break;
        }
        let action = from[dice.below(from.len())];
        trace.push(action);
        world = match world.after(&mut memory, action) {
            Ok(world) => world,
            Err(violation) => return Err(Counterexample { violation, trace }),
        };
    }
    match afterwards(&scenario, &mut memory, world.database) {
        Ok(()) => Ok(trace.len()),
        Err(violation) => Err(Counterexample { violation, trace }),
    }
}

fn setting((name, default): (&str, u64)) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn runs_by_seed() {
    let (first, runs) = (setting(FIRST_SEED), setting(RUNS));
    let began = Instant::now();
    let threads = thread::available_parallelism().map_or(1, |number| number.get() as u64);
    let events: usize = thread::scope(|scope| {
        let shares = (0..threads).map(|share| {
            scope.spawn(move || {
                let seeds = (first..first + runs).filter(|seed| seed % threads == share);
                seeds.map(walk).sum::<usize>()
            })
        });
        let shares: Vec<_> = shares.collect();
        shares
            .into_iter()
            .map(|share| share.join().expect("no violation"))
            .sum()
    });
    println!(
        "{runs} runs from seed {first}: {events} events in {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

fn walk(seed: u64) -> usize {
    run(seed).unwrap_or_else(|counterexample| {
        panic!(
            "seed {seed}: {counterexample}\nagain: SCHEMAWARD_MODEL_SEED={seed} \
             SCHEMAWARD_MODEL_RUNS=1 cargo test --test model runs_by_seed"
        )
    })
}
