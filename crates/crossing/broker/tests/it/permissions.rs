//! Accounts with the least rights of `config/rabbitmq-setup.sh`: what they need works, and whatever
//! else an account may try is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use broker::{AmqpConfig, QueueConfig, Side};
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use settings::SecretSource;
use testbed::rabbitmq::{Options, RabbitMq};

use crate::amqp::{at, base, drain, raw};
use crate::conformance::{hear, subscribe};
use crate::{PATIENCE, batch, until};

const SETUP: &str = include_str!("../../../../../config/rabbitmq-setup.sh");
/// Stands for Debian's rabbitmqctl, which runs as another user: no file of ours is readable to it.
/// The command `FAILING` fails.
const DEBIAN: &str = r#"
rabbitmqctl() {
    for argument in "$@"; do
        [ ! -e "$argument" ] || [ "$argument" = / ] || { echo "no permissions" >&2; return 65; }
    done
    [ "$1" != "${FAILING-}" ] || { echo "refused" >&2; return 70; }
    command rabbitmqctl "$@"
}
"#;
const GATEWAY: &str = "gateway-1";
const PASSWORD: &str = "right-horse";

/// A broker set up by the script, with an account of the registry and one of a gateway.
struct City {
    broker: RabbitMq,
    _secret: tempfile::TempDir,
    registry: QueueConfig,
    gateway: AmqpConfig,
}

