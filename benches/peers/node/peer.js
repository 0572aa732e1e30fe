// PostgreSQL to RabbitMQ with pg and amqplib's confirm channel: pages by key, the confirms of a page awaited together.

import { readFileSync, existsSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import amqplib from "amqplib";
import pg from "pg";

const { PEER_POSTGRES, PEER_RABBITMQ, PEER_EXCHANGE, PEER_ROWS_A_MESSAGE, PEER_POSITION } = process.env;
const PAGE_ROWS = 1000;
const ROWS_A_MESSAGE = Number(PEER_ROWS_A_MESSAGE);
// The key of the next page is read as text: a JavaScript Date would cut a stamp's microseconds.
const TABLES = {
  "mis.vaccination": "id, changed::text, snils, oms, passport, country, vaccine, dose, doses, given::text, state",
  "mis.test": "id, changed::text, snils, oms, passport, country, kind, result, taken::text, state",
};

const reached = existsSync(PEER_POSITION) ? JSON.parse(readFileSync(PEER_POSITION, "utf8")) : {};

async function store(table, key) {
  reached[table] = key;
  const file = await open(`${PEER_POSITION}.new`, "w");
  await file.writeFile(JSON.stringify(reached));
  await file.sync();
  await file.close();
  await rename(`${PEER_POSITION}.new`, PEER_POSITION);
}

function publish(channel, rows) {
  const options = { persistent: true, mandatory: true, contentType: "application/json" };
  for (let start = 0; start < rows.length; start += ROWS_A_MESSAGE) {
    const piece = rows.slice(start, start + ROWS_A_MESSAGE);
    const body = Buffer.from(JSON.stringify(ROWS_A_MESSAGE === 1 ? piece[0] : piece));
    channel.publish(PEER_EXCHANGE, PEER_EXCHANGE, body, options);
  }
}

const client = new pg.Client({ connectionString: PEER_POSTGRES });
await client.connect();
const connection = await amqplib.connect(PEER_RABBITMQ);
const channel = await connection.createConfirmChannel();
channel.on("return", () => {
  throw new Error("the broker could not route a message");
});
for (const [table, columns] of Object.entries(TABLES)) {
  // The table's own column, not the text of the same name.
  const text = `SELECT ${columns} FROM ${table} WHERE (changed, id) > ($1, $2) ORDER BY ${table}.changed, id LIMIT ${PAGE_ROWS}`;
  for (let key = reached[table] ?? ["-infinity", 0]; ; ) {
    const { rows } = await client.query({ name: table, text, values: key });
    if (rows.length === 0) break;
    publish(channel, rows);
    await channel.waitForConfirms();
    const last = rows[rows.length - 1];
    key = [last.changed, last.id];
    await store(table, key);
  }
}
await connection.close();
await client.end();
