"""Building a release takes no more memory for many records than for few."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RECORDS_IN_A_WINDOW = 5000
PROGRAM = """
import json, resource, shutil, sys
from pathlib import Path
from crawlers.runtime.oai.build import build
from crawlers.runtime.oai import conversion
from crawlers.runtime.oai.ledger import Ledger
from crawlers.runtime.oai.windows import DONE, Frame

folder, count, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
ledger = Ledger(folder / "ledger")
ledger.open()
text = "The immune response to a vaccine was measured in whole blood before and after. " * 15
for window in range(count // size):
    day = window * 86400
    with ledger.writing(1, day, day + 86399) as writer:
        writer.state = DONE
        for page in range(size // 500):
            records = "".join(
                f"<record><header><identifier>oai:x:{(first * 7919) % 999983}-{first}</identifier><datestamp>2024-01-01</datestamp>"
                f"</header><metadata><dc><title>{first}</title><description>{text}</description></dc></metadata></record>"
                for first in range(window * size + page * 500, window * size + page * 500 + 500)
            )
            body = f"<OAI-PMH><ListRecords>{records}</ListRecords></OAI-PMH>".encode()
            writer.add(Frame(url="http://x/", when="2024-01-01T00:00:00Z", bytes=len(body)), body)
conversion.processors = lambda: 1  # what another process takes is not seen here
for _ in "as it came", "converted anew":
    built = build(ledger.filled(), folder, lambda *record: None, lambda *reject: None)
    assert built.records == count, built
    shutil.rmtree(ledger.folder / "converted")
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""


def peak_mib(folder: Path, count: int) -> float:
    folder.mkdir()
    command = [sys.executable, "-c", PROGRAM, str(folder), str(count), str(RECORDS_IN_A_WINDOW)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(("few", "many"), [(5_000, 20_000), pytest.param(250_000, 1_000_000, marks=pytest.mark.soak)])
def test_memory_stays_flat(few: int, many: int, tmp_path: Path) -> None:
    assert peak_mib(tmp_path / "many", many) < peak_mib(tmp_path / "few", few) + 20
