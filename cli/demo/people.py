"""Invents who ordered: the retailer's file has customer numbers, but no names, addresses or mails.

Pure and deterministic: the same customer number is always the same invented person, at example domains only
(RFC 2606), with telephone numbers that the United Kingdom keeps for fiction.
"""

from hashlib import blake2b

from cli.demo.invoices import NO_COUNTRY, Sale

FIRST_NAMES = (
    "Ada",
    "Bram",
    "Chloe",
    "Dilip",
    "Edda",
    "Femi",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaya",
    "Liam",
)
LAST_NAMES = ("Example", "Sample", "Specimen", "Placeholder", "Fixture", "Invented", "Madeup", "Testcase")
STREETS = ("Sample Street", "Example Road", "Invented Lane", "Fixture Way", "Placeholder Close")

BRITISH_TOWNS = (
    ("London", "EC1A", 51.5, -0.1),
    ("London", "SW4", 51.5, -0.1),
    ("Manchester", "M1", 53.5, -2.2),
    ("Leeds", "LS1", 53.8, -1.5),
    ("Bristol", "BS1", 51.5, -2.6),
    ("Birmingham", "B1", 52.5, -1.9),
    ("Glasgow", "G1", 55.9, -4.3),
    ("Newcastle upon Tyne", "NE1", 55.0, -1.6),
    ("Norwich", "NR1", 52.6, 1.3),
    ("Cardiff", "CF10", 51.5, -3.2),
)
"""Town, postcode district, and where it is, to a tenth of a degree."""
FOREIGN_TOWNS = {
    "AE": ("Dubai", ""),
    "AT": ("Wien", "1010"),
    "AU": ("Melbourne", "3000"),
    "BE": ("Brussel", "1000"),
    "BH": ("Manama", "317"),
    "BR": ("São Paulo", "01001-000"),
    "CA": ("Toronto", "M5H 2N2"),
    "CH": ("Zürich", "8001"),
    "CY": ("Nicosia", "1010"),
    "CZ": ("Praha", "110 00"),
    "DE": ("Hamburg", "20095"),
    "DK": ("København", "1050"),
    "ES": ("Madrid", "28001"),
    "FI": ("Helsinki", "00100"),
    "FR": ("Lyon", "69001"),
    "GR": ("Athina", "105 57"),
    "HK": ("Hong Kong", ""),
    "IE": ("Dublin", "D02 AF30"),
    "IL": ("Tel Aviv", "6100000"),
    "IS": ("Reykjavík", "101"),
    "IT": ("Milano", "20121"),
    "JP": ("Tokyo", "100-0001"),
    "LB": ("Beirut", "2038 3054"),
    "LT": ("Vilnius", "01100"),
    "MT": ("Valletta", "VLT 1010"),
    "NL": ("Utrecht", "3511 AB"),
    "NO": ("Oslo", "0150"),
    "PL": ("Warszawa", "00-001"),
    "PT": ("Porto", "4000-001"),
    "SA": ("Riyadh", "11564"),
    "SE": ("Göteborg", "411 01"),
    "SG": ("Singapore", "018956"),
    "US": ("Springfield", "62701"),
    "ZA": ("Cape Town", "8001"),
    NO_COUNTRY: ("Unknown", ""),
}


def share(text: str, of: int) -> int:
    """A number from 0 to `of` − 1 that depends on the text alone: the demo's only dice."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) % of


def ship_to(sale: Sale) -> dict[str, object]:
    """An invented recipient for an order, in the shape of intake's `ship_to`."""
    who = f"customer-{sale.customer}" if sale.customer else f"guest-{sale.invoice.lower()}"
    where: dict[str, object] = {}
    if sale.country == "GB":
        city, district, latitude, longitude = BRITISH_TOWNS[share(f"{who} town", len(BRITISH_TOWNS))]
        postcode = f"{district} {share(f'{who} sector', 9) + 1}AA"
        where = {"latitude": latitude, "longitude": longitude}
    else:
        city, postcode = FOREIGN_TOWNS[sale.country]
    first = FIRST_NAMES[share(f"{who} first", len(FIRST_NAMES))]
    last = LAST_NAMES[share(f"{who} last", len(LAST_NAMES))]
    street = STREETS[share(f"{who} street", len(STREETS))]
    return {
        "name": f"{first} {last}",
        "address_lines": [f"{share(f'{who} number', 199) + 1} {street}"],
        "city": city,
        "postcode": postcode or None,
        "country": sale.country,
        "phone": f"+44 20 7946 0{share(f'{who} phone', 1000):03}",
        "email": f"{who}@mail.example",
        **where,
    }


def order_request(sale: Sale, payment: str) -> dict[str, object]:
    """The body of intake's POST /v1/orders for one sale."""
    return {
        "channel": "retail",
        "external_id": sale.invoice,
        "placed_at": sale.placed_at.isoformat(),
        "currency": "GBP",
        "lines": [
            {
                "line": line.line,
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price_minor": line.unit_price_minor,
                "description": line.description,
            }
            for line in sale.lines
        ],
        "charges": [{"kind": charge.kind, "amount_minor": charge.amount_minor} for charge in sale.charges],
        "total_minor": sale.total_minor,
        "payment": payment,
        "customer_id": sale.customer,
        "ship_to": ship_to(sale),
    }
