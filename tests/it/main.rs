//! Integration tests, on real servers: see `tests/harness/mod.rs`. One binary, so that one API server and one
//! PostgreSQL serve them all.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the harness is tests, too, although its functions do not bear #[test]"
)]

#[path = "../harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness offers what the next tests need, not only what these use"
)]
mod harness;

mod ack;
mod adopted;
mod aws_secrets;
mod chart;
mod check;
mod checkout;
mod checks;
mod checks_operator;
mod cli;
mod cli_bad_input;
mod cli_interrupt;
mod cli_output;
mod cli_words;
mod client_certificate;
mod clients;
mod crd;
mod credentials;
mod decisions;
mod decisions_operator;
mod doctor;
mod engine;
mod external_secrets;
mod first_user_operator;
mod flush;
mod forged_audit;
mod gates_operator;
mod github_actions;
mod guarded_record;
mod half_done;
mod held_up;
mod history;
mod hosts;
mod identity;
mod journal;
mod journal_objects;
mod journal_operator;
mod journal_proof;
mod lint;
mod look;
mod loss;
mod one_off;
mod operator;
mod operator_api_server;
mod operator_bad_input;
mod operator_hung;
mod operator_replicas;
mod operator_rest;
mod operator_rig;
mod operator_seen;
mod operator_turns;
mod plan_records;
mod pooler;
mod rds;
mod rds_iam;
mod review_operator;
mod role_names;
mod round_trip;
mod sent_along;
mod server_identity;
mod server_trouble;
mod servers;
mod shipped_migrations;
mod statements;
mod stored_texts;
mod wait;
mod waiting;
mod waiting_run;
mod windows_operator;
