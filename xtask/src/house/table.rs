//! The table: one row a measure, with the bound that the project keeps.

use super::Place;
use super::cycles::{self, Cycle};
use super::docs::DocCounts;
use super::shape::Shape;
use super::source::SourceFile;

/// Longest line in characters.
const MAX_LINE_CHARACTERS: usize = 100;

/// Longest file in lines, tests left out.
const MAX_FILE_LINES: usize = 450;

/// Longest function in lines: one screen.
const MAX_FUNCTION_LINES: usize = 50;

/// Everything that was measured.
pub(super) struct Measures {
    code_lines: usize,
    /// Lengths of the files in lines, rising.
    file_lengths: Vec<usize>,
    long_files: Vec<Place>,
    long_lines: Vec<Place>,
    no_headline: Vec<Place>,
    docs: DocCounts,
    shape: Shape,
    cycles: Vec<Cycle>,
}

/// Row of the table.
pub(super) struct Row {
    /// Word that `--list` takes; empty if the row has no places.
    pub(super) name: &'static str,
    /// Description of the measure.
    pub(super) label: &'static str,
    /// Measured value.
    pub(super) value: String,
    /// Bound that the project keeps, in words.
    pub(super) bound: &'static str,
    /// Places that the row counts.
    pub(super) places: Vec<String>,
    /// True if `--check` fails while there is any place.
    pub(super) must_be_empty: bool,
}

impl Measures {
    /// Measures the files.
    pub(super) fn of(files: &[SourceFile]) -> Self {
        let mut measures = Self {
            code_lines: 0,
            file_lengths: Vec::new(),
            long_files: Vec::new(),
            long_lines: Vec::new(),
            no_headline: Vec::new(),
            docs: DocCounts::default(),
            shape: Shape::default(),
            cycles: cycles::find(files),
        };
        for file in files {
            measures.add(file);
        }
        measures.file_lengths.sort_unstable();
        measures
            .shape
            .functions
            .sort_unstable_by_key(|function| function.0);
        measures
    }

    fn add(&mut self, file: &SourceFile) {
        self.code_lines += file.code_lines();
        let length = file.lines.len();
        self.file_lengths.push(length);
        if length > MAX_FILE_LINES {
            self.long_files
                .push(Place::new(file, 1, format!("{length} lines")));
        }
        for (number, line) in &file.lines {
            let characters = line.chars().count();
            if characters > MAX_LINE_CHARACTERS {
                let what = format!("{characters} characters");
                self.long_lines.push(Place::new(file, *number, what));
            }
        }
        if !file
            .lines
            .first()
            .is_some_and(|(_, line)| line.starts_with("//!"))
        {
            self.no_headline
                .push(Place::new(file, 1, "no `//!` line".to_owned()));
        }
        self.docs.add(file);
        self.shape.add(file);
    }

