"""``GET /api/openapi.json``: the REST API as OpenAPI 3.1 describes it, made from the table of routes.

https://spec.openapis.org/oas/v3.1.0
"""

from functools import cache
from typing import Any

import msgspec

from hub.access.guard import CSRF_HEADER, needs_of
from hub.access.logins import SDK_TOKEN_HEADER
from hub.access.user import Role
from hub.api.base import FleetHandler
from hub.api.description import NoParameters, Operation, described, operation_of

METHODS = ("get", "post", "put", "delete")
_VERSION = "1"
_SCHEMAS = "#/components/schemas/"
_ERRORS = {
    400: "What is asked for is not what is expected.",
    401: "Nobody is logged in, or the token or session is no longer good.",
    403: "The role is too small, the CSRF token is missing, or the hub is read-only.",
    404: "There is no such thing.",
    409: "It can't be done now; the reason says why.",
    414: "The URL is too long.",
    429: "Too many logins failed; the header Retry-After says when to try again.",
    503: "The database can't be used.",
}
_INTRODUCTION = (
    "Errors are JSON objects with `error`, a text for people. Times are ISO 8601 in UTC. The role that an operation takes is in "
    "`x-role`: a visitor is whoever reaches a hub on loopback that has no users; a reader looks, an operator also changes what is live, "
    f"an admin also says who may log in. A change by a session (the cookie) needs the session's CSRF token in the header `{CSRF_HEADER}`. "
    "What an operation takes in its body, it also takes as a form or, passwords apart, as a query."
)


class ApiError(msgspec.Struct):
    """What went wrong, for people."""

    error: str


class OpenApiHandler(FleetHandler):
    """``GET /api/openapi.json``"""

    needs = "visitor"

    @described("This description.")
    def get(self) -> None:
        self.read_parameters(NoParameters)
        self.answer_json(describe_api(self.server.settings.access.prefix, self.server.logins.cookie))


@cache
def describe_api(prefix: str, cookie: str) -> dict[str, Any]:
    """The description. ``prefix``: the path that the hub lies under; ``cookie``: the name of its sessions' cookie."""
    from hub.api.routes import ROUTES  # one of them is ours

    operations = [
        (route, method, operation)
        for route in ROUTES
        for method in METHODS
        if (operation := operation_of(getattr(route.handler, method, None)))
    ]
    types = {
        id(it): it
        for _, _, operation in operations
        for it in (operation.answer, operation.parameters)
        if it is not None
    }
    schemas, components = msgspec.json.schema_components([*types.values(), ApiError], ref_template=_SCHEMAS + "{name}")
    schema_of = dict(zip(types, schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for route, method, operation in operations:
        paths.setdefault(route.path, {})[method] = _operation(route, method, operation, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Crawler Fleet hub", "version": _VERSION, "description": _INTRODUCTION},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _security_schemes(cookie)},
    }


def _operation(
    route: Any, method: str, operation: Operation, schema_of: dict[int, Any], components: dict[str, Any]
) -> dict[str, Any]:
    changes = method != "get"
    role = needs_of(route.handler, changes)
    found: dict[str, Any] = {
        "operationId": f"{method}_{route.path.strip('/').replace('/', '_').translate(_NO_BRACES).replace('.', '_')}",
        "summary": operation.summary,
        "tags": [_tag(route.path)],
        "x-role": role or "everybody",
        "security": _security(role),
        "parameters": [_path_parameter(name) for name in route.arguments],
        "responses": _responses(route, method, operation, role, schema_of),
    }
    if operation.parameters is NoParameters:
        return found
    schema = schema_of[id(operation.parameters)]
    if changes:
        media = ("application/json", "application/x-www-form-urlencoded")
        required = bool(components[schema["$ref"].removeprefix(_SCHEMAS)].get("required"))
        found["requestBody"] = {"required": required, "content": {it: {"schema": schema} for it in media}}
    else:
        found["parameters"] += _query_parameters(components[schema["$ref"].removeprefix(_SCHEMAS)])
    return found


_NO_BRACES = str.maketrans("", "", "{}")


def _tag(path: str) -> str:
    parts = path.split("/")
    if parts[1] != "fleet":
        return "hub"
    return {"sources": "sources", "jobs": "jobs", "log": "jobs"}.get(parts[2], "hub")


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, of_field in schema["properties"].items():
        described = {key: value for key, value in of_field.items() if key != "description"}
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": described}
        if text := of_field.get("description"):
            parameter["description"] = text
        found.append(parameter)
    return found


def _responses(
    route: Any, method: str, operation: Operation, role: Role | None, schema_of: dict[int, Any]
) -> dict[str, Any]:
    schema = schema_of[id(operation.answer)] if operation.answer is not None else {"type": "string"}
    answer: dict[str, Any] = {"description": operation.summary, "content": {operation.content: {"schema": schema}}}
    errors = {400, 414}
    if role is not None:
        errors |= {401, 403}
    if route.arguments:
        errors |= {404, 409}
    if route.path in ("/login", "/welcome", "/fleet/password"):
        errors |= {401, 403, 429}
    if method != "get":
        errors |= {403, 409}
    errors.add(503)
    error = {"application/json": {"schema": {"$ref": _SCHEMAS + "ApiError"}}}
    return {"200": answer} | {
        str(status): {"description": _ERRORS[status], "content": error} for status in sorted(errors)
    }


def _security(role: Role | None) -> list[dict[str, list[str]]]:
    if role is None:
        return []
    known: list[dict[str, list[str]]] = [{"session": []}, {"token": []}, {"sdk_token": []}, {"basic": []}]
    return [*known, {}] if role == "visitor" else known


def _security_schemes(cookie: str) -> dict[str, Any]:
    return {
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "`POST /login` sets it."},
        "token": {"type": "http", "scheme": "bearer", "description": "`fleet token add` makes one."},
        "sdk_token": {
            "type": "apiKey",
            "in": "header",
            "name": SDK_TOKEN_HEADER,
            "description": "As clients of the SDK send it.",
        },
        "basic": {"type": "http", "scheme": "basic", "description": "FLEET_HUB_USER, the hub's own login."},
    }
