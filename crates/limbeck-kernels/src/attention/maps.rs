//! Attention maps of a student against those of a teacher.
//!
//! Maps are made again from queries and keys, a block of queries at a time, and their gradient
//! goes straight on to both: no map outlives its block.

use std::cell::RefCell;
use std::ops::Range;

use super::softmax::{add_scaled, exponentials, probability_gradients, row_stride};
use super::{BLOCK_QUERIES, Heads, Task, grown};
use crate::distance::Distance;
use crate::matmul::{Matrix, Packed, Write, matmul_here};
use crate::profile;
use crate::threads::{self, Shared};

/// What of attention is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maps {
    /// `Q · Kᵀ / √size`, before the softmax (TinyBERT; Jiao et al., 2020, §3.1).
    Scores,
    /// After the softmax and before dropout.
    Probabilities,
}

/// The queries and keys of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    /// Queries, keys and values side by side, `[rows, 3 * width]`.
    pub qkv: &'a [f32],
    /// The layer's heads.
    pub heads: Heads,
}

/// A loss over attention maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapLoss {
    /// What is compared.
    pub maps: Maps,
    /// By which measure; rows are those of one query.
    pub distance: Distance,
}

#[derive(Default)]
struct Scratch {
    keys: Packed,
    queries: Packed,
    /// The map of one head, `[block, stride]`; then the gradient of its scores.
    head: Vec<f32>,
    /// The student's map, the mean over its heads.
    own: Vec<f32>,
    /// The teacher's.
    wanted: Vec<f32>,
    /// The gradient of `own`.
    gradient: Vec<f32>,
    d_queries: Vec<f32>,
    /// Of all heads of a task, `[heads, length, size]`.
    d_keys: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl MapLoss {
    /// The loss of a student's layer against a teacher's, on the same sequences: the mean over
    /// all real queries (and keys, for [`Distance::SquaredError`]) of all heads. Layers of as
    /// many heads are compared head by head, others by the mean of their maps.
    ///
    /// Adds `weight` times the gradient to that of the student's queries and keys in `d_qkv`
    /// (`[rows, 3 * width]`). `sums` is memory, kept between calls.
    pub fn add(
        self,
        student: Queries<'_>,
        teacher: Queries<'_>,
        starts: &[usize],
        weight: f64,
        d_qkv: &mut [f32],
        sums: &mut Vec<f64>,
    ) -> f64 {
        let lengths = || starts.windows(2).map(|pair| pair[1] - pair[0]);
        let _timer = profile::timer("attention maps", || {
            let squares: f64 = lengths().map(|length| (length * length) as f64).sum();
            2.0 * squares * (3 * student.heads.width() + teacher.heads.width()) as f64
        });
        assert!(starts.is_sorted(), "sequences of a batch follow each other");
        assert_eq!(student.qkv.len(), d_qkv.len(), "size of the gradient");
        let alike = student.heads.count == teacher.heads.count;
        let maps = if alike { student.heads.count } else { 1 };
        let terms: usize = lengths().map(|length| self.distance.terms(length, length) * maps).sum();
        let terms = terms.max(1) as f64;
        let factor = (weight / terms) as f32;
        let tasks = starts.len().saturating_sub(1) * maps;
        sums.clear();
        sums.resize(tasks, 0.0);
        let (sums_of, d_qkv) = (Shared::new(sums), Shared::new(d_qkv));
        threads::run(tasks, |index| {
            let (sequence, map) = (index / maps, index % maps);
            let rows = starts[sequence]..starts[sequence + 1];
            if rows.is_empty() {
                return;
            }
            // The heads whose mean is compared.
            let heads = |side: Queries<'_>| if alike { map..map + 1 } else { 0..side.heads.count };
            let pair = Pair {
                loss: self,
                student,
                student_heads: heads(student),
                teacher,
                teacher_heads: heads(teacher),
                rows,
            };
            // SAFETY: every task has a sum of its own.
            let sum = unsafe { sums_of.range(index..index + 1) };
            SCRATCH.with_borrow_mut(|scratch| sum[0] = pair.add(factor, &d_qkv, scratch));
        });
        sums.iter().sum::<f64>() / terms
    }
}

/// The maps of one sequence that are compared: one head of each, or the means of all.
struct Pair<'a> {
    loss: MapLoss,
    student: Queries<'a>,
    student_heads: Range<usize>,
    teacher: Queries<'a>,
    teacher_heads: Range<usize>,
    rows: Range<usize>,
}

