"""The clinic's two tables by pages of a key, and the place reached, for both Python peers."""

import json
import os

import psycopg
from psycopg.rows import dict_row

PAGE_ROWS = 1000
TABLES = {
    "mis.vaccination": "id, changed, snils, oms, passport, country, vaccine, dose, doses, given, state",
    "mis.test": "id, changed, snils, oms, passport, country, kind, result, taken, state",
}
START = ["-infinity", 0]


class Position:
    """The last (changed, id) of each table whose rows the broker has confirmed."""

    def __init__(self, path):
        self.path = path
        self.reached = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.reached = json.load(file)

    def of(self, table):
        return self.reached.get(table, START)

    def store(self, table, row):
        self.reached[table] = [row["changed"].isoformat(), row["id"]]
        beside = self.path + ".new"
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(self.reached, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)


def pages(url, position):
    """Every page behind the position: the table's name and its rows."""
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:
        for table, columns in TABLES.items():
            query = f"SELECT {columns} FROM {table} WHERE (changed, id) > (%s, %s) ORDER BY changed, id LIMIT {PAGE_ROWS}"
            changed, id_ = position.of(table)
            while rows := connection.execute(query, (changed, id_)).fetchall():
                yield table, rows
                changed, id_ = rows[-1]["changed"], rows[-1]["id"]


def bodies(rows, rows_a_message):
    """The messages of a page: an object for one row, a list for several."""
    for start in range(0, len(rows), rows_a_message):
        piece = rows[start : start + rows_a_message]
        yield json.dumps(piece[0] if rows_a_message == 1 else piece, default=str).encode()
