//! The exhaustive search: every state that a scenario can come to.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use schemaward::engine::outcome::{End, Outcome};
use schemaward::engine::task::Mode;

use super::invariants::{Invariant, Violation, hold, is_at_target};
use super::memory::{Memory, Snapshot};
use super::scenario::{Scenario, is_for_a_person};
use super::seen::{Met, Seen, Token};
use super::world::{Action, World};

/// What a search saw.
#[derive(Debug)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Ways from one to another.
    pub transitions: usize,
    /// Different machines, with what each asked for.
    pub machines: usize,
    /// Different databases.
    pub databases: usize,
    /// The longest way from the beginning, as the search went.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} transitions, {} machines, {} databases, depth {}, {:.1} s",
            self.states,
            self.transitions,
            self.machines,
            self.databases,
            self.depth,
            self.time.as_secs_f64()
        )
    }
}

/// An invariant that does not hold, and how to come there.
pub struct Counterexample {
    /// What does not hold.
    pub violation: Violation,
    /// What happened, from the beginning.
    pub trace: Vec<Action>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { invariant, what } = &self.violation;
        write!(f, "{invariant:?}: {what}")?;
        for (number, action) in self.trace.iter().enumerate() {
            write!(f, "\n  {:3} {action:?}", number + 1)?;
        }
        Ok(())
    }
}

/// A state on the way that the search is on.
struct Step {
    world: World,
    actions: Vec<Action>,
    taken: usize,
    token: Token,
}

impl Step {
    fn new(memory: &Memory<'_>, world: World, token: Token) -> Self {
        Self {
            actions: world.actions(memory),
            world,
            taken: 0,
            token,
        }
    }
}

/// Goes through every state, depth first. A way that comes back to itself is a run without an end,
/// because runs and faults are counted in the state.
pub fn exhaust(scenario: &Scenario) -> Result<Found, Counterexample> {
    let began = Instant::now();
    let mut memory = Memory::interning(scenario);
    let first = World::new(&mut memory);
    let mut seen = Seen::default();
    let mut way = Vec::new();
    if let Met::New(token) = seen.meet(&first) {
        way.push(Step::new(&memory, first, token));
    }
    let mut judged = HashSet::new();
    let (mut transitions, mut depth) = (0, 0);
    while let Some(step) = way.last_mut() {
        let Some(action) = step.actions.get(step.taken).copied() else {
            let database = step.world.database;
            seen.leave(step.token);
            if judged.insert(database)
                && let Err(violation) = afterwards(scenario, &mut memory, database)
            {
                return Err(counterexample(&way, violation));
            }
            way.pop();
            continue;
        };
        step.taken += 1;
        transitions += 1;
        let reached = match step.world.after(&mut memory, action) {
            Ok(reached) => reached,
            Err(violation) => return Err(counterexample(&way, violation)),
        };
        match seen.meet(&reached) {
            Met::Known => {}
            Met::OnTheWay => {
                let what = "a run comes back to where it was, and never ends".to_owned();
                let invariant = Invariant::Ends;
                return Err(counterexample(&way, Violation { invariant, what }));
            }
            Met::New(token) => {
                way.push(Step::new(&memory, reached, token));
                depth = depth.max(way.len());
            }
        }
    }
    Ok(Found {
        states: seen.states(),
        transitions,
        machines: memory.machines(),
        databases: judged.len(),
        depth,
        time: began.elapsed(),
    })
}

fn counterexample(way: &[Step], violation: Violation) -> Counterexample {
    let taken = way.iter().filter_map(|step| {
        let last = step.taken.checked_sub(1)?;
        step.actions.get(last).copied()
    });
    Counterexample {
        violation,
        trace: taken.collect(),
    }
}

