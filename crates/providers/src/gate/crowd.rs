//! How many at once an endpoint bears that refuses some and tells no rate: additive increase, multiplicative decrease.

/// How many attempts of a model may be in flight at once, as far as its endpoint's refusals tell.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// `None`: nothing was refused yet, or not lately.
    target: Option<f64>,
    /// How many there were when one was refused last.
    refused_at: f64,
}

impl Crowd {
    pub(super) fn has_room(&self, in_flight: usize) -> bool {
        self.target.is_none_or(|target| (in_flight as f64) + 1.0 <= target.max(1.0))
    }

    /// One was refused while so many were in flight: half of them from now on.
    pub(super) fn refused(&mut self, in_flight: usize) {
        let in_flight = in_flight as f64;
        // Fewer than at the last refusal may only mean that the endpoint has not yet got over that one.
        self.refused_at = in_flight.max(self.refused_at * 0.85);
        self.target = Some((in_flight / 2.0).max(1.0));
    }

    /// One was answered while so many were in flight: a little more, quickly at first, then one for about four rounds of
    /// answers; but only if there were as many as might be.
    pub(super) fn answered(&mut self, in_flight: usize, most: usize) {
        let Some(target) = &mut self.target else { return };
        if (in_flight as f64) + 1.0 < *target {
            return;
        }
        let near = self.refused_at * 0.9;
        let step = if *target < near { ((near - *target) / 4.0).max(0.25) } else { 0.25 };
        *target += step / *target;
        if *target > most as f64 {
            self.target = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_as_many_after_a_refusal_and_slowly_more() {
        let mut crowd = Crowd::default();
        assert!(crowd.has_room(1000));
        crowd.refused(40);
        assert!(crowd.has_room(19) && !crowd.has_room(20));
        let rounds = |crowd: &mut Crowd, count: usize| (0..count * 20).for_each(|_| crowd.answered(64, 64));
        rounds(&mut crowd, 8);
        assert!(crowd.has_room(30) && !crowd.has_room(38), "{crowd:?}");
        rounds(&mut crowd, 400);
        assert!(crowd.has_room(1000), "{crowd:?}");
    }

    #[test]
    fn one_is_always_let_through() {
        let mut crowd = Crowd::default();
        (0..10).for_each(|_| crowd.refused(1));
        assert!(crowd.has_room(0) && !crowd.has_room(1));
    }
}
