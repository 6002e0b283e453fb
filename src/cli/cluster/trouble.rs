//! What an API server's refusals and silences mean for a person.

use std::error::Error;
use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;

use crate::cli::exit::{Exit, Failure};

use super::{Cluster, ResourceName};

/// Why a watch brought nothing.
pub(in crate::cli) enum Interruption {
    /// It is tried again by itself; what happened, as a sentence.
    Passing(String),
    /// Trying again does not help.
    Lasting(Failure),
}

/// There is no usable kubeconfig, and this is no pod.
pub(super) fn no_way(error: &(dyn Error + 'static)) -> Failure {
    Failure::not_done(format!(
        "There is no way to a cluster: {}. Give --kubeconfig or set KUBECONFIG, or run in a pod with a \
         service account.",
        root(error)
    ))
}

/// A kubeconfig was read, and no client can be made of it.
pub(super) fn unusable(server: &str, error: &kube::Error) -> Failure {
    match error {
        // What an exec plug-in printed may be a token.
        kube::Error::Auth(_) => no_credentials(server),
        error => Failure::not_done(format!(
            "The way to the API server at {server} cannot be used: {}. Correct the kubeconfig.",
            root(error)
        )),
    }
}

/// The API server took the connection and said nothing.
pub(super) fn silent(server: &str, waited: Duration) -> Failure {
    unreachable(server, &format!("no answer within {} s", waited.as_secs()))
}

fn unreachable(server: &str, why: &str) -> Failure {
    Failure {
        exit: Exit::Retry,
        messages: vec![format!(
            "No connection to the API server at {server}: {why}. Try again."
        )],
    }
}

fn no_credentials(server: &str) -> Failure {
    Failure::not_done(format!(
        "The kubeconfig gives no credentials for the API server at {server}: its token, certificate or \
         exec plug-in failed. See whether kubectl works, and log in anew."
    ))
}

impl Cluster {
    /// Why the API server did not give the resource.
    pub(super) fn explain(&self, resource: &ResourceName, error: &kube::Error) -> Failure {
        let server = &self.server;
        match error {
            kube::Error::Api(status) => self.refused(resource, status),
            kube::Error::Auth(_) => no_credentials(server),
            kube::Error::SerdeError(cause) => Failure::not_done(format!(
                "{resource} cannot be read by this version of Schemaward: {cause}. Take the version that the \
                 cluster has."
            )),
            error => unreachable(server, &root(error)),
        }
    }

    fn refused(&self, resource: &ResourceName, status: &Status) -> Failure {
        let Self {
            server, namespace, ..
        } = self;
        // The object's own absence has its name in the details; that of the whole kind has not.
        let names_it = || {
            let details = status.details.as_ref();
            details.is_some_and(|details| details.name == resource.name())
        };
        match status.code {
            401 => no_credentials(server),
            403 => Failure::not_done(format!(
                "The API server at {server} does not allow it: {}. Grant get, list and watch on databaseschemas \
                 in namespace {namespace}.",
                status.message.trim_end_matches('.')
            )),
            404 if names_it() => Failure::not_done(format!(
                "There is no {resource} in namespace {namespace} of {server}."
            )),
            404 => Failure::not_done(format!(
                "The cluster at {server} knows no databaseschemas: the CRD of Schemaward is not installed."
            )),
            _ => unreachable(server, &status.message),
        }
    }

    /// Why a watch was interrupted, and whether it goes on.
    pub(super) fn interruption(
        &self,
        resource: &ResourceName,
        error: watcher::Error,
    ) -> Interruption {
        let explained = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => self.explain(resource, &error),
            watcher::Error::WatchError(status) => self.refused(resource, &status),
            watcher::Error::NoResourceVersion => unreachable(&self.server, "it gives no versions"),
        };
        match explained.exit {
            Exit::Retry => Interruption::Passing(explained.messages.join(" ")),
            Exit::Done | Exit::NotDone | Exit::Usage => Interruption::Lasting(explained),
        }
    }
}

/// The innermost cause, which says most.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().trim_end_matches('.').to_owned()
}
