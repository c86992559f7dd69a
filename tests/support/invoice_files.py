"""Invoices in every format, written from amounts."""

from __future__ import annotations

import io
import zipfile
from decimal import Decimal

from pypdf import PdfWriter

from oms_es.schemas.values.currency import exponent_of

CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"


def text(amount_minor: int, currency: str = "EUR") -> str:
    return f"{Decimal(amount_minor).scaleb(-exponent_of(currency)):f}"


def ubl(net: int, tax: int, total: int, currency: str = "EUR", *, root: str = "Invoice", more: str = "") -> bytes:
    def money(name: str, amount: int) -> str:
        return f'<b:{name} currencyID="{currency}">{text(amount, currency)}</b:{name}>'

    line = "CreditNoteLine" if root == "CreditNote" else "InvoiceLine"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<{root} xmlns="urn:oasis:names:specification:ubl:schema:xsd:{root}-2" xmlns:b="{CBC}" xmlns:a="{CAC}">
<b:ID>INV-7</b:ID><b:IssueDate>2026-03-01</b:IssueDate><b:Note>Thank you for web/W-1, paid by o-1.1.</b:Note>
<b:DocumentCurrencyCode>{currency}</b:DocumentCurrencyCode>
<a:OrderReference><b:ID>W-1</b:ID></a:OrderReference>
<a:AccountingSupplierParty><a:Party><a:PartyName><b:Name>Tea &amp; Co</b:Name></a:PartyName>
<a:PartyTaxScheme><b:CompanyID>DE123456789</b:CompanyID></a:PartyTaxScheme></a:Party></a:AccountingSupplierParty>
<a:AccountingCustomerParty><a:Party><a:PartyLegalEntity><b:RegistrationName>Ada</b:RegistrationName>
</a:PartyLegalEntity></a:Party></a:AccountingCustomerParty>
<a:TaxTotal>{money("TaxAmount", tax)}<a:TaxSubtotal>{money("TaxAmount", tax)}</a:TaxSubtotal></a:TaxTotal>
<a:LegalMonetaryTotal>{money("LineExtensionAmount", net)}{money("TaxExclusiveAmount", net)}
{money("TaxInclusiveAmount", total)}{money("PayableAmount", total)}</a:LegalMonetaryTotal>
<a:{line}>{money("LineExtensionAmount", net)}</a:{line}>{more}
</{root}>""".encode()


def cii(net: int, tax: int, total: int, currency: str = "EUR", *, kind: str = "380") -> bytes:
    def money(name: str, amount: int, *, stated: bool = False) -> str:
        attribute = f' currencyID="{currency}"' if stated else ""
        return f"<m:{name}{attribute}>{text(amount, currency)}</m:{name}>"

    summary = "SpecifiedTradeSettlementHeaderMonetarySummation"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<r:CrossIndustryInvoice xmlns:r="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
 xmlns:m="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
 xmlns:u="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">
<r:ExchangedDocument><m:ID>INV-7</m:ID><m:TypeCode>{kind}</m:TypeCode>
<m:IssueDateTime><u:DateTimeString format="102">20260301</u:DateTimeString></m:IssueDateTime></r:ExchangedDocument>
<r:SupplyChainTradeTransaction><m:ApplicableHeaderTradeAgreement>
<m:SellerTradeParty><m:Name>Tea &amp; Co</m:Name>
<m:SpecifiedTaxRegistration><m:ID schemeID="VA">DE123456789</m:ID></m:SpecifiedTaxRegistration></m:SellerTradeParty>
<m:BuyerTradeParty><m:Name>Ada</m:Name></m:BuyerTradeParty>
<m:BuyerOrderReferencedDocument><m:IssuerAssignedID>W-1</m:IssuerAssignedID></m:BuyerOrderReferencedDocument>
</m:ApplicableHeaderTradeAgreement><m:ApplicableHeaderTradeSettlement>
<m:PaymentReference>pi_1</m:PaymentReference><m:InvoiceCurrencyCode>{currency}</m:InvoiceCurrencyCode>
<m:ApplicableTradeTax>{money("CalculatedAmount", tax)}</m:ApplicableTradeTax>
<m:{summary}>{money("TaxBasisTotalAmount", net)}{money("TaxTotalAmount", tax, stated=True)}
<m:TaxTotalAmount currencyID="XXX">1.00</m:TaxTotalAmount>
{money("GrandTotalAmount", total)}{money("DuePayableAmount", total)}</m:{summary}>
</m:ApplicableHeaderTradeSettlement></r:SupplyChainTradeTransaction></r:CrossIndustryInvoice>""".encode()


def digital(net: str, tax: str, total: str, item_tax: str | None = None) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?><EInvoice><Header><EIid>26537912570200055449</EIid></Header>
<EInvoiceData><SellerInformation><SellerIdNum>9153000077859986X2</SellerIdNum><SellerName>茶叶有限公司</SellerName>
</SellerInformation><BuyerInformation><BuyerIdNum>915300007194052520</BuyerIdNum><BuyerName>某某公司</BuyerName>
</BuyerInformation><BasicInformation><TotalAmWithoutTax>{net}</TotalAmWithoutTax><TotalTaxAm>{tax}</TotalTaxAm>
<TotalTax-includedAmount>{total}</TotalTax-includedAmount></BasicInformation>
<IssuItemInformation><Amount>{net}</Amount><ComTaxAm>{tax if item_tax is None else item_tax}</ComTaxAm>
</IssuItemInformation><AdditionalInformation><Remark>订单号：web/W-1，谢谢</Remark></AdditionalInformation></EInvoiceData>
<TaxSupervisionInfo><InvoiceNumber>26537912570200055449</InvoiceNumber><IssueTime>2026-03-01 10:20:30</IssueTime>
</TaxSupervisionInfo></EInvoice>""".encode()


EARLIER = """<?xml version="1.0" encoding="UTF-8"?>
<fp:eInvoice xmlns:fp="http://www.edrm.org.cn/schema/e-invoice/2019"><fp:InvoiceCode>044001900111</fp:InvoiceCode>
<fp:InvoiceNo>00000007</fp:InvoiceNo><fp:IssueDate>2026年03月01日</fp:IssueDate>
<fp:Buyer><fp:BuyerName>某某</fp:BuyerName></fp:Buyer>
<fp:Seller><fp:SellerName>茶叶有限公司</fp:SellerName><fp:SellerTaxID>9153000077859986X2</fp:SellerTaxID></fp:Seller>
<fp:TaxInclusiveTotalAmount>113.00</fp:TaxInclusiveTotalAmount><fp:TaxTotalAmount>13.00</fp:TaxTotalAmount>
<fp:TaxExclusiveTotalAmount>100.00</fp:TaxExclusiveTotalAmount><fp:Note>W-1</fp:Note>
<fp:GoodsInfos><fp:GoodsInfo><fp:Amount>100.00</fp:Amount><fp:TaxAmount>13.00</fp:TaxAmount></fp:GoodsInfo>
</fp:GoodsInfos></fp:eInvoice>""".encode()


def packed(**files: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/") + ".xml", content)
    return written.getvalue()


def pdf(**files: bytes) -> bytes:
    writer, written = PdfWriter(), io.BytesIO()
    writer.add_blank_page(72, 72)
    for name, content in files.items():
        writer.add_attachment(name.replace("_", "-") + ".xml", content)
    writer.write(written)
    return written.getvalue()
