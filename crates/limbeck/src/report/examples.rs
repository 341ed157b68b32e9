//! Questions with the predicted answer marked in the context.

use std::ops::Range;

use super::html::escape;

const NO_ANSWER: &str = "<em>no answer</em>";

/// Questions to look at.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    /// The section's heading.
    pub heading: String,
    /// A sentence on how they were chosen; may be empty.
    pub note: String,
    /// The questions.
    pub examples: Vec<Example>,
}

/// A question with what was predicted and what was right.
#[derive(Debug, Clone, Default)]
pub struct Example {
    /// The question.
    pub question: String,
    /// The text that was searched.
    pub context: String,
    /// What each model predicted; the first one's answer is marked in the context.
    pub predictions: Vec<Prediction>,
    /// The right answers; none when the context does not answer.
    pub gold: Vec<String>,
}

/// What a model answered.
#[derive(Debug, Clone, Default)]
pub struct Prediction {
    /// The model's name.
    pub model: String,
    /// The answer, as code points of the context; none when the model says that there
    /// is no answer.
    pub range: Option<Range<usize>>,
    /// The model's probability of its answer, from 0 to 1.
    pub probability: Option<f64>,
    /// Whether the answer counts as exact.
    pub exact: bool,
}

impl Examples {
    pub(super) fn write(&self, page: &mut String) {
        *page += &format!("<section>\n<h2>{}</h2>\n", escape(&self.heading));
        if !self.note.is_empty() {
            *page += &format!("<p class=\"note\">{}</p>\n", escape(&self.note));
        }
        for example in &self.examples {
            example.write(page);
        }
        *page += "</section>\n";
    }
}

impl Example {
    fn write(&self, page: &mut String) {
        let marked = self.predictions.first().and_then(|first| first.range.as_ref());
        let context = match marked.and_then(|range| slice(&self.context, range)) {
            Some([before, answer, after]) => {
                format!("{}<mark>{}</mark>{}", escape(before), escape(answer), escape(after))
            }
            None => escape(&self.context),
        };
        let gold = match self.gold.as_slice() {
            [] => NO_ANSWER.to_owned(),
            gold => escape(&gold.join(" · ")),
        };
        *page += &format!(
            "<article class=\"example\">\n<h3>{}</h3>\n<p class=\"context\">{context}</p>\n\
             <dl><div><dt>right answer</dt><dd>{gold}</dd></div>",
            escape(&self.question)
        );
        for prediction in &self.predictions {
            prediction.write(&self.context, page);
        }
        *page += "</dl>\n</article>\n";
    }
}

impl Prediction {
    fn write(&self, context: &str, page: &mut String) {
        let text = self.range.as_ref().and_then(|range| slice(context, range));
        let text = text.map_or_else(|| NO_ANSWER.to_owned(), |parts| escape(parts[1]));
        let probability = self
            .probability
            .map(|share| format!(" <small>{:.0} %</small>", share * 100.0))
            .unwrap_or_default();
        let (class, verdict) = if self.exact { ("right", "exact") } else { ("wrong", "differs") };
        *page += &format!(
            "<div class=\"{class}\"><dt>{}</dt><dd>{text}{probability} \
             <span class=\"verdict\">{verdict}</span></dd></div>",
            escape(&self.model)
        );
    }
}

/// The text before, in and after `range`, which counts code points; none when the
/// range is empty or does not fit.
fn slice<'a>(text: &'a str, range: &Range<usize>) -> Option<[&'a str; 3]> {
    let byte_of = |count: usize| {
        let ends = std::iter::once(text.len());
        text.char_indices().map(|(byte, _)| byte).chain(ends).nth(count)
    };
    let (start, end) = (byte_of(range.start)?, byte_of(range.end)?);
    (start < end).then(|| [&text[..start], &text[start..end], &text[end..]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_counts_code_points() {
        assert_eq!(slice("ä🦀 <b>!", &(3..6)), Some(["ä🦀 ", "<b>", "!"]));
        assert_eq!(slice("abc", &(2..3)), Some(["ab", "c", ""]));
    }

    #[test]
    fn a_range_that_does_not_fit_marks_nothing() {
        for (start, end) in [(0, 4), (2, 2), (2, 1), (9, 12), (0, usize::MAX)] {
            assert_eq!(slice("abc", &Range { start, end }), None);
        }
    }

    #[test]
    fn the_prediction_is_marked_and_the_gold_shown() {
        let mut page = String::new();
        let example = Example {
            question: "Who?".into(),
            context: "It was <Ann>.".into(),
            predictions: vec![Prediction {
                model: "a&b".into(),
                range: Some(7..12),
                probability: Some(0.934),
                exact: true,
            }],
            gold: vec!["Ann".into(), "<Ann>".into()],
        };
        example.write(&mut page);
        assert!(page.contains("It was <mark>&lt;Ann&gt;</mark>."), "{page}");
        assert!(page.contains("<dd>Ann · &lt;Ann&gt;</dd>"), "{page}");
        assert!(page.contains("<dt>a&amp;b</dt><dd>&lt;Ann&gt; <small>93 %</small>"), "{page}");
    }
}
