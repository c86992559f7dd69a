"""Customer feedback: passes the feedback to an order on to the order, which counts it for its customer.

Reads    FeedbackRecorded
Emits    RecordFeedbackGiven
Decides  nothing; the order knows its customer, and counts each feedback once.
"""

from __future__ import annotations

from collections.abc import Iterator

from oms_es.kernel import Consumer
from oms_es.schemas.order.returns import RecordFeedbackGiven
from oms_es.schemas.returns.feedback import FeedbackRecorded

consumer = Consumer("customer_feedback", emits=(RecordFeedbackGiven,))


@consumer.on(FeedbackRecorded)
def record_feedback_on_feedback_recorded(event: FeedbackRecorded) -> Iterator[RecordFeedbackGiven]:
    yield RecordFeedbackGiven(
        order_id=event.order_id,
        feedback_id=event.feedback_id,
        subject=event.subject,
        about=event.about,
        rating=event.rating,
    )
