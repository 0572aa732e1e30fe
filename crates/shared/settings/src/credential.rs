//! Command to type where a secret is a systemd credential and the program was not started by
//! systemd.

use std::path::Path;

use crate::shell::shell_quoted;

/// Arguments of this process, the program's whole path first.
pub(crate) fn this_command() -> Vec<String> {
    let mut arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    if let (Some(first), Ok(path)) = (arguments.first_mut(), std::env::current_exe()) {
        *first = path.display().to_string();
    }
    arguments
}

/// Lines that tell how this command gets the credential: from the running service, or from a
/// passing unit of its own.
pub(crate) fn help(name: &str, command: &[String]) -> String {
    let command: Vec<String> = command.iter().map(shell_quoted).collect();
    let program = command
        .first()
        .and_then(|path| Path::new(path).file_name()?.to_str())
        .unwrap_or("program");
    let command = command.join(" ");
    format!(
        "\n  help: while the service runs, as root:\n    \
         env CREDENTIALS_DIRECTORY=/run/credentials/{program}.service {command}\n  \
         help: otherwise, as root, with the file of LoadCredential={name}: in the unit \
         (systemctl cat {program}), and one --property more for each further credential:\n    \
         systemd-run --pipe --wait --collect --uid={program} --working-directory=$PWD \
         --property=LoadCredential={name}:/etc/{program}/{name} {command}\n  \
         help: in a unit of your own: LoadCredential={name}:/etc/{program}/{name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_command_is_told_as_it_can_be_typed() {
        let command = ["/usr/bin/clinic-gateway", "preview", "it's mine"].map(str::to_owned);
        let told = help("keys", &command);
        for line in [
            "env CREDENTIALS_DIRECTORY=/run/credentials/clinic-gateway.service \
             /usr/bin/clinic-gateway preview 'it'\\''s mine'\n",
            "systemd-run --pipe --wait --collect --uid=clinic-gateway \
             --working-directory=$PWD \
             --property=LoadCredential=keys:/etc/clinic-gateway/keys /usr/bin/clinic-gateway \
             preview 'it'\\''s mine'\n",
        ] {
            assert!(told.contains(line), "{line} in:\n{told}");
        }
    }
}