/// Once nobody is there any more: a run of each runner that nothing disturbs ends as it should.
pub fn afterwards(
    scenario: &Scenario,
    memory: &mut Memory<'_>,
    database: Snapshot,
) -> Result<(), Violation> {
    if memory.committed(database).has_just_escaped() {
        // The run that noticed is still there, and writes it down.
        return Ok(());
    }
    for number in 0..scenario.tasks.len() {
        let (outcome, reached) = undisturbed(memory, database, number)?;
        let help = scenario.helps.iter().find(|(helped, _)| *helped == number);
        match (outcome.end(), help) {
            (End::Stopped(stop), Some((_, person))) if is_for_a_person(stop) => {
                let (decided, reached) = undisturbed(memory, reached, *person)?;
                let (outcome, reached) = undisturbed(memory, reached, number)?;
                let so = matches!(decided.end(), End::Decided(_));
                let ends = so && ends_well(scenario, memory, number, &outcome, reached, true);
                says(ends, number, "somebody helped it", &outcome)?;
            }
            _ => {
                let must = scenario.must_reach || help.is_some();
                let ends = ends_well(scenario, memory, number, &outcome, reached, must);
                says(ends, number, "nothing disturbs it", &outcome)?;
            }
        }
    }
    Ok(())
}

/// Whether a run may end so.
fn ends_well(
    scenario: &Scenario,
    memory: &Memory<'_>,
    number: usize,
    outcome: &Outcome,
    reached: Snapshot,
    must_reach: bool,
) -> bool {
    let task = &scenario.tasks[number];
    let applied: Vec<usize> = memory.committed(reached).applied().collect();
    match outcome.end() {
        End::Reached => is_at_target(task, &applied),
        End::Decided(_) => true,
        End::Stopped(stop) => {
            let may_be_refused = task.mode != Mode::Migrate;
            (may_be_refused || !must_reach) && is_for_a_person(stop)
        }
        End::Planned | End::Interrupted => false,
    }
}

fn says(holds: bool, number: usize, how: &str, outcome: &Outcome) -> Result<(), Violation> {
    hold(holds, Invariant::Ends, || {
        format!(
            "a run of task {number} is alone, {how}, and it ends with: {}",
            outcome.message()
        )
    })
}

/// Lets one runner run alone.
fn undisturbed(
    memory: &mut Memory<'_>,
    database: Snapshot,
    task: usize,
) -> Result<(Outcome, Snapshot), Violation> {
    let mut world = World::at_rest(database, task);
    while let Some(action) = world.actions(memory).first().copied() {
        world = world.after(memory, action)?;
    }
    Ok((memory.ended().clone(), world.database))
}

/// The shortest way to a violation: breadth first.
pub fn shortest(scenario: &Scenario) -> Option<Counterexample> {
    let mut memory = Memory::interning(scenario);
    let first = World::new(&mut memory);
    let mut seen = HashSet::from([first.clone()]);
    let mut from: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut open = VecDeque::from([(0, first)]);
    let mut judged = HashSet::new();
    while let Some((number, world)) = open.pop_front() {
        if judged.insert(world.database)
            && let Err(violation) = afterwards(scenario, &mut memory, world.database)
        {
            let trace = trace(&from, number);
            return Some(Counterexample { violation, trace });
        }
        for action in world.actions(&memory) {
            let reached = world.after(&mut memory, action);
            from.push((number, Some(action)));
            match reached {
                Err(violation) => {
                    let trace = trace(&from, from.len() - 1);
                    return Some(Counterexample { violation, trace });
                }
                Ok(reached) if seen.insert(reached.clone()) => {
                    open.push_back((from.len() - 1, reached));
                }
                Ok(_) => {}
            }
        }
    }
    None
}

/// What happened up to a state, of which `from` says where each came from.
fn trace(from: &[(usize, Option<Action>)], mut at: usize) -> Vec<Action> {
    let mut trace = Vec::new();
    while let (before, Some(action)) = from[at] {
        trace.push(action);
        at = before;
    }
    trace.reverse();
    trace
}
