//! What has to be so before scripts run and is not in their database: the time.

use jiff::Timestamp;

use crate::engine::hold::Hold;
use crate::engine::review::ReviewedScript;
use crate::engine::{Conditions, Leave};

use super::window::Windows;

/// The conditions of one run.
#[derive(Debug)]
pub struct RunConditions<'a> {
    /// When it may run.
    pub windows: &'a Windows,
}

impl Conditions for RunConditions<'_> {
    async fn may_run(&self, scripts: &[ReviewedScript]) -> Leave {
        self.closed(scripts).map_or(Leave::Given, Leave::Held)
    }

    fn closed(&self, scripts: &[ReviewedScript]) -> Option<Box<Hold>> {
        self.windows.hold(scripts, Timestamp::now())
    }
}
