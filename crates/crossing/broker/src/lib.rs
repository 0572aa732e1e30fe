//! Carries sealed batches: RabbitMQ, or a directory with the same promises (see README.md).

#[cfg(feature = "amqp")]
mod amqp;
#[cfg(not(feature = "amqp"))]
#[path = "amqp_left_out.rs"]
mod amqp;
mod batch_file;
mod check;
mod config;
mod consumer;
mod dead_letters;
mod directory;
mod error;
mod finding;
mod forwarding;
mod publisher;
mod receipts;
mod state;
mod token;
mod transport;

pub use check::{LoopOutcome, check_loop, check_loop_with};
pub use config::{AmqpConfig, DirectoryConfig, Login, QueueConfig, QueueKind, TlsConfig};
pub use consumer::{Consumer, Delivery, MAX_BATCH_BYTES, MAX_MESSAGE_BYTES};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use error::BrokerError;
pub use finding::{QueueFinding, Side};
pub use forwarding::{limited_consumer, persistent_receipt_publisher, receipt_consumer};
pub use publisher::Publisher;
pub use receipts::{ReceiptPublisher, ReceiptSubscriber};
pub use state::{Depth, QueueState};
pub use token::Token;
pub use transport::{
    check, check_rights, consumer, dead_letters, depth, publisher, readers, receipt_publisher,
    receipt_subscriber,
};
