//! The DIDs of one usage, in the order of ids: what a pick takes from, and appends to.
//!
//! A queue in pieces, because a doubling buffer that drains while its neighbour fills would hold
//! four times what is in it.

use std::collections::VecDeque;

use super::pool::Place;

/// Places in one piece: 2 KiB.
const PIECE: usize = 512;

/// How many slots a pick fetches at once. Fewer leave more picks waiting for memory; more are gone
/// from the cache again, where hundreds of orders take turns, before their pick comes.
const TOGETHER: usize = 8;

/// A queue of places.
#[derive(Debug)]
pub(super) struct Run {
    /// How often every DID in it was used when it was put here.
    pub(super) level: u32,
    /// Never empty of pieces but when the run is empty; no piece is empty.
    pieces: VecDeque<Vec<Place>>,
    /// How many places of the first piece are gone.
    gone: usize,
}

impl Run {
    pub(super) fn new(level: u32) -> Self {
        Self { level, pieces: VecDeque::new(), gone: 0 }
    }

    pub(super) fn front(&self) -> Option<Place> {
        self.pieces.front()?.get(self.gone).copied()
    }

    /// At every `TOGETHER`th place, that and the following, up to the end of the piece; at the
    /// others none, for they have been named before.
    pub(super) fn coming(&self) -> &[Place] {
        if !self.gone.is_multiple_of(TOGETHER) {
            return &[];
        }
        let piece = self.pieces.front().map_or(&[][..], Vec::as_slice);
        &piece[self.gone..piece.len().min(self.gone + TOGETHER)]
    }

    pub(super) fn back(&self) -> Option<Place> {
        self.pieces.back()?.last().copied()
    }

    pub(super) fn push(&mut self, place: Place) {
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(place),
            Some(_) | None => {
                // A run that has filled a piece will fill another; a short one stays small.
                let room = if self.pieces.is_empty() { 4 } else { PIECE };
                let mut piece = Vec::with_capacity(room);
                piece.push(place);
                self.pieces.push_back(piece);
            }
        }
    }

    pub(super) fn pop(&mut self) {
        self.gone += 1;
        if self.pieces.front().is_some_and(|piece| self.gone >= piece.len()) {
            self.pieces.pop_front();
            self.gone = 0;
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.pieces.iter().flatten().copied().skip(self.gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_named_as_coming_once_and_before_it_is_popped() {
        let mut run = Run::new(0);
        let places = 0..Place::try_from(PIECE + TOGETHER + 3).unwrap();
        places.clone().for_each(|place| run.push(place));

        let mut named = Vec::new();
        while let Some(front) = run.front() {
            named.extend_from_slice(run.coming());
            assert!(named.contains(&front), "{front} of {}", places.end);
            run.pop();
        }

        assert_eq!(named, Vec::from_iter(places));
        assert!(run.coming().is_empty());
    }
}
