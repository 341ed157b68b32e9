//! What can be told of a person.

use super::facts::{Asking, FactKind, Slot};
use super::values::ValueKind::{Animal, Date, Job, Person, Pet, Price, Thing, Town, Year};

/// Every kind of fact about a person.
pub(super) const PEOPLE: &[FactKind] = &[
    FactKind {
        values: &[Job],
        sentences: &[
            "{s} worked as a {a}.",
            "{s} earned a living as a {a}.",
            "By trade {s} was a {a}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["What did {s} work as?", "As what did {s} earn a living?"],
                reworded: &[
                    "What was the job of {s}?",
                    "Which occupation did {s} have?",
                    "What did {s} do for money?",
                ],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Who worked as a {a}?", "Who was a {a} by trade?"],
                reworded: &["Who had the job of a {a}?", "Which person was the {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Town],
        sentences: &[
            "{s} was born in {a}.",
            "{s} came into the world in {a}.",
            "{a} is the birthplace of {s}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["Where was {s} born?", "What is the birthplace of {s}?"],
                reworded: &["Which town does {s} come from?", "What is the home town of {s}?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Who was born in {a}?"],
                reworded: &["Which person comes from {a}?", "Who began life in {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Date],
        sentences: &[
            "{s} was born on {a}.",
            "The birthday of {s} was {a}.",
            "{s} came into the world on {a}.",
        ],
        askings: &[Asking {
            slot: Slot::A,
            close: &["When was {s} born?", "On what date was {s} born?"],
            reworded: &[
                "What was the date of birth of {s}?",
                "On which day did the life of {s} begin?",
            ],
        }],
    },
    FactKind {
        values: &[Town, Year],
        sentences: &[
            "In {b} {s} moved to {a}.",
            "{s} settled in {a} in {b}.",
            "{s} left home for {a} in {b}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["Where did {s} move?", "To which town did {s} move?"],
                reworded: &["In which town did {s} make a new home?", "Where did {s} go to live?"],
            },
            Asking {
                slot: Slot::B,
                close: &["In what year did {s} move?", "When did {s} move to {a}?"],
                reworded: &[
                    "In what year did {s} find a new home?",
                    "When did {s} go to live somewhere else?",
                ],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Who moved to {a}?", "Who moved in {b}?"],
                reworded: &["Which person found a new home in {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Animal, Pet],
        sentences: &[
            "{s} kept a {a} called {b}.",
            "{s} had a {a} whose name was {b}.",
            "A {a} called {b} lived with {s}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["What animal did {s} keep?", "Which animal lived with {s}?"],
                reworded: &["What kind of pet did {s} own?"],
            },
            Asking {
                slot: Slot::B,
                close: &["What was the {a} of {s} called?", "What was the name of the pet of {s}?"],
                reworded: &["How did {s} call the {a}?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Who kept a {a}?", "Who had a {a}?"],
                reworded: &["Which person was the owner of {b}?", "To whom did {b} belong?"],
            },
        ],
    },
    FactKind {
        values: &[Thing, Price],
        sentences: &[
            "{s} bought a {a} for {b}.",
            "{s} paid {b} for a {a}.",
            "At the fair {s} spent {b} on a {a}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["What did {s} buy?", "What did {s} pay for?"],
                reworded: &["Which purchase did {s} make?", "What was sold to {s}?"],
            },
            Asking {
                slot: Slot::B,
                close: &["How much did {s} pay for the {a}?", "How much did {s} spend?"],
                reworded: &["What did the {a} cost {s}?", "What was the price that {s} agreed to?"],
            },
            Asking {
                slot: Slot::Subject,
                close: &["Who bought a {a}?", "Who paid {b}?"],
                reworded: &["To whom was a {a} sold?", "Which person is now the owner of a {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Person, Year],
        sentences: &[
            "{s} married {a} in {b}.",
            "In {b} {s} married {a}.",
            "{s} and {a} held their wedding in {b}.",
        ],
        askings: &[
            Asking {
                slot: Slot::A,
                close: &["Who did {s} marry?", "Whom did {s} marry?"],
                reworded: &["Who became the partner of {s}?"],
            },
            Asking {
                slot: Slot::B,
                close: &["When did {s} marry?", "In what year was the wedding of {s}?"],
                reworded: &["When did {s} become the partner of {a}?"],
            },
        ],
    },
    FactKind {
        values: &[Person],
        sentences: &[
            "{s} learned to read from {a}.",
            "{a} taught {s} to read.",
            "{s} was taught to read by {a}.",
        ],
        askings: &[Asking {
            slot: Slot::A,
            close: &["From whom did {s} learn to read?", "Who taught {s} to read?"],
            reworded: &["Who was the teacher of {s}?", "Whose pupil was {s}?"],
        }],
    },
];
