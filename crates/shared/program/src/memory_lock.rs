//! Memory that is kept out of swap, where it would rest on the disk with keys and identities.

/// Outcome of [`lock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryLock {
    /// No page of this process is swapped out.
    Locked,
    /// The limit of locked memory (`RLIMIT_MEMLOCK`) is not infinite. Within a finite one memory
    /// would be refused to the process as soon as the limit is reached, so nothing is locked.
    NotPermitted,
    /// The operating system has refused.
    Refused,
}

/// Locks every page of the process once it is used (`mlockall(2)`), if the limit of locked memory is
/// infinite.
#[cfg(target_os = "linux")]
pub(crate) fn lock() -> MemoryLock {
    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, getrlimit};
    if getrlimit(Resource::Memlock).current.is_some() {
        return MemoryLock::NotPermitted;
    }
    // Only what is used: threads have megabytes of stack that they never touch.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    match mlockall(flags) {
        Ok(()) => MemoryLock::Locked,
        Err(_) => MemoryLock::Refused,
    }
}

/// Leaves swap to the operating system: this one is not known.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn lock() -> MemoryLock {
    MemoryLock::NotPermitted
}

/// Logs whether memory can be swapped out. Locking again changes nothing.
pub(crate) fn report() {
    match lock() {
        MemoryLock::Locked => tracing::debug!(
            event = "memory-locked",
            "no memory of this process is swapped out"
        ),
        MemoryLock::NotPermitted => tracing::debug!(
            event = "memory-not-locked",
            "memory may be swapped out: an infinite limit of locked memory (LimitMEMLOCK=infinity) \
             keeps it in"
        ),
        MemoryLock::Refused => tracing::warn!(
            event = "memory-not-locked",
            "the operating system does not let memory be locked, though its limit is infinite; keep \
             it out of swap by other means"
        ),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{Resource, Rlimit, setrlimit};

    use super::*;

    /// Kibibytes of this process that are locked.
    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
        let kib = line.expect("Linux has the line").trim();
        let kib = kib.strip_suffix(" kB").expect("the unit is kB");
        kib.trim().parse().expect("a number")
    }

    #[test]
    fn memory_is_locked_exactly_where_the_limit_is_infinite() {
        let finite = Rlimit {
            current: Some(64 * 1024),
            maximum: None,
        };
        let infinite = Rlimit {
            current: None,
            maximum: None,
        };
        // Only who may raise a limit has an infinite one here.
        if setrlimit(Resource::Memlock, finite).is_ok() {
            assert_eq!(lock(), MemoryLock::NotPermitted);
            assert_eq!(locked_kib(), 0);
            setrlimit(Resource::Memlock, infinite).expect("no higher than the highest");
            assert_eq!(lock(), MemoryLock::Locked);
            assert!(locked_kib() > 0);
        } else {
            assert_eq!(lock() == MemoryLock::Locked, locked_kib() > 0);
        }
    }
}