    /// Rows of the table, in the order they are printed.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = self.rows_of_size();
        rows.extend(self.rows_of_words());
        rows.extend(self.rows_of_structure());
        rows
    }

    fn rows_of_size(&self) -> Vec<Row> {
        let function_lengths: Vec<usize> = self
            .shape
            .functions
            .iter()
            .map(|function| function.0)
            .collect();
        let long_functions = self
            .shape
            .functions
            .iter()
            .rev()
            .take_while(|function| function.0 > MAX_FUNCTION_LINES)
            .map(|function| format!("{} ({} lines)", function.1, function.0))
            .collect();
        vec![
            figure(
                "lines of code, comments left out",
                self.code_lines.to_string(),
            ),
            figure(
                "files; median and longest, in lines",
                spread(&self.file_lengths),
            ),
            counted(
                "long-files",
                "files over 450 lines",
                "none",
                &self.long_files,
            ),
            figure(
                "functions; median and longest, in lines",
                spread(&function_lengths),
            ),
            Row {
                places: long_functions,
                ..counted("long-functions", "functions over 50 lines", "few", &[])
            }
            .with_count(),
            counted(
                "long-lines",
                "lines over 100 characters",
                "none",
                &self.long_lines,
            ),
        ]
    }

    fn rows_of_words(&self) -> Vec<Row> {
        let riddles = share(self.docs.riddles.len(), self.docs.comments);
        let documented = share(
            self.docs.visible - self.docs.undocumented.len(),
            self.docs.visible,
        );
        vec![
            Row {
                value: riddles,
                ..counted(
                    "riddles",
                    "doc comments that do not open with their subject",
                    "under 1 %",
                    &self.docs.riddles,
                )
            },
            Row {
                value: documented,
                ..counted(
                    "undocumented",
                    "visible items that have a doc comment",
                    "",
                    &self.docs.undocumented,
                )
            },
            counted(
                "no-headline",
                "files without a `//!` line",
                "none",
                &self.no_headline,
            ),
        ]
    }

    fn rows_of_structure(&self) -> Vec<Row> {
        let shared = self
            .shape
            .types
            .iter()
            .filter(|(_, places)| places.len() > 1);
        let shared = shared.map(|(name, places)| {
            let paths: Vec<String> = places
                .iter()
                .map(|place| place.path.display().to_string())
                .collect();
            format!("{name}: {}", paths.join(", "))
        });
        let cycles = self.cycles.iter().map(|cycle| {
            format!(
                "{} modules\n    {}",
                cycle.modules,
                cycle.ties.join("\n    ")
            )
        });
        vec![
            Row {
                must_be_empty: true,
                ..counted(
                    "tuple-lets",
                    "`let (a, b) = (x, y)`",
                    "none",
                    &self.shape.tuple_lets,
                )
            },
            Row {
                must_be_empty: true,
                ..counted(
                    "tuple-parameters",
                    "parameters that are tuples",
                    "none",
                    &self.shape.tuple_parameters,
                )
            },
            Row {
                must_be_empty: true,
                places: cycles.collect(),
                ..counted("cycles", "module cycles", "none", &[])
            }
            .with_count(),
            Row {
                places: shared.collect(),
                ..counted(
                    "shared-names",
                    "type names that are defined twice or more",
                    "few",
                    &[],
                )
            }
            .with_count(),
        ]
    }
}

impl Row {
    /// Takes the number of places as the value.
    fn with_count(mut self) -> Self {
        self.value = self.places.len().to_string();
        self
    }
}

/// Row without places.
fn figure(label: &'static str, value: String) -> Row {
    Row {
        name: "",
        label,
        value,
        bound: "",
        places: Vec::new(),
        must_be_empty: false,
    }
}

/// Row whose value is the number of its places.
fn counted(name: &'static str, label: &'static str, bound: &'static str, places: &[Place]) -> Row {
    Row {
        name,
        label,
        value: places.len().to_string(),
        bound,
        places: places.iter().map(ToString::to_string).collect(),
        must_be_empty: false,
    }
}

/// Number, median and largest of sorted lengths.
fn spread(lengths: &[usize]) -> String {
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    let largest = lengths.last().copied().unwrap_or(0);
    format!("{}; {median}, {largest}", lengths.len())
}

/// Share in per cent with one decimal, and both numbers.
fn share(part: usize, whole: usize) -> String {
    let per_mille = (part * 1000 + whole / 2) / whole.max(1);
    format!(
        "{}.{} % ({part} of {whole})",
        per_mille / 10,
        per_mille % 10
    )
}

/// Prints the rows below each other, in columns.
pub(super) fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    let value_width = rows.iter().map(|row| row.value.len()).max().unwrap_or(0);
    let lines = rows.iter().map(|row| {
        let line = format!(
            "{:width$}  {:value_width$}  {:10}  {}",
            row.label, row.value, row.bound, row.name
        );
        line.trim_end().to_owned()
    });
    let head = format!(
        "{:width$}  {:value_width$}  {:10}  --list",
        "measure", "value", "bound"
    );
    std::iter::once(head)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_and_an_empty_whole_is_no_error() {
        assert_eq!(share(1, 3), "33.3 % (1 of 3)");
        assert_eq!(share(0, 0), "0.0 % (0 of 0)");
    }

    #[test]
    fn lines_and_files_are_measured_at_their_edges() {
        let line = |length: usize| format!("//! {}\n", "x".repeat(length - 4));
        let text = line(100) + &line(101) + &"\n".repeat(448);
        let fits = SourceFile::parse("a.rs".into(), &text).unwrap();
        let over = SourceFile::parse("b.rs".into(), &(text + "\n")).unwrap();
        let measures = Measures::of(&[fits, over]);
        assert_eq!(measures.long_lines.len(), 2);
        assert_eq!(measures.long_files.len(), 1);
    }
}
