"""The rows that a projection remembers equal its table, also after another process held its position."""

from __future__ import annotations

from oms_es.app import engine_on
from oms_es.processing.read_models.model import ReadModel
from oms_es.processing.read_models.rows import SqlRows
from oms_es.processing.readers import ProjectionWorker
from oms_es.projections.stock import stock_levels
from oms_es.schemas.stock import ReceiveStock
from oms_es.store.encoding.codec import Cause
from oms_es.store.log import Log


def received(number: int) -> ReceiveStock:
    return ReceiveStock(sku="A", location="berlin", receipt_id=f"r{number}", quantity=1)


def test_a_projection_that_seeks_forgets_rows_that_another_worker_may_have_changed(database_url: str) -> None:
    """After an outage all workers read their positions again, and no lost position is reported."""
    with engine_on(database_url) as engine:
        log = Log(engine.recorder, engine.store.codec)
        rows = SqlRows(stock_levels.table, engine.rows)
        mine, other = (ProjectionWorker(ReadModel(stock_levels.projection, rows), log) for _ in range(2))
        for number, worker in enumerate((mine, other, mine), start=1):
            engine.append([(Cause("test"), [received(number)])])
            log.refresh()
            worker.seek()
            assert worker.step() == 1
        with rows.writing() as transaction:
            assert rows.load(transaction, [("A", "berlin")])["A", "berlin"]["on_hand"] == 3
