//! Packing: rearranging a matrix so that the micro-kernel reads it in order.

use super::kernel::{Element, Left, Shape};
use super::{BLOCK_DEPTH, Matrix};
use crate::profile;
use crate::threads::{self, Shared};

/// The right side of a product, packed. Depth is cut into blocks, columns into panels
/// of a few vectors; inside a panel, the columns of one `k` lie together, filled up
/// with zeros to whole vectors.
#[derive(Debug)]
// Which numbers can be packed is this crate's affair.
#[allow(private_bounds)]
pub struct Packed<E: Element = f32> {
    data: Lines<E>,
    depth: usize,
    columns: usize,
    shape: Shape,
}

impl<E: Element> Default for Packed<E> {
    fn default() -> Self {
        Packed { data: Lines::new(), depth: 0, columns: 0, shape: E::shape() }
    }
}

#[allow(private_bounds)]
impl<E: Element> Packed<E> {
    /// Packs `b` on all threads.
    pub fn new(b: Matrix<'_, E>) -> Self {
        Self::for_shape(b, E::shape())
    }

    /// Packs `b` for a kernel of this machine.
    pub(super) fn for_shape(b: Matrix<'_, E>, shape: Shape) -> Self {
        let mut data = Lines::new();
        pack_parallel(b, shape, &mut data);
        Packed { data, depth: b.rows, columns: b.columns, shape }
    }

    /// Packs `b` on this thread, into the memory that is there.
    pub(crate) fn refill(&mut self, b: Matrix<'_, E>) {
        (self.depth, self.columns) = (b.rows, b.columns);
        let cut = Columns::of(b.columns, self.shape);
        let data = self.data.of_len(cut.size(b.rows));
        for (k, depth) in blocks(b.rows) {
            for panel in 0..cut.count {
                let range = cut.range_in(k, depth, panel);
                pack_panel(b, cut, k, depth, panel, &mut data[range]);
            }
        }
    }

    /// As [`Packed::refill`]; the zeros that fill its last vector count as columns, so
    /// that a product with it writes whole vectors.
    pub(crate) fn refill_whole(&mut self, b: Matrix<'_, E>) {
        self.refill(b);
        self.columns = self.columns.next_multiple_of(self.shape.lanes);
    }

    pub(super) fn panels(&self) -> Panels<'_, E> {
        let Packed { depth, columns, shape, .. } = *self;
        Panels { data: self.data.values(), depth, columns, shape }
    }
}

/// Memory that begins at a cache line, so that no vector of a panel lies across two.
#[derive(Debug)]
pub(super) struct Lines<E>(Vec<Line<E>>);

/// Sixteen elements of four bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line<E>([E; 16]);

impl<E: Element> Lines<E> {
    pub const fn new() -> Self {
        const { assert!(size_of::<Line<E>>() == 16 * size_of::<E>()) };
        Self(Vec::new())
    }

    fn values(&self) -> &[E] {
        // SAFETY: a line is sixteen elements and nothing else.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }

    /// The first `len` elements; grows without clearing what will be overwritten.
    fn of_len(&mut self, len: usize) -> &mut [E] {
        if self.0.len() * 16 < len {
            self.0.resize(len.div_ceil(16), Line([E::default(); 16]));
        }
        // SAFETY: as above; at least `len` elements are there.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

/// Grows a buffer to `len` without clearing what will be overwritten.
fn resize<E: Element>(data: &mut Vec<E>, len: usize) {
    if data.len() < len {
        data.resize(len, E::default());
    }
}

/// How columns are cut into panels of nearly equal width, in vectors.
#[derive(Clone, Copy)]
struct Columns {
    lanes: usize,
    vectors: usize,
    count: usize,
}

impl Columns {
    fn of(columns: usize, shape: Shape) -> Self {
        let vectors = columns.div_ceil(shape.lanes);
        Self { lanes: shape.lanes, vectors, count: vectors.div_ceil(shape.vectors) }
    }

    /// Elements of all panels.
    fn size(self, depth: usize) -> usize {
        depth * self.vectors * self.lanes
    }

    /// The vector at which a panel begins.
    fn start(self, panel: usize) -> usize {
        self.vectors * panel / self.count
    }

    /// Columns, filled up, of one panel.
    fn width(self, panel: usize) -> usize {
        (self.start(panel + 1) - self.start(panel)) * self.lanes
    }

    /// Where a panel of the block `k..k + depth` lies.
    fn range_in(self, k: usize, depth: usize, panel: usize) -> std::ops::Range<usize> {
        let start = k * self.vectors * self.lanes + depth * self.start(panel) * self.lanes;
        start..start + depth * self.width(panel)
    }
}

/// The blocks of depth: where each begins and how deep it is.
fn blocks(depth: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = depth.div_ceil(BLOCK_DEPTH);
    (0..count).map(move |i| {
        let range = threads::part_of(depth, count, i, 1);
        (range.start, range.len())
    })
}

/// A view of packed columns.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, E> {
    data: &'a [E],
    pub depth: usize,
    pub columns: usize,
    pub shape: Shape,
}

/// One panel of one block of depth.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, E> {
    /// `[depth, vectors * lanes]`
    pub data: &'a [E],
    pub shape: Shape,
    pub vectors: usize,
    /// The first column of `C` that it makes.
    pub first_column: usize,
    /// The columns of `C` that it makes; the rest is filling.
    pub columns: usize,
}

impl<'a, E: Element> Panels<'a, E> {
    /// The blocks of depth: where each begins and how deep it is.
    pub fn blocks(self) -> impl Iterator<Item = (usize, usize)> + use<E> {
        blocks(self.depth)
    }

