"""PostgreSQL to RabbitMQ with psycopg and pika's blocking connection, each message confirmed before the next is sent."""

import os

import pika

from clinic import Position, bodies, pages


def main():
    exchange, rows_a_message = os.environ["PEER_EXCHANGE"], int(os.environ["PEER_ROWS_A_MESSAGE"])
    position = Position(os.environ["PEER_POSITION"])
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["PEER_RABBITMQ"]))
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=pika.DeliveryMode.Persistent)
    for table, rows in pages(os.environ["PEER_POSTGRES"], position):
        for body in bodies(rows, rows_a_message):
            # Returns when the broker has confirmed; raises when it refused or could not route.
            channel.basic_publish(exchange, exchange, body, properties, mandatory=True)
        position.store(table, rows[-1])
    connection.close()


main()
