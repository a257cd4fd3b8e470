//! A polygon with holes, and whether a point lies in it. Degrees; x is the longitude, y the latitude.

/// A point: longitude, latitude.
pub(crate) type Point = [f64; 2];

/// One outer ring and its holes. Rings are closed by themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Polygon {
    rings: Vec<Vec<Point>>,
    /// The smallest box around it: west, south, east, north.
    pub(super) bounds: [f64; 4],
}

impl Polygon {
    /// The first ring is the border, the others are holes. `None` for a border without area.
    pub(crate) fn new(rings: Vec<Vec<Point>>) -> Option<Self> {
        let border = rings.first().filter(|ring| ring.len() >= 3)?;
        let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for [x, y] in border {
            bounds = [
                bounds[0].min(*x),
                bounds[1].min(*y),
                bounds[2].max(*x),
                bounds[3].max(*y),
            ];
        }
        (bounds[0] < bounds[2] && bounds[1] < bounds[3]).then_some(Self { rings, bounds })
    }

    /// Whether the point lies inside. A point of the border belongs to the polygon east or north of it, so that of two
    /// neighbours with a common border exactly one has it.
    pub(super) fn has(&self, [x, y]: Point) -> bool {
        let [west, south, east, north] = self.bounds;
        if !(west..=east).contains(&x) || !(south..=north).contains(&y) {
            return false;
        }
        // Even-odd rule over all rings: a hole turns the answer over.
        let mut inside = false;
        for ring in &self.rings {
            let mut before = ring[ring.len() - 1];
            for &point in ring {
                let crosses = (point[1] > y) != (before[1] > y);
                if crosses && x < (before[0] - point[0]) * (y - point[1]) / (before[1] - point[1]) + point[0] {
                    inside = !inside;
                }
                before = point;
            }
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn square(x: f64, y: f64, side: f64) -> Vec<Point> {
        vec![[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    }

    #[test]
    fn a_hole_is_outside() {
        let ring = Polygon::new(vec![square(0.0, 0.0, 9.0), square(3.0, 3.0, 3.0)]).expect("a polygon");
        assert!(ring.has([1.0, 1.0]));
        assert!(!ring.has([4.0, 4.0]));
        assert!(!ring.has([10.0, 1.0]));
    }

    #[test]
    fn a_line_is_no_polygon() {
        assert_eq!(Polygon::new(vec![vec![[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]]), None);
        assert_eq!(Polygon::new(Vec::new()), None);
    }

    proptest! {
        /// Of neighbours that tile a square, each point inside belongs to exactly one.
        #[test]
        fn neighbours_share_no_point_and_miss_none(x in 0.0f64..4.0, y in 0.0f64..4.0) {
            let tiles: Vec<Polygon> = (0..16)
                .filter_map(|at| Polygon::new(vec![square(f64::from(at % 4), f64::from(at / 4), 1.0)]))
                .collect();
            prop_assert_eq!(tiles.iter().filter(|tile| tile.has([x, y])).count(), 1);
        }
    }
}
