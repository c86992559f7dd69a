"""The commands and events of one payment of an order.

`…Requested` events are intents: stored before the provider is called. Their event id is the idempotency key.
Imports: `schemas.values`.
"""

from __future__ import annotations

from oms_es.schemas.payment.action import PaymentActionRequired as PaymentActionRequired
from oms_es.schemas.payment.action import PaymentCloseRequested as PaymentCloseRequested
from oms_es.schemas.payment.action import RecordPaymentAction as RecordPaymentAction
from oms_es.schemas.payment.answers import ChaseAnswer as ChaseAnswer
from oms_es.schemas.payment.answers import PaymentAnswerAwaited as PaymentAnswerAwaited
from oms_es.schemas.payment.answers import PaymentAnswerChased as PaymentAnswerChased
from oms_es.schemas.payment.answers import PaymentAnswerSettled as PaymentAnswerSettled
from oms_es.schemas.payment.answers import PaymentReportKept as PaymentReportKept
from oms_es.schemas.payment.answers import PaymentReportSettled as PaymentReportSettled
from oms_es.schemas.payment.answers import PaymentUnanswered as PaymentUnanswered
from oms_es.schemas.payment.answers import Question as Question
from oms_es.schemas.payment.answers import RecordAnswerPending as RecordAnswerPending
from oms_es.schemas.payment.answers import RecordReport as RecordReport
from oms_es.schemas.payment.answers import RecordSilence as RecordSilence
from oms_es.schemas.payment.answers import Report as Report
from oms_es.schemas.payment.answers import require_enough as require_enough
from oms_es.schemas.payment.authorization import CancelPayment as CancelPayment
from oms_es.schemas.payment.authorization import ExpireAuthorization as ExpireAuthorization
from oms_es.schemas.payment.authorization import PaymentAttemptDeclined as PaymentAttemptDeclined
from oms_es.schemas.payment.authorization import PaymentAuthorized as PaymentAuthorized
from oms_es.schemas.payment.authorization import PaymentCancellationNoted as PaymentCancellationNoted
from oms_es.schemas.payment.authorization import PaymentDeclined as PaymentDeclined
from oms_es.schemas.payment.authorization import PaymentExpired as PaymentExpired
from oms_es.schemas.payment.authorization import PaymentExpirySet as PaymentExpirySet
from oms_es.schemas.payment.authorization import PaymentFailed as PaymentFailed
from oms_es.schemas.payment.authorization import PaymentReauthorizationDeclined as PaymentReauthorizationDeclined
from oms_es.schemas.payment.authorization import PaymentReauthorizationRequested as PaymentReauthorizationRequested
from oms_es.schemas.payment.authorization import PaymentReauthorized as PaymentReauthorized
from oms_es.schemas.payment.authorization import PaymentRequested as PaymentRequested
from oms_es.schemas.payment.authorization import PaymentRequestRefused as PaymentRequestRefused
from oms_es.schemas.payment.authorization import PaymentVoided as PaymentVoided
from oms_es.schemas.payment.authorization import PaymentVoidFailed as PaymentVoidFailed
from oms_es.schemas.payment.authorization import PaymentVoidRequested as PaymentVoidRequested
from oms_es.schemas.payment.authorization import RecordAuthorization as RecordAuthorization
from oms_es.schemas.payment.authorization import RecordDecline as RecordDecline
from oms_es.schemas.payment.authorization import RecordExpiry as RecordExpiry
from oms_es.schemas.payment.authorization import RecordFailure as RecordFailure
from oms_es.schemas.payment.authorization import RecordReauthorization as RecordReauthorization
from oms_es.schemas.payment.authorization import RecordReauthorizationDecline as RecordReauthorizationDecline
from oms_es.schemas.payment.authorization import RecordVoid as RecordVoid
from oms_es.schemas.payment.authorization import RecordVoidFailure as RecordVoidFailure
from oms_es.schemas.payment.authorization import RequestPayment as RequestPayment
from oms_es.schemas.payment.authorization import VoidPayment as VoidPayment
from oms_es.schemas.payment.base import ALLOCATIONS_MAX as ALLOCATIONS_MAX
from oms_es.schemas.payment.base import C as C
from oms_es.schemas.payment.base import GatewayIntent as GatewayIntent
from oms_es.schemas.payment.base import PaymentCommand as PaymentCommand
from oms_es.schemas.payment.base import PaymentEvent as PaymentEvent
from oms_es.schemas.payment.base import PositiveMinor as PositiveMinor
from oms_es.schemas.payment.base import RefundAllocation as RefundAllocation
from oms_es.schemas.payment.capture import CapturePayment as CapturePayment
from oms_es.schemas.payment.capture import PaymentCaptured as PaymentCaptured
from oms_es.schemas.payment.capture import PaymentCaptureFailed as PaymentCaptureFailed
from oms_es.schemas.payment.capture import PaymentCaptureRefused as PaymentCaptureRefused
from oms_es.schemas.payment.capture import PaymentCaptureRequested as PaymentCaptureRequested
from oms_es.schemas.payment.capture import PaymentCaptureShort as PaymentCaptureShort
from oms_es.schemas.payment.capture import PaymentDepositApplied as PaymentDepositApplied
from oms_es.schemas.payment.capture import RecordCapture as RecordCapture
from oms_es.schemas.payment.capture import RecordCaptureFailure as RecordCaptureFailure
from oms_es.schemas.payment.refunds import DisputeCommand as DisputeCommand
from oms_es.schemas.payment.refunds import PaymentDisputeLost as PaymentDisputeLost
from oms_es.schemas.payment.refunds import PaymentDisputeOpened as PaymentDisputeOpened
from oms_es.schemas.payment.refunds import PaymentDisputeWon as PaymentDisputeWon
from oms_es.schemas.payment.refunds import PaymentRefunded as PaymentRefunded
from oms_es.schemas.payment.refunds import PaymentRefundFailed as PaymentRefundFailed
from oms_es.schemas.payment.refunds import PaymentRefundRefused as PaymentRefundRefused
from oms_es.schemas.payment.refunds import PaymentRefundRequested as PaymentRefundRequested
from oms_es.schemas.payment.refunds import PaymentRefundReversed as PaymentRefundReversed
from oms_es.schemas.payment.refunds import PaymentRefundShort as PaymentRefundShort
from oms_es.schemas.payment.refunds import RecordDisputeLost as RecordDisputeLost
from oms_es.schemas.payment.refunds import RecordDisputeOpened as RecordDisputeOpened
from oms_es.schemas.payment.refunds import RecordDisputeWon as RecordDisputeWon
from oms_es.schemas.payment.refunds import RecordRefund as RecordRefund
from oms_es.schemas.payment.refunds import RecordRefundFailure as RecordRefundFailure
from oms_es.schemas.payment.refunds import RefundPayment as RefundPayment
