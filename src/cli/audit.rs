//! `schemaward audit`: who did what, and whether the record of it is whole.

use clap::Args;

use crate::migration::blocked::Blocked;
use crate::postgres::AuditRow;

use super::args::{ConnectionArgs, HistoryArgs};
use super::exit::{Exit, Failure};
use super::session::Session;
use super::table::{self, Cell};
use super::terminal::{Terminal, write_error};

/// Show who did what, and verify all of the audit
///
/// Only reads. Each look of `up`, `list` and the operator verifies the newest rows; this verifies every row,
/// and that each record of an applied version has its row. Ends with 1 when something is not as it was
/// written.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// How many rows to show, the newest last
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    history: HistoryArgs,
}

impl Audit {
    pub(super) async fn carry_out(self, terminal: Terminal) -> Result<Exit, Failure> {
        let settings = self.connection.settings(&self.history).await?;
        let mut session = Session::open(&settings, terminal).await?;
        let report = session.audit(self.limit).await;
        session.close().await;
        let Some(report) = report? else {
            return Err(Failure::not_done(
                "There is no audit: nothing was recorded in this database yet.",
            ));
        };
        terminal.results(&text(&report.newest, terminal))?;
        if let Some(defect) = report.defect {
            let tampered = Blocked::AuditTampered(defect);
            let wrong = wrong(&report.wrong, terminal);
            return Err(Failure::not_done(format!("{tampered}{wrong}")));
        }
        let (database, rows) = (&settings.database, report.rows);
        write_error(&match report.accepted {
            None => format!("{database}: {rows} rows, all of them as they were written\n"),
            Some(accepted) => {
                format!("{database}: {rows} rows, as they were written {BUT_FOR}{accepted}\n")
            }
        });
        Ok(Exit::Done)
    }
}

/// What stands before that which a person accepted in the audit.
pub(super) const BUT_FOR: &str = "but for what a person accepted: ";

/// Says what is accepted with the audit as it stands, before it is: what is wrong in older rows, too.
///
/// # Errors
/// When the database does not give the audit, or a signal comes first.
pub(super) async fn tell_what_is_accepted(
    session: &mut Session,
    terminal: Terminal,
) -> Result<(), Failure> {
    let report = session.audit(0).await?;
    if let Some((defect, rows)) =
        report.and_then(|report| report.defect.map(|defect| (defect, report.wrong)))
    {
        let wrong = wrong(&rows, terminal);
        terminal.warning(&format!("This is accepted: {defect}.{wrong}"));
    }
    Ok(())
}

/// The rows that are not as they were written, below a message.
fn wrong(rows: &[AuditRow], terminal: Terminal) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let table = text(rows, terminal);
    format!(
        "\nRows that are not as they were written, or do not fit what stands before them:\n{}",
        table.trim_end()
    )
}

fn text(rows: &[AuditRow], terminal: Terminal) -> String {
    let header = ["ROW", "AT", "ACTION", "VERSION", "WHO", "DETAIL"];
    let mut lines = vec![header.map(Cell::word).to_vec()];
    lines.extend(rows.iter().map(|row| {
        vec![
            Cell::of(Some(row.id)),
            Cell::of(
                row.at
                    .map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()),
            ),
            Cell::of(Some(&row.action)),
            Cell::of(row.version.as_ref()),
            Cell::of(Some(&row.actor)),
            Cell::of(Some(&row.detail)),
        ]
    }));
    table::render(&lines, terminal)
}
