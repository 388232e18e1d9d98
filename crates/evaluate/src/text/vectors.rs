//! Two vectors, such as embeddings.

/// Why two vectors have no cosine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// They do not have as many dimensions.
    #[error("the vectors have {0} and {1} dimensions")]
    Dimensions(usize, usize),
    /// One has no direction: it is empty or holds nothing but zeros. Its cosine is undefined, and not 0.
    #[error("a vector of zeros has no direction")]
    Zero,
    /// One holds `nan` or an infinity.
    #[error("a vector holds a number that is not finite")]
    NotFinite,
}

/// The cosine of the angle between two vectors, in −1..=1.
///
/// # Errors
/// Vectors of different lengths, of zeros, or with numbers that are not finite.
pub fn cosine(a: &[f64], b: &[f64]) -> Result<f64, VectorError> {
    if a.len() != b.len() {
        return Err(VectorError::Dimensions(a.len(), b.len()));
    }
    let (a, b) = (unit(a)?, unit(b)?);
    let dot: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
    Ok(dot.clamp(-1.0, 1.0))
}

/// Scaled by the largest number first, so that no square is too large or too small for a float.
fn unit(vector: &[f64]) -> Result<Vec<f64>, VectorError> {
    if vector.iter().any(|number| !number.is_finite()) {
        return Err(VectorError::NotFinite);
    }
    let largest = vector.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
    if largest == 0.0 {
        return Err(VectorError::Zero);
    }
    let scaled: Vec<f64> = vector.iter().map(|number| number / largest).collect();
    let length = scaled.iter().map(|number| number * number).sum::<f64>().sqrt();
    Ok(scaled.into_iter().map(|number| number / length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_counts_and_length_does_not() {
        assert_eq!(cosine(&[3.0, 0.0], &[0.1, 0.0]), Ok(1.0));
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), Ok(0.0));
        assert_eq!(cosine(&[1.0], &[-5.0]), Ok(-1.0));
        assert!((cosine(&[1.0, 1.0], &[1.0, 0.0]).expect("a number") - 0.5_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn extreme_lengths_do_not_lose_the_direction() {
        for scale in [1e200, 1e-200, f64::MAX, f64::MIN_POSITIVE] {
            let found = cosine(&[scale, scale], &[1.0, 1.0]).expect("a number");
            assert!((found - 1.0).abs() < 1e-12, "{scale}: {found}");
        }
    }

    #[test]
    fn no_direction_is_an_error() {
        assert_eq!(cosine(&[0.0, -0.0], &[1.0, 1.0]), Err(VectorError::Zero));
        assert_eq!(cosine(&[], &[]), Err(VectorError::Zero));
        assert_eq!(cosine(&[1.0], &[1.0, 2.0]), Err(VectorError::Dimensions(1, 2)));
        assert_eq!(cosine(&[f64::NAN], &[1.0]), Err(VectorError::NotFinite));
        assert_eq!(cosine(&[f64::INFINITY], &[1.0]), Err(VectorError::NotFinite));
    }
}