impl Pair<'_> {
    fn task(&self, side: Queries<'_>, head: usize) -> Task<'static> {
        Task::whole(side.heads, head, self.rows.clone())
    }

    /// Returns the sum of the loss's terms.
    fn add(&self, factor: f32, d_qkv: &Shared<'_>, scratch: &mut Scratch) -> f64 {
        let (length, stride) = (self.rows.len(), row_stride(self.rows.len()));
        let count = self.student_heads.len();
        let size = self.student.heads.size;
        grown(&mut scratch.d_keys, count * length * size).fill(0.0);
        let mut sum = 0.0;
        for block in self.task(self.student, 0).blocks() {
            let values = block.len() * stride;
            let Scratch { keys, queries, head, own, wanted, gradient, d_queries, d_keys } = scratch;
            let head = grown(head, values);
            let [own, wanted, gradient] =
                [own, wanted, gradient].map(|buffer| grown(buffer, values));
            self.mean(self.teacher, self.teacher_heads.clone(), &block, (&mut *keys, head, wanted));
            self.mean(self.student, self.student_heads.clone(), &block, (&mut *keys, head, own));
            gradient.fill(0.0);
            let rows = own.chunks_exact(stride).zip(wanted.chunks_exact(stride));
            for ((own, wanted), gradient) in rows.zip(gradient.chunks_exact_mut(stride)) {
                let [own, wanted] = [own, wanted].map(|row| &row[..length]);
                sum += f64::from(self.loss.distance.add_row(own, wanted, factor, gradient));
            }
            let share = 1.0 / count as f32;
            for (place, number) in self.student_heads.clone().enumerate() {
                let task = self.task(self.student, number);
                let scale = share * self.student.heads.scale();
                match self.loss.maps {
                    Maps::Scores => {
                        head.fill(0.0);
                        add_scaled(gradient, stride, &[scale; BLOCK_QUERIES], head);
                    }
                    Maps::Probabilities => {
                        if count > 1 {
                            let one = number..number + 1;
                            self.mean(self.student, one, &block, (&mut *keys, head, own));
                        }
                        probability_gradients(own, gradient, stride, scale, head);
                    }
                }
                let d_scores = Matrix::with_stride(head, block.len(), length, stride);
                keys.refill(task.part(self.student.qkv, 1, 0..length));
                let d_queries = grown(d_queries, block.len() * size);
                matmul_here(d_scores, keys, d_queries, size, Write::Replace);
                add_back(task, 0, block.clone(), d_queries, d_qkv);
                queries.refill(task.part(self.student.qkv, 0, block.clone()));
                let d_keys = &mut d_keys[place * length * size..(place + 1) * length * size];
                matmul_here(d_scores.transposed(), queries, d_keys, size, Write::Add);
            }
        }
        for (place, number) in self.student_heads.clone().enumerate() {
            let d_keys = &scratch.d_keys[place * length * size..(place + 1) * length * size];
            add_back(self.task(self.student, number), 1, 0..length, d_keys, d_qkv);
        }
        sum
    }

    /// The mean of some heads' maps for a block of queries, `[block, stride]`. `buffers` are
    /// keys, the map of one head, and the mean.
    fn mean(
        &self,
        side: Queries<'_>,
        heads: Range<usize>,
        block: &Range<usize>,
        (keys, map, mean): (&mut Packed, &mut [f32], &mut [f32]),
    ) {
        let stride = row_stride(self.rows.len());
        let share = 1.0 / heads.len() as f32;
        mean.fill(0.0);
        for head in heads {
            let task = self.task(side, head);
            keys.refill_whole(task.part(side.qkv, 1, 0..task.length).transposed());
            let queries = task.part(side.qkv, 0, block.clone());
            matmul_here(queries, keys, map, stride, Write::Replace);
            let mut factors = [side.heads.scale(); BLOCK_QUERIES];
            if self.loss.maps == Maps::Probabilities {
                let mut log_sums = [0.0; BLOCK_QUERIES];
                exponentials(map, task.rows(block.start, None), &mut factors, &mut log_sums);
            } else {
                // What fills the rows up is not compared, and must not be carried on.
                map.chunks_exact_mut(stride).for_each(|row| row[task.length..].fill(0.0));
            }
            factors.iter_mut().for_each(|factor| *factor *= share);
            add_scaled(map, stride, &factors, mean);
        }
    }
}