    /// The numbers of the panels of each block.
    pub fn panels(self) -> std::ops::Range<usize> {
        0..Columns::of(self.columns, self.shape).count
    }

    /// A panel of the block that begins at `k`.
    pub fn panel(self, k: usize, depth: usize, panel: usize) -> Panel<'a, E> {
        let cut = Columns::of(self.columns, self.shape);
        let first_column = cut.start(panel) * cut.lanes;
        Panel {
            data: &self.data[cut.range_in(k, depth, panel)],
            shape: self.shape,
            vectors: cut.width(panel) / cut.lanes,
            first_column,
            columns: cut.width(panel).min(self.columns - first_column),
        }
    }
}

/// Packs `b` into `buffer`, on all threads.
pub(super) fn pack_parallel<'a, E: Element>(
    b: Matrix<'_, E>,
    shape: Shape,
    buffer: &'a mut Lines<E>,
) -> Panels<'a, E> {
    let _timer = profile::timer("packing", || 0.0);
    let cut = Columns::of(b.columns, shape);
    let data = buffer.of_len(cut.size(b.rows));
    let blocks = b.rows.div_ceil(BLOCK_DEPTH);
    let shared = Shared::new(data);
    let tasks = blocks * cut.count;
    // Small matrices are packed faster than a second thread wakes up.
    let parts = if b.rows * b.columns < 1 << 14 { 1 } else { tasks.min(4 * threads::available()) };
    threads::run(parts.min(tasks), |part| {
        for task in threads::part_of(tasks, parts, part, 1) {
            let block = threads::part_of(b.rows, blocks, task / cut.count, 1);
            let (k, depth, panel) = (block.start, block.len(), task % cut.count);
            // SAFETY: every panel of every block is packed by one task only.
            let target = unsafe { shared.range(cut.range_in(k, depth, panel)) };
            pack_panel(b, cut, k, depth, panel, target);
        }
    });
    Panels { data: buffer.values(), depth: b.rows, columns: b.columns, shape }
}

/// Copies a few vectors. A call of the library's copy would cost as much as the copy.
#[inline(always)]
pub(crate) fn copy_short<E: Copy>(source: &[E], target: &mut [E]) {
    debug_assert_eq!(source.len(), target.len());
    let (sources, rest) = source.as_chunks::<8>();
    let (targets, rest_of_target) = target.as_chunks_mut::<8>();
    for (target, source) in targets.iter_mut().zip(sources) {
        *target = *source;
    }
    for (target, source) in rest_of_target.iter_mut().zip(rest) {
        *target = *source;
    }
}

/// Writes four rows of four values as four columns.
///
/// # Safety
/// All sixteen values of either side must exist.
#[inline(always)]
unsafe fn transpose_4<E: Copy>(source: *const E, from: usize, target: *mut E, to: usize) {
    // SAFETY: by the caller's promise; an array has the alignment of its elements.
    unsafe {
        let row = |i: usize| *source.add(i * from).cast::<[E; 4]>();
        let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
        for i in 0..4 {
            *target.add(i * to).cast() = [a[i], b[i], c[i], d[i]];
        }
    }
}

