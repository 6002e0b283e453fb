//! The DOWN texts that are kept with the history, as a way back reads them.

use schemaward::engine::database::{Database as _, Observation, Request};
use schemaward::migration::version::Version;
use schemaward::postgres::Postgres;

use crate::engine::{Run, reached};
use crate::harness::postgres_major;

/// A script that says nothing and does not get smaller than three quarters of these bytes.
fn incompressible(bytes: usize) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u64;
    let digits = (0..bytes).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let place = usize::try_from(state >> 58).expect("six bits");
        char::from(DIGITS[place])
    });
    format!("SELECT 1; -- {}\n", digits.collect::<String>())
}

#[tokio::test]
async fn as_many_as_are_short_together_come_at_once_in_the_order_asked_for() {
    let (medium, long) = (incompressible(800_000), incompressible(2_000_000));
    let files = [
        ("1_a_UP.sql", "CREATE TABLE a ();"),
        ("1_a_DOWN.sql", "DROP TABLE a;"),
        ("2_b_UP.sql", "CREATE TABLE b ();"),
        ("3_c_UP.sql", "CREATE TABLE c ();"),
        ("3_c_DOWN.sql", &medium),
        ("4_d_UP.sql", "CREATE TABLE d ();"),
        ("4_d_DOWN.sql", &medium),
        ("5_e_UP.sql", "CREATE TABLE e ();"),
        ("5_e_DOWN.sql", &long),
    ];
    let short = "DROP TABLE a;";
    for major in [14, 18] {
        let database = postgres_major(major).database("stored_texts");
        reached(&Run::new(&database, &files).go().await);
        // Nor does it matter what somebody else made for our queries to find.
        database.exec(&format!(
            "CREATE FUNCTION never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; \
             CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = never); \
             ALTER ROLE {} SET search_path TO public, pg_catalog",
            database.user
        ));
        let settings = Run::new(&database, &files).settings;
        let mut connection = Postgres::connect(&settings).await.expect("a connection");
        for (asked, expected) in [
            (&["1"][..], &[Some(short)][..]),
            // What is not there, and what has none.
            (&["9", "2", "1"], &[None, None, Some(short)]),
            (&["4", "1", "3"], &[Some(&medium), Some(short)]),
            // One is answered, however long it is.
            (&["5", "2"], &[Some(&long)]),
            (&["1", "5"], &[Some(short)]),
        ] {
            let versions = asked
                .iter()
                .map(|text| Version::parse(text).expect("a version"));
            let answer = connection
                .perform(&Request::LoadDowns(versions.collect()))
                .await;
            let Ok(Observation::DownsLoaded(texts)) = answer else {
                panic!("PostgreSQL {major}: {answer:?}");
            };
            let texts: Vec<_> = texts.iter().map(|text| text.as_deref()).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|text| text.map(str::as_bytes))
                .collect();
            assert!(texts == expected, "PostgreSQL {major}: {asked:?}");
        }
        connection.close().await;
    }
}
