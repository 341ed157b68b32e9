"""The order of Limbeck's training batches, so that another program can take the same steps.

Shared by the scripts of this folder; not a program. The counterpart of
`crates/limbeck-data/src/order.rs` and `random.rs`: seed and epoch alone fix the order.
"""

MASK = (1 << 64) - 1
GROUP = 64  # batches that are sorted and dealt together


class SplitMix64:
    """The generator of Steele, Lea and Flood (2014), as Limbeck seeds it."""

    def __init__(self, seed, stream):
        self.state = seed & MASK
        first = self.next()
        self.state = ~stream & MASK
        self.state = first ^ self.next()

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
        return mixed ^ (mixed >> 31)

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            other = (self.next() * (last + 1)) >> 64
            items[last], items[other] = items[other], items[last]


def batches(lengths, batch_size, seed, epoch):
    """The batches of one epoch, as lists of indices into `lengths`, the tokens of each window."""
    random = SplitMix64(seed, epoch)
    features = list(range(len(lengths)))
    random.shuffle(features)
    whole = len(lengths) - len(lengths) % batch_size
    features, left_over = features[:whole], features[whole:]
    dealt = []
    for first in range(0, whole, batch_size * GROUP):
        group = features[first : first + batch_size * GROUP]
        group.sort(key=lambda feature: -lengths[feature])
        count = len(group) // batch_size
        hands = [[] for _ in range(count)]
        for number, begin in enumerate(range(0, len(group), count)):
            for place, feature in enumerate(group[begin : begin + count]):
                hands[place if number % 2 == 0 else count - 1 - place].append(feature)
        dealt += hands
    random.shuffle(dealt)
    return dealt + ([left_over] if left_over else [])
