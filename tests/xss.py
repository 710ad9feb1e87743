"""Text as a hostile site may write it into titles, reasons, URLs and records: whatever of it runs, or shows other than it is, is a fault.

Each payload that runs sets ``window.ran``, or breaks out of where a page put it.
"""

RUN = "window.ran=1"
PAYLOADS = (
    f"<script>{RUN}</script>",
    f"</script><script>{RUN}</script>",
    f'"><script>{RUN}</script>',
    f"'><img src=x onerror={RUN}>",
    f'"><svg/onload={RUN}>',
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f'" autofocus onfocus="{RUN}" x="',
    f"' onmouseover='{RUN}' x='",
    f"javascript:{RUN}//",
    f"JaVaScRiPt:{RUN}//http://site.invalid/",
    f"data:text/html,<script>{RUN}</script>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<details open ontoggle={RUN}>",
    f"</title></textarea></style><img src=x onerror={RUN}>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>",
    f"-->'\"/><img src=x onerror={RUN}>",
    f"{{{{{RUN}}}}}{{% raw '<img src=x onerror={RUN}>' %}}${{{RUN}}}",
    f"\x00<script\x00>{RUN}</script>",
    "<style>*{display:none}</style><link rel=stylesheet href=//site.invalid/x.css>",
    "<base href=http://site.invalid/><meta http-equiv=refresh content='0;url=http://site.invalid/'>",
    "<form action=http://site.invalid/><button>Sign in</button></form>",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200f\u061c",
    "\x1b[2J\x07\b\r\n\t\x7f\x85\u2028\u2029",
    "&lt;script&gt;&amp;&#x3c;script&#x3e;",
)
# All of them in one text.
ALL = " ".join(PAYLOADS)
LONG = "𝕏" + "long " * 50_000 + PAYLOADS[0]
