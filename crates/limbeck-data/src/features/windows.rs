//! Where the windows of a context begin and end.

use std::ops::Range;

use super::options::DocStrideMeaning;

/// The windows of a context of `len` tokens, at most `capacity` tokens each. A context
/// without tokens has one window without tokens, so that its question is still asked.
///
/// With [`DocStrideMeaning::Overlap`] a window begins `capacity - doc_stride` tokens after
/// the one before, with [`DocStrideMeaning::Advance`] `min(capacity, doc_stride)` tokens.
/// The last window is the first that reaches the end.
///
/// The caller has checked that this moves on: `doc_stride < capacity` and `doc_stride > 0`
/// respectively, and `capacity > 0`.
pub(crate) fn windows(
    len: usize,
    capacity: usize,
    doc_stride: usize,
    meaning: DocStrideMeaning,
) -> impl Iterator<Item = Range<usize>> {
    let step = match meaning {
        DocStrideMeaning::Overlap => capacity.saturating_sub(doc_stride),
        DocStrideMeaning::Advance => doc_stride.min(capacity),
    };
    let window = move |start: usize| start..len.min(start.saturating_add(capacity));
    std::iter::successors(Some(window(0)), move |last| {
        (last.end < len && step > 0).then(|| window(last.start + step))
    })
}

/// Whether this window is the one that shows the token with the most context around it
/// (Devlin et al., `_check_is_max_context`): of the windows that contain it, the first with
/// the highest `min(tokens to the left, tokens to the right) + 0.01 * window length`.
pub(crate) fn is_max_context(
    windows: impl Iterator<Item = Range<usize>>,
    window: usize,
    token: usize,
) -> bool {
    let mut best: Option<(usize, f64)> = None;
    for (index, range) in windows.enumerate() {
        if !range.contains(&token) {
            continue;
        }
        let around = (token - range.start).min(range.end - 1 - token);
        let score = around as f64 + 0.01 * range.len() as f64;
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((index, score));
        }
    }
    best.is_some_and(|(index, _)| index == window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(
        len: usize,
        capacity: usize,
        doc_stride: usize,
        meaning: DocStrideMeaning,
    ) -> Vec<(usize, usize)> {
        windows(len, capacity, doc_stride, meaning).map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn overlapping_windows_share_doc_stride_tokens() {
        let meaning = DocStrideMeaning::Overlap;
        assert_eq!(cut(10, 4, 1, meaning), [(0, 4), (3, 7), (6, 10)]);
        assert_eq!(cut(10, 10, 9, meaning), [(0, 10)]);
        assert_eq!(cut(11, 10, 9, meaning), [(0, 10), (1, 11)]);
        assert_eq!(cut(9, 4, 0, meaning), [(0, 4), (4, 8), (8, 9)]);
    }

    #[test]
    fn advancing_windows_begin_doc_stride_tokens_apart_and_skip_nothing() {
        let meaning = DocStrideMeaning::Advance;
        assert_eq!(cut(10, 6, 2, meaning), [(0, 6), (2, 8), (4, 10)]);
        assert_eq!(cut(10, 4, 100, meaning), [(0, 4), (4, 8), (8, 10)]);
    }

    #[test]
    fn a_context_without_tokens_has_one_empty_window() {
        assert_eq!(cut(0, 4, 1, DocStrideMeaning::Overlap), [(0, 0)]);
        assert_eq!(cut(0, 4, 1, DocStrideMeaning::Advance), [(0, 0)]);
    }

    #[test]
    fn every_token_has_exactly_one_window_of_most_context() {
        for meaning in [DocStrideMeaning::Overlap, DocStrideMeaning::Advance] {
            let all: Vec<_> = windows(23, 8, 3, meaning).collect();
            for token in 0..23 {
                let best = (0..all.len())
                    .filter(|&window| is_max_context(all.iter().cloned(), window, token))
                    .count();
                assert_eq!(best, 1, "token {token}");
            }
        }
        // Token 3 has 3 and 4 tokens around it in the first window, 0 and 7 in the second.
        let all = [0..8, 3..11];
        assert!(is_max_context(all.iter().cloned(), 0, 3));
        assert!(!is_max_context(all.iter().cloned(), 1, 3));
    }
}
