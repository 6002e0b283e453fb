//! Which states were met. Two runners with the same task are the same when they change places, and a
//! state from which less can still happen needs no second look: whatever comes from there comes from
//! the other one, too.

use std::collections::{BTreeSet, HashMap};

use super::database::Session;
use super::memory::Snapshot;
use super::scenario::Faults;
use super::world::{Run, World};

/// A state without what may still happen.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    database: Snapshot,
    durable: Snapshot,
    told: BTreeSet<usize>,
    runs: Vec<(usize, Option<Run>)>,
    orphans: Vec<Session>,
    is_closed: bool,
}

/// What may still happen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowance {
    starts: Vec<u8>,
    faults: Faults,
}

impl Allowance {
    fn covers(&self, other: &Self) -> bool {
        let starts = self.starts.iter().zip(&other.starts);
        self.faults.covers(other.faults) && starts.into_iter().all(|(ours, theirs)| ours >= theirs)
    }
}

/// What a state is to the search.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// It has to be looked at; [`Seen::leave`] it afterwards.
    New(Token),
    /// It, or one from which as much can happen, was looked at, or is on the way.
    Known,
    /// It is on the way itself.
    OnTheWay,
}

/// Names a state that is on the way.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Token {
    place: usize,
    number: usize,
}

/// All states that were met.
#[derive(Default)]
pub struct Seen {
    places: HashMap<Place, usize>,
    /// Of each place what could still happen there, and whether it is on the way.
    allowances: Vec<Vec<(Allowance, bool)>>,
    states: usize,
}

impl Seen {
    /// How many states were looked at.
    pub fn states(&self) -> usize {
        self.states
    }

    /// A state is met.
    pub fn meet(&mut self, world: &World) -> Met {
        let (place, allowance) = split(world);
        let new = self.allowances.len();
        let place = *self.places.entry(place).or_insert(new);
        if place == new {
            self.allowances.push(Vec::new());
        }
        let known = &mut self.allowances[place];
        for (other, is_on_the_way) in known.iter() {
            if *is_on_the_way && *other == allowance {
                return Met::OnTheWay;
            }
        }
        if known.iter().any(|(other, _)| other.covers(&allowance)) {
            return Met::Known;
        }
        known.push((allowance, true));
        self.states += 1;
        let number = known.len() - 1;
        Met::New(Token { place, number })
    }

    /// The way leads away from a state; all that can happen there was looked at.
    pub fn leave(&mut self, token: Token) {
        self.allowances[token.place][token.number].1 = false;
    }
}

fn split(world: &World) -> (Place, Allowance) {
    let mut runners: Vec<_> = world
        .runners
        .iter()
        .map(|runner| ((runner.task, runner.run), runner.starts))
        .collect();
    runners.sort_unstable();
    let (runs, starts) = runners.into_iter().unzip();
    let place = Place {
        database: world.database,
        durable: world.durable,
        told: world.told.clone(),
        runs,
        orphans: world.orphans.clone(),
        is_closed: world.is_closed,
    };
    let allowance = Allowance {
        starts,
        faults: world.left,
    };
    (place, allowance)
}
