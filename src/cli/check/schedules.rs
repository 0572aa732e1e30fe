//! Check of the schedules in the configuration.

use connector_kit::{CheckReport, Level};

use crate::config::{LoadedConfig, Schedule};
use crate::daemon;

/// Checks schedules, each given with its key in the configuration.
pub(super) fn check(report: &mut CheckReport, loaded: &LoadedConfig, all: &[(String, &Schedule)]) {
    for (key, schedule) in all {
        if let Err(error) = daemon::verify_schedule(key, schedule, loaded.config.time_zone.0) {
            report.error(
                error.to_string(),
                "or write { every-seconds = 60 }, or \"never\"",
            );
        }
    }
    if report.worst() < Level::Error {
        report.good(if all.len() == 1 {
            "the schedule can be read"
        } else {
            "the schedules can be read"
        });
    }
}
