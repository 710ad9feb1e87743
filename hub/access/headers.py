"""The headers that keep a browser safe, on every answer of the hub, those of the SDK's handlers too."""

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

# What is shown comes from strangers' sites: nothing of it may run, whatever gets past the templates' escaping.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000"


class SafeHeaders(OutputTransform):
    """Sets them, and takes away those of the SDK that let every origin read every answer (CORS)."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._request = request

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        for name in [name for name in headers if name.lower().startswith("access-control-") or name == "Server"]:
            del headers[name]
        for name, value in _HEADERS.items():
            headers[name] = value
        # Static files are kept, and asked for anew each time; what sockjs says of its own pages would have a proxy keep them.
        if headers.get("Cache-Control") != "no-cache":
            headers["Cache-Control"] = "no-store"
        if self._request.protocol == "https":
            headers["Strict-Transport-Security"] = _HSTS
        return status_code, headers, chunk
