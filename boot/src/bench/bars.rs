//! What is wanted of cowfork against Linux: a ratio for each operation that has one.
//! A ratio of 2 is twice as fast, half the time, half the memory.

/// The bars for times, on four CPUs.
const TIMES: &[(&str, f64)] = &[
    ("fork-wait.0M", 6.0),
    ("fork.256M", 200.0),
    ("fork-wait.256M", 150.0),
    ("fork-touch.100%", 1.0),
    ("cow.copy", 2.0),
    ("cow.reuse", 2.0),
    ("cow.reuse-single", 2.0),
    ("touch.write", 2.0),
    ("syscall", 2.0),
    ("pipe.1-cpu", 2.0),
    ("pipe.2-cpus", 2.0),
    ("execve", 3.0),
    ("munmap.1", 1.5),
    ("mprotect.1", 1.5),
    ("munmap.3", 20.0),
    ("mprotect.3", 20.0),
    ("forkers.4", 4.0),
    ("snapshot.write 99 %", 5.0),
    ("memory.used", 10.0),
];

/// The bars for guest instructions.
const COUNTS: &[(&str, f64)] = &[
    ("fork-wait.0M", 6.0),
    ("cow.copy", 2.0),
    ("touch.write", 2.0),
    ("cow.reuse", 2.0),
    ("cow.reuse-single", 2.0),
    ("syscall", 2.0),
    ("pipe.1-cpu", 2.0),
];

/// The bar for a time.
#[must_use]
pub fn time(metric: &str) -> Option<f64> {
    find(TIMES, metric)
}

/// The bar for a count of instructions.
#[must_use]
pub fn count(metric: &str) -> Option<f64> {
    find(COUNTS, metric)
}

fn find(bars: &[(&str, f64)], metric: &str) -> Option<f64> {
    let mut bars = bars.iter();
    bars.find_map(|(name, bar)| (*name == metric).then_some(*bar))
}

/// Whether the bar is reached, in words: against Linux as it is booted, and whether
/// that holds in its other setting as well.
#[must_use]
pub fn verdict(bar: Option<f64>, ratios: &[f64]) -> String {
    let Some(bar) = bar else {
        return String::new();
    };
    let reached: Vec<bool> = ratios.iter().map(|ratio| *ratio >= bar).collect();
    let word = match (reached.first(), reached.iter().all(|reached| *reached)) {
        (None, _) => return String::new(),
        (_, true) => "yes",
        (Some(true), false) => "yes, but not against bare Linux",
        (Some(false), _) => "NO",
    };
    format!("{bar}: {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_reached_or_not() {
        assert_eq!(verdict(Some(2.0), &[2.0, 3.0]), "2: yes");
        assert_eq!(verdict(Some(1.5), &[1.4]), "1.5: NO");
        assert_eq!(
            verdict(Some(2.0), &[2.5, 1.9]),
            "2: yes, but not against bare Linux"
        );
        assert_eq!(verdict(None, &[1.0]), "");
        assert_eq!(verdict(Some(1.0), &[]), "");
    }
}
