//! Quoting of arguments in command lines that programs print to be pasted.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// Argument as a shell (bash, zsh, ksh) reads it back: as it is where nothing in it is special,
/// otherwise in single quotes, or with `\x` escapes where it has control characters or is no
/// UTF-8 text.
#[must_use]
pub fn shell_quoted(argument: impl AsRef<OsStr>) -> String {
    let argument = argument.as_ref();
    let printable = argument
        .to_str()
        .filter(|text| !text.chars().any(char::is_control));
    let Some(text) = printable else {
        return escaped(argument.as_bytes());
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                // Writing to a text cannot fail.
                write!(text, "\\x{byte:02x}").ok();
            }
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let texts: [&[u8]; 9] = [
            b"city-registry.toml",
            b"",
            b"my folder/city's.toml",
            b"~/$HOME `id`; rm *",
            b"a\"b\\c!d",
            "Город/файл".as_bytes(),
            b"two\nlines\tand 'a tab'\\",
            b"\xff\xfe no text",
            b"#-x=(1)",
        ];
        for text in texts {
            let argument = OsString::from_vec(text.to_vec());
            let script = format!("printf %s {}", shell_quoted(&argument));
            let printed = Command::new("bash").arg("-c").arg(&script).output();
            let printed = printed.expect("bash is there");
            assert_eq!(printed.stdout, text, "{script}");
        }
        assert_eq!(shell_quoted("a/b-c_1.toml"), "a/b-c_1.toml");
        assert_eq!(shell_quoted("it's mine"), r"'it'\''s mine'");
    }
}
