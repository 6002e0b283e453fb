//! Runs the table, tells what came of it, and holds the table itself to be whole.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::{Case, Expected, Pace, Proof, SECTIONS, Steps, content, scene};

/// Cases at the same time: most of them wait.
const AT_ONCE: usize = 4;

/// Runs the quick cases; with `FAULTS=all` or `FAULTS=matrix` all of them, with `FAULTS=matrix/E3` that one, and with
/// `FAULTS=matrix/E` those of a section.
#[test]
fn every_case_comes_to_what_is_expected() {
    let asked = std::env::var("FAULTS").ok();
    let cases: Vec<&Case> = cases()
        .filter(|case| is_asked_for(case, asked.as_deref()))
        .collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if !passes(case) {
                        failed.lock().expect("nobody panics with it").push(case.id);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panicked with it");
    println!("matrix: {} cases, {} failed", cases.len(), failed.len());
    assert!(failed.is_empty(), "failed: {}", failed.join(" "));
}

/// Whether `FAULTS` asks for cases of the matrix and for nothing else.
pub fn alone_is_asked_for() -> bool {
    std::env::var("FAULTS").is_ok_and(|asked| asked == "matrix" || asked.starts_with("matrix/"))
}

fn is_asked_for(case: &Case, asked: Option<&str>) -> bool {
    let Proof::Run { pace, .. } = case.proof else {
        return false;
    };
    match asked {
        None => pace == Pace::Quick,
        Some("all" | "matrix") => true,
        Some(asked) => asked.strip_prefix("matrix/").is_some_and(|name| {
            let section = case.id.trim_end_matches(|c: char| !c.is_ascii_uppercase());
            name == case.id || name == section
        }),
    }
}

#[test]
fn faults_says_which_cases_run() {
    let asked_for = |asked: Option<&str>| -> Vec<&str> {
        let asked_for = cases().filter(|case| is_asked_for(case, asked));
        asked_for.map(|case| case.id).collect()
    };
    let (quick, all) = (asked_for(None), asked_for(Some("all")));
    assert!(quick.len() < all.len());
    assert!(quick.contains(&"E6") && !quick.contains(&"E2") && all.contains(&"E2"));
    assert_eq!(asked_for(Some("matrix")), all);
    assert_eq!(asked_for(Some("matrix/E2")), ["E2"]);
    assert!(asked_for(Some("matrix/E")).contains(&"E2"));
    assert_eq!(asked_for(Some("plain/cli")), [""; 0]);
}

fn passes(case: &Case) -> bool {
    let began = Instant::now();
    let passed = catch_unwind(AssertUnwindSafe(|| carry_out(case))).is_ok();
    // Of a case that failed nobody asks more.
    scene::watched();
    let word = if passed { "ok" } else { "FAILED" };
    let seconds = began.elapsed().as_secs_f32();
    println!("{:5} {word:6} {seconds:5.1} s  {}", case.id, case.what);
    passed
}

fn carry_out(case: &Case) {
    let Proof::Run {
        expected, steps, ..
    } = &case.proof
    else {
        return;
    };
    match steps {
        Steps::Own(steps) => {
            let mut reasons = Expected::of(expected);
            steps(&mut reasons);
            reasons.all_met();
            oracles();
        }
        Steps::Content(files) => {
            for content in *files {
                let mut reasons = Expected::of(expected);
                content::check(case.id, content, &mut reasons);
                reasons.all_met();
                oracles();
            }
        }
    }
}

fn oracles() {
    for (server, database) in scene::watched() {
        scene::oracles(server, &database);
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    SECTIONS.iter().flat_map(|(_, cases, _)| cases.iter())
}

// ---- the table -----------------------------------------------------------------------------------------------

#[test]
fn the_table_has_every_case_once() {
    let mut ids = BTreeSet::new();
    for (section, cases, count) in SECTIONS {
        assert_eq!(cases.len(), count, "cases of section {section}");
        for case in cases {
            assert!(case.id.starts_with(section), "{} in {section}", case.id);
            assert!(ids.insert(case.id), "{} is there twice", case.id);
        }
    }
}

#[test]
fn the_tests_that_cover_cases_exist() {
    for case in cases() {
        let Proof::CoveredBy(tests) = case.proof else {
            continue;
        };
        assert!(!tests.is_empty(), "{} is covered by nothing", case.id);
        for test in tests {
            assert!(exists(test), "{}: there is no test {test}", case.id);
        }
    }
}

/// Whether `path::name` is a function of that file that bears a test's attribute.
fn exists(test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else {
        return false;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let source = std::fs::read_to_string(path).unwrap_or_default();
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else {
        return false;
    };
    // The attributes stand right before it.
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    attributes.contains("#[test]") || attributes.contains("#[tokio::test]")
}

#[test]
fn a_test_that_is_not_there_is_missed() {
    assert!(exists("tests/it/engine.rs::a_second_run_writes_nothing"));
    assert!(!exists("tests/it/engine.rs::a_second_run_writes_something"));
    assert!(!exists("tests/it/engine.rs::ledger"), "no test");
    assert!(!exists("tests/it/nowhere.rs::a_second_run_writes_nothing"));
}

#[test]
fn every_case_that_is_left_out_says_why() {
    for case in cases() {
        if let Proof::Excluded(why, because) = case.proof {
            let words = because.split_whitespace().count();
            assert!(words >= 3, "{}, {}: {because:?}", case.id, why.words());
        }
    }
}

/// `cargo test --test faults summary -- --nocapture` prints it.
#[test]
fn summary() {
    let (mut quick, mut slow, mut covered, mut excluded) = (0, 0, 0, 0);
    for case in cases() {
        match &case.proof {
            Proof::Run { pace, .. } => match pace {
                Pace::Quick => quick += 1,
                Pace::Slow => slow += 1,
            },
            Proof::CoveredBy(_) => covered += 1,
            Proof::Excluded(why, because) => {
                excluded += 1;
                println!("{:5} {}: {because} ({})", case.id, why.words(), case.what);
            }
        }
    }
    println!(
        "{} cases: {quick} run in make test, {slow} more in make faults, {covered} covered by other tests, \
         {excluded} left out",
        cases().count()
    );
}
