//! Tokens: the receiver of a message settles it by its token.

use crate::batch_file::BatchFile;

/// Stands for one message when it is settled. Good for one use, with the receiver it came from.
#[derive(Debug)]
pub struct Token(pub(crate) TokenKind);

/// A [`Token`] of either transport.
#[derive(Debug)]
pub(crate) enum TokenKind {
    #[cfg(feature = "amqp")]
    Amqp(AmqpToken),
    File(BatchFile),
}

impl Token {
    /// The file behind a token of the directory transport.
    pub(crate) fn file(&self) -> Option<BatchFile> {
        match self.0 {
            #[cfg(feature = "amqp")]
            TokenKind::Amqp(_) => None,
            TokenKind::File(file) => Some(file),
        }
    }
}

/// A delivery of RabbitMQ. Void once its connection is gone: lapin's acker then does nothing.
#[cfg(feature = "amqp")]
#[derive(Debug)]
pub(crate) struct AmqpToken {
    pub(crate) acker: lapin::Acker,
    /// Batch id that the message's properties name.
    pub(crate) id: Option<contract::BatchId>,
}

#[cfg(feature = "amqp")]
impl From<&lapin::message::Delivery> for AmqpToken {
    fn from(delivery: &lapin::message::Delivery) -> Self {
        let id = delivery.properties.message_id().as_ref();
        Self {
            acker: delivery.acker.clone(),
            id: id.and_then(|id| contract::BatchId::from_hex(id.as_str())),
        }
    }
}
