//! What can happen to a clinic, its gateway, the registry and everything between them.

use proptest::prelude::*;

use super::site::Trouble;

/// One thing that happens. Numbers pick among what is there when it happens.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    /// Rows are added.
    Insert(u8),
    /// A row gets another vaccine.
    Correct(u16),
    /// The same, and its stamp hardly moves, so that only a sweep can see it once others are newer.
    CorrectSilently(u16),
    /// The same, and its stamp goes back.
    CorrectInThePast(u16),
    /// The same, and its stamp is centuries ahead.
    CorrectAhead(u16),
    /// A row becomes one that cannot be sent; a correction mends it.
    Refuse(u16, Trouble),
    /// The gateway's configuration no longer knows the clinic's words, or knows them again.
    Map(bool),
    /// Feeds are broken from now on: vaccinations, tests.
    Break([bool; 2]),
    /// Every so-many-th request to the clinic's system fails from now on; 0 ends it.
    Failing(u8),
    /// Lists of the clinic's system lack a row from now on, although the row is there: an index that
    /// lags behind. Until everything is mended.
    Unlist(u16),
    /// A row is cancelled, or holds again.
    Toggle(u16),
    /// A row is deleted.
    Delete(u16),
    /// A row is deleted and its id given to another person's dose.
    Reuse(u16),
    /// Pass of the gateway, ended by force after so many milliseconds if it takes longer.
    Sync(u16),
    /// One key sweep, ended by force in the same way.
    Sweep(u16),
    /// The registry takes what waits, ended by force in the same way.
    Registry(u16),
    /// Two registry consumers at once.
    TwoRegistries(u16),
    /// The way between gateway and broker is cut, or slow, or whole again.
    Network(Network),
    /// The broker is killed and started again.
    KillBroker,
    /// One of two key services, by its place, or the token issuer, is in this condition from now on.
    Service(usize, Condition),
    /// The relay is in this condition from now on.
    Relay(Condition),
    /// One of the two brokers is in this condition from now on.
    Broker(Side, Condition),
    /// One of the two brokers is killed, and comes back on an empty disk; its operator sets it up.
    Empty(Side),
    /// One of the two brokers loses the queues that the relay needs; its operator makes them again.
    LoseQueues(Side),
    /// A way to one of the two brokers is cut, or silent, or slow, or whole again.
    Wire(Wire, Network),
    /// PostgreSQL, with both the clinic's and the registry's databases, is killed and started
    /// again.
    KillPostgres,
    /// Time passes, in minutes.
    Advance(u16),
    /// The wall clock of the gateway's machine is set back, in minutes.
    SetBack(u8),
    /// The gateway's state is copied.
    Save,
    /// The copy is put back: the state file alone, or with its generation file, as a restored
    /// machine has it; and the rows are set back to what they said when it was made, or not.
    Restore { with_mark: bool, rows: bool },
    /// The state file is lost.
    Lose,
    /// Batches that were in the queue's folder before are put there again, in another order.
    Replay(u16),
}

/// Condition of a program.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition {
    Killed,
    /// Silent, as on a machine that is suspended.
    Paused,
    /// Running, started again where it was killed.
    Whole,
}

/// Broker of strong mode, by the side of the relay that it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The clinics' broker.
    Outside,
    /// The registry's broker.
    Inside,
}

/// Way between a program and a broker of strong mode.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire {
    GatewayToOutside,
    RelayToOutside,
    RelayToInside,
    RegistryToInside,
}

impl Wire {
    pub(super) const ALL: [Self; 4] = [
        Self::GatewayToOutside,
        Self::RelayToOutside,
        Self::RelayToInside,
        Self::RegistryToInside,
    ];
}

/// A way between a program and a broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Network {
    Cut,
    Stalled,
    Slow,
    Whole,
}

fn changes() -> BoxedStrategy<Operation> {
    prop_oneof![
        4 => (1..30u8).prop_map(Operation::Insert),
        4 => any::<u16>().prop_map(Operation::Correct),
        2 => any::<u16>().prop_map(Operation::CorrectSilently),
        1 => any::<u16>().prop_map(Operation::CorrectInThePast),
        1 => any::<u16>().prop_map(Operation::CorrectAhead),
        4 => (any::<u16>(), proptest::sample::select(&Trouble::ALL[..]))
            .prop_map(|(number, trouble)| Operation::Refuse(number, trouble)),
        1 => any::<bool>().prop_map(Operation::Map),
        1 => proptest::sample::select(&[[true, false], [false, true], [false, false]][..])
            .prop_map(Operation::Break),
        1 => (0..9u8).prop_map(Operation::Failing),
        1 => any::<u16>().prop_map(Operation::Unlist),
        3 => any::<u16>().prop_map(Operation::Toggle),
        2 => any::<u16>().prop_map(Operation::Delete),
        2 => any::<u16>().prop_map(Operation::Reuse),
    ]
    .boxed()
}

