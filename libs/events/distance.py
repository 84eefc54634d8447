"""Distances over the Earth's surface: sourcing and transit go by the same."""

from functools import lru_cache
from math import asin, cos, radians, sin, sqrt

DISTANCES_MAX = 16_384
"""Distances that are kept: destinations are coarse, so orders share them. About 4 MB."""
EARTH_RADIUS_KM = 6371.0088
"""Mean radius R₁ (Moritz, Geodetic Reference System 1980, Journal of Geodesy 2000)."""


@lru_cache(maxsize=DISTANCES_MAX)
def tenths_of_km(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> int:
    """Distance of two points in degrees, in tenths of a kilometre."""
    return round(great_circle_km(latitude, longitude, to_latitude, to_longitude) * 10)


def great_circle_km(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Distance over the Earth's surface between two points in degrees, by the haversine formula.

    Source: Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984). Good to 0.5 %.
    """
    phi, to_phi = radians(latitude), radians(to_latitude)
    half_phi, half_lambda = (to_phi - phi) / 2, radians(to_longitude - longitude) / 2
    square = sin(half_phi) ** 2 + cos(phi) * cos(to_phi) * sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(square)))
