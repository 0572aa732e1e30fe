//! Core dumps, which would hold keys and identities: forbidden by the program itself, however it is
//! started.

/// Lets no core dump be written of this process, nor another process of the account read its
/// memory.
///
/// The limit alone is not enough: a dump that goes to a program (`|` in core_pattern, core(5))
/// heeds only the attribute.
#[cfg(target_os = "linux")]
pub(crate) fn forbid() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // What failed is seen by `report`, when there is a log.
    let _limited = setrlimit(Resource::Core, none);
    let _not_dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Returns whether a core dump could be written.
#[cfg(target_os = "linux")]
fn is_possible() -> bool {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
    getrlimit(Resource::Core).current != Some(0)
        || dumpable_behavior() != Ok(DumpableBehavior::NotDumpable)
}

/// Leaves core dumps to the operating system: this one is not known.
#[cfg(not(target_os = "linux"))]
pub(crate) fn forbid() {}

/// Returns whether a core dump could be written.
#[cfg(not(target_os = "linux"))]
const fn is_possible() -> bool {
    true
}

/// Logs whether core dumps are forbidden.
pub(crate) fn report() {
    if is_possible() {
        tracing::warn!(
            event = "core-dumps-possible",
            "core dumps could not be forbidden: forbid them by the operating system's means"
        );
    } else {
        tracing::debug!(
            event = "core-dumps-forbidden",
            "no core dump can be written"
        );
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn forbidden_is_forbidden() {
        forbid();
        assert!(!is_possible());
        let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits");
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .expect("the limit of core dumps");
        let values: Vec<&str> = line.split_whitespace().skip(4).take(2).collect();
        assert_eq!(values, ["0", "0"]);
    }
}
