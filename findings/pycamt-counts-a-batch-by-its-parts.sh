#!/usr/bin/env bash
# pycamt 1.1.1: a collective booking of 50.00 with two references becomes two payments of 50.00.
#
# Expected, from ISO 20022's camt.053: an entry is one booking with one amount, and what it says of its parts is detail.
# Parts need not have amounts: banks leave them out of batches. The documentation says that all transactions are extracted, and
# nothing of parts.
# Seen: a part without an amount gets that of the whole entry, so 50.00 come in and 100.00 are read. In the same way a part
# gets the amount that the payer instructed in another currency, 58.00 in USD, under the currency of the entry: 58.00 EUR.
# Nothing marks either, and the balances, which the library reads too, are not compared.
#
# Prints the amounts of one entry with two parts, and of one that was paid in USD; fails where they no longer are so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycamt==1.1.1
"$folder/venv/bin/python" - <<'PYTHON'
from pycamt.parser import Camt053Parser


def amounts(parts: str) -> list[tuple[str, str]]:
    """What an entry of 50.00 EUR comes to."""
    balances = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>"
        "<Dt><Dt>2026-11-30</Dt></Dt></Bal>"
        for code, amount in (("OPBD", "100.00"), ("CLBD", "150.00"))
    )
    parser = Camt053Parser(
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'><BkToCstmrStmt>"
        "<GrpHdr><MsgId>1</MsgId><CreDtTm>2026-11-30T20:00:00Z</CreDtTm></GrpHdr><Stmt><Id>1</Id>"
        "<Acct><Id><IBAN>DE89370400440532013000</IBAN></Id><Ccy>EUR</Ccy></Acct>" + balances + "<Ntry>"
        "<Amt Ccy='EUR'>50.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
        "<BookgDt><Dt>2026-11-30</Dt></BookgDt><ValDt><Dt>2026-11-30</Dt></ValDt><BkTxCd><Prtry><Cd>1</Cd></Prtry></BkTxCd>"
        f"<NtryDtls>{parts}</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
    )
    return [(one["Amount"], one["Currency"]) for one in parser.get_transactions()]


part = "<TxDtls><Refs><EndToEndId>{}</EndToEndId></Refs>{}</TxDtls>"
paid = "<AmtDtls><InstdAmt><Amt Ccy='USD'>58.00</Amt></InstdAmt><TxAmt><Amt Ccy='EUR'>50.00</Amt></TxAmt></AmtDtls>"
batch, abroad = amounts(part.format("ORDER-1", "") + part.format("ORDER-2", "")), amounts(part.format("ORDER-3", paid))
print("an entry of 50.00 EUR with two parts:", batch)
print("an entry of 50.00 EUR for which 58.00 USD were paid:", abroad)
if batch != [("50.00", "EUR")] * 2 or abroad != [("58.00", "EUR")]:
    raise SystemExit("this has changed")
PYTHON
