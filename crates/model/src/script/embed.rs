//! From texts to vectors.
//!
//! Each word has a vector of its own, +1 and -1 in an order that its letters decide. A text's vector is the sum of its
//! words' vectors, longer words counting more (the short ones are in every text), made 1 long. So the cosine of two
//! texts is about the share of words that they have in common, the closer the more dimensions there are.

use super::asked::estimated_tokens;
use super::dice::Dice;
use super::fault::Failure;
use super::reply::Vectors;
use super::{Asked, Occasion, Outcome, Script, Turn};

/// What real models have at most, several times over.
const MOST_DIMENSIONS: usize = 65_536;

/// The most numbers of one reply: 2048 texts of 4096 dimensions. More would fill the memory.
const MOST_NUMBERS: usize = 8_388_608;

impl Script {
    /// What the scripted model does with one attempt to have a vector for each text.
    #[must_use]
    pub fn embed<T: AsRef<str>>(
        &self,
        asked: &Asked<'_>,
        texts: &[T],
        dimensions: Option<u64>,
        occasion: Occasion,
    ) -> Turn<Vectors> {
        let dimensions = dimensions.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(self.dimensions);
        let dimensions = dimensions.clamp(1, MOST_DIMENSIONS);
        self.turn(asked, occasion, self.dice(asked), self.delay, &[], || {
            if texts.len().saturating_mul(dimensions) > MOST_NUMBERS {
                let count = texts.len();
                let message = format!(
                    "{count} texts of {dimensions} dimensions are more than the {MOST_NUMBERS} numbers of a reply"
                );
                return Outcome::Failure(Failure { parameter: Some("input".into()), ..Failure::new(400, message) });
            }
            Outcome::Reply(Vectors {
                vectors: texts.iter().map(|text| vector(text.as_ref(), dimensions)).collect(),
                input_tokens: texts.iter().map(|text| estimated_tokens(text.as_ref().chars().count())).sum(),
            })
        })
    }
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0_f64; dimensions];
    let mut is_empty = true;
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(&mut sum, &word.to_lowercase());
        is_empty = false;
    }
    if is_empty {
        add(&mut sum, text);
    }
    let length = sum.iter().map(|number| number * number).sum::<f64>().sqrt();
    // Words may cancel each other out to the last number.
    if length < 1e-9 {
        sum[0] = 1.0;
        return sum.iter().map(|number| *number as f32).collect();
    }
    sum.iter().map(|number| (number / length) as f32).collect()
}

fn add(sum: &mut [f64], word: &str) {
    let weight = (1.0 + word.chars().count() as f64).ln();
    let dice = Dice::new(0).text(word);
    for (index, numbers) in sum.chunks_mut(64).enumerate() {
        let bits = dice.number(index as u64).bits();
        for (position, number) in numbers.iter_mut().enumerate() {
            *number += if bits >> position & 1 == 1 { weight } else { -weight };
        }
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::Map;

    use super::*;
    use crate::script::Api;

    fn cosine(one: &str, other: &str, dimensions: usize) -> f64 {
        let (one, other) = (vector(one, dimensions), vector(other, dimensions));
        one.iter().zip(&other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn a_vector_is_one_long_whatever_the_text() {
        for text in ["", " ", "…", "one", "The engineer writes software.", "多语言 文本", &"word ".repeat(5000)]
        {
            for dimensions in [1, 8, 100, 1536] {
                let length: f64 = vector(text, dimensions).iter().map(|number| f64::from(*number).powi(2)).sum();
                assert!((length - 1.0).abs() < 1e-4, "{text}: {length}");
            }
        }
    }

    #[test]
    fn a_reply_that_would_fill_the_memory_is_refused() {
        let script = Script::parse(&Map::from([("default", "ok")]).into()).unwrap();
        let body = Map::new();
        let asked = Asked::new(Api::Embeddings, "m", &body);
        let status = |texts: usize, dimensions: u64| {
            let turn = script.embed(&asked, &vec![""; texts], Some(dimensions), Occasion::default());
            match turn.outcome {
                Outcome::Failure(failure) => failure.status,
                _ => 200,
            }
        };
        assert_eq!((status(1, u64::MAX), status(128, 65_536), status(129, 65_536)), (200, 200, 400));
    }

    #[test]
    fn texts_that_share_words_are_near() {
        let about = |other| cosine("The engineer writes software in Ghent.", other, 256);
        assert!((about("the ENGINEER writes software in Ghent") - 1.0).abs() < 1e-6);
        assert!(about("an engineer tests software") > 0.3);
        assert!(about("bread and butter for breakfast") < 0.2);
        // Few dimensions tell less, and still the right thing here.
        let near = cosine("engineer of software", "software engineer", 8);
        assert!(near > cosine("engineer of software", "bread and butter", 8), "{near}");
    }
}
