"""The commands and events of one parcel on its way from a location to a customer.

Imports: `schemas.values`, and what it takes over from `schemas.order`.
"""

from __future__ import annotations

from oms_es.schemas.shipment.base import CANDIDATES_MAX as CANDIDATES_MAX
from oms_es.schemas.shipment.base import CARTONS_MAX as CARTONS_MAX
from oms_es.schemas.shipment.base import DISPATCH_SECONDS as DISPATCH_SECONDS
from oms_es.schemas.shipment.base import LABEL_BYTES_MAX as LABEL_BYTES_MAX
from oms_es.schemas.shipment.base import SILENCE_SECONDS as SILENCE_SECONDS
from oms_es.schemas.shipment.base import TRANSIT_DAYS_MAX as TRANSIT_DAYS_MAX
from oms_es.schemas.shipment.base import CarrierCandidate as CarrierCandidate
from oms_es.schemas.shipment.base import CarrierChoice as CarrierChoice
from oms_es.schemas.shipment.base import Carton as Carton
from oms_es.schemas.shipment.base import CartonWeight as CartonWeight
from oms_es.schemas.shipment.base import DispatchStep as DispatchStep
from oms_es.schemas.shipment.base import LabelDocument as LabelDocument
from oms_es.schemas.shipment.base import MilestoneStatus as MilestoneStatus
from oms_es.schemas.shipment.base import PricePart as PricePart
from oms_es.schemas.shipment.base import Sha256 as Sha256
from oms_es.schemas.shipment.base import ShipmentCommand as ShipmentCommand
from oms_es.schemas.shipment.base import ShipmentEvent as ShipmentEvent
from oms_es.schemas.shipment.base import TransitDays as TransitDays
from oms_es.schemas.shipment.booking import AttachLabel as AttachLabel
from oms_es.schemas.shipment.booking import BookShipment as BookShipment
from oms_es.schemas.shipment.booking import CancelBooking as CancelBooking
from oms_es.schemas.shipment.booking import CancelShipment as CancelShipment
from oms_es.schemas.shipment.booking import ChaseCancellation as ChaseCancellation
from oms_es.schemas.shipment.booking import DeferBooking as DeferBooking
from oms_es.schemas.shipment.booking import PackShipment as PackShipment
from oms_es.schemas.shipment.booking import RecordBooking as RecordBooking
from oms_es.schemas.shipment.booking import RecordBookingCancellationRefused as RecordBookingCancellationRefused
from oms_es.schemas.shipment.booking import RecordBookingCancelled as RecordBookingCancelled
from oms_es.schemas.shipment.booking import RecordBookingFailure as RecordBookingFailure
from oms_es.schemas.shipment.booking import RequestShipment as RequestShipment
from oms_es.schemas.shipment.booking import ShipmentBooked as ShipmentBooked
from oms_es.schemas.shipment.booking import ShipmentBookingCancellationRefused as ShipmentBookingCancellationRefused
from oms_es.schemas.shipment.booking import ShipmentBookingCancellationRequested as ShipmentBookingCancellationRequested
from oms_es.schemas.shipment.booking import ShipmentBookingCancelled as ShipmentBookingCancelled
from oms_es.schemas.shipment.booking import ShipmentBookingDeferred as ShipmentBookingDeferred
from oms_es.schemas.shipment.booking import ShipmentBookingFailed as ShipmentBookingFailed
from oms_es.schemas.shipment.booking import ShipmentBookingRequested as ShipmentBookingRequested
from oms_es.schemas.shipment.booking import ShipmentCancellationRefused as ShipmentCancellationRefused
from oms_es.schemas.shipment.booking import ShipmentCancellationRequested as ShipmentCancellationRequested
from oms_es.schemas.shipment.booking import ShipmentCancellationUnanswered as ShipmentCancellationUnanswered
from oms_es.schemas.shipment.booking import ShipmentCancelled as ShipmentCancelled
from oms_es.schemas.shipment.booking import ShipmentLabelAttached as ShipmentLabelAttached
from oms_es.schemas.shipment.booking import ShipmentPacked as ShipmentPacked
from oms_es.schemas.shipment.booking import ShipmentRequested as ShipmentRequested
from oms_es.schemas.shipment.freight import RecordFreightBill as RecordFreightBill
from oms_es.schemas.shipment.freight import ShipmentFreightBilled as ShipmentFreightBilled
from oms_es.schemas.shipment.transport import ChaseDispatch as ChaseDispatch
from oms_es.schemas.shipment.transport import DeclareLost as DeclareLost
from oms_es.schemas.shipment.transport import RecordCollection as RecordCollection
from oms_es.schemas.shipment.transport import RecordDispatch as RecordDispatch
from oms_es.schemas.shipment.transport import RecordMilestone as RecordMilestone
from oms_es.schemas.shipment.transport import ShipmentDelivered as ShipmentDelivered
from oms_es.schemas.shipment.transport import ShipmentDispatched as ShipmentDispatched
from oms_es.schemas.shipment.transport import ShipmentDispatchOverdue as ShipmentDispatchOverdue
from oms_es.schemas.shipment.transport import ShipmentExceptionRaised as ShipmentExceptionRaised
from oms_es.schemas.shipment.transport import ShipmentExceptionSettled as ShipmentExceptionSettled
from oms_es.schemas.shipment.transport import ShipmentFellSilent as ShipmentFellSilent
from oms_es.schemas.shipment.transport import ShipmentHeardOf as ShipmentHeardOf
from oms_es.schemas.shipment.transport import ShipmentLost as ShipmentLost
from oms_es.schemas.shipment.transport import ShipmentMilestoneReached as ShipmentMilestoneReached
from oms_es.schemas.shipment.transport import ShipmentPartlyDelivered as ShipmentPartlyDelivered
from oms_es.schemas.shipment.transport import ShipmentReportDisputed as ShipmentReportDisputed
from oms_es.schemas.shipment.transport import ShipmentReturnedToSender as ShipmentReturnedToSender
from oms_es.schemas.shipment.transport import SuspectLoss as SuspectLoss
