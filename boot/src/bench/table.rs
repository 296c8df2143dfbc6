//! Tables, for a terminal or in Markdown.

/// How a column is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
}

/// A table with a head.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column at the right.
    pub fn column(&mut self, name: &str, align: Align) {
        self.columns.push((name.into(), align));
    }

    /// Adds a row at the bottom. What it lacks at its end is empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    #[must_use]
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    #[must_use]
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let width = |index: usize| {
            let cells = std::iter::once(&head).chain(&self.rows);
            let widths = cells.filter_map(|row| Some(row.get(index)?.chars().count()));
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (index, (_, align)) in self.columns.iter().enumerate() {
                let cell = row.get(index).map_or("", String::as_str);
                let width = widths[index];
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// In Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<&str> = cells.collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&mut self.columns.iter().map(|(name, _)| name.as_str()));
        text.push_str(&line(&mut self.columns.iter().map(
            |(_, align)| match align {
                Align::Left => "---",
                Align::Right => "---:",
            },
        )));
        for row in &self.rows {
            let cells =
                (0..self.columns.len()).map(|index| row.get(index).map_or("", String::as_str));
            text.push_str(&line(&mut cells.into_iter()));
        }
        text
    }
}

/// A number with a comma before each group of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new();
        table.column("metric", Align::Left);
        table.column("ns", Align::Right);
        table.row(vec!["fork".into(), "12".into()]);
        table.row(vec!["cow".into()]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        assert_eq!(table().text(), "metric  ns\nfork    12\ncow\n");
    }

    #[test]
    fn markdown_has_a_head_and_alignment() {
        assert_eq!(
            table().markdown(),
            "| metric | ns |\n| --- | ---: |\n| fork | 12 |\n| cow |  |\n"
        );
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
