//! A metric's course in one row of blocks: enough to see when it rose and whether it came back.

/// A metric over time.
pub(super) struct Series {
    /// Start, end and value of each interval that has one.
    points: Vec<(u64, u64, f64)>,
    end_ns: u64,
}

impl Series {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

    pub(super) fn new(points: Vec<(u64, u64, f64)>, end_ns: u64) -> Self {
        Series { points, end_ns }
    }

    /// The course in so many columns, from 0 to its peak. A column shows the highest value in its stretch of
    /// time, so that no peak is averaged away; a stretch without any value is blank.
    pub(super) fn draw(&self, columns: usize) -> String {
        let mut highest: Vec<Option<f64>> = vec![None; columns];
        let end = self.end_ns.max(1) as f64;
        let column = |time_ns: u64| (time_ns as f64 / end * columns as f64) as usize;
        for &(from_ns, to_ns, value) in &self.points {
            // The end is exclusive: an interval that ends where a column begins is not in it.
            let (first, last) = (column(from_ns), column(to_ns.saturating_sub(1)));
            for cell in highest.iter_mut().take(last.saturating_add(1)).skip(first) {
                *cell = Some(cell.map_or(value, |high| high.max(value)));
            }
        }
        let peak = highest.iter().flatten().copied().fold(0.0, f64::max);
        let block = |value: f64| {
            let level = if peak > 0.0 { (value / peak * 8.0).ceil().clamp(1.0, 8.0) } else { 1.0 };
            Self::BLOCKS[level as usize - 1]
        };
        highest.into_iter().map(|value| value.map_or(' ', block)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_stay_and_gaps_are_blank() {
        let series = Series::new(vec![(0, 10, 1.0), (10, 11, 8.0), (11, 20, 2.0), (30, 40, 4.0)], 40);
        assert_eq!(series.draw(4), "▁█ ▄");
        assert_eq!(series.draw(0), "");
        assert_eq!(Series::new(vec![(0, 10, 0.0)], 10).draw(2), "▁▁");
    }

    #[test]
    fn intervals_outside_the_session_do_no_harm() {
        assert_eq!(Series::new(vec![(0, u64::MAX, 1.0), (50, 10, 1.0)], 10).draw(2), "██");
        assert_eq!(Series::new(vec![(5, 6, 1.0)], 0).draw(2), "  ");
    }
}
