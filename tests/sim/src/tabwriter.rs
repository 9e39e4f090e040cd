//! Aligns columns as Go's text/tabwriter does, on which both `list` and the help texts rest.

/// `text` with its tabs replaced by spaces, so that cells in adjacent lines line up.
///
/// A column is at least `least` wide, and `padding` wider than its widest cell. What follows the
/// last tab of a line belongs to no column.
pub fn align(text: &str, least: usize, padding: usize) -> String {
    let lines: Vec<Vec<&str>> = text
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut aligned = String::with_capacity(text.len() * 2);
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    let columns = lines.iter().map(|cells| cells.len() - 1).max().unwrap_or(0);
    for column in 0..columns {
        let mut line = 0;
        while line < lines.len() {
            let end = (line..lines.len())
                .find(|&l| lines[l].len() - 1 <= column)
                .unwrap_or(lines.len());
            let widest = (line..end)
                .map(|l| lines[l][column].chars().count() + padding)
                .max();
            let width = widest.unwrap_or(0).max(least);
            for widths in &mut widths[line..end] {
                widths[column] = width;
            }
            line = end.max(line + 1);
        }
    }
    for (number, cells) in lines.iter().enumerate() {
        if number > 0 {
            aligned.push('\n');
        }
        for (column, cell) in cells.iter().enumerate() {
            aligned.push_str(cell);
            if let Some(width) = widths[number].get(column) {
                aligned.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
            }
        }
    }
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_the_padding() {
        let text = "ID\tPID\tEND\nlonger than ten\t1\t\n";
        assert_eq!(
            align(text, 12, 3),
            "ID                PID         END\nlonger than ten   1           \n"
        );
    }

    #[test]
    fn a_line_without_tabs_begins_new_columns() {
        assert_eq!(align("a\tb\nplain\nlong\tb", 1, 2), "a  b\nplain\nlong  b");
    }
}
