//! E: the Kubernetes API.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::Method;
use schemaward::api::condition::Reason;
use serde_json::json;

use super::scene::{
    Cluster, ONE, Parts, SLOW, THREE, TWO, a_while, applied, at_rest, database, event_writes, has,
    has_applied, has_struck, peak_of, replace, sleeps, source, status_writes,
};
use super::{Case, Expected, covered, run, slow};
use crate::harness::{Api, Database, Namespace, eventually, part, postgres};
use crate::kfault::{Fault, Kfault, Rule};
use crate::operator_rig::{
    LIMIT, Operator, Schema, Tenant, apart, condition, inline, install, resource, tenant,
};

mod answers;
mod outages;

use answers::{
    config_map_alone, conflicts, forbidden, frozen_watch, stale_list, three_of_ten,
    too_many_requests, without_events,
};
use outages::{
    away_in_the_middle, etcd_stops, many_resources, older_state, rotated_token, without_crd,
    wrong_clock,
};

pub const CASES: &[Case] = &[
    covered(
        "E1",
        "the API server is away when the operator starts",
        &["tests/it/operator_api_server.rs::the_api_server_may_be_away"],
    ),
    slow(
        "E2",
        "the API server answers 503 in the middle of a run: without a look at the resource for a minute, no version begins",
        &[Reason::UpToDate],
        away_in_the_middle,
    ),
    slow(
        "E3",
        "409 to three writes of status",
        &[Reason::UpToDate],
        conflicts,
    ),
    slow(
        "E4",
        "what is known is old: a watch that is silent in the middle of a run, a list from before, a watch that is over (410)",
        &[Reason::UpToDate, Reason::UpToDate],
        stale_list,
    ),
    run(
        "E6",
        "a watch stays open and delivers nothing: the interval finds the change",
        &[Reason::UpToDate],
        frozen_watch,
    ),
    run(
        "E7",
        "429 with Retry-After",
        &[Reason::UpToDate],
        too_many_requests,
    ),
    slow(
        "E8",
        "three of ten requests fail: with 500, after seven seconds, with half an answer",
        &[Reason::UpToDate],
        three_of_ten,
    ),
    slow(
        "E9",
        "the operator's token is no longer good, and a new one is in its file",
        &[Reason::UpToDate],
        rotated_token,
    ),
    run(
        "E10",
        "403 to Secrets, to events, to status",
        &[Reason::AccessDenied, Reason::UpToDate],
        forbidden,
    ),
    slow(
        "E11",
        "etcd stops: every request of the API server fails",
        &[Reason::UpToDate, Reason::UpToDate],
        etcd_stops,
    ),
    slow(
        "E12",
        "the cluster is set back to an older state, in which the list is shorter",
        &[Reason::UpToDate, Reason::DatabaseAhead, Reason::UpToDate],
        older_state,
    ),
    covered(
        "E13",
        "the resource is deleted in the middle of a run",
        &["tests/it/operator.rs::deleting_changes_no_database"],
    ),
    covered(
        "E15",
        "the namespace is deleted",
        &["tests/it/operator.rs::deleting_changes_no_database"],
    ),
    covered(
        "E17",
        "suspend in the middle of a run",
        &["tests/it/operator.rs::suspending_stops_between_versions"],
    ),
    slow(
        "E18",
        "the CRD is deleted, and comes back",
        &[Reason::UpToDate, Reason::UpToDate],
        without_crd,
    ),
    slow(
        "E20",
        "the operator's clock is two hours ahead, and jumps back by four in the middle of a run",
        &[Reason::UpToDate, Reason::UpToDate],
        wrong_clock,
    ),
    slow(
        "E21",
        "200 resources on 10 databases (1,000 on 50 measure the servers of a test, and not the operator)",
        &[],
        many_resources,
    ),
    run(
        "E22",
        "events cannot be written; or they get no answer, which keeps neither the connection nor its lock",
        &[Reason::UpToDate, Reason::UpToDate],
        without_events,
    ),
    covered(
        "E23",
        "somebody edits the conditions",
        &["tests/it/operator.rs::a_status_that_somebody_wrote_into_is_put_right"],
    ),
    covered(
        "E24",
        "somebody writes Ready True",
        &["tests/it/operator.rs::a_status_that_somebody_wrote_into_is_put_right"],
    ),
    run(
        "E25",
        "a ConfigMap alone is changed: the generation stays, the version in status tells",
        &[Reason::UpToDate],
        config_map_alone,
    ),
    covered(
        "E26",
        "an API server that does not know the CRD's rules",
        &["tests/it/crd.rs::bad_resources_are_refused_with_words_that_help"],
    ),
];

/// A namespace of the shared cluster, with a database.
fn scene(name: &str) -> (&'static Cluster, Namespace<'static>, Database<'static>) {
    let cluster = Cluster::shared();
    let namespace = cluster.tenant(name);
    let database = database(name);
    namespace.secret(&database);
    (cluster, namespace, database)
}
