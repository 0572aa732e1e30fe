// PostgreSQL to RabbitMQ as Camel routes: pages by key, split into messages, each confirmed before the next is sent.

import com.zaxxer.hikari.HikariDataSource;
import java.io.FileOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Timestamp;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.camel.Exchange;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.main.Main;
import org.apache.camel.model.dataformat.JsonLibrary;
import org.springframework.amqp.rabbit.connection.CachingConnectionFactory;

public final class Peer extends RouteBuilder {
    private static final int PAGE_ROWS = 1000;
    private static final int ROWS_A_MESSAGE = Integer.parseInt(System.getenv("PEER_ROWS_A_MESSAGE"));
    private static final Path POSITION = Path.of(System.getenv("PEER_POSITION"));
    private static final Map<String, String> COLUMNS = Map.of(
            "vaccination", "id, changed, snils, oms, passport, country, vaccine, dose, doses, given, state",
            "test", "id, changed, snils, oms, passport, country, kind, result, taken, state");

    private final Main main;
    private final Properties reached = new Properties();
    private volatile boolean failed;

    private Peer(Main main) {
        this.main = main;
    }

    public static void main(String[] arguments) throws Exception {
        var clinic = new HikariDataSource();
        clinic.setJdbcUrl(System.getenv("PEER_JDBC"));
        clinic.setUsername("postgres");
        clinic.setMaximumPoolSize(1);
        var broker = new CachingConnectionFactory("127.0.0.1", Integer.parseInt(System.getenv("PEER_RABBITMQ_PORT")));
        broker.setPublisherConfirmType(CachingConnectionFactory.ConfirmType.SIMPLE);
        var main = new Main();
        main.bind("clinic", clinic);
        main.bind("broker", broker);
        var peer = new Peer(main);
        main.configure().addRoutesBuilder(peer);
        main.run();
        broker.destroy();
        clinic.close();
        System.exit(peer.failed ? 1 : main.getExitCode());
    }

    @Override
    public void configure() throws Exception {
        if (Files.exists(POSITION)) {
            try (var file = Files.newInputStream(POSITION)) {
                reached.load(file);
            }
        }
        onException(Exception.class).process(exchange -> {
            failed = true;
            main.completed();
        });
        from("timer:once?repeatCount=1&delay=0")
                .to("direct:vaccination")
                .to("direct:test")
                .process(exchange -> main.completed());
        COLUMNS.forEach(this::pages);
    }

    private void pages(String table, String columns) {
        var exchangeName = System.getenv("PEER_EXCHANGE");
        var select = "sql:SELECT " + columns + " FROM mis." + table
                + " WHERE (changed, id) > (:#${exchangeProperty.changed}, :#${exchangeProperty.id})"
                + " ORDER BY changed, id LIMIT " + PAGE_ROWS + "?dataSource=#clinic";
        from("direct:" + table)
                .process(exchange -> startBehind(table, exchange))
                .loopDoWhile(exchangeProperty("more"))
                    .to(select)
                    .process(Peer::noteLast)
                    .split(ROWS_A_MESSAGE == 1 ? body() : simple("${collate(" + ROWS_A_MESSAGE + ")}")).stopOnException()
                        .marshal().json(JsonLibrary.Jackson)
                        .to("spring-rabbitmq:" + exchangeName + "?connectionFactory=#broker&routingKey=" + exchangeName
                                + "&confirm=enabled&confirmTimeout=30000")
                    .end()
                    .process(exchange -> store(table, exchange))
                .end();
    }

    private void startBehind(String table, Exchange exchange) {
        exchange.setProperty("more", true);
        exchange.setProperty("changed", Timestamp.valueOf(reached.getProperty(table + ".changed", "0001-01-01 00:00:00")));
        exchange.setProperty("id", Long.valueOf(reached.getProperty(table + ".id", "0")));
    }

    private static void noteLast(Exchange exchange) {
        List<?> rows = exchange.getMessage().getBody(List.class);
        exchange.setProperty("more", !rows.isEmpty());
        if (!rows.isEmpty()) {
            var last = (Map<?, ?>) rows.get(rows.size() - 1);
            exchange.setProperty("changed", last.get("changed"));
            exchange.setProperty("id", last.get("id"));
        }
    }

    private void store(String table, Exchange exchange) throws Exception {
        reached.setProperty(table + ".changed", exchange.getProperty("changed").toString());
        reached.setProperty(table + ".id", exchange.getProperty("id").toString());
        var beside = Path.of(POSITION + ".new");
        try (var file = new FileOutputStream(beside.toFile())) {
            reached.store(file, null);
            file.getFD().sync();
        }
        Files.move(beside, POSITION, StandardCopyOption.ATOMIC_MOVE);
    }
}
