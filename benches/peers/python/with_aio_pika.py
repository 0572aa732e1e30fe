"""PostgreSQL to RabbitMQ with psycopg and aio-pika: a page's messages are sent together and all their confirms awaited."""

import asyncio
import os

import aio_pika

from clinic import Position, bodies, pages


async def main():
    name, rows_a_message = os.environ["PEER_EXCHANGE"], int(os.environ["PEER_ROWS_A_MESSAGE"])
    position = Position(os.environ["PEER_POSITION"])
    connection = await aio_pika.connect(os.environ["PEER_RABBITMQ"])
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(name)
        # psycopg waits for a page while nothing else is to be done: every confirm of the page before has arrived.
        for table, rows in pages(os.environ["PEER_POSTGRES"], position):
            messages = (
                aio_pika.Message(body, content_type="application/json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                for body in bodies(rows, rows_a_message)
            )
            await asyncio.gather(*(exchange.publish(message, routing_key=name) for message in messages))
            position.store(table, rows[-1])


asyncio.run(main())
