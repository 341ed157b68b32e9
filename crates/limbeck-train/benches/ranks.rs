//! How long the sum of a model's gradients over processes takes: two and four of them, on loopback.

use divan::Bencher;
use limbeck_train::ranks::Ranks;
use limbeck_train::ranks::rendezvous::{Meeting, join, listen};

fn main() {
    divan::main();
}

/// MiniLM's parameters, and those of BERT-base.
const VALUES: [usize; 2] = [22_700_000, 109_000_000];

#[divan::bench(args = VALUES, consts = [2, 4], sample_count = 5, sample_size = 1)]
fn sum<const COUNT: usize>(bencher: Bencher, values: usize) {
    let (listener, address) = listen("127.0.0.1:0").expect("loopback");
    let mut listener = Some(listener);
    let mut others = Vec::new();
    let mut first = None;
    for rank in (0..COUNT).rev() {
        let listener = listener.take_if(|_| rank == 0);
        let (address, secret) = (address.to_string(), "bench".to_owned());
        let meeting = Meeting { rank, count: COUNT, address, secret };
        let start = move || Ranks::start(move || join(&meeting, listener, || Ok(())));
        if rank == 0 {
            first = Some(start().expect("the others come"));
        } else {
            others.push(std::thread::spawn(move || {
                let mut ranks = start().expect("the others come");
                let mut own = vec![1.0; values];
                // Until the first one is done.
                while ranks.sum(&mut own).is_ok() {}
            }));
        }
    }
    let mut ranks = first.expect("there is a first one");
    let mut own = vec![1.0; values];
    bencher.bench_local(|| ranks.sum(&mut own));
    drop(ranks);
    for other in others {
        let _ = other.join();
    }
}
