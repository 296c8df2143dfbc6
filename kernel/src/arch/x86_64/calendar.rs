//! Dates of the Gregorian calendar as days since 1970-01-01.

/// A date from 1970 on.
pub struct Date {
    /// The year, in full.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

impl Date {
    /// Days from 1970-01-01; `None` if there is no such month or day.
    pub fn days(&self) -> Option<u64> {
        let february = if is_leap(self.year) { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let month = usize::try_from(self.month.checked_sub(1)?).ok()?;
        if self.day == 0 || self.day > *lengths.get(month)? {
            return None;
        }
        let years: u64 = (1970..self.year)
            .map(|year| if is_leap(year) { 366 } else { 365 })
            .sum();
        let months: u64 = lengths.iter().take(month).sum();
        Some(years + months + self.day - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(year: u64, month: u64, day: u64) -> Option<u64> {
        Date { year, month, day }.days()
    }

    #[test]
    fn known_days() {
        // From `date -u -d 2000-03-01 +%s`, divided by 86,400.
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 2, 29), Some(11016));
        assert_eq!(days(2000, 3, 1), Some(11017));
        assert_eq!(days(2024, 12, 31), Some(20088));
        assert_eq!(days(2100, 3, 1), Some(47541));
    }

    #[test]
    fn no_such_day() {
        assert_eq!(days(2023, 2, 29), None);
        assert_eq!(days(2100, 2, 29), None);
        assert_eq!(days(2024, 0, 1), None);
        assert_eq!(days(2024, 13, 1), None);
        assert_eq!(days(2024, 4, 31), None);
        assert_eq!(days(2024, 4, 0), None);
    }
}
