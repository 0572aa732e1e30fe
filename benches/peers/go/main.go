// PostgreSQL to RabbitMQ with pgx and amqp091-go: pages by key, the confirms of a page awaited together.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

const pageRows = 1000

// A table and its columns; the first two are the key of the pages.
type table struct{ name, columns string }

var tables = []table{
	{"mis.vaccination", "changed, id, snils, oms, passport, country, vaccine, dose, doses, given, state"},
	{"mis.test", "changed, id, snils, oms, passport, country, kind, result, taken, state"},
}

// The last key of a table whose rows the broker has confirmed.
type key struct {
	Changed time.Time
	ID      int64
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	rowsAMessage, err := strconv.Atoi(os.Getenv("PEER_ROWS_A_MESSAGE"))
	if err != nil {
		return err
	}
	database, err := pgx.Connect(ctx, os.Getenv("PEER_POSTGRES"))
	if err != nil {
		return err
	}
	defer database.Close(ctx)
	broker, err := amqp.Dial(os.Getenv("PEER_RABBITMQ"))
	if err != nil {
		return err
	}
	defer broker.Close()
	channel, err := broker.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	path := os.Getenv("PEER_POSITION")
	reached, err := load(path)
	if err != nil {
		return err
	}
	for _, table := range tables {
		for {
			rows, last, err := page(ctx, database, table, reached[table.name])
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			if err := publish(ctx, channel, returned, rows, rowsAMessage); err != nil {
				return err
			}
			reached[table.name] = last
			if err := store(path, reached); err != nil {
				return err
			}
		}
	}
	return nil
}

func page(ctx context.Context, database *pgx.Conn, from table, after key) ([]map[string]any, key, error) {
	query := fmt.Sprintf("SELECT %s FROM %s WHERE (changed, id) > ($1, $2) ORDER BY changed, id LIMIT %d",
		from.columns, from.name, pageRows)
	found, err := database.Query(ctx, query, after.Changed, after.ID)
	if err != nil {
		return nil, after, err
	}
	rows, err := pgx.CollectRows(found, pgx.RowToMap)
	if err != nil || len(rows) == 0 {
		return nil, after, err
	}
	last := rows[len(rows)-1]
	return rows, key{last["changed"].(time.Time), last["id"].(int64)}, nil
}

func publish(ctx context.Context, channel *amqp.Channel, returned <-chan amqp.Return, rows []map[string]any, rowsAMessage int) error {
	exchange := os.Getenv("PEER_EXCHANGE")
	var confirms []*amqp.DeferredConfirmation
	for start := 0; start < len(rows); start += rowsAMessage {
		piece := any(rows[start])
		if rowsAMessage > 1 {
			piece = rows[start:min(start+rowsAMessage, len(rows))]
		}
		body, err := json.Marshal(piece)
		if err != nil {
			return err
		}
		message := amqp.Publishing{ContentType: "application/json", DeliveryMode: amqp.Persistent, Body: body}
		confirm, err := channel.PublishWithDeferredConfirmWithContext(ctx, exchange, exchange, true, false, message)
		if err != nil {
			return err
		}
		confirms = append(confirms, confirm)
	}
	for _, confirm := range confirms {
		if acked, err := confirm.WaitContext(ctx); err != nil || !acked {
			return errors.Join(errors.New("the broker did not confirm a message"), err)
		}
	}
	select {
	case <-returned:
		return errors.New("the broker could not route a message")
	default:
		return nil
	}
}

func load(path string) (map[string]key, error) {
	reached := map[string]key{}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return reached, nil
	}
	if err != nil {
		return nil, err
	}
	return reached, json.Unmarshal(text, &reached)
}

func store(path string, reached map[string]key) error {
	text, err := json.Marshal(reached)
	if err != nil {
		return err
	}
	file, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
