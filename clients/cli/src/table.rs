//! Rows of text as columns. Knows no meaning.

/// The rows under their heads, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(heads: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut all = vec![heads.map(str::to_owned)];
    all.extend(rows);
    let widths: [usize; N] =
        std::array::from_fn(|at| all.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &all {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
