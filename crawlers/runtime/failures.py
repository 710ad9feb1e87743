"""Which class an error belongs to, whatever library raised it. The classes are the keys of ``tally.ADVICE``."""

# By the name of the exception's class or of one it inherits from, the most telling first.
_BY_NAME = (
    ("dns", {"DNSLookupError", "CannotResolveHostError", "NameResolutionError", "gaierror", "UnknownHostError"}),
    ("tls", {"SSLError", "SSL", "VerificationError", "CertificateError"}),
    # urllib3's NewConnectionError inherits from its timeout, though nothing timed out.
    ("connection", {"NewConnectionError", "ConnectionRefusedError"}),
    ("timeout", {"TimeoutError", "DownloadTimeoutError", "TCPTimedOutError", "Timeout", "UserTimeoutError"}),
    ("scheme", {"InvalidSchema", "MissingSchema", "NotSupported"}),
    # Too many redirects, or a URL that is none: trying again is of no use.
    ("http", {"TooManyRedirects", "InvalidURL"}),
    ("too_large", {"DownloadCancelledError", "TooLargeError"}),
    ("connection", {"ConnectError", "ConnectionError", "ConnectionRefusedError", "ConnectionLost", "ResponseFailed", "ChunkedEncodingError",
                    "DownloadConnectionRefusedError", "DownloadFailedError", "ResponseDataLossError", "HTTPError", "ContentDecodingError", "OSError"}),
)  # fmt: skip


def failure_class(error: BaseException) -> str:
    """The class of a failed request, judged by the error and by what caused it. ``parse`` where nothing else fits."""
    names: set[str] = set()
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(texts) < 8:
        names.update(kind.__name__ for kind in type(cause).__mro__)
        texts.append(str(cause))
        reason = getattr(cause, "reason", None)
        cause = reason if isinstance(reason, BaseException) else cause.__cause__ or cause.__context__
    text = " ".join(texts)
    if "AlreadyFetched" in names:
        return "redirected"
    if "WallError" in names:
        return "blocked"
    if "NotStored" in names:
        return "not_stored"
    if "ForbiddenAddressError" in names:
        return "address"
    if "BrowserCrashedError" in names:
        return "browser"
    if "StepError" in names:
        return "step"
    if "ForbiddenSchemeError" in names:
        return "scheme"
    if "DOWNLOAD_MAXSIZE" in text:  # a small answer that unpacks to a large one
        return "too_large"
    if "IgnoreRequest" in names:
        return "robots" if "robots.txt" in text else "offsite" if "offsite" in text else "http"
    if "certificate" in text.lower() or "SSL routines" in text:
        return "tls"
    if "NameResolutionError" in text or "Name or service not known" in text:
        return "dns"
    return next((kind for kind, known in _BY_NAME if names & known), "parse")


def status_class(status: int) -> str:
    """The class of an HTTP status of 400 and above."""
    if status in (401, 403, 429):
        return "blocked"
    if status in (404, 410):
        return "not_found"
    return "server" if status >= 500 else "http"
