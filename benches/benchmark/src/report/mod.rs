//! The figures as Markdown: for the terminal, and as `docs/performance.md`, composed from the
//! newest results of all parts.

mod goals;
mod rows;
mod text;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::arguments::Part;
use crate::error::Error;
use crate::results::samples::grouped;
use crate::results::{Figures, PartResult, TextTable, name};
use rows::SizeRow;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");

/// Writes `docs/performance.md`; its path.
pub(crate) fn write(results: &[PartResult]) -> Result<PathBuf, Error> {
    std::fs::write(PAGE, page(results)).map_err(Error::io("write docs/performance.md"))?;
    Ok(Path::new(PAGE)
        .canonicalize()
        .unwrap_or_else(|_| PAGE.into()))
}

/// The whole page.
fn page(results: &[PartResult]) -> String {
    format!(
        "{}\n{}\n{}",
        text::INTRODUCTION,
        tables(results),
        text::ROWS
    )
}

/// Everything but the words around.
pub(crate) fn tables(results: &[PartResult]) -> String {
    let mut out = MarkdownPage {
        machines: machines(results),
        text: String::new(),
    };
    out.heading("Goals");
    out.text.push_str(text::GOALS);
    out.goals(results);
    out.heading("Machine and versions");
    out.machines();
    for part in Part::ALL {
        out.heading(text::title(part));
        match results.iter().find(|result| result.part == part) {
            Some(result) => out.part(result),
            None => out.text.push_str("Not measured yet.\n"),
        }
    }
    out.text.trim_start().to_owned()
}

/// Differences from machine to machine and from build to build, once each.
fn machines(results: &[PartResult]) -> Vec<Vec<(String, String)>> {
    let mut different: Vec<Vec<(String, String)>> = Vec::new();
    for result in results {
        if !different.contains(&result.machine) {
            different.push(result.machine.clone());
        }
    }
    different
}

struct MarkdownPage {
    machines: Vec<Vec<(String, String)>>,
    text: String,
}

impl MarkdownPage {
    fn heading(&mut self, words: &str) {
        // Writing into a String cannot fail, here and below.
        let _ = writeln!(self.text, "\n## {words}\n");
    }

    fn goals(&mut self, results: &[PartResult]) {
        self.line(["goal", "measured", "met"].map(str::to_owned));
        self.line(["---", "---:", "---"].map(str::to_owned));
        for goal in goals::goals(results) {
            self.line([goal.text, goal.measured, goal.met.to_owned()]);
        }
    }

    fn machines(&mut self) {
        if self.machines.is_empty() {
            return self.text.push_str("Not measured yet.\n");
        }
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.machines.iter().flatten() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let count = self.machines.len();
        self.line(
            std::iter::once(String::new()).chain((1..=count).map(|number| number.to_string())),
        );
        self.line(std::iter::repeat_n("---".to_owned(), count + 1));
        for wanted in names {
            let of = |machine: &Vec<(String, String)>| {
                let found = machine.iter().find(|(name, _)| *name == wanted);
                found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
            };
            let cells: Vec<String> = self.machines.iter().map(of).collect();
            self.line(std::iter::once(wanted).chain(cells));
        }
    }

    fn part(&mut self, result: &PartResult) {
        match result.part {
            Part::Stages => {
                self.sizes(result, rows::STAGES);
                self.sizes(result, rows::STAGE_RATIOS);
            }
            Part::Growth => {
                self.sizes(result, rows::GROWTH);
                self.sizes(result, rows::GROWTH_DISK);
                self.sizes(result, rows::GROWTH_RATIOS);
            }
            _ => self.table(result, &result.table),
        }
        for failure in &result.failures {
            let _ = writeln!(self.text, "\nFailed: {failure}");
        }
    }

    /// When, where and with what a table was measured, and what the disk was like.
    fn caption(&mut self, result: &PartResult) {
        let machine = self
            .machines
            .iter()
            .position(|machine| *machine == result.machine)
            .unwrap_or_default()
            + 1;
        let began = result.began_at.format("%Y-%m-%d %H:%M UTC");
        let fsync = result.probes.of(name::FSYNC);
        let write = result.probes.of(name::WRITE);
        let settings: String = result
            .settings
            .iter()
            .map(|(name, value)| format!("; {name}: {value}"))
            .collect();
        let _ = writeln!(
            self.text,
            "Measured {began} on machine {machine}. Disk meanwhile: fsync of 4 KiB {fsync} ms, \
             writing {write} MB/s{settings}.\n"
        );
    }

    fn sizes(&mut self, result: &PartResult, rows: &[SizeRow]) {
        if self.text.ends_with("|\n") {
            self.text.push('\n');
        }
        self.caption(result);
        let sizes: Vec<&Figures> = result.sizes.values().collect();
        let noted = rows.iter().any(|row| !row.note.is_empty());
        let note = |text: &str| noted.then(|| text.to_owned());
        let head = result
            .sizes
            .keys()
            .map(|records| format!("{} records", grouped(&records.to_string())));
        self.line(
            std::iter::once(String::new())
                .chain(head)
                .chain(note("what it leaves out")),
        );
        let rule = std::iter::repeat_n("---:".to_owned(), sizes.len());
        self.line(
            std::iter::once("---".to_owned())
                .chain(rule)
                .chain(note("---")),
        );
        for row in rows {
            let cells = sizes.iter().map(|of| row.cell(of).to_string());
            self.line(
                std::iter::once(row.name.to_owned())
                    .chain(cells)
                    .chain(note(row.note)),
            );
        }
    }

    fn table(&mut self, result: &PartResult, table: &TextTable) {
        self.caption(result);
        if table.rows.is_empty() {
            return;
        }
        self.line(table.head.iter().cloned());
        self.line(table.head.iter().map(|_| "---".to_owned()));
        for row in &table.rows {
            self.line(row.iter().cloned());
        }
    }

    fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        // A bar in a peer's words would begin a cell of its own.
        let cells: Vec<String> = cells
            .into_iter()
            .map(|cell| cell.replace('|', "\\|"))
            .collect();
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests;
