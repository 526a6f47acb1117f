"""Writes the signed events beside this file, with Stripe's own library as the signer.

    pip install stripe==16.1.0 && python make.py

Each file: the body as it is sent, byte for byte, the header over it, the time in the header in seconds
since 1970, and the secrets that signed, the newer one first. Nothing here depends on the clock, so a
second run changes nothing.
"""

import json
from pathlib import Path

from stripe import SignatureVerificationError, WebhookSignature

HERE = Path(__file__).parent
AT_S = 1_760_000_000
NEW = "whsec_test_new_0123456789"
OLD = "whsec_test_old_0123456789"
ACCOUNT = "0199c5a1-7c00-7abc-8def-0123456789ab"
METADATA = {"sku": "cred50", "account": ACCOUNT}


def event(number, kind, thing, **more):
    return {
        "id": f"evt_1SGtRk2eZvKYlo2C{number:08}",
        "object": "event",
        "api_version": "2026-09-30.endive",
        "created": AT_S - 3,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    } | more


def session(**more):
    return {
        "id": "cs_test_a1Dq3Z8mVn2bXcR7",
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": 4000,
        "amount_total": 4000,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": "https://framefair.example/credits",
        "client_reference_id": ACCOUNT,
        "currency": "usd",
        "custom_fields": [],
        "customer_details": {"email": "zoë@example.com", "name": "Zoë \"Z\" Łuk 🎬", "phone": None},
        "expires_at": AT_S + 86_400,
        "livemode": False,
        "metadata": METADATA,
        "mode": "payment",
        "payment_intent": "pi_3SGtRj2eZvKYlo2C0mFJ",
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "status": "complete",
        "success_url": "https://framefair.example/credits?paid",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted",
        "url": None,
    } | more


def charge(**more):
    return {
        "id": "ch_3SGtRj2eZvKYlo2C0kQw",
        "object": "charge",
        "amount": 4000,
        "amount_captured": 4000,
        "amount_refunded": 4000,
        "balance_transaction": "txn_3SGtRj2eZvKYlo2C0Xyz",
        "captured": True,
        "currency": "usd",
        "disputed": False,
        "metadata": METADATA,
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "risk_score": 42},
        "paid": True,
        "payment_intent": "pi_3SGtRj2eZvKYlo2C0mFJ",
        "refunded": True,
        "status": "succeeded",
    } | more


def dispute(status):
    return {
        "id": "du_1SGtRk2eZvKYlo2CgXxT",
        "object": "dispute",
        "amount": 4000,
        "balance_transactions": [],
        "charge": "ch_3SGtRj2eZvKYlo2C0kQw",
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence_details": {"due_by": AT_S + 604_800, "has_evidence": False, "submission_count": 0},
        "is_charge_refundable": False,
        "metadata": {},
        "payment_intent": "pi_3SGtRj2eZvKYlo2C0mFJ",
        "reason": "fraudulent",
        "status": status,
    }


EVENTS = {
    "paid": event(1, "checkout.session.completed", session()),
    "not_yet_paid": event(2, "checkout.session.completed", session(payment_status="unpaid")),
    "paid_later": event(3, "checkout.session.async_payment_succeeded", session()),
    "failed_later": event(
        4, "checkout.session.async_payment_failed", session(payment_status="unpaid")
    ),
    "paid_by_a_stranger": event(
        5,
        "checkout.session.completed",
        session(client_reference_id="order 66", metadata={}, payment_intent=None),
    ),
    "refunded": event(6, "charge.refunded", charge()),
    "refunded_in_part": event(
        7,
        "charge.refunded",
        charge(amount_refunded=1500, refunded=False),
    ),
    "dispute_opened": event(8, "charge.dispute.created", dispute("needs_response")),
    "dispute_inquired": event(9, "charge.dispute.created", dispute("warning_needs_response")),
    "dispute_won": event(10, "charge.dispute.closed", dispute("won")),
    "dispute_lost": event(11, "charge.dispute.closed", dispute("lost")),
    "dispute_prevented": event(12, "charge.dispute.closed", dispute("prevented")),
    "something_else": event(
        13, "some.thing.new", {"object": "thing", "share": 0.1, "huge": 10**40}, api_version="2031-01-01"
    ),
}


def signed(body, secrets):
    """The header, and a word from the library itself that it holds for each secret and for no other."""
    header = WebhookSignature.generate_signature_header(body, secrets[0], AT_S)
    for secret in secrets[1:]:
        other = WebhookSignature.generate_signature_header(body, secret, AT_S)
        header += "," + other.split(",")[1]
    for secret in secrets:
        assert WebhookSignature.verify_header(body, header, secret)
    for wrong, secret in [(body + " ", secrets[0]), (body, "whsec_other")]:
        try:
            WebhookSignature.verify_header(wrong, header, secret)
        except SignatureVerificationError:
            continue
        raise AssertionError("the library believed a wrong signature")
    return header


for name, value in EVENTS.items():
    body = json.dumps(value, indent=2, ensure_ascii=False)
    secrets = [NEW, OLD] if name in ("paid", "refunded") else [NEW]
    vector = {"at_s": AT_S, "header": signed(body, secrets), "secrets": secrets, "body": body}
    text = json.dumps(vector, indent=2, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
