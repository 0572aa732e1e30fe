//! Account of whoever runs a process, as the operating system knows it.

use std::fs;

use rustix::process::getuid;
use serde::Serialize;

/// File of the accounts (passwd(5)).
const ACCOUNTS: &str = "/etc/passwd";
/// File of the account that this process' session was logged in with; `su` and `sudo` keep it
/// (proc(5), pam_loginuid(8)).
const LOGIN: &str = "/proc/self/loginuid";
/// Number that stands there where nobody has logged in, such as for a service.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

/// Account of a process: whose rights it has, and who logged in to start it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Real user of the process.
    pub user: AccountName,
    /// Account that the session was logged in with, before any `su` or `sudo`; `None` where nobody
    /// logged in, or the system does not tell.
    pub login: Option<AccountName>,
}

/// Number and name of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountName {
    /// User id.
    pub id: u32,
    /// Name by the file `/etc/passwd`; `None` for an account that is not in it, such as one of a
    /// directory server.
    pub name: Option<String>,
}

impl Account {
    /// Account of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let accounts = fs::read(ACCOUNTS).unwrap_or_default();
        let accounts = String::from_utf8_lossy(&accounts);
        let login = fs::read_to_string(LOGIN).ok();
        let login = login.as_deref().and_then(login_id);
        Self {
            user: AccountName::find(getuid().as_raw(), &accounts),
            login: login.map(|id| AccountName::find(id, &accounts)),
        }
    }
}

impl AccountName {
    fn find(id: u32, accounts: &str) -> Self {
        let name = accounts.lines().find_map(|line| name_of(line, id));
        Self {
            id,
            name: name.map(str::to_owned),
        }
    }
}

/// Reads the id of the account that was logged in with.
fn login_id(text: &str) -> Option<u32> {
    let id = text.trim().parse().ok()?;
    (id != NOBODY_LOGGED_IN).then_some(id)
}

/// Name in a line of the accounts' file, if the line is that of this id.
fn name_of(line: &str, id: u32) -> Option<&str> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let found = fields.nth(1)?.parse::<u32>().ok()?;
    (found == id).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_ids() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n# a note\nclerk:x:1000:100::/home/c:\n";
        let name = |id| AccountName::find(id, accounts).name;
        assert_eq!(name(0).as_deref(), Some("root"));
        assert_eq!(name(1000).as_deref(), Some("clerk"));
        assert_eq!(name(100), None, "that is a group");
        assert_eq!(login_id("1000\n"), Some(1000));
        assert_eq!(login_id("4294967295"), None);
        assert_eq!(login_id(""), None);
    }

    #[test]
    fn this_process_has_an_account() {
        let account = Account::of_this_process();
        assert_eq!(account.user.id, getuid().as_raw());
    }
}
