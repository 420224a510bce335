//! The figures as a table, each beside what was wanted of it.

use std::time::Duration;

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    pub fn row(&mut self, figure: &str, measured: String, wanted: &str, good: Option<bool>) {
        let verdict = match good {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        eprintln!("  {figure}: {measured} {wanted} {verdict}");
        self.rows
            .push([figure, &measured, wanted, verdict].map(String::from));
    }

    pub fn print(&self) {
        let head = ["figure", "measured", "wanted", ""].map(String::from);
        let width = |n: usize| {
            let all = self.rows.iter().chain([&head]);
            all.map(|row| row[n].chars().count()).max().unwrap_or(0)
        };
        let widths = [0, 1, 2, 3].map(width);
        println!();
        for row in [&head].into_iter().chain(&self.rows) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|n| format!("{:w$}", row[n], w = widths[n]));
            println!("{}", format!("{a}  {b}  {c}  {d}").trim_end());
        }
    }
}

pub fn micros(d: Duration) -> String {
    format!("{:.1} us", d.as_secs_f64() * 1e6)
}

pub fn millis(d: Duration) -> String {
    format!("{:.2} ms", d.as_secs_f64() * 1e3)
}

/// Of sorted values.
pub fn percentile(sorted: &[Duration], p: f64) -> Duration {
    let at = ((sorted.len() as f64 * p).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

pub fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    percentile(&values, 0.5)
}
