//! One question put to several documents: their candidates in one list.

use super::{Candidate, DecodeOptions, Decoded, is_null, lead, score};

/// The candidates of several documents, compared with one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooled {
    /// Document and candidate, best first; "no answer" comes once.
    pub candidates: Vec<(usize, Candidate)>,
    /// The place of the prediction in that list; `None` where there is no candidate.
    pub predicted: Option<usize>,
}

/// Puts together what was decoded of each document. Scores are sums of logits of one model,
/// so they compare across documents; "no answer" counts as in the document that is least
/// sure of it, as in windows of one document.
pub fn pool_documents(decoded: Vec<Decoded>, options: &DecodeOptions) -> Pooled {
    let every = decoded.into_iter().enumerate().flat_map(|(document, decoded)| {
        let Decoded { candidates, best, .. } = decoded;
        // A list of one has no room for "no answer" and the answer that it is compared with.
        let unlisted = best.filter(|best| candidates.iter().all(|c| c.text != best.text));
        candidates.into_iter().chain(unlisted).map(move |candidate| (document, candidate))
    });
    let (nulls, mut candidates): (Vec<_>, Vec<_>) =
        every.partition(|(_, candidate)| candidate.text.is_empty());
    // Stable: equal scores stay in the order of documents.
    candidates.sort_by(|(_, a), (_, b)| score(b).total_cmp(&score(a)));
    candidates.truncate(options.n_best_size.max(1));
    let mut says_none = false;
    let null = nulls.into_iter().min_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)));
    if let Some((document, null)) = null {
        says_none = candidates
            .first()
            .is_none_or(|(_, best)| is_null(lead(&null, best), options.null_score_diff_threshold));
        let place = candidates.partition_point(|(_, candidate)| score(candidate) >= score(&null));
        candidates.insert(place, (document, null));
        let most = options.n_best_size.max(1);
        if candidates.len() > most {
            // Of the two last entries, the one that is an answer has to go, unless it is the
            // prediction, which it can be in a list of one.
            let last = candidates.len() - 1;
            let null_is_last = place == last;
            let null_stays = most > 1 || says_none;
            candidates.remove(if null_is_last == null_stays { last - 1 } else { last });
        }
    }
    super::set_probabilities(candidates.iter_mut().map(|(_, candidate)| candidate).collect());
    let predicted = candidates.iter().position(|(_, c)| c.text.is_empty() == says_none);
    Pooled { candidates, predicted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(text: &str, score: f32) -> Candidate {
        Candidate {
            text: text.into(),
            probability: 0.0,
            start: 0,
            end: text.len(),
            start_logit: score,
            end_logit: 0.0,
        }
    }

    fn decoded(candidates: &[(&str, f32)]) -> Decoded {
        let candidates: Vec<_> =
            candidates.iter().map(|&(text, score)| candidate(text, score)).collect();
        Decoded { candidates, ..Decoded::default() }
    }

    fn texts(pooled: &Pooled) -> Vec<(usize, &str)> {
        pooled.candidates.iter().map(|(document, c)| (*document, c.text.as_str())).collect()
    }

    #[test]
    fn the_best_candidates_of_all_documents_come_first_and_probabilities_are_shared() {
        let parts = vec![decoded(&[("a", 2.0), ("b", 1.0)]), decoded(&[("a", 3.0), ("c", 1.5)])];
        let options = DecodeOptions { n_best_size: 3, ..Default::default() };
        let pooled = pool_documents(parts, &options);
        assert_eq!(texts(&pooled), [(1, "a"), (0, "a"), (1, "c")]);
        assert_eq!(pooled.predicted, Some(0));
        let sum: f64 = pooled.candidates.iter().map(|(_, c)| c.probability).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn no_answer_is_that_of_the_document_least_sure_of_it() {
        let parts = || {
            vec![decoded(&[("", 4.0), ("a", 2.0)]), decoded(&[("b", 2.5), ("", 2.0), ("c", 1.0)])]
        };
        let with = |threshold, n_best_size| DecodeOptions {
            null_score_diff_threshold: threshold,
            n_best_size,
            allow_null: true,
            ..Default::default()
        };
        let pooled = pool_documents(parts(), &with(0.0, 20));
        assert_eq!(texts(&pooled), [(1, "b"), (0, "a"), (1, ""), (1, "c")]);
        assert_eq!(pooled.predicted, Some(0));
        assert_eq!(pool_documents(parts(), &with(-1.0, 20)).predicted, Some(2));
        // It stays in a list that is too short for it, at the end.
        let pooled = pool_documents(parts(), &with(-1.0, 2));
        assert_eq!((texts(&pooled), pooled.predicted), (vec![(1, "b"), (1, "")], Some(1)));
    }

    #[test]
    fn one_document_is_answered_as_it_was_decoded_at_its_own_odds_too() {
        let mut random = crate::random::SplitMix64::new(9, 0);
        let mut logit = || (random.next_u64() >> 40) as f32 / 1e6 - 8.0;
        for case in 0..2_000 {
            let start: Vec<f32> = (0..6).map(|_| logit()).collect();
            let end: Vec<f32> = (0..6).map(|_| logit()).collect();
            let offsets = [[0, 1], [2, 3], [4, 5], [6, 7]];
            let window = crate::decode::Window {
                start_logits: &start,
                end_logits: &end,
                first_row: 1,
                window_start: 0,
                offsets: &offsets,
            };
            let n_best_size = 1 + case % 4;
            let mut options =
                DecodeOptions { n_best_size, allow_null: true, ..DecodeOptions::default() };
            let decode =
                |options: &_| crate::decode::decode_question("a b c d", &[window], options);
            let odds = decode(&options).null_odds.unwrap();
            // As a file has it that keeps as few digits as it can.
            let written: f64 = odds.to_string().parse().unwrap();
            for threshold in [f64::from(odds), written, f64::from(odds.next_down()), 0.0] {
                options.null_score_diff_threshold = threshold;
                let decoded = decode(&options);
                let has_answer = decoded.best.is_some();
                assert_eq!(decoded.text.is_empty(), odds > threshold as f32 || !has_answer);
                let alone = decoded.predicted().unwrap().clone();
                let pooled = pool_documents(vec![decoded.clone()], &options);
                let (_, chosen) = &pooled.candidates[pooled.predicted.unwrap()];
                assert_eq!((&chosen.text, &alone.text), (&decoded.text, &decoded.text));
            }
        }
    }

    #[test]
    fn nothing_to_choose_from_predicts_nothing() {
        let pooled = pool_documents(vec![decoded(&[])], &DecodeOptions::default());
        assert_eq!((pooled.candidates.len(), pooled.predicted), (0, None));
        let only_null = vec![decoded(&[("", 1.0)])];
        let pooled = pool_documents(only_null, &DecodeOptions::default());
        assert_eq!((pooled.candidates.len(), pooled.predicted), (1, Some(0)));
        assert_eq!(pooled.candidates[0].1.probability, 1.0);
    }
}
