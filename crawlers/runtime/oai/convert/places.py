"""Where a work is about, as schema.org has it: names, points, boxes, polygons; latitude before longitude."""

from typing import Any

from crawlers.runtime.oai.convert.elements import LOCAL, children, words, words_at


def place(location: Any) -> list[dict[str, Any]]:
    """The places in a DataCite ``geoLocation``: one with the name and the first shape, then one for each further shape."""
    name = ""
    shapes: list[dict[str, Any]] = []
    for part in location:
        local = LOCAL[part.tag]
        if local == "geoLocationPlace":
            name = name or words(part)
        elif local == "geoLocationPoint":
            shapes.append(_point(part))
        elif local == "geoLocationBox":
            shapes.append(_box(part))
        elif local == "geoLocationPolygon":
            shapes.append(_polygon(part))
    shapes = [shape for shape in shapes if shape]
    places: list[dict[str, Any]] = [{"@type": "Place", "geo": shape} for shape in shapes]
    if name:
        places = places or [{"@type": "Place"}]
        places[0]["name"] = name
    return places


def _point(element: Any) -> dict[str, Any]:
    found = _coordinates(element)
    return {"@type": "GeoCoordinates", "latitude": found[0], "longitude": found[1]} if found else {}


def _box(element: Any) -> dict[str, Any]:
    names = ("southBoundLatitude", "westBoundLongitude", "northBoundLatitude", "eastBoundLongitude")
    bounds = [words_at(element, name) for name in names]
    if not any(bounds):  # kernel 3: four numbers in this order
        bounds = words(element).split()
    return {"@type": "GeoShape", "box": " ".join(bounds)} if len(bounds) == 4 and all(bounds) else {}


def _polygon(element: Any) -> dict[str, Any]:
    points = [found for part in children(element, "polygonPoint") if (found := _coordinates(part))]
    return (
        {"@type": "GeoShape", "polygon": " ".join(f"{latitude} {longitude}" for latitude, longitude in points)}
        if points
        else {}
    )


def _coordinates(element: Any) -> tuple[str, str] | None:
    latitude, longitude = words_at(element, "pointLatitude"), words_at(element, "pointLongitude")
    if latitude and longitude:
        return latitude, longitude
    numbers = words(element).split()  # kernel 3
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None
