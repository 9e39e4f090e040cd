//! How many tests passed, failed and were skipped.

/// A check that failed counts as a failed test.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Counts {
    /// One that failed.
    pub const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
    /// One that was skipped.
    pub const SKIPPED: Self = Self::skipped(1);

    /// So many that were skipped.
    pub const fn skipped(skipped: u64) -> Self {
        Self {
            passed: 0,
            failed: 0,
            skipped,
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// From a closing line of Rust's test runner:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    pub fn from_line(line: &str) -> Option<Self> {
        let (_, counts) = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?;
        let mut found = Self::default();
        for part in counts.split("; ") {
            let (number, what) = part.split_once(' ')?;
            match (number.parse(), what) {
                (Ok(number), "passed") => found.passed = number,
                (Ok(number), "failed") => found.failed = number,
                (Ok(number), "ignored") => found.skipped = number,
                _ => {}
            }
        }
        Some(found)
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, counts| {
            sum.add(counts);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let line = "test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.27s";
        let counts = Counts {
            passed: 10,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(Counts::from_line(line), Some(counts));
    }

    #[test]
    fn other_lines_are_not() {
        for line in ["", "running 3 tests", "test result: none", "test a ... ok"] {
            assert_eq!(Counts::from_line(line), None, "{line}");
        }
    }
}
