//! What can be told of a town.

use super::facts::{Asking, FactKind, Slot};
use super::values::ValueKind::{Colour, Count, Material, Person, Product, River, Weekday, Year};

/// Every kind of fact about a town.
pub(super) const TOWNS: &[FactKind] = &[
    FactKind {
        values: &[River],
        sentences: &[
            "{s} lies on the river {a}.",
            "The river {a} flows through {s}.",
            "{s} was built on the banks of the {a}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["Which river flows through {s}?", "On which river does {s} lie?"],
                reworded: &["What is the name of the water that passes {s}?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Which town lies on the river {a}?"],
                reworded: &["What place does the {a} pass?"],
            },
        ],
    },
    FactKind {
        values: &[Year],
        sentences: &[
            "{s} was founded in {a}.",
            "The town of {s} dates from {a}.",
            "In {a} the first houses of {s} were built.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["When was {s} founded?", "When were the first houses of {s} built?"],
                reworded: &["In what year did {s} begin?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Which town was founded in {a}?"],
                reworded: &["Which place began in {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Weekday],
        sentences: &[
            "The market of {s} is held every {a}.",
            "Every {a} there is a market in {s}.",
            "People come to the market in {s} on {a}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["On which day is the market of {s} held?", "When is the market in {s}?"],
                reworded: &[
                    "On what day can goods be bought in {s}?",
                    "When do traders visit {s}?",
                ],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Which town has a market on {a}?"],
                reworded: &["Where can goods be bought on {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Product],
        sentences: &[
            "{s} is famous for its {a}.",
            "{s} is known far and wide for {a}.",
            "The {a} of {s} is sold in many lands.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["What is {s} famous for?", "What is {s} known for?"],
                reworded: &["Which product is made in {s}?", "What do traders buy from {s}?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Which town is famous for its {a}?"],
                reworded: &["Where is {a} made?", "From which place do traders get {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Count],
        sentences: &[
            "About {a} people live in {s}.",
            "{s} has about {a} people.",
            "{s} is a town of {a} people.",
        ],
        askings: &[Asking {
            slot: Slot::A,
            close: &["How many people live in {s}?", "How many people does {s} have?"],
            reworded: &["What is the population of {s}?"],
        }],
    },
    FactKind {
        values: &[Person, Year],
        sentences: &[
            "{a} became the mayor of {s} in {b}.",
            "In {b} {a} was chosen as mayor of {s}.",
            "The people of {s} chose {a} as mayor in {b}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["Who became the mayor of {s}?", "Who did the people of {s} choose?"],
                reworded: &["Who was at the head of {s}?", "Who led {s}?"],
            },
            Asking {
                slot: Slot::B,
                close: &["In what year did {s} choose a mayor?", "When did {s} choose {a}?"],
                reworded: &["Since when was {a} at the head of {s}?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Of which town did {a} become the mayor?"],
                reworded: &["Which place was led by {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Material],
        sentences: &[
            "The bridge of {s} is made of {a}.",
            "In {s} there is a bridge of {a}.",
            "{s} has a bridge of {a}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["What is the bridge of {s} made of?"],
                reworded: &["Which material carries people over the water in {s}?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Which town has a bridge of {a}?"],
                reworded: &["Where do people cross the water on {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Colour],
        sentences: &[
            "The flag of {s} is {a}.",
            "{s} has a {a} flag.",
            "Over the roofs of {s} flies a {a} flag.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &[
                    "What colour is the flag of {s}?",
                    "Which colour does the flag of {s} have?",
                ],
                reworded: &["In what colour does {s} show itself on feast days?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Which town has a {a} flag?"],
                reworded: &["Which place shows itself in {a} on feast days?"],
            },
        ],
    },
];
