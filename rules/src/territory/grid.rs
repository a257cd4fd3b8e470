//! Finds the few polygons a point may lie in by the cell of a grid, not by trying all.

use foldhash::HashMap;

use super::{Id, polygon::Polygon};

/// Side of a cell, degrees: about three kilometres.
const CELL: f64 = 0.05;
/// Most cells of one polygon; a larger one (a whole region is about ten thousand) is looked at for every point.
const MOST_CELLS: f64 = 40_000.0;

/// All polygons, filed by the cells they touch.
#[derive(Debug, Default)]
pub(super) struct Grid {
    polygons: Vec<(Id, Polygon)>,
    cells: HashMap<(i32, i32), Vec<u32>>,
    large: Vec<u32>,
}

impl Grid {
    /// Files a polygon of a territory.
    pub(super) fn add(&mut self, id: Id, polygon: Polygon) {
        // Four billion polygons do not fit memory.
        let at = u32::try_from(self.polygons.len()).unwrap_or(u32::MAX);
        let [west, south, east, north] = polygon.bounds;
        if ((east - west) / CELL + 1.0) * ((north - south) / CELL + 1.0) > MOST_CELLS {
            self.large.push(at);
        } else {
            let (from, to) = (cell(west, south), cell(east, north));
            for x in from.0..=to.0 {
                for y in from.1..=to.1 {
                    self.cells.entry((x, y)).or_default().push(at);
                }
            }
        }
        self.polygons.push((id, polygon));
    }

    /// Territories a point lies in: the narrowest are the caller's business.
    pub(super) fn at(&self, lon: f64, lat: f64) -> Vec<Id> {
        let near = self.cells.get(&cell(lon, lat)).into_iter().flatten();
        let mut found: Vec<Id> = near
            .chain(&self.large)
            .map(|&at| &self.polygons[at as usize])
            .filter(|(_, polygon)| polygon.has([lon, lat]))
            .map(|(id, _)| *id)
            .collect();
        found.dedup();
        found
    }
}

#[expect(clippy::cast_possible_truncation, reason = "degrees are small, and a cast saturates")]
fn cell(lon: f64, lat: f64) -> (i32, i32) {
    ((lon / CELL).floor() as i32, (lat / CELL).floor() as i32)
}