impl City {
    async fn new() -> Self {
        let config = ["max_message_size = 4194304", "channel_max = 64"];
        let broker = RabbitMq::start_with(Options {
            config: config.map(str::to_owned).to_vec(),
            ..Options::default()
        })
        .await
        .unwrap();
        let setup = format!(
            "{DEBIAN}{SETUP}\ncity_policies\necho {PASSWORD} | registry_account city-registry\n\
             echo {PASSWORD} | gateway_account {GATEWAY}\n"
        );
        broker.shell(&setup).await.unwrap();
        let secret = tempfile::tempdir().unwrap();
        let password = secret.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let account = |name: &str| AmqpConfig {
            password: Some(SecretSource::File(password.clone())),
            ..at(&format!("amqp://{name}@127.0.0.1:{}", broker.port()))
        };
        Self {
            registry: QueueConfig::Amqp(account("city-registry")),
            gateway: AmqpConfig {
                declare: false,
                receipts_queue: Some(format!("clinic.receipts.{GATEWAY}")),
                ..account(GATEWAY)
            },
            broker,
            _secret: secret,
        }
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let port = self.broker.port();
        let url = format!("amqp://{GATEWAY}:{PASSWORD}@127.0.0.1:{port}/%2f");
        Connection::connect(&url, ConnectionProperties::default()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_can_do_their_work_and_nothing_else() {
    let city = City::new().await;
    a_failed_step_stops_the_script(&city).await;
    what_the_registry_has_not_made_yet_is_told(&city).await;
    both_sides_work(&city).await;
    the_very_queues_that_are_read_are_looked_at(&city).await;
    whatever_else_is_tried_is_refused(&city).await;
    connections_and_channels_are_bounded(&city).await;
    a_receipt_that_is_not_awaited_stops_nothing(&city).await;
}

async fn a_failed_step_stops_the_script(city: &City) {
    let run = async |calls: &str| {
        let script = format!("{DEBIAN}{SETUP}\nset +e\n{{ {calls}; }} 2>&1\necho \"code $?\"");
        city.broker.shell(&script).await.unwrap()
    };
    let make = format!("echo {PASSWORD} | gateway_account gateway-9");
    for step in [
        "import_definitions",
        "add_user",
        "set_user_limits",
        "set_permissions",
    ] {
        let said = run(&format!("FAILING={step}; {make}")).await;
        assert!(
            said.contains(&format!("`rabbitmqctl {step}` failed")) && said.ends_with("code 1"),
            "{said}"
        );
        let rights = city
            .broker
            .ctl(&["list_user_permissions", "gateway-9"])
            .await;
        assert!(
            !rights.unwrap_or_default().contains("clinic"),
            "an account that is half-made has no rights: {step}"
        );
        run("remove_gateway_account gateway-9").await;
    }
    let said = run("FAILING=set_policy; city_policies").await;
    assert!(
        said.matches("refused").count() == 1 && said.ends_with("code 1"),
        "{said}"
    );
    let said = run("VHOST=registry; city_vhost && city_policies && city_vhost").await;
    assert!(
        said.ends_with("code 0"),
        "made, used, and there already: {said}"
    );
    let vhosts = city.broker.ctl(&["list_vhosts", "--quiet"]).await;
    assert!(
        vhosts
            .unwrap_or_default()
            .lines()
            .any(|line| line == "registry")
    );
    let said = run("FAILING=add_user; registry_account other").await;
    assert!(said.contains("registry_account: `rabbitmqctl add_user` failed"));
    for name in ["", "'a.*'", "'a\"b'"] {
        let said = run(&format!("echo {PASSWORD} | gateway_account {name}")).await;
        assert!(
            said.contains("needs the account's name") && said.ends_with("code 2"),
            "{said}"
        );
    }
    let said = run(&format!(
        "{make} && remove_gateway_account gateway-9 && rabbitmqctl list_users"
    ))
    .await;
    assert!(said.ends_with("code 0"), "{said}");
    let said = run("remove_gateway_account gateway-9").await;
    assert!(
        said.contains("not both") && said.ends_with("code 1"),
        "{said}"
    );
}

/// Checks what an account may do, and reads receipts: both end with this error.
async fn both_say(config: &AmqpConfig, words: &[&str]) {
    let config = QueueConfig::Amqp(config.clone());
    let error = broker::check_rights(&config, base(), Side::Gateway)
        .await
        .unwrap_err();
    let mut subscriber = broker::receipt_subscriber(&config, base()).unwrap();
    assert_eq!(subscriber.receive(1, PATIENCE).await.unwrap_err(), error);
    subscriber.close().await;
    assert!(!error.is_retry());
    for words in words {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

async fn what_the_registry_has_not_made_yet_is_told(city: &City) {
    let gateway = QueueConfig::Amqp(city.gateway.clone());
    let error = broker::check(&gateway, base()).await.unwrap_err();
    let words = "the exchange clinic.dead does not exist; let the registry run once";
    assert!(error.to_string().starts_with(words), "{error}");
    let publisher = broker::publisher(&gateway, base()).unwrap();
    let told = publisher.publish(&batch(b"facts")).await.unwrap_err();
    publisher.close().await;
    assert_eq!(told, error);
}

async fn the_very_queues_that_are_read_are_looked_at(city: &City) {
    let own = format!("clinic.receipts.{GATEWAY}");
    let gateway = QueueConfig::Amqp(city.gateway.clone());
    // A check beside a running gateway, and one that finds receipts waiting, takes none.
    let mut running = subscribe(&gateway).await;
    broker::check_rights(&gateway, base(), Side::Gateway)
        .await
        .unwrap();
    running.close().await;
    let receipts = broker::receipt_publisher(&city.registry, base()).unwrap();
    receipts.broadcast(b"waiting".to_vec()).await.unwrap();
    city.broker.until_depth(&own, 1).await.unwrap();
    let findings = broker::check_rights(&gateway, base(), Side::Gateway)
        .await
        .unwrap();
    assert!(
        findings
            .iter()
            .any(|it| it.text == format!("may listen to {own}"))
    );
    let (_connection, channel) = raw(&city.broker).await;
    let got = channel
        .basic_get(own.as_str().into(), BasicGetOptions { no_ack: true })
        .await
        .unwrap()
        .expect("the receipt is there");
    assert!(!got.redelivered, "it was never handed out");

    let make = |name: &str| format!("{SETUP}\nreceipts_queue {name}");
    city.broker.shell(&make("gateway-3")).await.unwrap();
    let others = AmqpConfig {
        receipts_queue: Some("clinic.receipts.gateway-3".to_owned()),
        ..city.gateway.clone()
    };
    both_say(
        &others,
        &[
            "user \"gateway-1\" may not read the queue clinic.receipts.gateway-3",
            "`receipts_queue`",
        ],
    )
    .await;

    city.broker.ctl(&["delete_queue", &own]).await.unwrap();
    both_say(
        &city.gateway,
        &[
            "the queue clinic.receipts.gateway-1 does not exist",
            "`receipts_queue NAME` of rabbitmq-setup.sh",
        ],
    )
    .await;
    // What the words say is enough.
    city.broker.shell(&make(GATEWAY)).await.unwrap();
    broker::check_rights(&gateway, base(), Side::Gateway)
        .await
        .unwrap();
    let mut mended = subscribe(&gateway).await;
    receipts.broadcast(b"again".to_vec()).await.unwrap();
    assert!(hear(&mut mended, 1).await.contains(&b"again"[..]));
    mended.close().await;
    receipts.close().await;

    // The registry's own queues.
    let all = "^(clinic\\.|amq\\.gen-)";
    for (read, refused) in [
        (
            "^clinic\\.(facts|dead|facts\\.dead)$",
            Some("clinic.facts.intake"),
        ),
        (
            "^clinic\\.(facts|dead|facts\\.intake)$",
            Some("clinic.facts.dead"),
        ),
        (all, None),
    ] {
        city.broker
            .ctl(&["set_permissions", "city-registry", all, all, read])
            .await
            .unwrap();
        let checked = broker::check_rights(&city.registry, base(), Side::Registry).await;
        match (checked, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(queue)) => {
                let words = format!("may not read the queue {queue}; grant it");
                assert!(error.to_string().contains(&words), "{error}");
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

async fn both_sides_work(city: &City) {
    let found = broker::check(&city.registry, base()).await.unwrap();
    assert_eq!(
        found[1..],
        [
            "queue clinic.facts.intake: waiting batches: 0",
            "dead letters clinic.facts.dead: 0"
        ]
    );
    let findings = broker::check_rights(&city.registry, base(), Side::Registry)
        .await
        .unwrap();
    let warnings: Vec<_> = findings.iter().filter(|it| it.help.is_some()).collect();
    assert!(
        matches!(warnings[..], [only] if only.text.contains("AMQP does not show")),
        "{findings:?}"
    );

    let gateway = QueueConfig::Amqp(city.gateway.clone());
    broker::check(&gateway, base()).await.unwrap();
    let findings = broker::check_rights(&gateway, base(), Side::Gateway)
        .await
        .unwrap();
    assert!(findings.iter().all(|it| it.help.is_none()), "{findings:?}");
    let mut subscriber = subscribe(&gateway).await;
    // The queue is the running gateway's alone: a second reader would take some of its receipts.
    let mut second = broker::receipt_subscriber(&gateway, base()).unwrap();
    let error = second.receive(1, PATIENCE).await.unwrap_err();
    assert!(
        error.is_retry() && error.to_string().contains("another connection"),
        "{error}"
    );
    second.close().await;
    let publisher = broker::publisher(&gateway, base()).unwrap();
    publisher.publish(&batch(b"facts")).await.unwrap();
    publisher.close().await;
    assert_eq!(drain(&city.registry).await, [b"facts"]);
    let receipts = broker::receipt_publisher(&city.registry, base()).unwrap();
    receipts.broadcast(b"receipt".to_vec()).await.unwrap();
    receipts.close().await;
    assert!(hear(&mut subscriber, 1).await.contains(&b"receipt"[..]));
    subscriber.close().await;

    // Whoever may do everything is told that this is too much.
    let all = QueueConfig::Amqp(at(&city.broker.amqp_url()));
    let findings = broker::check_rights(&all, base(), Side::Gateway)
        .await
        .unwrap();
    let text = &findings.last().unwrap().text;
    for excess in ["make queues", "the dead letters", "the batches of all"] {
        assert!(text.contains(excess), "{excess}: {text}");
    }
}

/// AMQP code of what was refused.
fn code(outcome: lapin::Result<()>) -> Option<u16> {
    match outcome.err()?.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        other => panic!("{other:?}"),
    }
}

async fn publish(channel: Channel, exchange: &str, key: &str, body: &[u8]) -> lapin::Result<()> {
    let confirms = ConfirmSelectOptions::default();
    channel.confirm_select(confirms).await?;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    channel
        .basic_publish(exchange.into(), key.into(), options, body, properties)
        .await?
        .await
        .map(drop)
}

/// Tries something on a channel of its own, and expects that it is refused.
async fn refused(
    connection: &Connection,
    name: &str,
    work: impl AsyncFnOnce(Channel) -> lapin::Result<()>,
) {
    let channel = connection.create_channel().await.unwrap();
    let code = code(work(channel).await);
    assert_eq!(code, Some(403), "{name}");
}

async fn whatever_else_is_tried_is_refused(city: &City) {
    let own = format!("clinic.receipts.{GATEWAY}");
    let intake = "clinic.facts.intake";
    let none = FieldTable::default;
    let account = city.connect().await.unwrap();
    for (queue, exchange) in [
        (intake, "clinic.receipts"),
        (intake, "clinic.facts"),
        ("clinic.facts.dead", "clinic.facts"),
        (own.as_str(), "clinic.facts"),
        (own.as_str(), "clinic.dead"),
        (own.as_str(), "amq.rabbitmq.trace"),
    ] {
        refused(
            &account,
            &format!("bind {queue} to {exchange}"),
            async |it| {
                let options = QueueBindOptions::default();
                it.queue_bind(queue.into(), exchange.into(), "".into(), options, none())
                    .await
            },
        )
        .await;
    }
    for (destination, source) in [
        ("clinic.facts", "clinic.receipts"),
        ("clinic.receipts", "clinic.facts"),
        ("clinic.dead", "clinic.facts"),
        ("clinic.facts", "amq.topic"),
    ] {
        refused(
            &account,
            &format!("bind {destination} to {source}"),
            async |it| {
                let options = ExchangeBindOptions::default();
                it.exchange_bind(
                    destination.into(),
                    source.into(),
                    "".into(),
                    options,
                    none(),
                )
                .await
            },
        )
        .await;
    }
    for (exchange, key) in [
        ("clinic.dead", "clinic.facts.dead"),
        ("clinic.receipts", ""),
        ("", intake),
        ("", own.as_str()),
        ("amq.direct", intake),
        ("amq.topic", intake),
    ] {
        refused(&account, &format!("publish to {exchange:?}"), async |it| {
            publish(it, exchange, key, b"x").await
        })
        .await;
    }
    for queue in [intake, "clinic.facts.dead"] {
        refused(&account, &format!("read {queue}"), async |it| {
            let options = BasicConsumeOptions::default();
            it.basic_consume(queue.into(), "".into(), options, none())
                .await
                .map(drop)
        })
        .await;
        refused(&account, &format!("get from {queue}"), async |it| {
            it.basic_get(queue.into(), BasicGetOptions::default())
                .await
                .map(drop)
        })
        .await;
        refused(&account, &format!("purge {queue}"), async |it| {
            it.queue_purge(queue.into(), QueuePurgeOptions::default())
                .await
                .map(drop)
        })
        .await;
    }
    for queue in [intake, "clinic.facts.dead", own.as_str()] {
        refused(&account, &format!("delete {queue}"), async |it| {
            it.queue_delete(queue.into(), QueueDeleteOptions::default())
                .await
                .map(drop)
        })
        .await;
    }
    names_are_not_to_be_had(&account).await;
    // More than a batch is refused by the broker itself.
    let channel = account.create_channel().await.unwrap();
    let long = publish(channel, "clinic.facts", intake, &vec![0; (4 << 20) + 1]).await;
    assert_eq!(code(long), Some(406));
    account.close(200, "".into()).await.unwrap();
    assert!(drain(&city.registry).await.is_empty());
}

async fn names_are_not_to_be_had(account: &Connection) {
    for name in [
        "",
        "mine",
        "clinic.receipts.gateway-2",
        "clinic.facts.intake.2",
    ] {
        refused(
            account,
            &format!("declare the queue {name:?}"),
            async |it| {
                let options = QueueDeclareOptions {
                    durable: true,
                    ..QueueDeclareOptions::default()
                };
                it.queue_declare(name.into(), options, FieldTable::default())
                    .await
                    .map(drop)
            },
        )
        .await;
    }
    for name in ["mine", "clinic.facts", "clinic.dead", "amq.gen-mine"] {
        refused(
            account,
            &format!("declare the exchange {name}"),
            async |it| {
                let mut arguments = FieldTable::default();
                let value = lapin::types::AMQPValue::LongString("clinic.dead".into());
                arguments.insert("alternate-exchange".into(), value);
                let options = ExchangeDeclareOptions {
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                };
                it.exchange_declare(name.into(), ExchangeKind::Direct, options, arguments)
                    .await
            },
        )
        .await;
    }
    for name in ["clinic.facts", "clinic.dead", "clinic.receipts"] {
        refused(
            account,
            &format!("delete the exchange {name}"),
            async |it| {
                it.exchange_delete(name.into(), ExchangeDeleteOptions::default())
                    .await
            },
        )
        .await;
    }
}

async fn connections_and_channels_are_bounded(city: &City) {
    let mut open = Vec::new();
    while let Ok(connection) = city.connect().await {
        open.push(connection);
        assert!(open.len() <= 8, "the account's connections are bounded");
    }
    assert_eq!(open.len(), 8);
    let mut channels = Vec::new();
    while let Ok(channel) = open[0].create_channel().await {
        channels.push(channel);
        assert!(channels.len() <= 64, "the account's channels are bounded");
    }
    for connection in open {
        drop(connection.close(200, "".into()).await);
    }
}

/// An account that makes its queue of receipts itself may do more: it can leave queues behind, and
/// send receipts to the exchange of facts. Neither grows nor reaches the registry.
async fn a_receipt_that_is_not_awaited_stops_nothing(city: &City) {
    let rights = "rabbitmqctl set_permissions gateway-1 '^amq\\.gen-' \
        '^(clinic\\.facts$|amq\\.gen-)' '^(clinic\\.receipts$|amq\\.gen-)'\n\
        rabbitmqctl set_policy --apply-to queues clinic-left-over '^amq\\.gen-' '{\"expires\": 500}'";
    city.broker.shell(rights).await.unwrap();
    let account = until("a connection", async || city.connect().await.ok()).await;
    let channel = account.create_channel().await.unwrap();
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let left = channel
        .queue_declare("".into(), durable, FieldTable::default())
        .await
        .unwrap();
    let bind = QueueBindOptions::default();
    let receipts = "clinic.receipts";
    channel
        .queue_bind(
            left.name().clone(),
            receipts.into(),
            "".into(),
            bind,
            Default::default(),
        )
        .await
        .unwrap();
    channel
        .exchange_bind(
            "clinic.facts".into(),
            receipts.into(),
            "clinic.facts.intake".into(),
            ExchangeBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let publisher = broker::receipt_publisher(&city.registry, base()).unwrap();
    for number in 0..40_u8 {
        publisher.broadcast(vec![number]).await.unwrap();
    }
    publisher.close().await;
    let depth = broker::depth(&city.registry, base()).await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 0));
    let (_connection, channel) = raw(&city.broker).await;
    channel
        .queue_delete(left.name().clone(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let another = account.create_channel().await.unwrap();
    another
        .queue_declare("".into(), durable, FieldTable::default())
        .await
        .unwrap();
    account.close(200, "".into()).await.unwrap();
    until("what was left behind to go", async || {
        let queues = city.broker.ctl(&["list_queues", "name"]).await.unwrap();
        (!queues.contains("amq.gen-")).then_some(())
    })
    .await;
}