/// Writes the rows of `source`, which begin `from` values apart, as columns of `target`, whose
/// rows begin `to` values apart. What one of them has beyond the other is left alone.
pub(super) fn transpose(source: &[f32], from: usize, target: &mut [f32], to: usize) {
    // Rows of the source that there are columns for, and the other way round.
    let rows = (source.len() / from).min(to);
    let columns = (target.len() / to).min(from);
    let (whole_rows, whole_columns) = (rows - rows % 4, columns - columns % 4);
    for row in (0..whole_rows).step_by(4) {
        for column in (0..whole_columns).step_by(4) {
            // SAFETY: rows and columns of both sides exist, by the sizes above.
            unsafe {
                let source = source.as_ptr().add(row * from + column);
                transpose_4(source, from, target.as_mut_ptr().add(column * to + row), to);
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole_rows { whole_columns } else { 0 };
        for column in first..columns {
            target[column * to + row] = source[row * from + column];
        }
    }
}

fn pack_panel<E: Element>(
    b: Matrix<'_, E>,
    cut: Columns,
    k: usize,
    depth: usize,
    panel: usize,
    target: &mut [E],
) {
    let (first, width) = (cut.start(panel) * cut.lanes, cut.width(panel));
    let columns = width.min(b.columns - first);
    if columns < width {
        target.fill(E::default());
    }
    if b.column_stride == 1 {
        for (row, target) in target.chunks_exact_mut(width).enumerate() {
            let start = (k + row) * b.row_stride + first;
            copy_short(&b.data[start..start + columns], &mut target[..columns]);
        }
    } else {
        // Sixteen columns at a time: each is read in order, and what is written stays
        // in cache until its line is full.
        const GROUP: usize = 16;
        let last = (first + columns - 1) * b.column_stride + (k + depth - 1) * b.row_stride;
        assert!(last < b.data.len() && target.len() >= depth * width);
        for group in (0..columns).step_by(GROUP) {
            let start = (first + group) * b.column_stride + k * b.row_stride;
            // SAFETY: the largest index of either side was checked above; this is the
            // one place where a transposition's bounds checks cost more than its loads.
            unsafe {
                let (source, target) = (b.data.as_ptr().add(start), target.as_mut_ptr().add(group));
                if columns - group >= GROUP && b.row_stride == 1 {
                    let whole = depth - depth % 4;
                    for row in (0..whole).step_by(4) {
                        for i in (0..GROUP).step_by(4) {
                            let source = source.add(i * b.column_stride + row);
                            transpose_4(
                                source,
                                b.column_stride,
                                target.add(row * width + i),
                                width,
                            );
                        }
                    }
                    for row in whole..depth {
                        for i in 0..GROUP {
                            *target.add(row * width + i) = *source.add(i * b.column_stride + row);
                        }
                    }
                } else {
                    for i in 0..GROUP.min(columns - group) {
                        for row in 0..depth {
                            let value = *source.add(i * b.column_stride + row * b.row_stride);
                            *target.add(row * width + i) = value;
                        }
                    }
                }
            }
        }
    }
}

/// Fewest rows of `A` that [`pack_left`] puts side by side. Where rows are adjacent in memory, that
/// many are copied at once: with a tile's rows alone, packing took as long as the product itself.
const GROUP_ROWS: usize = 32;

/// Packs the rows `rows` and columns `k..k + depth` of `a` into groups of whole tiles, each `unit`
/// rows high; inside a group, the rows of one column lie together. What the last group has beyond
/// the rows means nothing.
pub(super) fn pack_left<E: Element>(
    a: Matrix<'_, E>,
    rows: std::ops::Range<usize>,
    k: usize,
    depth: usize,
    unit: usize,
    buffer: &mut Vec<E>,
) -> Left<E> {
    let group = GROUP_ROWS.next_multiple_of(unit);
    let groups = rows.len().div_ceil(group);
    resize(buffer, groups * group * depth);
    for (number, target) in buffer.chunks_exact_mut(group * depth).take(groups).enumerate() {
        let first = rows.start + number * group;
        let count = group.min(rows.end - first);
        for (column, target) in target.chunks_exact_mut(group).enumerate() {
            let start = first * a.row_stride + (k + column) * a.column_stride;
            if a.row_stride == 1 {
                copy_short(&a.data[start..start + count], &mut target[..count]);
            } else {
                for (row, value) in target[..count].iter_mut().enumerate() {
                    *value = a.data[start + row * a.row_stride];
                }
            }
        }
    }
    Left::Groups { data: buffer.as_ptr(), rows: group }
}