fn work() -> BoxedStrategy<Operation> {
    let mostly_whole = || prop_oneof![3 => Just(u16::MAX), 2 => 1..400u16];
    prop_oneof![
        8 => mostly_whole().prop_map(Operation::Sync),
        2 => mostly_whole().prop_map(Operation::Sweep),
        5 => mostly_whole().prop_map(Operation::Registry),
        1 => mostly_whole().prop_map(Operation::TwoRegistries),
        2 => (1..300u16).prop_map(Operation::Advance),
        1 => (1..120u8).prop_map(Operation::SetBack),
    ]
    .boxed()
}

fn state() -> BoxedStrategy<Operation> {
    prop_oneof![
        3 => Just(Operation::Save),
        2 => any::<[bool; 2]>()
            .prop_map(|[with_mark, rows]| Operation::Restore { with_mark, rows }),
        1 => Just(Operation::Lose),
    ]
    .boxed()
}

/// Histories on a directory and SQLite: no servers but the clinic's, so there can be many.
pub(super) fn small() -> BoxedStrategy<Vec<Operation>> {
    let queue = any::<u16>().prop_map(Operation::Replay);
    let one = prop_oneof![6 => changes(), 8 => work(), 3 => state(), 2 => queue];
    proptest::collection::vec(one, 5..25).boxed()
}

/// Histories on RabbitMQ and PostgreSQL.
pub(super) fn large() -> BoxedStrategy<Vec<Operation>> {
    let network = prop_oneof![
        1 => Just(Network::Cut),
        1 => Just(Network::Stalled),
        1 => Just(Network::Slow),
        3 => Just(Network::Whole)
    ];
    let servers = prop_oneof![
        4 => network.prop_map(Operation::Network),
        1 => Just(Operation::KillBroker),
        1 => Just(Operation::KillPostgres),
    ];
    let one = prop_oneof![6 => changes(), 8 => work(), 2 => state(), 3 => servers];
    proptest::collection::vec(one, 5..25).boxed()
}

/// Histories of strong mode: two key services, a token issuer, and the relay between two brokers.
pub(super) fn strong() -> BoxedStrategy<Vec<Operation>> {
    let condition = || {
        prop_oneof![
            2 => Just(Condition::Killed),
            1 => Just(Condition::Paused),
            3 => Just(Condition::Whole),
        ]
    };
    let services = (0..3_usize, condition());
    let side = || proptest::sample::select(&[Side::Outside, Side::Inside][..]);
    let programs = prop_oneof![
        3 => services.prop_map(|(place, condition)| Operation::Service(place, condition)),
        2 => condition().prop_map(Operation::Relay),
        4 => (side(), condition()).prop_map(|(side, condition)| Operation::Broker(side, condition)),
        1 => side().prop_map(Operation::Empty),
        1 => side().prop_map(Operation::LoseQueues),
    ];
    let wire = proptest::sample::select(&Wire::ALL[..]);
    let network = prop_oneof![
        2 => Just(Network::Cut),
        1 => Just(Network::Stalled),
        1 => Just(Network::Slow),
        4 => Just(Network::Whole)
    ];
    let wires = (wire, network).prop_map(|(wire, network)| Operation::Wire(wire, network));
    let one = prop_oneof![6 => changes(), 8 => work(), 2 => state(), 5 => programs, 2 => wires];
    proptest::collection::vec(one, 15..30).boxed()
}

/// What happens to both brokers in every run of the tests, whatever is generated: each is killed,
/// silent, emptied, without its queues and cut off while batches are on their way there and receipts back.
pub(super) fn of_brokers() -> Vec<Operation> {
    let mut all = Vec::new();
    for side in [Side::Inside, Side::Outside] {
        let wire = match side {
            Side::Inside => Wire::RelayToInside,
            Side::Outside => Wire::RelayToOutside,
        };
        for event in [
            Operation::Broker(side, Condition::Killed),
            Operation::Broker(side, Condition::Paused),
            Operation::Empty(side),
            Operation::LoseQueues(side),
            Operation::Wire(wire, Network::Cut),
        ] {
            all.extend([
                Operation::Insert(9),
                Operation::Sync(u16::MAX),
                Operation::Registry(1500),
                event,
                Operation::Correct(1),
                Operation::Insert(5),
                Operation::Sync(u16::MAX),
                Operation::Broker(side, Condition::Whole),
                Operation::Wire(wire, Network::Whole),
            ]);
        }
    }
    all
}
