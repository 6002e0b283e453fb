//! Where a server's write-ahead log is: the point that a restore can lead back to.

use serde::Deserialize;

use super::connection::Postgres;

const QUERY: &str = "SELECT pg_catalog.json_build_object(\
                     'lsn', pg_catalog.pg_current_wal_lsn()::pg_catalog.text, \
                     'at', pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', \
                         'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))::pg_catalog.text";

#[derive(Deserialize)]
struct Position {
    lsn: String,
    at: String,
}

impl Postgres {
    /// The position (LSN) and the server's time, as `0/16B3748 (2026-03-07T01:00:00Z)`; `None` where the server
    /// does not tell: no run fails for that.
    pub async fn wal_position(&mut self) -> Option<String> {
        let asked = self.read_json(QUERY.to_owned()).await;
        let Position { lsn, at } = asked.ok()?;
        Some(format!("{lsn} ({at})"))
    }
}
