//! Answers as people read them.

use anyhow::Result;
use serde_json::Value;

use crate::show;

/// A column's title, and what of a row stands in it.
pub type Column = (&'static str, fn(&Value) -> String);

/// The JSON as it came, or a table with these columns.
pub fn show(answer: &Value, json: bool, list: &str, columns: &[Column]) -> Result<()> {
    if json {
        return show::say(&serde_json::to_string_pretty(answer)?);
    }
    show::say(&lines(answer, list, columns).join("\n"))
}

/// The table's lines.
pub fn lines(answer: &Value, list: &str, columns: &[Column]) -> Vec<String> {
    let empty = Vec::new();
    let rows = answer[list].as_array().unwrap_or(&empty);
    if rows.is_empty() {
        return vec!["none".to_string()];
    }
    let mut lines = vec![
        columns
            .iter()
            .map(|(title, _)| title.to_string())
            .collect::<Vec<_>>(),
    ];
    lines.extend(
        rows.iter()
            .map(|row| columns.iter().map(|(_, cell)| cell(row)).collect()),
    );
    laid_out(&lines)
}

/// Lines of cells in columns.
pub fn laid_out(lines: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let line = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        cells.join("  ").trim_end().to_string()
    };
    lines.iter().map(line).collect()
}

/// A value as a cell: texts without quotes, nothing as nothing.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_string(),
        Value::Bool(false) => "no".to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// UTC seconds as the machine's time of day.
pub fn moment(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, show::day_and_time)
}