/// Adds rows of queries (part 0) or keys (1) of one head to the gradient.
fn add_back(task: Task<'_>, part: usize, rows: Range<usize>, values: &[f32], d_qkv: &Shared<'_>) {
    let size = task.heads.size;
    for (row, values) in rows.zip(values.chunks_exact(size)) {
        let start = task.offset(row, part);
        // SAFETY: tasks have different sequences or heads.
        let target = unsafe { d_qkv.range(start..start + size) };
        target.iter_mut().zip(values).for_each(|(target, value)| *target += value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::softmax::dot;
    use super::*;
    use crate::testing::{assert_gradient, numbers};

    const STUDENT: Heads = Heads { count: 2, size: 5 };
    const STARTS: [usize; 5] = [0, 3, 3, 4, 74];
    const LOSSES: [MapLoss; 4] = [
        MapLoss { maps: Maps::Scores, distance: Distance::SquaredError },
        MapLoss { maps: Maps::Scores, distance: Distance::Cosine },
        MapLoss { maps: Maps::Probabilities, distance: Distance::SquaredError },
        MapLoss { maps: Maps::Probabilities, distance: Distance::Cosine },
    ];

    fn qkv(heads: Heads, seed: u64) -> Vec<f32> {
        numbers(STARTS[4] * 3 * heads.width(), seed)
    }

    fn add(
        loss: MapLoss,
        student: &[f32],
        teacher: Queries<'_>,
        weight: f64,
        d: &mut [f32],
    ) -> f64 {
        let student = Queries { qkv: student, heads: STUDENT };
        loss.add(student, teacher, &STARTS, weight, d, &mut Vec::new())
    }

    #[test]
    fn gradients_are_derivatives_head_by_head_and_of_means() {
        let student = qkv(STUDENT, 1);
        for heads in [Heads { count: 2, size: 7 }, Heads { count: 3, size: 4 }] {
            let teacher = qkv(heads, 2);
            let teacher = Queries { qkv: &teacher, heads };
            for loss in LOSSES {
                // Large enough for finite differences to see the gradient of one query.
                let weight = 1e3;
                let mut gradient = vec![0.0; student.len()];
                add(loss, &student, teacher, weight, &mut gradient);
                assert!(gradient.iter().any(|g| g.abs() > 1e-3), "{loss:?}");
                assert_gradient(&student, &gradient, &format!("{loss:?}"), |student| {
                    weight * add(loss, student, teacher, 0.0, &mut vec![0.0; student.len()])
                });
            }
        }
    }

    #[test]
    fn the_loss_is_the_mean_over_real_queries_and_keys() {
        let (student, teacher) = (qkv(STUDENT, 1), qkv(STUDENT, 2));
        let maps = |qkv: &[f32]| {
            let mut all = Vec::new();
            for pair in STARTS.windows(2) {
                for head in 0..STUDENT.count {
                    for query in pair[0]..pair[1] {
                        let at = |row: usize, part: usize| {
                            let start = (row * 3 + part) * STUDENT.width() + head * STUDENT.size;
                            &qkv[start..start + STUDENT.size]
                        };
                        let score = |key| dot(at(query, 0), at(key, 1)) * STUDENT.scale();
                        let scores: Vec<f32> = (pair[0]..pair[1]).map(score).collect();
                        all.push(scores);
                    }
                }
            }
            all
        };
        let (own, wanted) = (maps(&student).concat(), maps(&teacher).concat());
        let squares = own.iter().zip(&wanted).map(|(a, b)| f64::from((a - b) * (a - b)));
        let want = squares.sum::<f64>() / own.len() as f64;
        let mut gradient = vec![0.0; student.len()];
        let teacher = Queries { qkv: &teacher, heads: STUDENT };
        let got = add(LOSSES[0], &student, teacher, 1.0, &mut gradient);
        assert!((got - want).abs() < 1e-5 * want, "{got}, expected {want}");
    }

    #[test]
    fn a_student_that_attends_as_its_teacher_has_no_loss() {
        let student = qkv(STUDENT, 1);
        for loss in LOSSES {
            let mut gradient = vec![0.0; student.len()];
            let teacher = Queries { qkv: &student, heads: STUDENT };
            let got = add(loss, &student, teacher, 1.0, &mut gradient);
            assert!(got.abs() < 1e-6, "{loss:?}: {got}");
            assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{loss:?}");
        }
    }
}
