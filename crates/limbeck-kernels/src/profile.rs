//! Where the time goes, kernel by kernel.
//!
//! Kernels are called one after the other from one thread and run in parallel inside,
//! so the time between a call and its return is the kernel's share of the whole.
//! While nothing is recorded, a kernel pays for one look at a flag.

use std::cell::RefCell;
use std::time::Instant;

/// What one kind of kernel cost while it was recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The kernel.
    pub kernel: &'static str,
    /// How often it was called.
    pub calls: u64,
    /// Seconds between call and return, without those of kernels called inside.
    pub seconds: f64,
    /// Floating-point operations of its matrix products, a multiply-add being two.
    pub operations: f64,
}

#[derive(Default)]
struct Recorder {
    costs: Vec<Cost>,
    /// Of each kernel under way, the seconds that kernels inside it took.
    inside: Vec<f64>,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Runs `work` and returns with it what each kernel that it called on this thread cost,
/// the dearest first.
pub fn record<T>(work: impl FnOnce() -> T) -> (T, Vec<Cost>) {
    RECORDER.set(Some(Recorder::default()));
    let result = work();
    let mut costs = RECORDER.take().unwrap_or_default().costs;
    costs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    (result, costs)
}

/// Times a kernel from here to the end of its scope.
pub fn timer(kernel: &'static str, operations: impl FnOnce() -> f64) -> Timer {
    let begun = RECORDER.with_borrow_mut(|recorder| {
        let recorder = recorder.as_mut()?;
        recorder.inside.push(0.0);
        Some((Instant::now(), operations()))
    });
    Timer { kernel, begun }
}

/// A kernel under way; see [`timer`].
#[must_use = "a timer that is dropped at once times nothing"]
pub struct Timer {
    kernel: &'static str,
    begun: Option<(Instant, f64)>,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some((begun, operations)) = self.begun else { return };
        let whole = begun.elapsed().as_secs_f64();
        RECORDER.with_borrow_mut(|recorder| {
            let Some(recorder) = recorder else { return };
            let seconds = whole - recorder.inside.pop().unwrap_or(0.0);
            if let Some(outer) = recorder.inside.last_mut() {
                *outer += whole;
            }
            let known = recorder.costs.iter_mut().find(|cost| cost.kernel == self.kernel);
            match known {
                Some(cost) => {
                    cost.calls += 1;
                    cost.seconds += seconds;
                    cost.operations += operations;
                }
                None => {
                    let kernel = self.kernel;
                    recorder.costs.push(Cost { kernel, calls: 1, seconds, operations });
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn busy(milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    #[test]
    fn each_kernel_is_charged_for_its_own_time() {
        let (value, costs) = record(|| {
            let outer = timer("outer", || 8.0);
            busy(2);
            for _ in 0..2 {
                let _inner = timer("inner", || 1.0);
                busy(10);
            }
            drop(outer);
            7
        });
        assert_eq!(value, 7);
        let [inner, outer] = costs[..] else { panic!("{costs:?}") };
        assert_eq!((inner.kernel, inner.calls, inner.operations), ("inner", 2, 2.0));
        assert_eq!((outer.kernel, outer.calls, outer.operations), ("outer", 1, 8.0));
        assert!(inner.seconds >= 0.02 && outer.seconds >= 0.002, "{costs:?}");
    }

    #[test]
    fn nothing_is_recorded_outside() {
        drop(timer("before", || panic!("nobody asks")));
        assert_eq!(record(|| ()).1, []);
    }
}
