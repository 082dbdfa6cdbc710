//! Finds line feeds in a buffer that grows at its end and is cut at its beginning.

/// How many bytes are looked at together: as many as a word has bits.
const BLOCK: usize = 64;

/// Where the line feeds of a buffer are. A block at a time, whatever is in it: lines are short and
/// of any length, so that to stop at each costs the processor more in wrong guesses than the search.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct LineFeeds {
    /// Where the block begins that `hits` tells of.
    block: usize,
    /// Where the next block begins.
    pub(super) next: usize,
    /// A bit for every byte of the block that is a line feed, the first byte's lowest.
    hits: u64,
}

impl LineFeeds {
    /// A search that begins at `start`.
    pub(super) fn from(start: usize) -> Self {
        Self { block: start, next: start, hits: 0 }
    }

    /// The same once the first `count` bytes are gone from the buffer.
    pub(super) fn after(self, count: usize) -> Self {
        let Self { block, next, hits } = self;
        if count >= next {
            return Self::default();
        }
        let gone = count.saturating_sub(block);
        Self { block: block.saturating_sub(count), next: next - count, hits: hits >> gone }
    }

    /// Where the next one is. `buffer` is that of the call before, or with more at its end.
    #[inline]
    pub(super) fn next(&mut self, buffer: &[u8]) -> Option<usize> {
        while self.hits == 0 {
            if self.next >= buffer.len() {
                return None;
            }
            self.hits = look(buffer, self.next);
            self.block = self.next;
            self.next = buffer.len().min(self.next + BLOCK);
        }
        let at = self.block + self.hits.trailing_zeros() as usize;
        self.hits &= self.hits - 1;
        Some(at)
    }
}

/// The line feeds in the block at `next`, or in what there is of it.
#[inline]
fn look(buffer: &[u8], next: usize) -> u64 {
    let Some(last) = buffer.len().checked_sub(BLOCK) else {
        return hits_of_few(buffer) >> next;
    };
    let start = next.min(last);
    let block = buffer[start..].first_chunk::<BLOCK>().expect("the last block is whole");
    hits(block) >> (next - start)
}

/// A bit for every line feed. Written so that the compiler compares many bytes at once.
#[inline]
fn hits<const N: usize>(block: &[u8; N]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut bits = [0_u8; N];
    for (at, (bit, byte)) in bits.iter_mut().zip(block).enumerate() {
        *bit = if *byte == b'\n' { 1 << (at % 8) } else { 0 };
    }
    let (words, _) = bits.as_chunks::<8>();
    words.iter().enumerate().fold(0, |hits, (at, word)| {
        // The bits of eight bytes are all different ones: their sum, in the highest byte, has them.
        hits | (u64::from_le_bytes(*word).wrapping_mul(ONES) >> 56) << (8 * at)
    })
}

/// [`hits`] of less than a block: two looks, which overlap, at as many bytes as there are twice.
#[inline(never)]
fn hits_of_few(bytes: &[u8]) -> u64 {
    fn two<const N: usize>(bytes: &[u8]) -> Option<u64> {
        let (first, last) = (bytes.first_chunk::<N>()?, bytes.last_chunk::<N>()?);
        Some(hits(first) | hits(last) << (bytes.len() - N))
    }
    let of_each = || bytes.iter().rev().fold(0, |hits, byte| hits << 1 | u64::from(*byte == b'\n'));
    two::<32>(bytes)
        .or_else(|| two::<16>(bytes))
        .or_else(|| two::<8>(bytes))
        .unwrap_or_else(of_each)
}
