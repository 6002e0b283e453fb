//! What the parts of a connection are called in messages: by their values, or by where these came from.

use super::sanitize;
use super::settings::Settings;

/// `db.example.com:5432`, or where the host came from.
#[must_use]
pub fn place(settings: &Settings) -> String {
    match &settings.origins.host {
        None => format!("{}:{}", sanitize::name(&settings.host), settings.port),
        Some(origin) => format!("the server of {origin}, port {}", settings.port),
    }
}

/// `role "fluxion"`, or where its name came from.
#[must_use]
pub fn role(settings: &Settings) -> String {
    match &settings.origins.username {
        None => format!("role \"{}\"", sanitize::name(&settings.username)),
        Some(origin) => format!("the role of {origin}"),
    }
}

/// `database "fluxion"`, or where its name came from.
pub(super) fn database(settings: &Settings) -> String {
    match &settings.origins.database {
        None => format!("database \"{}\"", sanitize::name(&settings.database)),
        Some(origin) => format!("database of the name in {origin}"),
    }
}
