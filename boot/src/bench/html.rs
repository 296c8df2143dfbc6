//! The results as one page that needs nothing else.

use std::fs;
use std::path::Path;

use crate::bench::plots::{self, Plot};
use crate::bench::results::{self, Results};
use crate::bench::table::{Align, Table};
use crate::error::{Doing, Result};

const STYLE: &str = "\
body { font: 15px/1.45 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-size: 13px; margin: 1.5em 0 }
th, td { padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap }
td.right, th.right { text-align: right; font-variant-numeric: tabular-nums }
svg { display: block; margin: 1.5em 0; max-width: 100%; height: auto }";

/// Writes the page.
pub fn write(path: &Path, results: &Results) -> Result<()> {
    let plots = plots::all(results)?;
    fs::write(path, page(results, &plots)).on("write", path)
}

fn page(results: &Results, plots: &[Plot]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>cowfork, measured</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n\
         <h1>cowfork, measured</h1>\n<ul>\n"
    );
    for (title, value) in &results.circumstances {
        html.push_str(&format!(
            "<li>{}: {}</li>\n",
            escaped(title),
            escaped(value)
        ));
    }
    html.push_str("</ul>\n");
    html.push_str(&table(&results::table(results)));
    for plot in plots {
        html.push_str(&plot.svg);
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn table(table: &Table) -> String {
    let mut html = String::from("<table>\n");
    let names: Vec<String> = table
        .columns()
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    for (index, row) in std::iter::once(&names).chain(table.rows()).enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        html.push_str("<tr>");
        for ((_, align), cell) in table.columns().iter().zip(row) {
            let class = match align {
                Align::Left => "",
                Align::Right => " class=\"right\"",
            };
            html.push_str(&format!("<{tag}{class}>{}</{tag}>", escaped(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>\n");
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::results;

    #[test]
    fn the_page_holds_everything_and_loads_nothing() {
        let results = results();
        let page = page(&results, &plots::all(&results).expect("plots"));
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("<td>fork.256M</td>"));
        assert!(page.contains("Linux &lt;6.1&gt;"));
        // The name of SVG's language is the only address.
        let addresses = page.matches("http").count();
        assert_eq!(
            addresses,
            page.matches("http://www.w3.org/2000/svg").count()
        );
    }
}
